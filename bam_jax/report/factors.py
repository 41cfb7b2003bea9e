"""What each factor of a factorial study gives, alone and with another.

All text here is plain, as in tables.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bam_jax.report import plots, tables
from bam_jax.report.document import Picture
from bam_jax.stats import compare

EFFECTS = (
  "Effect: how much higher the mean over the cells is where the factor has its"
  " second value, x100, taken within each seed over all cells, with Student's"
  " 95 % interval over seeds. Of twenty such intervals one leaves out 0 by"
  " chance; what the study set out to show stands under Claims."
)
SHARED = (
  " Students of an ensemble share their teachers, so what other teachers would"
  " give is not in these intervals."
)
INTERACTIONS = (
  "Half of how much larger the effect of the one factor is where the other has"
  " its second value, x100, with the interval as above."
)


def rows(results: Mapping) -> tables.Rows:
  """Returns a line for every factor; the header alone without any."""
  columns = compare.columns(results)
  found = [["Factor", "", "First", "Second", *map(tables.column_name, columns)]]
  for design in results.get("factors", ()):
    for factor in design["factors"]:
      found.append(
        [
          *(factor["letter"], _name(design)),
          *(_said(factor["low"]), _said(factor["high"], names=False)),
          *_cells(factor, columns),
        ]
      )
  return found


def interactions(results: Mapping) -> tables.Rows:
  """Returns a line for every two factors that are confounded with no others."""
  columns = compare.columns(results)
  found = [["Factors", "", *map(tables.column_name, columns)]]
  for design in results.get("factors", ()):
    name = _name(design)
    for pair in design["interactions"]:
      letters = " with ".join(pair["letters"])
      found.append([letters, name, *_cells(pair, columns)])
  return found


def note(results: Mapping) -> str:
  """Says how the cells were chosen, and what the numbers are."""
  told = []
  for design in results.get("factors", ()):
    count, name = len(design["factors"]), _name(design)
    text = f"{name}: {design['cells']} cells of {2**count} combinations of"
    text += f" {count} factors"
    if design["relation"]:
      relation = " = ".join(["I", *design["relation"]])
      text += f", {relation}, resolution {design['resolution']}"
    told.append(f"{text}.")
  shared = any(
    "teacher.trials" in factor["high"]
    for design in results.get("factors", ())
    for factor in design["factors"]
  )
  return " ".join([*told, EFFECTS]) + SHARED * shared


def pictures(results: Mapping) -> Iterator[Picture]:
  """Shows each effect as a dot with its interval, one panel a column."""
  lines, designs = {}, results.get("factors", ())
  several = len({design["method"] for design in designs}) > 1
  for design in designs:
    apart = [tables.method_name(design["method"])] * several
    if same := design.get("same"):
      apart.append(_said(_short(same)))
    of = f" ({', '.join(apart)})" if apart else ""
    for factor in design["factors"]:
      label = f"{factor['letter']} {_said(_short(factor['high']))}{of}"
      lines[label] = factor["columns"]
  if not lines:
    return

  def draw() -> bytes:
    return plots.effects(
      {
        tables.column_name(column): {
          name: columns[column]
          for name, columns in lines.items()
          if column in columns
        }
        for column in compare.columns(results)
      },
      labels=[*lines],
    )

  text = "Effect of every factor in every column: a dot, with its 95 % interval"
  text += " over seeds; the dashed line is no effect"
  yield Picture("factors.png", text, draw)


def _cells(row: Mapping[str, Any], columns: list[str]) -> Iterator[str]:
  for column in columns:
    found = row["columns"].get(column)
    if found is None:
      yield tables.NONE
    elif found[1] is None:
      yield f"{found[0]:+.2f}"
    else:
      yield tables.estimate(found, "+.2f")


def _name(design: Mapping[str, Any]) -> str:
  """Returns the method of a design, with what all of its cells change alike."""
  name = tables.method_name(design["method"])
  same = design.get("same")
  return f"{name}, {_said(same)}" if same else name


def _short(values: Mapping[str, Any]) -> Mapping[str, Any]:
  return {key.rpartition(".")[2]: value for key, value in values.items()}


def _said(values: Mapping[str, Any], *, names: bool = True) -> str:
  return ", ".join(f"{k} {v}" if names else f"{v}" for k, v in values.items())
