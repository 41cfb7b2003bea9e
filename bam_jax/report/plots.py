"""Draws pictures of scores; knows neither tasks nor files.

Nothing is told by colour alone, so they read in black and white too.
"""

from collections.abc import Mapping, Sequence
import io

import numpy as np

DPI = 160
DASHES = ("-", "--", "-.", ":")
_INK = "#08306b"
_GREY = "0.85"
_MARKERS = "osv^DX"
# Okabe and Ito's for the colour-blind, without the yellow, which is too light.
_COLOURS = (
  *("#000000", "#d55e00", "#0072b2", "#e69f00"),
  *("#009e73", "#cc79a7", "#56b4e9"),
)
# Classes of a panel whose cells have room for a number.
_WRITTEN = 8
_PANELS = 5  # in a row; their labels still read at the width of a page


def style(number: int) -> dict[str, str]:
  """Returns colour, dashes and marker of a line; none says it alone."""
  return {
    "color": _COLOURS[number % len(_COLOURS)],
    "linestyle": DASHES[number % len(DASHES)],
    "marker": _MARKERS[number % len(_MARKERS)],
    "markerfacecolor": "white",
  }


def short(name: str, letters: int = 28) -> str:
  """Cuts a name that would leave a picture no room for anything else."""
  return name if len(name) <= letters else f"{name[: letters - 1]}…"


