"""Which training rows are held out, so that no kept row gives one away.

Rows go together that are one text twice, or a pair and its mirror; those of one
premise or question, where a task has several of one; those with one value of
the column that an own task names; and where a task's rows are phrases of one
another, a phrase with every longer one that it stands in. All of these chained
together would be one group of nearly all phrases: "bad" stands in half of them.
So it is the longest phrases that are drawn, and a phrase is held out if all of
the longest that it stands in are.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any
import zlib

import numpy as np

from bam_jax.data.sources.groups import numbered, together
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task

Texts = Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Grouping:
  """A way to say what goes together.

  Attributes:
    find: one or two columns of N texts, and N groups where the task's rows
      name them -> i64[2, M], pairs of a row and a thing that is drawn, which
      are numbered by their first row. A row is held out with the last of its
      things.
    none: what no held-out row does.
  """

  find: Callable[[Texts, Sequence[str]], np.ndarray]
  none: str


@dataclasses.dataclass(frozen=True)
class Part:
  """What of the training rows is not trained on, and what for.

  Attributes:
    key: of the config, that asks for it.
    asked: the share of the rows; 0 = none.
  """

  key: str = "data.holdout"
  asked: float = 0.0

  @staticmethod
  def of(config: Any) -> "Part":
    """Returns the part that a config asks for; there is one at most."""
    if config.calibration.share:
      return Part("calibration.share", config.calibration.share)
    return Part(asked=config.data.holdout)

  @property
  def scored(self) -> bool:
    """Whether it is scored in place of dev; if not, calibration is fitted."""
    return bool(self.asked) and self.key == "data.holdout"

  def share(self, task: Task) -> float:
    """Returns the share of a task's rows; of what is not calibrated none.

    Those of a table are held out for all of its tasks.
    """
    read = self.scored or self.fits(task) or task.table
    return self.asked if read else 0.0

  def fits(self, task: Task) -> bool:
    """Tells whether anything of a task is fitted on it."""
    fitting = bool(self.asked) and not self.scored
    return fitting and bool(KINDS[task.kind].calibrates)


@dataclasses.dataclass(frozen=True)
class Side:
  """The rows of one task that a stage has for itself, and who asks.

  Attributes:
    task: its name; of other tasks all rows are trained on.
    share: of its rows that are the stage's.
    inside: whether they are asked for, or those that what follows has.
  """

  task: str
  share: float
  inside: bool


@dataclasses.dataclass(frozen=True)
class Holdout:
  """The rows of a task that are held out, and what kept ones tell of them.

  Attributes:
    mask: bool[N], True where held out.
    sentence: how many there are and how much they share with kept rows.
  """

  mask: np.ndarray
  sentence: str


def hold_out(
  task: Task,
  texts: Texts,
  share: float,
  groups: Sequence[str] = (),
  *,
  fold: int = 0,
  key: str = "data.holdout",
  among: np.ndarray | None = None,
) -> Holdout:
  """Divides the training rows of a task; no seed and no tokenizer moves them.

  Args:
    task: whose rows; its `group` is a name in `GROUPINGS`.
    texts: one or two columns of N texts.
    share: of the rows to hold out, above 0; what goes together may make more.
    groups: the N groups that its rows name; () = they name none.
    fold: which share of that size, in the order of the draw; the folds of 1 / n
      are n, and each row is in one.
    key: of the config, that asks for it.
    among: bool[N], the rows that the share is of; others are held out only with
      what goes together with one of these. None = all.

  Raises:
    ValueError: none would be left on one side.
  """
  rows, grouping = len(texts[0]), GROUPINGS[task.group]
  row, thing = grouping.find(texts, groups)
  order = np.random.Generator(
    np.random.Philox(key=zlib.crc32((task.table or task.name).encode()))
  ).permutation(1 + int(thing.max(initial=-1)))
  # Where each thing comes in the draw, and where the last of a row's does.
  place = np.argsort(order)
  last = np.zeros(rows, np.int64)
  np.maximum.at(last, row, place[thing])
  chosen = last if among is None else last[among]
  ordered = np.sort(chosen)
  begin, end = (
    ordered[min(count, len(ordered)) - 1] if count else -1
    for count in (round(n * share * len(ordered)) for n in (fold, fold + 1))
  )
  mask = (begin < last) & (last <= end)
  if among is not None:
    mask &= np.isin(np.arange(rows), row[np.isin(thing, thing[among[row]])])
  if not 0 < mask.sum() < rows:
    said = (
      f"{key}={share} holds out {mask.sum()} of the {rows} training "
      f"rows of {task.name}"
    )
    if len(order) == 1:
      raise ValueError(
        f"{said}, since all of them go together: a row is held out only if it "
        f"neither {grouping.none}"
      )
    raise ValueError(f"{said}; leave some on both sides: --config.{key}=0.1")
  drawn = (begin < place[thing]) & (place[thing] <= end)
  # Of rows that the share is not of none may stand in a held-out one.
  drawn &= np.isin(thing, thing[mask[row]])
  inside = np.unique(row[drawn & ~mask[row]])
  # A phrase of things of two folds is in the later one.
  torn = np.unique(row[(place[thing] <= begin) & mask[row]])
  but = f" but for {len(torn)} of two folds" * bool(len(torn))
  return Holdout(
    mask,
    f"{task.name}: {mask.sum()} of {rows} training rows are held out, none of "
    f"which {grouping.none}{but}; {_common(texts, mask)} of them have a text "
    f"that a kept row has too, and {len(inside)} kept rows are a part of one",
  )


def _common(texts: Texts, mask: np.ndarray) -> int:
  """Counts the held-out rows that share one of their texts with a kept one."""
  columns = [[_plain(text) for text in column] for column in texts]
  kept = {
    text
    for column in columns
    for text, held in zip(column, mask, strict=True)
    if not held
  }
  pairs = zip(*columns, strict=True)
  return sum(
    not kept.isdisjoint(pair)
    for pair, held in zip(pairs, mask, strict=True)
    if held
  )


def _plain(text: str) -> str:
  """Returns a text as it is compared: in small letters, by single spaces."""
  return " ".join(text.lower().split())


def _pairs(texts: Texts) -> list[tuple[str, ...]]:
  columns = [map(_plain, column) for column in texts]
  return [tuple(sorted(pair)) for pair in zip(*columns, strict=True)]


def _alone(numbers: np.ndarray) -> np.ndarray:
  """Returns the pairs of rows that are each of one thing."""
  return np.stack([np.arange(len(numbers)), numbers])


def _by_texts(texts: Texts, _: Sequence[str]) -> np.ndarray:
  return _alone(numbered(_pairs(texts)))


def _by_first(texts: Texts, _: Sequence[str]) -> np.ndarray:
  return _alone(together(map(_plain, texts[0]), _pairs(texts)))


def _by_groups(texts: Texts, groups: Sequence[str]) -> np.ndarray:
  return _alone(together(groups, _pairs(texts)))


def _by_phrases(texts: Texts, _: Sequence[str]) -> np.ndarray:
  phrases = [tuple(_plain(text).split()) for text in texts[0]]
  # Whatever stands in a phrase stands in all that it stands in: only those that
  # are in no longer one need to be searched, and longer ones come first.
  longest: dict[tuple, list[tuple]] = {phrase: [] for phrase in phrases}
  for phrase in sorted(longest, key=len, reverse=True):
    if longest[phrase]:
      continue
    size = len(phrase)
    parts = {
      phrase[i:j] for i in range(size) for j in range(i + 1, size + 1)
    } | {phrase}
    for part in filter(longest.__contains__, parts):
      longest[part].append(phrase)
  found = [
    (row, whole)
    for row, phrase in enumerate(phrases)
    for whole in longest[phrase]
  ]
  whole = {phrase: row for row, phrase in reversed([*enumerate(phrases)])}
  first = np.array([whole[each] for _, each in found])
  _, thing = np.unique(first, return_inverse=True)
  return np.stack([np.array([row for row, _ in found]), thing])


_EQUAL = "equals a kept row, swapped or not"
GROUPINGS: Mapping[str, Grouping] = {
  "texts": Grouping(_by_texts, _EQUAL),
  "first": Grouping(_by_first, f"{_EQUAL}, nor has the first text of one"),
  "groups": Grouping(_by_groups, f"{_EQUAL}, nor is of the group of one"),
  "phrases": Grouping(_by_phrases, "equals a kept row or stands in one"),
}
