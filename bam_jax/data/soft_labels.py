"""Reads soft labels that were made elsewhere, by any model in any language.

They come out as a teacher's logits do, so that nothing after this knows where
a teacher ran.
"""

from collections.abc import Iterator, Mapping
import json
import math
from pathlib import Path
import reprlib
from typing import Any

import numpy as np

from bam_jax.data import builders, parquet, shards
from bam_jax.tasks import Task

# Far below the probability of any label that a teacher has not ruled out.
_FLOOR = 1e-12
_LARGEST = float(np.finfo(np.float32).max)


def read_soft_labels(
  path: Path, *, task: Task, rows: int, shared: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
  """Reads one soft label for every example of a split.

  A row has "index", the example number, and one of "probs" or "logits" (a list
  in the order of `task.labels`, or an object by label name), or for a
  regression task "value" in the task's own range. Other entries are not read.
  A folder holds the logits that a run of another working directory has made,
  perhaps with another encoder and another tokenizer.

  Args:
    path: JSON lines (.jsonl), Parquet (.parquet), or a folder.
    task: whose labels they are.
    rows: examples there are; each needs a row.
    shared: what the metadata of a folder has to agree on: the text, the labels
      and the holdout.

  Returns:
    index i64[rows] = 0 .. rows-1, and logits f32[rows, C], as
    `builders.read_logits` does; a folder may have swapped copies behind them.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: a row is not as above; says which.
  """
  path = Path(path)
  if not path.suffix and not path.is_file():
    return builders.read_logits(path, expected=shared)
  logits, seen = np.empty((rows, task.classes), np.float32), {}
  for where, record in _records(path):
    index = record.get("index")
    if type(index) is not int or not 0 <= index < rows:
      raise ValueError(
        f"{where}: index is {reprlib.repr(index)}; {task.name} has the rows 0 "
        f"to {rows - 1}"
      )
    if index in seen:
      raise ValueError(f"{where}: index {index} is at {seen[index]} already")
    seen[index] = where
    logits[index] = _soft_label(record, task, where)
  wrong = shards.uncovered(np.fromiter(seen, np.int64), rows)
  if wrong:
    raise ValueError(f"the soft labels in {path} {wrong}")
  return np.arange(rows), logits


def _records(path: Path) -> Iterator[tuple[str, dict]]:
  """Yields (where it stands, row)."""
  if not path.is_file():
    raise FileNotFoundError(f"there is no file of soft labels {path}")
  if path.suffix == ".parquet":
    table = parquet.read(path)
    ours = ("index", "probs", "logits", "value")
    table = table.select([n for n in table.column_names if n in ours])
    yield from (
      (f"{path} row {n}", each) for n, each in enumerate(table.to_pylist())
    )
  elif path.suffix == ".jsonl":
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
      if not line.strip():
        continue
      where = f"{path} line {number}"
      try:
        record = json.loads(line.decode("utf-8-sig"), object_pairs_hook=_once)
      except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON: {error}") from error
      if not isinstance(record, dict):
        raise ValueError(
          f"{where} is not a JSON object: {reprlib.repr(record)}"
        )
      yield where, record
  else:
    raise ValueError(f"{path}: soft labels are read from .jsonl and .parquet")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  """A JSON object, each of its names given once; json takes the last."""
  record = dict(pairs)
  if len(record) < len(pairs):
    names = [name for name, _ in pairs]
    twice = next(name for name in names if names.count(name) > 1)
    raise ValueError(f"the name {reprlib.repr(twice)} comes twice")
  return record


def _soft_label(record: dict, task: Task, where: str) -> list[float]:
  """Returns one row's logits, or its value scaled to [0, 1]."""
  allowed = ("probs", "logits") if task.labels else ("value",)
  given = [
    name
    for name in ("probs", "logits", "value")
    if record.get(name) is not None
  ]
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
  if min(values) < 0 or abs(sum(values) - 1) > 1e-3:
    raise ValueError(
      f"{where}: probs is {reprlib.repr(values)}; probabilities are not "
      "negative and sum to 1"
    )
  return [math.log(max(value, _FLOOR)) for value in values]
