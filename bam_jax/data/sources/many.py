"""Reads the gold labels of rows that may have several of them at once.

They stand in one column, as a list or as text with a separator between them,
or in a column of 0 and 1 for each label.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bam_jax.data.sources import formats
from bam_jax.data.sources.rows import Row
from bam_jax.runtime.spelling import hint, shown
from bam_jax.tasks import labels as label_names
from bam_jax.tasks.table import Task

# What a column of one label may say.
_TRUTH = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0}
# How annotation tools wrap the labels of a row.
_WRAPPED = "choices"


def read(
  task: Task, split: str, found: Sequence[Row], *, taught: bool
) -> tuple[np.ndarray, np.ndarray]:
  """Returns f32[N, C], 1 where a label holds, and bool[N]: not ignored.

  All C are NaN where the row is ignored, or is taught and nothing is said of
  it. An empty list or an empty cell of text says that none of the labels holds.

  Args:
    task: with `own`; its `ignore` says which rows are left out.
    split: one of its splits.
    found: the rows.
    taught: whether a row without labels may stay.

  Raises:
    ValueError: a label that the task has not; file, line, column, cure.
  """
  del split
  known = {label_names.name(name): i for i, name in enumerate(task.labels)}
  labels = np.zeros((len(found), len(known)), np.float32)
  row = _columns if task.own.marked else _listed
  kept = np.array([not _ignored(task, record) for _, record in found], bool)
  labels[~kept] = np.nan
  for i in np.flatnonzero(kept):
    where, record = found[i]
    labels[i] = row(task, known, where, record)
    if np.isnan(labels[i, 0]) and not taught:
      columns = ", ".join(map(repr, task.own.marked or (task.label,)))
      raise ValueError(
        f"{where}, column {columns}: nothing is said of this row; write []"
        " where none of the labels holds, or give it soft labels"
      )
  return labels, kept


def _ignored(task: Task, record: Mapping[str, Any]) -> bool:
  """Tells whether what a column says of a row is to be left out."""
  value = record.get(task.label)
  ignored = task.own.ignore
  return bool(ignored) and isinstance(value, str) and value.strip() in ignored


def _columns(
  task: Task, known: Mapping[str, int], where: str, record: Mapping[str, Any]
) -> list[float]:
  """Returns what a column for each label says."""
  found = []
  for column in task.own.marked:
    try:
      name = label_names.name(record.get(column))
    except ValueError:
      name = None
    if name != "" and name not in _TRUTH:
      raise ValueError(
        f"{where}, column {column!r}: {shown(record[column])} says neither that"
        f" {column!r} holds nor that it does not; write 1 or 0, or true or"
        " false"
      )
    found.append(_TRUTH.get(name, np.nan))
  empty = [c for c, x in zip(task.own.marked, found, strict=True) if x != x]
  if 0 < len(empty) < len(found):
    raise ValueError(
      f"{where}, column {empty[0]!r}: is empty, while other columns of"
      f" {task.name} are not; write 1 or 0"
    )
  return found


def _listed(
  task: Task, known: Mapping[str, int], where: str, record: Mapping[str, Any]
) -> np.ndarray:
  """Returns what one column with all labels of a row says."""
  value = formats.as_list(record.get(task.label))
  place = f"{where}, column {task.label!r}"
  if isinstance(value, Mapping) and list(value) == [_WRAPPED]:
    value = value[_WRAPPED]
  if value is None or (isinstance(value, float) and value != value):
    return np.full(len(known), np.nan, np.float32)
  if isinstance(value, str):
    value = _parts(value, task.own.separator)
  if not isinstance(value, list):
    raise ValueError(
      f"{place}: {shown(value)} is no list of labels; write a list, as JSON in"
      " a table, or a text and its separator"
    )
  marks = np.zeros(len(known), np.float32)
  for each in value:
    try:
      name = label_names.name(each)
    except ValueError as error:
      raise ValueError(
        f"{place}: {shown(each)} can be no label ({error})"
      ) from None
    name = task.own.rename.get(name, name)
    if name not in known:
      _refuse(task, place, name, record[task.label])
    marks[known[name]] = 1
  return marks


def _parts(text: str, separator: str) -> list[str]:
  """Returns the labels that a cell of text names."""
  parts = text.split(separator) if separator else [text]
  return [part.strip() for part in parts if part.strip()]


def _refuse(task: Task, place: str, name: str, value: Any) -> None:
  """Raises the sentence about a label that the task has not."""
  near = hint(name, task.labels)
  cure = ""
  if isinstance(value, str) and sum(x in name for x in task.labels) > 1:
    near = ""
    cure = "; where several stand in it, say what is between them: separator"
    if task.own.separator:
      cure += f", which is {task.own.separator!r} now"
  raise ValueError(
    f"{place}: {task.name} has no label {shown(name)}{near or ';'} the labels"
    f" in {task.own.file} are {shown(list(task.labels))}{cure}"
  )
