"""Scores by the rows that were trained on: a table and its pictures."""

from collections.abc import Iterator, Mapping

from bam_jax.report import curves as drawing
from bam_jax.report import tables
from bam_jax.report.document import Picture
from bam_jax.stats import compare
from bam_jax.stats import rows as stats

NOTE = (
  "Mean of the trials, x100, with Student's 95 % interval over them. What has"
  " fewer rows than there are has the same ones in all trials, and those of a"
  " smaller number are among those of a larger one. Epochs are the same, so"
  " fewer rows are fewer steps, unless min_steps says otherwise."
)


def table(results: Mapping) -> tables.Rows:
  """Returns a line for each number of rows; the header alone without any."""
  columns = compare.columns(results)
  names = map(tables.column_name, columns)
  found = [["Method", "Rows of", "Rows", *names]]
  for curve in stats.curves(results):
    of = tables.first_name(curve.first) if curve.first else "each task"
    for point in curve.points:
      cells = [_cell(stats.value(results, point, each)) for each in columns]
      name = tables.method_name(curve.method)
      found.append([name, of, _said(results, curve, point), *cells])
  return found


def _said(results: Mapping, curve: stats.Curve, point: stats.Point) -> str:
  """Writes how many rows a point has."""
  if curve.first:
    count = stats.count(results, curve, point, "")
    return "all" if count is None else f"{count:,}"
  parts = [
    f"{tables.column_name(task)} {rows:,}" if task else f"{rows:,}"
    for task, rows in point.limits.items()
  ]
  return ", ".join(parts) or "all"


def _cell(found) -> str:
  if found is None:
    return tables.NONE
  return tables.estimate((found.value, found.low, found.high), ".1f")


def pictures(results: Mapping) -> Iterator[Picture]:
  """Shows the curves of what comes first, and of what is scored."""
  every = stats.curves(results)
  for name, first in (("rows_first.png", True), ("rows.png", False)):
    mine = [curve for curve in every if bool(curve.first) == first]
    panels = _panels(results, mine)
    if not panels:
      continue
    what = "what came first" if first else "the task itself"
    text = f"Scores by the training rows of {what}, one panel a column, one"
    text += " line a method: mean of the trials with its 95 % interval; rows on"
    text += " a logarithmic axis, the last point all of them"
    level = _levels(results, panels) if first else {}
    if level:
      text += "; dotted, Single without anything first"
    yield Picture(
      name,
      text,
      lambda panels=panels, level=level, what=what: drawing.grown(
        panels, level, x=f"training rows of {what}", y="score x100"
      ),
    )


def _panels(results: Mapping, curves: list[stats.Curve]) -> dict:
  """Returns title -> label -> (rows, values, lower ends, upper ends)."""
  panels: dict[str, dict[str, tuple]] = {}
  for column in compare.columns(results):
    for curve in curves:
      if column == "average" and not curve.first:
        continue  # of tasks of different sizes
      places = [
        (stats.count(results, curve, point, column), value)
        for point in curve.points
        if (value := stats.value(results, point, column))
      ]
      known = [(rows, x) for rows, x in places if rows is not None]
      if len(known) > 1:
        rows = [rows for rows, _ in known]
        ends = (
          [getattr(x, e) for _, x in known] for e in ("value", "low", "high")
        )
        label = tables.method_name(curve.method)
        panel = panels.setdefault(tables.column_name(column), {})
        panel[label] = (rows, *ends)
  return panels


def _levels(results: Mapping, panels: Mapping) -> dict[str, float]:
  """Returns title -> the mean of single."""
  if "single" not in results["methods"]:
    return {}
  whole = stats.Point("single", {})
  found = {
    tables.column_name(column): stats.value(results, whole, column)
    for column in compare.columns(results)
  }
  return {k: x.value for k, x in found.items() if x and k in panels}
