"""Which rows of a file are of which split, where a column says it."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from bam_jax.data.sources.rows import Row
from bam_jax.runtime import notices
from bam_jax.runtime.spelling import shown
from bam_jax.tasks import labels as label_names
from bam_jax.tasks.table import Task


def of_split(
  task: Task, split: str, origin: str, found: Sequence[Row]
) -> np.ndarray:
  """Returns the numbers of the rows of a split, i64[K], in their order.

  Args:
    task: with `own`; without a `division` all rows are of it.
    split: one of its splits.
    origin: where the rows are from.
    found: all rows of the files.

  Raises:
    ValueError: a row says it in a way that nobody can, or none is of it.
  """
  division = task.own.division
  if division is None:
    return np.arange(len(found))
  names = [_name(division.column, *row) for row in found]
  there = Counter(names)
  mine = division.values[split]
  if not any(there[value] for value in mine):
    raise ValueError(
      f"{origin}: no row of {task.name} is of {split}: column"
      f" {division.column!r} is never {' or '.join(map(repr, mine))}, it has"
      f" {shown(sorted(there))}; correct split in {task.own.file}"
    )
  known = {value for values in division.values.values() for value in values}
  others = {name: n for name, n in there.items() if name not in known}
  if others:
    counts = ", ".join(f"{n} with {shown(name)}" for name, n in others.items())
    notices.once(
      f"{task.name} leaves out {sum(others.values())} of the {len(found)} rows"
      f" of {origin}, which are of no split by {division.column!r}: {counts}"
    )
  return np.flatnonzero([name in mine for name in names])


def _name(column: str, where: str, record: dict) -> str:
  try:
    return label_names.name(record[column])
  except ValueError as error:
    raise ValueError(
      f"{where}, column {column!r}: {shown(record[column])} names no split"
      f" ({error})"
    ) from None
