"""Teacher logits: made once by a finished run, kept as TFDS shards, joined.

A student asks for the logits of exactly the rows it trains on; what was made
for other rows, another tokenizer or another label order is refused.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from bam_jax.data import corpus, soft_labels
from bam_jax.data import logits as logits_lib
from bam_jax.data.features import Features
from bam_jax.data.projection import project
from bam_jax.runtime import sealed
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task


def metadata(
  taught: Features,
  *,
  teacher: str,
  tokenizer: str,
  shared: Mapping[str, Any],
) -> dict[str, Any]:
  """Returns what teacher logits and student must agree on.

  Args:
    taught: all training rows of a task.
    teacher: hash of what made the teacher's trial.
    tokenizer: digest of the tokenizer.
    shared: what a student in another working directory has to share too: the
      fingerprint of the text, the label names and the holdout.
  """
  return {
    "teacher": teacher,
    "tokenizer": tokenizer,
    "source": corpus.fingerprint(taught),
    "rows": len(taught),
    **shared,
  }


def said(features: Features, logits: np.ndarray) -> logits_lib.Logits:
  """Returns what a teacher says of rows.

  Args:
    features: N rows.
    logits: f32[N, C], or f32[M, C] of their words.
  """
  words = None
  if features.words:
    words = features.words.counts
    # What the teacher has not read it says nothing of.
    unread = features.words.at < 0
    logits = np.where(unread[:, None], np.float32(np.nan), logits)
  return logits_lib.Logits(features.index, logits, words, features.windows)


def read(
  features: Features,
  *,
  made: Mapping[Path, dict[str, Any]],
) -> list[np.ndarray]:
  """Returns the logits f32[N, C] of these rows, of each teacher; see `average`.

  Where words are labelled f32[M, C], NaN for words that no teacher has read.

  Args:
    features: the student's training rows.
    made: the datasets of one or more teachers or trials, and what each must
      have been made with: see `metadata`.

  Raises:
    IntegrityError: a dataset is damaged, made for something else, or lacks a
      row.
  """
  found = []
  for path, metadata in made.items():
    theirs = logits_lib.read(path, expected=metadata)
    cure = f"delete {path} and run --config.stage=teach again"
    found.append(align(theirs, features, path, cure))
  return found


def read_elsewhere(
  task: Task,
  features: Features,
  *,
  paths: Sequence[Path],
  rows: int,
  shared: Mapping[str, Any],
) -> list[np.ndarray]:
  """Returns soft labels made elsewhere as logits f32[N, C] of these rows, each.

  Args:
    task: the task.
    features: the student's training rows. A swapped copy is taught what its
      original is, unless the teacher has seen copies too.
    paths: files or datasets, see `soft_labels.read_soft_labels`.
    rows: of the task's train split, without copies.
    shared: see there.

  Raises:
    ValueError: a file or dataset does not fit the task.
  """
  found = []
  for path in paths:
    theirs = soft_labels.read_soft_labels(
      path, task=task, rows=rows, shared=shared
    )
    wanted = features
    if len(theirs.index) == rows:
      wanted = dataclasses.replace(features, index=features.index % rows)
    found.append(align(theirs, wanted, path, soft_labels.elsewhere(path)))
  return found


def align(
  said: logits_lib.Logits, features: Features, path: Path, cure: str
) -> np.ndarray:
  """Returns the logits in the order of the rows.

  Args:
    said: of these rows, and perhaps of others.
    features: N rows.
    path: named in the message.
    cure: what to do where a row has none.

  Raises:
    IntegrityError: a row has no logits, or other words.
  """
  if features.windows and not _same(said, features):
    return _projected(said, features, path, cure)
  index = said.index
  order = np.argsort(index)
  at = np.searchsorted(index, features.index, sorter=order)
  found = order[np.minimum(at, len(order) - 1)]
  missing = features.index[index[found] != features.index]
  if len(missing):
    raise sealed.IntegrityError(
      f"{path} has no logits for {len(missing)} of {len(features)} training "
      f"rows (first: example {missing[0]})",
      cure,
    )
  mine = said.take(found)
  words = features.words and features.words.counts
  if not np.array_equal(mine.words, words):
    raise sealed.IntegrityError(
      f"{path} has logits of rows that are divided into other words", cure
    )
  return mine.values


def _same(said: logits_lib.Logits, features: Features) -> bool:
  """Tells whether a teacher has read the very windows of some rows."""
  if not np.isin(features.index, said.index).all():
    return False
  order = np.argsort(said.index)
  at = np.searchsorted(said.index, features.index, sorter=order)
  theirs, mine = said.take(order[at]), features.windows
  return (
    np.array_equal(theirs.words, features.words.counts)
    and np.array_equal(theirs.windows.source, mine.source)
    and np.array_equal(theirs.windows.chars, mine.chars)
  )


def _projected(
  said: logits_lib.Logits, features: Features, path: Path, cure: str
) -> np.ndarray:
  """Returns what a teacher that has read other windows says of these."""
  missing = np.setdiff1d(features.windows.source, said.windows.source)
  if len(missing):
    raise sealed.IntegrityError(
      f"{path} has no logits for {len(missing)} of the training questions"
      f" (first: {missing[0]})",
      cure,
    )
  return project(
    said.values, said.words, said.windows, features.words, features.windows
  )


def average(
  logits: Sequence[np.ndarray], task: Task, features: Features
) -> np.ndarray:
  """Returns what several teachers say together, f32[N, C]; see `TaskKind`."""
  if len(logits) == 1:
    return logits[0]
  words = features.words and features.words.counts
  return KINDS[task.kind].mean(np.stack(logits), words)
