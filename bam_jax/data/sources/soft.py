"""Reads the files of soft labels: what another model says of each row."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
import math
from pathlib import Path
import reprlib
from typing import Any

import numpy as np

from bam_jax.data.sources import examples, parquet, rows
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task

# What a soft label is called, of which a row has one.
_ANSWERS = ("probs", "logits", "value")
# Far below the probability of any label that a teacher has not ruled out.
_FLOOR = 1e-12
# What two decimals of a probability are off by at most, and all of them.
_ROUNDED, _MOST = 0.005, 0.05
_LARGEST = float(np.finfo(np.float32).max)


def read(
  path: Path, *, task: Task, count: int, partial: bool = False
) -> np.ndarray:
  """Reads one soft label for every example; returns logits f32[count, C].

  A row has "index", the example number, and its soft label as `soft_label`
  takes it. Other entries are not read.

  Args:
    path: JSON lines (.jsonl) or Parquet (.parquet).
    task: whose labels they are.
    count: examples there are; each needs a row.
    partial: whether some may have none, or one that says nothing: theirs are
      NaN.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: a row is not as above; says which.
  """
  logits, seen = np.full((count, task.classes), np.nan, np.float32), {}
  for where, record in _records(path):
    index = record.get("index")
    if type(index) is not int or not 0 <= index < count:
      raise ValueError(
        f"{where}: index is {reprlib.repr(index)}; {task.name} has the rows 0 "
        f"to {count - 1}"
      )
    if index in seen:
      raise ValueError(f"{where}: index {index} is at {seen[index]} already")
    seen[index] = where
    if partial and all(record.get(name) is None for name in _ANSWERS):
      continue
    logits[index] = soft_label(record, task, where)
  if partial:
    return logits
  if wrong := examples.uncovered(np.fromiter(seen, np.int64), count):
    raise ValueError(f"the soft labels in {path} {wrong}")
  return logits


def _records(path: Path) -> Iterator[rows.Row]:
  if not path.is_file():
    raise FileNotFoundError(f"there is no file of soft labels {path}")
  if path.suffix == ".parquet":
    table = parquet.read(path)
    ours = ("index", *_ANSWERS)
    table = table.select([n for n in table.column_names if n in ours])
    yield from (
      (f"{path} row {n}", each) for n, each in enumerate(table.to_pylist())
    )
  elif path.suffix == ".jsonl":
    yield from rows.json_lines(path)
  else:
    raise ValueError(f"{path}: soft labels are read from .jsonl and .parquet")


def soft_label(
  record: Mapping[str, Any], task: Task, where: str
) -> list[float]:
  """Returns one row's logits [C], or its value scaled to [0, 1].

  Args:
    record: has "probs" or "logits" (a list in the order of `task.labels`, or
      an object by label name), or for regression "value" in the task's range.
    task: whose labels they are.
    where: the row stands, named in the message.

  Raises:
    ValueError: it is not as above.
  """
  allowed = ("probs", "logits") if task.labels else ("value",)
  given = [name for name in _ANSWERS if record.get(name) is not None]
  if len(given) != 1 or given[0] not in allowed:
    raise ValueError(
      f"{where} has {' and '.join(given) or 'no soft label'}; a row of "
      f"{task.name} has {' or '.join(allowed)}"
    )
  kind, values = given[0], record[given[0]]
  if isinstance(values, dict) and task.labels:
    if set(values) != set(task.labels):
      raise ValueError(
        f"{where}: {kind} names {reprlib.repr(list(values))}; the labels of "
        f"{task.name} are {', '.join(task.labels)}"
      )
    values = [values[name] for name in task.labels]
  values = values if task.labels else [values]
  if not isinstance(values, list) or len(values) != task.classes:
    raise ValueError(
      f"{where}: {kind} is {reprlib.repr(values)}; {task.name} needs "
      f"{task.classes} numbers, for {', '.join(task.labels)}"
    )
  values = [float(v) if type(v) is Decimal else v for v in values]
  # NaN fails this too.
  if not all(type(v) in (int, float) and abs(v) <= _LARGEST for v in values):
    raise ValueError(
      f"{where}: {kind} is {reprlib.repr(values)}, not finite numbers"
    )
  if kind == "logits":
    return values
  if kind == "value":
    low, high = task.range
    if not low <= values[0] <= high:
      raise ValueError(
        f"{where}: value is {values[0]}; {task.name} goes from {low:g} to "
        f"{high:g}"
      )
    return [(values[0] - low) / (high - low)]
  if KINDS[task.kind].many:
    if not all(0 <= value <= 1 for value in values):
      raise ValueError(
        f"{where}: probs is {reprlib.repr(values)}; the chance that a label"
        ' holds is from 0 to 1, what may be beyond is "logits"'
      )
    near = [min(max(value, _FLOOR), 1 - _FLOOR) for value in values]
    return [math.log(value) - math.log1p(-value) for value in near]
  _check_sum(values, where)
  # Rounded ones are used in their proportions: whoever reads logits divides by
  # their sum.
  return [math.log(max(value, _FLOOR)) for value in values]


def _check_sum(values: list[float], where: str) -> None:
  """Refuses what are no probabilities, not even rounded to two decimals."""
  total, allowed = sum(values), min(_ROUNDED * len(values), _MOST) + 1e-6
  if min(values) >= 0 and abs(total - 1) <= allowed:
    return
  if min(values) < 0:
    cure = 'what may be negative is "logits"'
  elif abs(total - 100) <= 100 * allowed:
    cure = "divide percentages by 100"
  else:
    cure = "give them with more decimals, or divide each by their sum"
  raise ValueError(
    f"{where}: probs is {reprlib.repr(values)}, which sum to {total:.6g};"
    " probabilities are not negative and sum to 1, or as far from it as"
    f" {_ROUNDED} a label, at most {_MOST}, where they are rounded; {cure}"
  )
