"""Reads the rows of a user's own tasks, and the soft labels beside them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
import sys
from typing import Any

from absl import logging
import numpy as np

from bam_jax.data.sources import (
  division,
  gold,
  grouped,
  many,
  neighbours,
  panel,
  parallel,
  plain,
  rows,
  splits,
  squad,
  tagged,
  unlabelled,
)
from bam_jax.data.sources import examples as examples_lib
from bam_jax.data.sources import groups as groups_lib
from bam_jax.data.sources.dev_share import dev_rows
from bam_jax.data.sources.examples import Examples, check
from bam_jax.runtime.spelling import shown
from bam_jax.tasks import own as own_tasks
from bam_jax.tasks import panel as panel_keys
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task

# What Prodigy writes into every row: what was said of it, and what it is.
_ANSWER, _HASH = "answer", "_task_hash"


def read(task: Task, split: str) -> Examples:
  """Reads a split of an own task.

  Args:
    task: with `own`.
    split: one of `task.splits`; without a dev file, train and validation are
      the two parts of the train file.

  Returns:
    The examples in file order, without those that `ignore` leaves out; of the
    train split `soft` too, if there are soft labels, and then NaN for a label
    that is missing.

  Raises:
    ValueError: a row is not what the task allows; file, line, column, value.
    OSError: a file is missing or the hub cannot be reached.
  """
  own, trains = task.own, split == task.train
  paths = splits.files(task, split)
  first = paths[0]
  origin = f"{first} and {len(paths) - 1} more" if paths[1:] else str(first)
  answers = panel_keys.columns(own.judges) if trains else []
  divided = splits.key_of(task, split) == "train"
  # Rows that a teacher judges need no gold; who cuts dev from them sees that.
  taught = bool(own.judges or own.unlabelled_rows) and divided
  grouped = [own.group] if own.group and divided else []
  wanted = [*task.text, *answers, *grouped]
  golds = label = [*(own.marked or [task.label])]
  if not taught:
    wanted, label = wanted + label, []
  weighed = own.row_weight if trains else ""
  if own.division:
    wanted.append(own.division.column)
  if weighed:
    wanted.append(weighed)
  found = []
  for path in paths:
    # An object of a table need not name what it has no label of.
    sparse = bool(own.table) and rows.format_of(path) in rows.OBJECTS
    must = [name for name in wanted if not (sparse and name in golds)]
    may = [*label, *(golds if sparse else ())]
    some = rows.read(path, must, optional=may, dialect=own.dialect)
    found += rows.filled(some, path, golds) if sparse else some
  if not found:
    raise ValueError(f"{origin} holds no rows")
  counted = len(found)
  here = division.of_split(task, split, origin, found)
  found = [found[i] for i in here]
  _refuse_rejected(task, found)
  # Other columns of the table have the same texts: each is kept once.
  texts = tuple(
    [sys.intern(rows.text_of(row, name)) for row in found] for name in task.text
  )
  groups = (
    [groups_lib.name_of(own.group, *row) for row in found] if grouped else []
  )
  read_gold = GOLD[KINDS[task.kind].many]
  labels, kept = read_gold(task, split, found, taught=taught or bool(own.table))
  known = examples_lib.has_gold(labels)
  if own.table:
    # Its text may have the label of another task.
    kept[:] = True
    gold.tell_gaps(task, origin, known)
  else:
    gold.tell(task, origin, found, known=known, kept=kept)
  said = soft = agreed = None
  if trains and own.judges:
    # What is left out need not be right.
    said = panel.by_columns(task, found, kept)
    panel.by_files(task, said, here, counted)
    soft, agreed = panel.together(task, said)
    kept = unlabelled.taught(task, origin, kept, known, soft)
  if own.dev_share and divided:
    if not known.any():
      raise ValueError(
        f"{own.file}: no row of {origin} has a label, and dev of {task.name} is"
        " scored by its labels; give dev = FILE with some, in place of"
        " dev_share"
      )
    among = kept if own.table else known
    mask = dev_rows(texts, own.dev_share, among=among, groups=groups)
    if mask[kept].all() or not mask.any():
      raise ValueError(
        f"{own.file}: dev_share of {task.name} is {own.dev_share}, which makes"
        f" {mask[among].sum()} of the {among.sum()} rows of {origin} dev; leave"
        " some on both sides"
        + f" (rows of one {own.group!r} stay together)"
        * bool(groups)
      )
    kept = kept & ~mask if trains else mask & among
  weights = None
  if weighed:
    # What is left out, or is dev, need not be right.
    weights = np.float32(
      [
        _weight(row, weighed) if mine else 1
        for row, mine in zip(found, kept, strict=True)
      ]
    )
  if said is not None:
    panel.tell(task, origin, said, labels, kept)
  examples = Examples(
    task.name,
    split,
    texts,
    labels,
    origin,
    soft,
    groups,
    weights=weights,
    agreed=agreed,
    numbers=np.array(here, np.int64),
  )
  if own.table and not ((taught and trains) or known[kept].any()):
    raise ValueError(
      f"{own.file}: none of the {kept.sum()} rows of {origin} that are"
      f" {split} has a label of {task.name}, column {task.label!r}; a task"
      " needs some in train and in dev: label some, give dev = FILE that has"
      " some, or leave the column out"
    )
  if not kept.all():
    examples = examples.take(kept)
  check(examples)
  if trains and task.labels:
    there = _seen(examples.labels)
    never = [n for i, n in enumerate(task.labels) if i not in there]
    # Where no row has gold, its teacher knows all labels.
    if never and there:
      logging.warning(
        "no training row of %s in %s has the label %s",
        task.name,
        origin,
        ", ".join(never),
      )
  if task.labels and not trains and examples.labels.ndim == 1:
    there = _seen(examples.labels)
    if len(there) == 1 < len(examples):
      logging.warning(
        "all labels of %s that are %s in %s are %s: no score on them tells a"
        " model from one that always says so, and auroc is 0 there",
        task.name,
        split,
        origin,
        task.labels[there.pop()],
      )
  if task.labels:
    _tell_torn(task, examples)
  return examples


def _seen(labels: np.ndarray) -> set[int]:
  """Returns the classes that some label f32[N] is, or that f32[N, C] marks."""
  known = labels[examples_lib.has_gold(labels)]
  if known.ndim > 1:
    return set(np.flatnonzero((known > 0).any(0)).tolist())
  return set(known.astype(int).tolist())


def _tell_torn(task: Task, examples: Examples) -> None:
  """Counts the rows whose equals have another label, as annotators disagree."""
  equals: dict[tuple[str, ...], list[int]] = {}
  for at in np.flatnonzero(examples_lib.has_gold(examples.labels)):
    row = tuple(column[at] for column in examples.texts)
    equals.setdefault(row, []).append(int(at))
  torn = [
    at
    for rows in equals.values()
    if len(np.unique(examples.labels[rows], axis=0)) > 1
    for at in rows
  ]
  if torn:
    logging.warning(
      "%s: %d of %d rows of %s have the texts of another row and another label"
      " (several annotators?), first rows %d and %d of those read, counted from"
      " 0; each is taken as it is",
      examples.origin,
      len(torn),
      len(examples),
      task.name,
      *torn[:2],
    )


def _refuse_rejected(task: Task, found: Sequence[rows.Row]) -> None:
  """Refuses rows that Prodigy keeps beside those that were accepted."""
  if task.label == _ANSWER:
    return
  for where, record in found:
    if _HASH in record and record.get(_ANSWER, "accept") != "accept":
      raise ValueError(
        f"{where}: its {_ANSWER!r} is {shown(record[_ANSWER])}, so Prodigy says"
        f" that its {task.label!r} does not hold; keep the rows whose"
        f" {_ANSWER!r} is 'accept', or take label = \"{_ANSWER}\""
      )


def _weight(row: rows.Row, name: str) -> float:
  """Returns what a row counts."""
  where, record = row
  try:
    found = float(record[name])
  except (TypeError, ValueError):
    found = np.nan
  if isinstance(record[name], bool) or not 0 < found < np.inf:
    raise ValueError(
      f"{where}, column {name!r}: {shown(record[name])} is no number above 0,"
      " which is what the row counts; ignore and data.limit leave rows out"
    )
  return found


# Whether a row may have several labels at once -> how they are read.
GOLD: Mapping[bool, Callable] = {False: gold.read, True: many.read}
# What a kind reads -> how a split of an own task of that kind is read.
READERS: Mapping[str, Callable[[Task, str], Examples]] = {
  "text": read,
  "words": tagged.read,
  "question context": squad.read,
  "question candidates": grouped.read,
  "document": plain.read,
  "sentences": neighbours.read,
  "source target": parallel.read,
}
# Where only the data say what the labels are: (task) -> their names.
LABELS: Mapping[str, Callable[[Task], Sequence[str]]] = {
  "words": tagged.labels,
  "question context": squad.labels,
  "sentences": neighbours.labels,
}


def complete(found: Mapping[str, Any], path: Path) -> dict[str, Any]:
  """Returns what a tasks file says, with the labels that only its data say.

  Args:
    found: what `tasks.own.read` returns.
    path: the tasks file.

  Raises:
    ValueError: a row is not what the task allows.
    OSError: a file is missing or the hub cannot be reached.
  """
  tasks, done = own_tasks.table(found, path), {}
  for name, entry in found.items():
    reads = KINDS[tasks[name].kind].reads
    labels = LABELS[reads](tasks[name]) if reads in LABELS else ()
    done[name] = {**entry, **({"labels": list(labels)} if labels else {})}
  return done
