"""The examples of all tasks of a run, and what is learned of them.

A batch is drawn from it, see `pipeline`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses

import numpy as np

from bam_jax.data import masking, tables
from bam_jax.data import units as units_lib
from bam_jax.data.features import Features
from bam_jax.data.fields import EXAMPLE, SPACES, VOCABULARY, WORDS
from bam_jax.data.masking import Masker, Masking
from bam_jax.data.ragged import offsets_of
from bam_jax.data.sources.examples import has_gold
from bam_jax.data.units import Units
from bam_jax.data.words import Words


@dataclasses.dataclass(frozen=True)
class TaskData:
  """What a run trains on of one task.

  Attributes:
    name: of the task.
    features: its N examples, swapped copies included.
    classes: its classes, 1 for regression.
    teacher: f32[N, classes], or f32[M, classes] of words or candidates, the
      teacher's answers, passed on as they are; a row of NaN is an example, or a
      word, without a teacher. None: no teacher.
    emphasis: f32[N] of the loss of each example; None = 1 of all.
  """

  name: str
  features: Features
  classes: int
  teacher: np.ndarray | None
  emphasis: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Learned:
  """What is learned of N examples in one of the spaces.

  Attributes:
    words: of these examples, M in all; None = each has one output, M is N.
    label: [M] in the type of its field, `empty` of it where there is none; [M,
      C] where some task has several labels at once, and of others the first.
    teacher: f32[M, C], 0 where there is none.
    has_teacher: f32[M] 1 or 0.
  """

  words: Words | None
  label: np.ndarray
  teacher: np.ndarray
  has_teacher: np.ndarray

  def take(self, rows: np.ndarray) -> Learned:
    """Returns that of the examples in another order; words keep theirs.

    Args:
      rows: i64[N]; of examples with words each is its own number.
    """
    if self.words is not None:
      return self
    parts = (each[rows] for each in (self.label, self.teacher))
    return Learned(None, *parts, self.has_teacher[rows])


@dataclasses.dataclass(frozen=True)
class Pool:
  """The examples of all tasks of a run, one task after the other.

  Attributes:
    features: their texts' tokens.
    text: i64[N], the row of `features` that each is read from; None = there is
      one for each.
    number: i64[N] of each, counted through the tasks that were laid out, one
      after the other.
    index: i64[N] of each in its split.
    has_gold: f32[N] 0 where a label is NaN, whose target is the teacher's
      alone, else 1; None where no row lacks gold.
    lengths: i32[N] tokens of each, 0 where the example before it has read them.
    task: i32[N] the task's position in the run.
    weight: f32[N] of its loss; 0 where there is neither gold nor teacher.
    learned: space -> what is learned there, of the spaces that the tasks have.
    units: which of them stay together; None = each is by itself.
    grouped: bool[N], which have a loss with the rest of their unit, if it has
      more; None = none of them.
    masking: of their tokens; None = no task masks any.
  """

  features: Features
  text: np.ndarray | None
  number: np.ndarray
  index: np.ndarray
  has_gold: np.ndarray | None
  lengths: np.ndarray
  task: np.ndarray
  weight: np.ndarray
  learned: Mapping[str, Learned]
  units: Units | None = None
  grouped: np.ndarray | None = None
  masking: Masking | None = None

  def of(self, seed: int) -> Pool:
    """Returns the examples as the trial of a seed masks them."""
    if self.masking is None:
      return self
    return dataclasses.replace(self, masking=self.masking.of(seed))

  def owners(self, order: np.ndarray) -> np.ndarray:
    """Returns the tasks of all examples of some units, i32[M] of i[K]."""
    numbers = order if self.units is None else self.units.flat(order)
    return self.task[numbers]

  def source(self, numbers: np.ndarray) -> np.ndarray:
    """Returns which rows of `features` some examples are read from, i64[K]."""
    return numbers if self.text is None else self.text[numbers]

  @property
  def columns(self) -> dict[str, int]:
    """Space -> C of what a teacher says there; 0 where nobody teaches."""
    found = {k: each.teacher.shape[1] for k, each in self.learned.items()}
    return found | ({VOCABULARY: 0} if self.masking else {})


def join(
  tasks: Sequence[TaskData],
  *,
  weights: Sequence[float],
  positions: Sequence[int] | None = None,
  masker: Masker | None = None,
) -> Pool:
  """Lays the examples of several tasks end to end, those of a text together.

  Of questions these are all pairs with a candidate, and the relevance of one is
  its share of all of the question's.

  Args:
    tasks: what is laid out, in this order.
    weights: one per task: loss scale x weight of the copies.
    positions: of each task in the run; None = in the run's order.
    masker: of the tasks that mask tokens; None = there is none.
  """
  if positions is None:
    positions = range(len(tasks))
  starts = offsets_of([len(data.features.examples) for data in tasks])
  lying = tables.together([_bare(data.features) for data in tasks])
  at = [number for block in lying.blocks for number in block]
  tasks, weights, positions, starts = (
    [each[number] for number in at]
    for each in (tasks, weights, positions, starts)
  )
  spaces = [space_of(data.features) for data in tasks]
  candidates = [counts_of(data.features) for data in tasks]
  tasks = [
    dataclasses.replace(data, features=_shared(data.features)) for data in tasks
  ]
  sizes = [len(data.features) for data in tasks]
  masked = VOCABULARY in spaces
  learned = {
    space: _learned(tasks, space).take(lying.order)
    for space, fields in SPACES.items()
    if space in spaces and fields.teacher
  }
  # What is not labelled at all is not learned from.
  gold = np.concatenate(
    [data.features.has_gold | (data.features.labels is None) for data in tasks]
  )[lying.order]
  weight = np.repeat(np.asarray(weights, np.float32), sizes)
  if any(data.emphasis is not None for data in tasks):
    ones = [np.ones(size, np.float32) for size in sizes]
    weight = weight * np.concatenate(
      [
        one if data.emphasis is None else data.emphasis
        for data, one in zip(tasks, ones, strict=True)
      ]
    )
  weight = weight[lying.order]
  if EXAMPLE in learned:
    weight[~gold & (learned[EXAMPLE].has_teacher == 0)] = 0
  numbers = [
    start + np.arange(size) for start, size in zip(starts, sizes, strict=True)
  ]
  indices = [data.features.index for data in tasks]
  return Pool(
    features=lying.features,
    text=lying.text if lying.tabled else None,
    number=np.concatenate(numbers)[lying.order],
    index=np.concatenate(indices)[lying.order],
    has_gold=None if gold.all() else gold.astype(np.float32),
    lengths=lying.lengths,
    task=np.repeat(np.asarray(positions, np.int32), sizes)[lying.order],
    weight=weight,
    learned=learned,
    units=units_lib.join(*_units(lying, candidates, sizes)),
    grouped=_grouped(lying, candidates, sizes),
    masking=_masking(tasks, masker) if masked else None,
  )


def _bare(features: Features) -> Features:
  """Returns examples without what is learned of them."""
  return dataclasses.replace(
    features.examples, labels=None, words=None, windows=None
  )


def _units(
  lying: tables.Together,
  candidates: Sequence[np.ndarray | None],
  sizes: Sequence[int],
) -> tuple[list[np.ndarray | None], list[int]]:
  """Returns how many examples the units of each block have, and all of it.

  Args:
    lying: the blocks.
    candidates: of each task, from `counts_of`.
    sizes: examples of each task.
  """
  counts, totals, at = [], [], 0
  for block, tabled in zip(lying.blocks, lying.counts, strict=True):
    mine = slice(at, at + len(block))
    counts.append(candidates[at] if tabled is None else tabled)
    totals.append(sum(sizes[mine]))
    at = mine.stop
  return counts, totals


def _grouped(
  lying: tables.Together,
  candidates: Sequence[np.ndarray | None],
  sizes: Sequence[int],
) -> np.ndarray | None:
  """Returns which examples may have a loss together; None = none have."""
  if all(each is None for each in candidates):
    return None
  # The labels of a text are no choice among them.
  blocks = zip(lying.blocks, lying.counts, strict=True)
  apart = [tabled is None for block, tabled in blocks for _ in block]
  return np.repeat(apart, sizes)


def space_of(features: Features) -> str:
  """Returns the space that the labels of some examples are of."""
  words = features.words
  if words is None or words.apart:
    return EXAMPLE
  return VOCABULARY if words.drawn else WORDS


def counts_of(features: Features) -> np.ndarray | None:
  """Returns how many candidates each row has, i64[N]; None = rows are whole."""
  words = features.words
  return words.counts if words is not None and words.apart else None


def _shared(features: Features) -> Features:
  """Returns the examples of rows, the labels of candidates as shares."""
  counts = counts_of(features)
  if counts is None or features.labels is None:
    return features.examples
  total = np.add.reduceat(features.labels, features.words.offsets[:-1])
  shares = features.labels / np.repeat(total, counts)
  return dataclasses.replace(features.examples, labels=shares)


def _masking(tasks: Sequence[TaskData], masker: Masker) -> Masking:
  """Returns the masking of all examples, of those of other tasks none."""
  rows = []
  for data in tasks:
    words, marks = Words.none(len(data.features)), np.zeros(0, np.float32)
    if space_of(data.features) == VOCABULARY:
      words, marks = data.features.words, data.features.labels
    rows.append((words, marks, data.features.index))
  return masking.make(masker, [data.name for data in tasks], rows)


def _learned(tasks: Sequence[TaskData], space: str) -> Learned:
  """Returns what is learned in a space, nothing of tasks of another one."""
  worded = space == WORDS
  rows = [len(data.features) for data in tasks]
  mine = [space_of(data.features) == space for data in tasks]
  words = [
    data.features.words if own and worded else Words.none(n)
    for data, n, own in zip(tasks, rows, mine, strict=True)
  ]
  starts = offsets_of([len(w.at) for w in words] if worded else rows)
  columns = max(
    data.classes for data, own in zip(tasks, mine, strict=True) if own
  )
  empty = SPACES[space].label.empty
  several = any(
    own and data.features.labels is not None and data.features.labels.ndim > 1
    for data, own in zip(tasks, mine, strict=True)
  )
  wide = (starts[-1], columns) if several else (starts[-1],)
  label = np.full(wide, empty, SPACES[space].label.dtype)
  teacher = np.zeros((starts[-1], columns), np.float32)
  has_teacher = np.zeros(starts[-1], np.float32)
  for data, start, own in zip(tasks, starts, mine, strict=False):
    if own and data.features.labels is not None:
      labels = data.features.labels
      known = np.flatnonzero(has_gold(labels))
      if several:
        labels = labels.reshape(len(labels), -1)
        label[known + start, : labels.shape[1]] = labels[known]
      else:
        label[known + start] = labels[known]
    if own and data.teacher is not None:
      size = len(data.features.words.at) if worded else len(data.features)
      assert data.teacher.shape == (size, data.classes), data.name
      known = ~np.isnan(data.teacher).any(axis=1)
      there = np.flatnonzero(known) + start
      teacher[there, : data.classes] = data.teacher[known]
      has_teacher[there] = 1
  return Learned(
    Words.join(words) if worded else None, label, teacher, has_teacher
  )
