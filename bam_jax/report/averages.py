"""Averages over tasks that have a name, beside that of the tables.

All text here is plain, as in tables.py.
"""

from collections.abc import Iterator, Mapping
import math

from bam_jax.report import tables
from bam_jax.stats import compare
from bam_jax.stats.averages import AVERAGES, Named


def found(results: Mapping) -> Iterator[tuple[str, Named, tables.Rows]]:
  """Yields the name, the row and the table of each that some method has.

  A score that counts more than it is is shown as it is, with a star.

  Args:
    results: what results.json holds.
  """
  for name, row in AVERAGES.items():
    header = ["Method", "Trials", row.title]
    lines = []
    for method, records in results["methods"].items():
      trials = row.trials(records)
      if not trials or any(map(math.isnan, trials)):
        continue
      raw = [_raw(row, task, records[task]) for task in row.least]
      cell = tables.cell(compare.summary(trials))
      lines.append([tables.method_name(method), str(len(trials)), cell, *raw])
    if lines:
      header += map(tables.column_name, row.least)
      yield name, row, [header, *lines]


def _raw(row: Named, task: str, record: Mapping) -> str:
  """Writes what the table of scores says, "15.5∗" if any trial is below."""
  scores = record["all"][row.metrics[task][0]]
  star = "∗" * any(score < row.least[task] for score in scores)
  return tables.cell(compare.summary(scores)) + star
