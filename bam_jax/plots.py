"""Draws pictures of scores; knows neither tasks nor files.

Nothing is told by colour alone, so they read in black and white too.
"""

from collections.abc import Mapping, Sequence
import io

import numpy as np

_INK = "#08306b"
_GREY = "0.85"
_MARKERS = "osv^DX"
_DASHES = ("-", "--", "-.", ":")
_PANELS = 5  # in a row; their labels still read at the width of a page


def strips(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> bytes:
  """Draws every trial as a dot, one panel a column, one line a method.

  A bar marks the median of a line; the dashed line is that of the first.

  Args:
    panels: title -> label of a line -> f[R] scores, the same labels in each.

  Returns:
    A PNG file.
  """
  # Slow to import, and training should not wait for it. The figure is made
  # without pyplot, so nobody's backend is touched.
  from matplotlib.figure import Figure

  labels = list(next(iter(panels.values())))
  wide = min(len(panels), _PANELS)
  high = -(-len(panels) // wide)
  margin = 0.4 + 0.08 * max(map(len, labels))
  figure = Figure(
    (max(4, margin + 1.75 * wide), high * (0.9 + 0.32 * len(labels)) + 0.3),
    dpi=160,
    layout="constrained",
  )
  axes = figure.subplots(high, wide, sharey=True, squeeze=False).flat
  for ax, (title, lines) in zip(axes, panels.items(), strict=False):
    _strip(ax, lines)
    # Names are text from outside: a dollar in them starts no formula.
    ax.set_title(title, fontsize=10, parse_math=False)
    ax.set_yticks(range(len(labels)), labels, fontsize=9, parse_math=False)
  for ax in axes[len(panels) :]:
    ax.set_axis_off()
  axes[0].set_ylim(len(labels) - 0.5, -0.5)  # first line on top
  figure.supxlabel("score x100; dot = trial, bar = median", fontsize=9)
  return _png(figure)


def reliability(
  panels: Mapping[str, Mapping[str, Sequence[Sequence[float]]]],
) -> bytes:
  """Draws accuracy against confidence, one panel a task, one line a method.

  Args:
    panels: title -> label of a line -> points [K, 3]: confidence, accuracy and
      how many predictions, which is the area of the marker.

  Returns:
    A PNG file.
  """
  from matplotlib.figure import Figure

  labels = list(dict.fromkeys(x for lines in panels.values() for x in lines))
  wide = min(len(panels), 3)
  high = -(-len(panels) // wide)
  figure = Figure(
    (2.6 * wide + 0.6, 2.6 * high + 0.6 + 0.2 * len(labels)),
    dpi=160,
    layout="constrained",
  )
  axes = figure.subplots(high, wide, squeeze=False).flat
  handles = {}
  for ax, (title, lines) in zip(axes, panels.items(), strict=False):
    ax.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
    for label, points in lines.items():
      style = labels.index(label)
      confidence, accuracy, count = np.array(points, np.float64).T
      color = str(0.55 * (style % 3) / 2)
      dashes = _DASHES[style % len(_DASHES)]
      marker = _MARKERS[style % len(_MARKERS)]
      ax.plot(confidence, accuracy, color=color, linestyle=dashes, linewidth=1)
      handles[label] = ax.scatter(
        confidence,
        accuracy,
        s=8 + 60 * count / count.sum(),
        marker=marker,
        facecolor="white",
        edgecolor=color,
        zorder=3,
      )
    ax.set_title(title, fontsize=10, parse_math=False)
    ax.set(xlim=(0, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
  for ax in axes[len(panels) :]:
    ax.set_axis_off()
  figure.supxlabel("confidence", fontsize=9)
  figure.supylabel("accuracy", fontsize=9)
  # One column below the panels: method names are long.
  legend = figure.legend(
    handles.values(), handles, loc="outside lower left", fontsize=8
  )
  for text in legend.get_texts():
    text.set_parse_math(False)
  return _png(figure)


def _png(figure) -> bytes:
  png = io.BytesIO()
  # No version in it: the same scores make the same file.
  figure.savefig(png, format="png", metadata={"Software": None})
  return png.getvalue()


def _strip(ax, lines: Mapping[str, Sequence[float]]) -> None:
  medians = [np.median(x) if len(x) else np.nan for x in lines.values()]
  for y, (scores, median) in enumerate(
    zip(map(np.sort, lines.values()), medians, strict=True)
  ):
    ax.axhline(y, color=_GREY, linewidth=0.6, zorder=0)
    # Neighbours at different heights, so that equal scores stay countable.
    heights = y + (np.arange(len(scores)) % 5 - 2) * 0.08 * (len(scores) > 1)
    style = dict(color=_INK, marker="o", markersize=4.5, linestyle="")
    edge = dict(markeredgecolor="white", markeredgewidth=0.5)
    ax.plot(scores, heights, **style, **edge, zorder=3)
    if len(scores) > 1:
      ax.plot([median] * 2, [y - 0.36, y + 0.36], color="black", linewidth=2)
  if np.isfinite(medians[0]):
    ax.axvline(medians[0], color="0.5", linewidth=0.8, dashes=(4, 3), zorder=0)
  low, high = ax.get_xlim()
  # A tenth of a point must not look like a landslide.
  room = max(0.0, 2.0 - (high - low)) / 2
  ax.set_xlim(low - room, high + room)
  ax.locator_params(axis="x", nbins=4)
  ax.tick_params(axis="x", labelsize=8)
  ax.tick_params(axis="y", length=0)
  ax.spines[["top", "right", "left"]].set_visible(False)
