"""The transfer atlas: what each intermediate task gives each target task."""

from collections.abc import Iterator, Mapping

import numpy as np

from bam_jax.report import plots, tables
from bam_jax.report.document import Picture
from bam_jax.stats import compare, transfer
from bam_jax.stats.bootstrap import Estimate

NOTE = (
  "Gain of training on the task of the line first, and then on the task of the"
  " column with a new head, over the latter alone: mean of the differences"
  " within seeds, x100, with Student's 95 % interval of them; from ten trials"
  " on, where answers were kept, the difference of the means with the"
  " multi-bootstrap's, which is over other dev examples as well. Exploratory:"
  " of twenty such intervals one leaves out 0 by chance."
)
CORRELATIONS = (
  "Pearson's correlation, over what was trained first (nothing among it), of"
  " the median scores of two columns, with Fisher's 95 % interval: whether what"
  " helps the one helps the other. Few points make wide intervals."
)


def rows(results: Mapping) -> tables.Rows:
  """Returns a line for each intermediate task; the header alone without any."""
  columns = compare.columns(results)
  found = [["Trained first", *map(tables.column_name, columns)]]
  for first, method in transfer.methods(results).items():
    gains = [transfer.gain(results, method, column) for column in columns]
    found.append([tables.first_name(first), *(_cell(x, 1) for x in gains)])
  return found


def correlations(results: Mapping) -> tables.Rows:
  """Returns how two columns go together; the header alone if points are few."""
  medians = transfer.medians(results)
  found = [["", *map(tables.column_name, medians)]]
  for one in medians:
    line = [
      None if one == two else transfer.correlation(medians[one], medians[two])
      for two in medians
    ]
    found.append([tables.column_name(one), *(_cell(x, 2) for x in line)])
  return found


def pictures(results: Mapping) -> Iterator[Picture]:
  """Shows the gains as a heat map."""
  firsts, columns = transfer.methods(results), compare.columns(results)
  if not firsts:
    return

  def draw() -> bytes:
    found = [
      [transfer.gain(results, method, column) for column in columns]
      for method in firsts.values()
    ]
    return plots.matrix(
      [*map(tables.first_name, firsts)],
      [*map(tables.column_name, columns)],
      [[np.nan if x is None else x.value for x in line] for line in found],
      [[_short(x) for x in line] for line in found],
    )

  text = "Gain of every target task (a column) over none by the task that was"
  text += " trained first (a line): purple above, orange below, the darker the"
  text += " more; a star where the interval leaves out 0"
  yield Picture("atlas.png", text, draw)


def _cell(found: Estimate | None, digits: int) -> str:
  if found is None:
    return tables.NONE
  value, low, high = (
    f"{x:+.{digits}f}" for x in (found.value, found.low, found.high)
  )
  return f"{value} [{low}, {high}]" if np.isfinite(found.low) else value


def _short(found: Estimate | None) -> str:
  if found is None:
    return tables.NONE
  return f"{found.value:+.1f}" + "*" * bool(found.low > 0 or found.high < 0)
