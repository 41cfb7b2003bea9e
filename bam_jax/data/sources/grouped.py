"""Reads own tasks whose rows are a question with candidates.

Of a ranking task a row says how relevant each candidate is, of a choice which
one is right, by its place from 0 or by its text. Inside both are numbers that
are 0 or more, one a candidate. How else files write questions, pairs.py reads.
"""

from collections.abc import Callable, Mapping, Sequence
import math
from pathlib import Path
from typing import Any

import numpy as np

from bam_jax.data.sources import (
  candidates,
  division,
  formats,
  pairs,
  rows,
  splits,
)
from bam_jax.data.sources.dev_share import side
from bam_jax.data.sources.examples import Examples, check
from bam_jax.data.sources.groups import name_of
from bam_jax.data.sources.sentence import joined
from bam_jax.runtime.spelling import hint, shown
from bam_jax.tasks.table import Task

# The fewest candidates among which something can be learned.
FEWEST = 2


def read(task: Task, split: str) -> Examples:
  """Reads a split of an own task whose rows have candidates.

  Args:
    task: with `own`.
    split: one of `task.splits`; without a dev file, train and validation are
      the two parts of the train file.

  Raises:
    ValueError: a row is none; file, line, column, cure.
    OSError: a file is missing or the hub cannot be reached.
  """
  own = task.own
  paths = splits.files(task, split)
  more = f" and {len(paths) - 1} more" if paths[1:] else ""
  origin = f"{paths[0]}{more}"
  divided = splits.key_of(task, split) == "train"
  grouped = [own.group] if own.group and divided else []
  wanted = [*task.text, task.label, *grouped]
  wanted += [own.division.column] if own.division else []
  if task.own.format == pairs.FORMAT:
    found = [row for path in paths for row in pairs.lines_of(task, path)]
  else:
    found = [row for path in paths for row in _rows(task, path, wanted)]
  if not found:
    raise ValueError(f"{origin} holds no rows")
  found = [found[i] for i in division.of_split(task, split, origin, found)]
  if own.relevant:
    found = pairs.together(task, found, origin)
  question, column = task.text
  questions, texts, spans, labels = [], [], [], []
  for where, record in found:
    if not isinstance(record[question], str):
      raise ValueError(
        f"{where}, column {question!r}: {shown(record[question])} is not text"
      )
    place = f"{where}, column {column!r}"
    mine = candidates.listed(record[column], place, least=FEWEST)
    place = f"{where}, column {task.label!r}"
    labels.append(SAYS[task.kind](record[task.label], mine, place))
    text, span = joined(mine)
    questions.append(record[question])
    texts.append(text)
    spans.append(span)
  examples = Examples(
    task.name,
    split,
    (questions, texts),
    np.concatenate(labels).astype(np.float32),
    origin,
    groups=[name_of(own.group, *row) for row in found] if grouped else (),
    words=spans,
  )
  check(examples)
  # All rows of one question come to one side.
  return side(task, examples, split, groups=examples.groups or questions)


def _rows(task: Task, path: Path, names: Sequence[str]) -> list[rows.Row]:
  """Returns the rows of a file; a row of lists alone is none of a table."""
  found = []
  for where, record in rows.read(
    path, [], optional=names, dialect=task.own.dialect
  ):
    for name in names:
      if name not in record:
        raise ValueError(
          f"{where} has no column {name!r}, only {shown(list(record))}"
          f"{rows.inside(name, record) or hint(name, record)}"
        )
    found.append((where, record))
  return found


def relevance(value: Any, texts: Sequence[str], place: str) -> list[float]:
  """Returns how relevant each candidate is.

  Args:
    value: a list of numbers, or one as JSON.
    texts: the candidates.
    place: where it stands, for messages.

  Raises:
    ValueError: it is none for these candidates, or none of them is relevant.
  """
  found = formats.as_list(value)
  if not isinstance(found, list):
    raise ValueError(
      f"{place}: {shown(value)} is no list; each candidate has a number, 0 if"
      " it is wrong and more the better it is, such as [0, 1, 0]"
    )
  if len(found) != len(texts):
    raise ValueError(
      f"{place}: {len(found)} numbers for {len(texts)} candidates; each has one"
    )
  for number, each in enumerate(found, 1):
    good = isinstance(each, int | float) and math.isfinite(each) and each >= 0
    if not good:
      raise ValueError(
        f"{place}, candidate {number}: {shown(each)} is no relevance; it is a"
        " number, 0 if the candidate is wrong and more the better it is"
      )
  if not any(found):
    raise ValueError(
      f"{place}: no candidate of this question is relevant, so there is nothing"
      " to find; give one a number above 0, or take the row out"
    )
  return [float(each) for each in found]


def right(value: Any, texts: Sequence[str], place: str) -> list[float]:
  """Returns 1 for the candidate that is right, and 0 for the others.

  Args:
    value: its place, from 0, or its text.
    texts: the candidates.
    place: where it stands, for messages.

  Raises:
    ValueError: it is none of them, or may be two of them.
  """
  last = len(texts) - 1
  if isinstance(formats.as_list(value), list):
    raise ValueError(
      f"{place}: {shown(value)} is a list; of a choice one candidate is right,"
      f" and this is its place, 0 to {last}, or its text; several are for"
      ' kind = "ranking"'
    )
  same = [at for at, text in enumerate(texts) if text == value]
  number = _number(value)
  if number is not None and number <= last and number not in same:
    same.append(number)
  if len(same) > 1:
    raise ValueError(
      f"{place}: {shown(value)} may be candidate {same[0]} or {same[1]},"
      " counted from 0; write the place of the right one as a number, and each"
      " text once"
    )
  if not same:
    near = hint(value, texts) if isinstance(value, str) else ""
    raise ValueError(
      f"{place}: {shown(value)} is none of the candidates{near or ';'} it is"
      f" the place of the right one, 0 to {last}, or its text"
    )
  return [float(at == same[0]) for at in range(len(texts))]


def _number(value: Any) -> int | None:
  """The place that a cell means; None = it means none."""
  if type(value) is int and value >= 0:
    return value
  plain = isinstance(value, str) and value.isascii() and value.isdecimal()
  return int(value) if plain else None


# Kind of task -> how a row says which candidates are right.
SAYS: Mapping[str, Callable[[Any, Sequence[str], str], list[float]]] = {
  "ranking": relevance,
  "choice": right,
}
