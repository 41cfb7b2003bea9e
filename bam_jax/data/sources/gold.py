"""Reads the gold labels of own rows: by name, left out, or missing."""

from collections import Counter
from collections.abc import Mapping, Sequence
import json
from typing import Any

import numpy as np

from bam_jax.data.sources.examples import encode
from bam_jax.data.sources.rows import Row
from bam_jax.runtime import notices
from bam_jax.runtime.spelling import hint, shown
from bam_jax.tasks import labels as label_names
from bam_jax.tasks.table import Task

# What says that there is no label: nothing, and the hub's class number for it.
_MISSING = ("", "-1")
# Most names that a sentence lists.
_LISTED = 20


def read(
  task: Task, split: str, found: Sequence[Row], *, taught: bool
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the labels f32[N] as `Examples` has them, and bool[N]: not ignored.

  A label is NaN where the row is ignored or, if it is taught, has none.

  Args:
    task: with `own`; its `ignore` says which rows are left out.
    split: one of its splits.
    found: the rows.
    taught: whether a row without a label may stay.

  Raises:
    ValueError: a label that the task has not; file, line, column, cure.
  """
  names = [task.own.rename.get(n, n) for n in (_name(task, r) for r in found)]
  kept = np.array([name not in task.own.ignore for name in names], bool)
  missing = _MISSING if task.labels else ("",)
  known = {label_names.name(label): label for label in task.labels}
  values, at = [], []
  for i, name in enumerate(names):
    if not kept[i] or (taught and name in missing and name not in known):
      continue
    if task.labels and name not in known:
      _refuse(task, split, found, names, i)
    if not name:
      _refuse(task, split, found, names, i)
    values.append(known[name] if task.labels else name)
    at.append(i)
  labels = np.full(len(found), np.nan, np.float32)
  labels[at] = encode(
    task, split, values, task.labels, lambda i: _where(task, found[at[i]])
  )
  return labels, kept


def tell(
  task: Task,
  origin: str,
  found: Sequence[Row],
  *,
  known: np.ndarray,
  kept: np.ndarray,
) -> None:
  """Says how many rows are left out, and how many a teacher alone teaches.

  Args:
    task: the task.
    origin: where the rows are from.
    found: the rows.
    known: bool[N], those with a label.
    kept: bool[N], those that are not left out.
  """
  rows = f"of the {len(found)} rows of {origin}"
  if not kept.all():
    names = Counter(
      _name(task, row)
      for row, mine in zip(found, kept, strict=True)
      if not mine
    )
    counts = ", ".join(
      f"{count} with the label {shown(name)}" if name else f"{count} with none"
      for name, count in names.most_common()
    )
    notices.once(f"{task.name} leaves out {(~kept).sum()} {rows}: {counts}")
  if alone := (kept & ~known).sum():
    who = "their soft label" if task.own.judges else "a teacher"
    notices.once(
      f"{task.name}: {alone} {rows} have no label and learn from {who} alone"
    )


def tell_gaps(task: Task, origin: str, known: np.ndarray) -> None:
  """Says how many rows of a table have no label of a task.

  Args:
    task: the task.
    origin: where the rows are from.
    known: bool[N], those with a label.
  """
  if gaps := (~known).sum():
    notices.once(
      f"{task.name}: {gaps} of the {len(known)} rows of {origin} have no label"
      f" in the column {task.label!r}"
    )


def _where(task: Task, row: Row) -> str:
  return f"{row[0]}, column {task.label!r}"


def _name(task: Task, row: Row) -> str:
  """Returns what the label of a row is called."""
  value = row[1].get(task.label)
  # A label may look like a list.
  if isinstance(value, str) and value in task.labels:
    return label_names.name(value)
  try:
    return label_names.name(label_names.only(value))
  except ValueError as error:
    raise ValueError(
      f"{_where(task, row)}: {task.name} has no label {shown(value)} ({error});"
      f" a row has one label{_cure(value)}"
    ) from None


def _cure(value: Any) -> str:
  """Returns what to do with what says something of several labels."""
  if isinstance(value, Mapping) and value:
    return ": write the name of the one that is right in a column of its own"
  if isinstance(value, list) and len(value) > 1:
    return ': for several at once write kind = "multilabel" into the tasks file'
  return ""


def _refuse(
  task: Task,
  split: str,
  found: Sequence[Row],
  names: Sequence[str],
  i: int,
) -> None:
  """Raises the sentence about a label that the task has not."""
  name, value = names[i], found[i][1].get(task.label)
  said = f"{_where(task, found[i])}: {task.name} has no label {shown(value)}"
  near = hint(name, task.labels) if name not in _MISSING else ""
  file = task.own.file
  if task.labels:
    said += f"{near or ';'} the labels in {file} are {shown(list(task.labels))}"
  there, known = Counter(names), {*map(label_names.name, task.labels)}
  if not near and name not in _MISSING and len(there) <= _LISTED:
    said += f", the column has {shown(sorted(there))}"
  if there[name] == len(found) and name in _MISSING:
    cure = (
      "; leave test out of the tasks file and answer it by: python -m"
      " bam_jax.predict"
      if split == "test"
      else ""
    )
    raise ValueError(f"{said}, and no row has one{cure}")
  if not near and name not in _MISSING and not known & {*there}:
    said += "; labels are written as the column has them"
  # Where no row has a label of the task, to leave rows out is no cure.
  if not near and (name in _MISSING or known & {*there}):
    typed = name if name == "-1" else json.dumps(name, ensure_ascii=False)
    setting = f"ignore{' =' if file.endswith('.toml') else ':'} [{typed}]"
    said += f"; to leave out such rows ({there[name]}), write {setting}"
  raise ValueError(said)
