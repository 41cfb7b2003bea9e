"""Reads the rows of a user's own tasks, and the soft labels beside them."""

from collections.abc import Sequence
import hashlib
import json
import os.path
from pathlib import Path
from typing import Any

from absl import logging
import numpy as np

from bam_jax.data.sources import rows
from bam_jax.data.sources import soft as soft_files
from bam_jax.data.sources.examples import Examples, check, encode
from bam_jax.runtime import hub
from bam_jax.runtime.spelling import hint, shown
from bam_jax.tasks.table import Task


def read(task: Task, split: str) -> Examples:
  """Reads a split of an own task.

  Args:
    task: with `own`.
    split: one of `task.splits`; without a dev file, train and validation are
      the two parts of the train file.

  Returns:
    The examples in file order; of the train split `soft` too, if there are
    soft labels.

  Raises:
    ValueError: a row is not what the task allows; file, line, column, value.
    OSError: a file is missing or the hub cannot be reached.
  """
  own, trains = task.own, split == task.train
  path = locate(task, task.files[split][0])
  wanted = [*task.text, task.label, *(own.soft_columns if trains else ())]
  found = list(rows.read(path, wanted))
  texts = tuple([_text(row, name) for row in found] for name in task.text)
  labels = _labels(task, split, found)
  soft = None
  if trains and own.soft_columns:
    soft = np.float32([_soft(task, *row) for row in found])
  elif trains and own.soft_labels:
    file = locate(task, own.soft_labels)
    soft = soft_files.read(file, task=task, count=len(found))
  if own.dev_share and split in (task.train, *task.dev[:1]):
    mask = dev_rows(texts, own.dev_share)
    if mask.all() or not mask.any():
      raise ValueError(
        f"{own.file}: dev_share of {task.name} is {own.dev_share}, which makes"
        f" {mask.sum()} of the {len(mask)} rows of {path} dev; leave some on"
        " both sides"
      )
    mask = ~mask if trains else mask
    texts = tuple(
      [text for text, mine in zip(column, mask, strict=True) if mine]
      for column in texts
    )
    labels, soft = labels[mask], None if soft is None else soft[mask]
  examples = Examples(task.name, split, texts, labels, str(path), soft)
  check(examples)
  if trains and task.labels:
    there = set(examples.labels.astype(int).tolist())
    never = [n for i, n in enumerate(task.labels) if i not in there]
    if never:
      logging.warning(
        "no training row of %s has the label %s", path, ", ".join(never)
      )
  return examples


def locate(task: Task, name: str) -> Path:
  """Returns where a file of an own task is, downloaded if it is a hub's.

  Args:
    task: with `own`.
    name: file below the tasks file's folder, or file or split of the data set.

  Raises:
    ConnectionError: the hub cannot be reached or has no such file.
  """
  own = task.own
  # Soft labels are the user's, wherever the text comes from.
  if not own.hub or name == own.soft_labels:
    return Path(own.folder) / os.path.expanduser(name)
  if not Path(name).suffix:
    name = f"{own.config}/{name}-00000-of-00001.parquet"
  return hub.download(
    own.hub,
    name,
    own.revision,
    cure=f"name a file that https://huggingface.co/datasets/{own.hub}/tree/"
    f"{own.revision} shows, as train, dev or test of {task.name} in {own.file}",
  )


def dev_rows(texts: Sequence[Sequence[str]], share: float) -> np.ndarray:
  """Tells which rows are dev, bool[N], by a hash of their text.

  Equal rows come to the same side, and no seed and no order of the rows moves
  any.

  Args:
    texts: one list of N strings per column.
    share: of the different rows.
  """
  hashes = np.array(
    [
      int.from_bytes(hashlib.sha256("\0".join(row).encode()).digest()[:8])
      for row in zip(*texts, strict=True)
    ],
    np.uint64,
  )
  kinds = np.unique(hashes)
  return np.isin(hashes, kinds[: round(share * len(kinds))])


def _text(row: rows.Row, name: str) -> str:
  where, record = row
  if not isinstance(record[name], str):
    raise ValueError(
      f"{where}, column {name!r}: {shown(record[name])} is not text"
    )
  return record[name]


def _labels(
  task: Task, split: str, found: Sequence[rows.Row]
) -> np.ndarray | None:
  values = [record[task.label] for _, record in found]

  def where(i: int) -> str:
    return f"{found[i][0]}, column {task.label!r}"

  if task.labels:
    # JSON and Parquet may have 0 and true for "0" and "true".
    plain = [json.dumps(v) if type(v) in (int, bool) else v for v in values]
    for i, value in enumerate(plain):
      if value not in task.labels:
        near = hint(value, task.labels)
        raise ValueError(
          f"{where(i)}: {task.name} has no label {shown(value)}{near or ';'}"
          f" the labels in {task.own.file} are {shown(list(task.labels))}"
        )
    values = plain
  else:
    for i, value in enumerate(values):
      if type(value) not in (int, float, str):
        raise ValueError(f"{where(i)}: {shown(value)} is no number")
  return encode(task, split, values, task.labels, where)


def _soft(task: Task, where: str, record: dict[str, Any]) -> list[float]:
  """Returns the logits that the soft columns of a row mean."""
  columns = task.own.soft_columns
  where += f", {'columns' if len(columns) > 1 else 'column'} "
  where += ", ".join(map(repr, columns))
  values = [_parsed(record[name], where) for name in columns]
  kind = "probs" if task.labels else "value"
  value = values[0] if len(columns) == 1 else values
  return soft_files.soft_label({kind: value}, task, where)


def _parsed(value: Any, where: str) -> Any:
  """A number, list or object, which CSV can only have as JSON text."""
  if not isinstance(value, str):
    return value
  try:
    return json.loads(value)
  except (ValueError, RecursionError):
    raise ValueError(
      f"{where}: {shown(value)} is neither a number nor JSON"
    ) from None
