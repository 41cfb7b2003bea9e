"""Draws what changes over the steps of a run; knows neither tasks nor files."""

from collections.abc import Mapping, Sequence

import numpy as np

from bam_jax.report import plots

# Label of a line -> its x [K] and the values of its trials [R, K].
Lines = Mapping[str, tuple[Sequence[float], Sequence[Sequence[float]]]]


def quartiles(values: Sequence[Sequence[float]]) -> np.ndarray:
  """Returns the lower quartile, the median and the upper one over trials.

  Args:
    values: f[R, K]; NaN where a trial has no value.

  Returns:
    f[3, K], NaN where no trial has one.
  """
  values = np.asarray(values, np.float64)
  found = np.full((3, values.shape[1]), np.nan)
  some = np.isfinite(values).any(0)
  found[:, some] = np.nanpercentile(values[:, some], (25, 50, 75), axis=0)
  return found


def bands(panels: Mapping[str, Lines], *, x: str, y: str) -> bytes:
  """Draws medians over trials, from quartile to quartile a band.

  Args:
    panels: title -> lines.
    x: what the steps are.
    y: what the values are.

  Returns:
    A PNG file.
  """
  labels = list(dict.fromkeys(k for lines in panels.values() for k in lines))
  figure, axes = plots.grid(len(panels))
  for ax, (title, lines) in zip(axes, panels.items(), strict=True):
    for label, (steps, values) in lines.items():
      low, median, high = quartiles(values)
      style = plots.style(labels.index(label))
      ax.fill_between(
        steps, low, high, color=style["color"], alpha=0.18, linewidth=0
      )
      # A marker now and then, or it hides the line; not all at one place.
      every = max(1, len(steps) // 6)
      start = labels.index(label) * every // max(len(labels), 1)
      shown = (start, every) if len(steps) > 6 else 1
      ax.plot(steps, median, **style, markersize=5, markevery=shown)
    plots.finish(ax, title)
  return plots.finished(figure, labels, x, y)


def grown(
  panels: Mapping[str, Mapping[str, Sequence[Sequence[float]]]],
  levels: Mapping[str, float],
  *,
  x: str,
  y: str,
) -> bytes:
  """Draws values with their intervals over numbers, on a logarithmic axis.

  Args:
    panels: title -> label -> numbers [K], values, lower ends and upper ends,
      NaN where there is no interval.
    levels: title -> a value that a dotted line marks.
    x: what the numbers are.
    y: what the values are.

  Returns:
    A PNG file.
  """
  labels = list(dict.fromkeys(k for lines in panels.values() for k in lines))
  figure, axes = plots.grid(len(panels))
  for ax, (title, lines) in zip(axes, panels.items(), strict=True):
    for label, line in lines.items():
      number, value, low, high = np.asarray(line, np.float64)
      style = plots.style(labels.index(label))
      ends = np.nan_to_num([value - low, high - value])
      ax.errorbar(number, value, ends, **style, markersize=5, capsize=3)
    if title in levels:
      ax.axhline(levels[title], color="0.5", linestyle=":", linewidth=1)
    plots.finish(ax, title)
    ticks = sorted({n for numbers, *_ in lines.values() for n in numbers})
    ax.set_xscale("log")
    ax.set_xticks(ticks, [_number(n) for n in ticks])
    ax.minorticks_off()
  return plots.finished(figure, labels, x, y)


def _number(number: float) -> str:
  """Writes a number of rows as an axis has room for."""
  return f"{number / 1000:.3g}k" if number >= 1000 else f"{number:g}"


def schedules(panels: Mapping[str, Lines]) -> bytes:
  """Draws a schedule to a panel, every one with axes of its own.

  Args:
    panels: title -> lines of one "trial".

  Returns:
    A PNG file.
  """
  figure, axes = plots.grid(len(panels))
  for ax, (title, lines) in zip(axes, panels.items(), strict=True):
    for i, (steps, (values,)) in enumerate(lines.values()):
      ax.plot(steps, values, color="black", linestyle=plots.DASHES[i])
    ax.set_ylim(bottom=0)
    ax.ticklabel_format(axis="y", scilimits=(-2, 3), useMathText=False)
    ax.yaxis.get_offset_text().set_fontsize(8)
    plots.finish(ax, title)
  return plots.finished(figure, (), "step", "")


def profiles(
  lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
  *,
  x: str,
  y: str,
) -> bytes:
  """Draws falling shares as steps, all lines on one panel.

  Args:
    lines: label -> points [K], rising, and the share above each of them.
    x: what the points are.
    y: what the shares are.

  Returns:
    A PNG file.
  """
  figure, (ax,) = plots.grid(1)
  figure.set_size_inches(6.2, 3.2)
  ends = np.concatenate([points for points, _ in lines.values()])
  room = 0.03 * max(1.0, np.ptp(ends))
  low, high = ends.min() - room, ends.max() + room
  for i, (points, above) in enumerate(lines.values()):
    style = plots.style(i)
    every = max(1, len(points) // 6)
    ax.plot(
      [low, *points, high],
      [1.0, *above, 0.0],
      drawstyle="steps-post",
      **style,
      linewidth=1.2,
      markersize=4,
      markevery=slice(1 + i * every // len(lines), len(points) + 1, every),
    )
  ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
  ax.set(xlim=(low, high), ylim=(0, 1.03))
  plots.finish(ax, "")
  return plots.finished(figure, list(lines), x, y)
