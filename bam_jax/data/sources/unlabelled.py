"""Texts without labels: read, held against dev, and laid behind train.

Nobody can learn a label from them, but a text that is scored is no text to
train on, whoever answers it.
"""

from collections.abc import Sequence

import numpy as np

from bam_jax.data.sources import groups as groups_lib
from bam_jax.data.sources import panel, rows, splits
from bam_jax.data.sources.examples import Examples, check, has_gold
from bam_jax.runtime import notices
from bam_jax.tasks import panel as panel_keys
from bam_jax.tasks.table import Task
from bam_jax.tasks.unlabelled import SPLIT

Pair = tuple[str, ...]


def has(task: Task) -> bool:
  """Tells whether a task says that it has rows without a label."""
  return bool(task.own) and (task.own.unlabelled or task.own.unlabelled_rows)


def taught(
  task: Task, origin: str, kept: np.ndarray, known: np.ndarray, soft: np.ndarray
) -> np.ndarray:
  """Returns which rows are kept, bool[N], without those that say nothing.

  Args:
    task: with `own`, and judges.
    origin: where the rows are from.
    kept: bool[N], those that are not left out otherwise.
    known: bool[N], those with a label.
    soft: f32[N, C], what the judges say, NaN for nothing.
  """
  mute = kept & ~known & np.isnan(soft).any(1)
  # All tasks of a table have the same rows.
  mute &= not task.table
  if mute.any():
    notices.once(
      f"{task.name} leaves out {mute.sum()} rows of {origin} that have no label"
      " and that no judge has judged"
    )
  return kept & ~mute


def joined(task: Task, train: Examples, scored: Sequence[Examples]) -> Examples:
  """Returns the train split with the rows of its unlabelled files behind.

  Left out are texts without a label that stand in a scored split, or are of a
  group of it, and of the files those that stand in train. Of two texts that
  mean the same in either order, either is one.

  Args:
    task: with `own`, and rows without labels.
    train: its train split.
    scored: the splits that scores are made of.

  Raises:
    ValueError: a row has no text, or none is left that anybody can learn from.
    OSError: a file is missing or the hub cannot be reached.
  """
  seen = {row for each in scored for row in _pairs(task, each.texts)}
  groups = {name for each in scored for name in each.groups}
  blank = ~has_gold(train.labels)
  held = _among(task, train, seen, groups) & blank & (not task.table)
  if held.any():
    train = train.take(~held)
    blank = blank[~held]
  more, known = None, 0
  if task.own.unlabelled:
    more = _read(task, train)
    again = _among(task, more, seen, groups)
    known = _among(task, more, {*_pairs(task, train.texts)}, set()) & ~again
    held = np.append(held, again)
    more = more.take(~(again | known))
    known = int(known.sum())
  if held.any() or known:
    also = f", and {known} that stand in train" if known else ""
    notices.once(
      f"{task.name} leaves out {held.sum()} rows without a label whose text"
      f" stands in {' or '.join(task.dev)}{also}"
    )
  if not blank.any() and not (more and len(more)):
    raise ValueError(
      f"{task.own.file}: no row without a label is left of {task.name}; leave"
      " unlabelled out"
    )
  return train if more is None or not len(more) else _behind(train, more)


def _read(task: Task, train: Examples) -> Examples:
  """Reads the files: their texts, and what else of a row they happen to have.

  Args:
    task: with `own`.
    train: its train split, for what its rows have.
  """
  own = task.own
  paths = splits.files(task, SPLIT)
  origin = str(paths[0]) + f" and {len(paths) - 1} more" * bool(paths[1:])
  answers = panel_keys.columns(own.judges)
  optional = [*answers, *([own.group] if own.group else [])]
  found = [
    row
    for path in paths
    for row in rows.read(
      path, [*task.text], optional=optional, dialect=own.dialect
    )
  ]
  if not found:
    raise ValueError(f"{origin} holds no rows")
  texts = tuple(
    [rows.text_of(row, name) for row in found] for name in task.text
  )
  wide = (len(found), *train.labels.shape[1:])
  soft = agreed = None
  kept = np.ones(len(found), bool)
  if own.judges:
    said = panel.by_columns(task, found, _judged(found, answers))
    soft, agreed = panel.together(task, said)
    kept = taught(task, origin, kept, ~kept, soft)
  groups = [
    groups_lib.name_of(own.group, where, record)
    if own.group in record
    else f"\0{where}"
    for where, record in found
  ]
  examples = Examples(
    task.name,
    train.split,
    texts,
    np.full(wide, np.nan, np.float32),
    origin,
    soft,
    groups if train.groups else (),
    weights=None if train.weights is None else np.ones(len(found), np.float32),
    agreed=agreed,
  )
  if not kept.any():
    raise ValueError(
      f"{origin}: no row of it has an answer of a judge of {task.name}, who"
      f" alone could teach it; give it {', '.join(map(repr, answers))}, or"
      f" leave unlabelled out of {own.file}"
    )
  examples = examples.take(kept)
  check(examples)
  return examples


def _judged(found: Sequence[rows.Row], answers: Sequence[str]) -> np.ndarray:
  """Tells which rows have any column of a judge, bool[N]."""
  return np.array([any(n in record for n in answers) for _, record in found])


def _pairs(task: Task, texts: Sequence[Sequence[str]]) -> list[Pair]:
  """Returns what rows are held to be equal by."""
  pairs = [*zip(*texts, strict=True)]
  return [tuple(sorted(p)) for p in pairs] if task.symmetric else pairs


def _among(
  task: Task, examples: Examples, seen: set[Pair], groups: set[str]
) -> np.ndarray:
  """Tells which rows stand among some, or are of one of some groups."""
  pairs = _pairs(task, examples.texts)
  found = np.array([pair in seen for pair in pairs], bool)
  if groups and examples.groups:
    found |= np.array([name in groups for name in examples.groups], bool)
  return found


def _behind(train: Examples, more: Examples) -> Examples:
  """Returns the rows of both, one after the other."""

  def both(name: str) -> np.ndarray | None:
    parts = [getattr(each, name) for each in (train, more)]
    return None if parts[0] is None else np.concatenate(parts)

  return Examples(
    train.task,
    train.split,
    tuple([*a, *b] for a, b in zip(train.texts, more.texts, strict=True)),
    both("labels"),
    train.origin,
    both("soft"),
    [*train.groups, *more.groups] if train.groups else (),
    weights=both("weights"),
    agreed=both("agreed"),
    bare=np.arange(len(train) + len(more)) >= len(train),
    numbers=None
    if train.numbers is None
    else np.append(train.numbers, np.full(len(more), -1)),
  )