def strips(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> bytes:
  """Draws every trial as a dot, one panel a column, one line a method.

  A bar marks the median of a line; the dashed line is that of the first.

  Args:
    panels: title -> label of a line -> f[R] scores, the same labels in each.

  Returns:
    A PNG file.
  """
  # Slow to import, and training should not wait for it. Figures are made
  # without pyplot, so nobody's backend is touched.
  from matplotlib.figure import Figure

  labels = [short(label) for label in next(iter(panels.values()))]
  wide = min(len(panels), _PANELS)
  high = -(-len(panels) // wide)
  margin = 0.4 + 0.08 * max(map(len, labels))
  figure = Figure(
    (max(4, margin + 1.75 * wide), high * (0.9 + 0.32 * len(labels)) + 0.3),
    dpi=DPI,
    layout="constrained",
  )
  axes = figure.subplots(high, wide, sharey=True, squeeze=False).flat
  for ax, (title, lines) in zip(axes, panels.items(), strict=False):
    _strip(ax, lines)
    # Names are text from outside: a dollar in them starts no formula.
    ax.set_title(short(title, 20), fontsize=10, parse_math=False)
    ax.set_yticks(range(len(labels)), labels, fontsize=9, parse_math=False)
  for ax in axes[len(panels) :]:
    ax.set_axis_off()
  axes[0].set_ylim(len(labels) - 0.5, -0.5)  # first line on top
  figure.supxlabel("score x100; dot = trial, bar = median", fontsize=9)
  return _png(figure)


def effects(
  panels: Mapping[str, Mapping[str, Sequence[float | None]]],
  *,
  labels: Sequence[str],
) -> bytes:
  """Draws effects as dots with their intervals, one panel a column.

  Args:
    panels: title -> label of a line -> value, low and high; the ends may be
      None.
    labels: of all lines, the first on top.

  Returns:
    A PNG file.
  """
  from matplotlib.figure import Figure

  wide = min(len(panels), _PANELS)
  high = -(-len(panels) // wide)
  names = [short(label) for label in labels]
  margin = 0.4 + 0.08 * max(map(len, names))
  figure = Figure(
    (max(4, margin + 1.75 * wide), high * (0.9 + 0.32 * len(names)) + 0.3),
    dpi=DPI,
    layout="constrained",
  )
  axes = figure.subplots(high, wide, sharey=True, squeeze=False).flat
  for ax, (title, lines) in zip(axes, panels.items(), strict=False):
    ax.axvline(0, color="0.5", linewidth=0.8, dashes=(4, 3), zorder=0)
    for label, (value, *ends) in lines.items():
      y = labels.index(label)
      if None not in ends:
        ax.plot(ends, [y, y], color=_INK, linewidth=1.5, zorder=2)
      ax.plot([value], [y], color=_INK, marker="o", markersize=5, zorder=3)
    _quiet(ax)
    ax.set_title(short(title, 20), fontsize=10, parse_math=False)
    ax.set_yticks(range(len(names)), names, fontsize=9, parse_math=False)
  for ax in axes[len(panels) :]:
    ax.set_axis_off()
  axes[0].set_ylim(len(names) - 0.5, -0.5)
  figure.supxlabel("points x100; dot = effect, line = interval", fontsize=9)
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
  labels = list(dict.fromkeys(x for lines in panels.values() for x in lines))
  figure, axes = grid(len(panels))
  for ax, (title, lines) in zip(axes, panels.items(), strict=True):
    ax.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
    for label, points in lines.items():
      look = style(labels.index(label))
      confidence, accuracy, count = np.array(points, np.float64).T
      marker, colour = look.pop("marker"), look["color"]
      ax.plot(confidence, accuracy, linewidth=1, **look)
      ax.scatter(
        confidence,
        accuracy,
        s=8 + 60 * count / count.sum(),
        marker=marker,
        facecolor="white",
        edgecolor=colour,
        zorder=3,
      )
    ax.set(xlim=(0, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    finish(ax, title)
  return finished(figure, labels, "confidence", "accuracy")


def confusions(
  panels: Mapping[str, tuple[Sequence[str], Sequence[Sequence[int]]]],
) -> bytes:
  """Draws how often the rows of each class are said to be of each.

  Args:
    panels: title -> names of C classes, and i[C, C], gold by said.

  Returns:
    A PNG file.
  """
  figure, axes = grid(len(panels))
  for ax, (title, (names, counts)) in zip(axes, panels.items(), strict=True):
    counts = np.asarray(counts, np.float64)
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    if len(names) <= _WRITTEN:
      for y, x in np.ndindex(*share.shape):
        ink = "white" if share[y, x] > 60 else "black"
        text = f"{share[y, x]:.0f}"
        ax.text(x, y, text, ha="center", va="center", fontsize=8, color=ink)
    ticks = range(len(names)), [short(name, 12) for name in names]
    look = dict(fontsize=7, parse_math=False)
    ax.set_xticks(*ticks, rotation=90, **look)
    ax.set_yticks(*ticks, **look)
    ax.set_title(short(title, 30), fontsize=9, parse_math=False)
  figure.supxlabel("said", fontsize=9)
  figure.supylabel("gold", fontsize=9)
  return _png(figure)


def matrix(
  rows: Sequence[str],
  columns: Sequence[str],
  values: Sequence[Sequence[float]],
  texts: Sequence[Sequence[str]],
) -> bytes:
  """Draws a heat map: what is above 0 purple, what is below orange.

  Args:
    rows: labels, one per row.
    columns: labels, one per column.
    values: f[rows, columns], NaN where there is none.
    texts: what stands in the cells; its sign tells what the colour does.

  Returns:
    A PNG file.
  """
  from matplotlib.figure import Figure

  rows, columns = [*map(short, rows)], [*map(short, columns)]
  values = np.asarray(values, np.float64)
  margin = 0.4 + 0.08 * max(map(len, rows))
  high = 0.6 + 0.08 * max(map(len, columns)) + 0.36 * len(rows)
  figure = Figure(
    (min(11.4, max(4, margin + 0.8 * len(columns))), high),
    dpi=DPI,
    layout="constrained",
  )
  ax = figure.subplots()
  known = np.abs(values[np.isfinite(values)])
  # A tenth of a point must not look like a landslide.
  most = max(1.0, known.max(initial=0.0))
  image = ax.imshow(
    values, cmap="PuOr", vmin=-most, vmax=most, aspect="auto", alpha=0.85
  )
  for y, line in enumerate(texts):
    for x, text in enumerate(line):
      dark = abs(np.nan_to_num(values[y, x])) > 0.6 * most
      ax.text(
        x,
        y,
        text,
        ha="center",
        va="center",
        fontsize=9,
        color="white" if dark else "black",
        parse_math=False,
      )
  ax.set_xticks(
    range(len(columns)),
    columns,
    fontsize=9,
    parse_math=False,
    rotation=30,
    ha="left",
    rotation_mode="anchor",
  )
  ax.xaxis.tick_top()
  ax.set_yticks(range(len(rows)), rows, fontsize=9, parse_math=False)
  ax.tick_params(length=0)
  ax.spines[:].set_visible(False)
  bar = figure.colorbar(image, ax=ax, pad=0.02)
  bar.ax.tick_params(labelsize=8)
  bar.outline.set_visible(False)
  return _png(figure)


def grid(panels: int):
  """Returns a figure and the axes of so many panels, at most 4 in a row."""
  from matplotlib.figure import Figure

  wide = min(panels, 4)
  high = -(-panels // wide)
  figure = Figure(
    (2.7 * wide + 0.5, 2.4 * high + 0.6),
    dpi=DPI,
    layout="constrained",
  )
  axes = figure.subplots(high, wide, squeeze=False).flat
  for ax in axes[panels:]:
    ax.set_axis_off()
  return figure, axes[:panels]


def finish(ax, title: str) -> None:
  """Gives a panel its title and takes away what says nothing."""
  ax.set_title(short(title), fontsize=10, parse_math=False)
  ax.locator_params(axis="x", nbins=5)
  ax.tick_params(labelsize=8)
  ax.spines[["top", "right"]].set_visible(False)


def finished(figure, labels: Sequence[str], x: str, y: str) -> bytes:
  """Names the axes and the lines of a figure; returns a PNG file."""
  from matplotlib.lines import Line2D

  for text in (
    figure.supxlabel(x, fontsize=9),
    figure.supylabel(y, fontsize=9),
  ):
    text.set_parse_math(False)
  if labels:
    labels = [short(label) for label in labels]
    handles = [Line2D([], [], **style(i)) for i in range(len(labels))]
    # Above the panels, in as many columns as such names leave room for.
    width, height = figure.get_size_inches()
    columns = max(1, int(width / (1 + 0.07 * max(map(len, labels)))))
    lines = -(-len(labels) // columns)
    figure.set_size_inches(width, height + 0.2 + 0.19 * lines)
    legend = figure.legend(
      handles,
      labels,
      loc="outside upper left",
      ncols=columns,
      fontsize=8,
      handlelength=4,
      frameon=False,
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
  _quiet(ax)


def _quiet(ax) -> None:
  """Gives a panel of lines room, and takes away what says nothing."""
  low, high = ax.get_xlim()
  # A tenth of a point must not look like a landslide.
  room = max(0.0, 2.0 - (high - low)) / 2
  ax.set_xlim(low - room, high + room)
  ax.locator_params(axis="x", nbins=4)
  ax.tick_params(axis="x", labelsize=8)
  ax.tick_params(axis="y", length=0)
  ax.spines[["top", "right", "left"]].set_visible(False)
