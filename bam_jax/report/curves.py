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
