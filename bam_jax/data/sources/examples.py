"""What a split holds: texts, labels in the task's own order, and no rubbish."""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import functools
import hashlib
import json
import math
import re

import numpy as np

from bam_jax.runtime import notices
from bam_jax.runtime.spelling import shown
from bam_jax.tasks.manifest import manifest
from bam_jax.tasks.table import Task


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
  """The rows of one split, in file order.

  Attributes:
    task: the task's name.
    split: the split's name, as on the hub.
    texts: one list of N strings per text column.
    labels: f32[N], the class number or the value scaled to [0, 1]; NaN where a
      row has soft labels alone; f32[M] where words are labelled; f32[N, C] of 0
      and 1 where a row may have several; None where the split is not labelled.
    origin: the file or address that the rows came from.
    soft: f32[N, C], another model's answers as logits (regression: values in
      [0, 1]) that came with the rows; None where none did.
    groups: N groups that the rows name, for a hold-out; () = they name none.
    words: i32[W, 2] of each row, where its labelled words, M in all, begin and
      end in the text; None = rows are labelled.
    answers: of each row, a question and a context, the gold answers: text, and
      where in the context it begins; () = there is none. None = no row asks.
    weights: f32[N], what each row counts; None = all alike.
    agreed: f32[N], which share of several judges of a row is of the larger
      side; None where there are none.
    bare: bool[N], which rows are of files without labels; None = none is.
    numbers: i64[N], which row each is of all that were read, from 0, -1 = of
      none; None = they are all.
  """

  task: str
  split: str
  texts: tuple[list[str], ...]
  labels: np.ndarray | None
  origin: str
  soft: np.ndarray | None = None
  groups: Sequence[str] = ()
  words: Sequence[np.ndarray] | None = None
  answers: Sequence[Sequence[tuple[str, int]]] | None = None
  weights: np.ndarray | None = None
  agreed: np.ndarray | None = None
  bare: np.ndarray | None = None
  numbers: np.ndarray | None = None

  def __len__(self) -> int:
    return len(self.texts[0])

  def take(self, rows: np.ndarray) -> "Examples":
    """Returns the given rows (integers or a mask), in the given order."""
    rows = np.arange(len(self))[rows].tolist()
    labels, words = self.labels, self.words
    if labels is not None and words is not None:
      cuts = np.cumsum([len(row) for row in words])[:-1]
      each = np.split(labels, cuts)
      labels = np.concatenate([labels[:0], *(each[row] for row in rows)])
    elif labels is not None:
      labels = labels[rows]
    return dataclasses.replace(
      self,
      texts=tuple([column[row] for row in rows] for column in self.texts),
      labels=labels,
      soft=None if self.soft is None else self.soft[rows],
      groups=[self.groups[row] for row in rows] if self.groups else (),
      words=None if words is None else [words[row] for row in rows],
      answers=self.answers and [self.answers[row] for row in rows],
      weights=None if self.weights is None else self.weights[rows],
      agreed=None if self.agreed is None else self.agreed[rows],
      bare=None if self.bare is None else self.bare[rows],
      numbers=np.array(rows, np.int64)
      if self.numbers is None
      else self.numbers[rows],
    )

  def chunks(self, most: int) -> Iterator["Examples"]:
    """Yields the rows in order, so many at a time."""
    each = [1] * len(self) if self.words is None else [*map(len, self.words)]
    ends = np.concatenate([[0], np.cumsum(each, dtype=np.int64)])
    for start in range(0, len(self), most):
      rows = slice(start, min(start + most, len(self)))
      labelled = slice(ends[rows.start], ends[rows.stop])
      yield dataclasses.replace(
        self,
        texts=tuple(column[rows] for column in self.texts),
        labels=None if self.labels is None else self.labels[labelled],
        soft=None if self.soft is None else self.soft[rows],
        groups=self.groups[rows],
        words=None if self.words is None else self.words[rows],
        answers=self.answers and self.answers[rows],
        weights=None if self.weights is None else self.weights[rows],
        agreed=None if self.agreed is None else self.agreed[rows],
        bare=None if self.bare is None else self.bare[rows],
        numbers=None if self.numbers is None else self.numbers[rows],
      )

  @functools.cached_property
  def fingerprint(self) -> str:
    """sha256 (hex) of texts, groups and all labels, of whatever file."""
    digest = hashlib.sha256()
    # Every length first, so that no two ways to cut the same text agree.
    for column in (*self.texts, *([self.groups] if self.groups else [])):
      digest.update(len(column).to_bytes(8, "little"))
      for text in column:
        data = text.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    if self.labels is not None:
      digest.update(self.labels.astype("<f4").tobytes())
    if self.weights is not None:
      digest.update(b"weights" + self.weights.astype("<f4").tobytes())
    if self.soft is not None:
      digest.update(self.soft.astype("<f4").tobytes())
    if self.agreed is not None:
      digest.update(b"agreed" + self.agreed.astype("<f4").tobytes())
    for row in self.words or ():
      digest.update(
        len(row).to_bytes(8, "little") + row.astype("<i4").tobytes()
      )
    for row in self.answers or ():
      digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def has_gold(labels: np.ndarray) -> np.ndarray:
  """Returns which rows of f32[N] or f32[N, C] are labelled, bool[N]."""
  return ~np.isnan(labels.reshape(len(labels), -1)).any(1)


def encode(
  task: Task,
  split: str,
  values: Sequence[str | float],
  names: Sequence[str],
  where: Callable[[int], str],
) -> np.ndarray | None:
  """Returns labels f32[N] as `Examples` has them; None where all are -1.

  Args:
    task: whose labels they are.
    split: only a test split may be without labels.
    values: as written.
    names: the task's labels as the file writes them; () = regression.
    where: says where a row stands.

  Raises:
    ValueError: a label that the task does not know, with its place.
  """
  if split in task.test and all(str(v) in ("-1", "-1.0") for v in values):
    return None
  numbers = {name: float(i) for i, name in enumerate(names)}
  low, high = task.range or (0.0, 1.0)
  labels = np.empty(len(values), np.float32)
  for i, value in enumerate(values):
    try:
      number = _number(value) if task.range else numbers[value]
    except (KeyError, ValueError):
      number = math.nan
    # Asked this way round, NaN is refused too.
    if not (low <= number <= high if task.range else number >= 0):
      raise ValueError(
        f"{where(i)}: {task.name} has no label {shown(value)}; it must be "
        + (f"from {low:g} to {high:g}" if task.range else ", ".join(names))
        + ("; a number has a point, no comma" if _comma(task, value) else "")
      )
    labels[i] = (number - low) / (high - low)
  return labels


def _comma(task: Task, value: str | float) -> bool:
  return bool(task.range) and re.fullmatch(r"-?\d+,\d+", str(value)) is not None


def _number(value: str | float) -> float:
  """The number, unless only Python takes it for one ("1_0" is its ten)."""
  if isinstance(value, str) and ("_" in value or not value.isascii()):
    raise ValueError(value)
  return float(value)


def check(examples: Examples) -> None:
  """Refuses what nothing can be learned from; says what is not official.

  Args:
    examples: of a task of GLUE, or of the user's own.

  Raises:
    ValueError: no rows, or no text in any of them.
  """
  cure = "; fetch it again" if examples.task in manifest()["datasets"] else ""
  if not len(examples):
    raise ValueError(f"{examples.origin} holds no rows{cure}")
  for number, column in enumerate(examples.texts, 1):
    if not any(map(str.strip, column)):
      raise ValueError(
        f"{examples.origin} has no text in any row, column {number} of"
        f" {len(examples.texts)} that {examples.task} reads{cure}"
      )
    empty = [at for at, text in enumerate(column) if not text.strip()]
    if empty:
      notices.once(
        f"{examples.origin}: {len(empty)} of {len(column)} rows of"
        f" {examples.task} have no text in column {number} of"
        f" {len(examples.texts)}, which a model sees as nothing to read:"
        f" {some(np.array(empty))}, counted from 0"
      )
  if not cure:
    return
  official = manifest()["datasets"][examples.task]["rows"][examples.split]
  if len(examples) != official:
    notices.once(
      f"{examples.origin} has {len(examples)} rows; the official"
      f" {examples.task} {examples.split} has {official}"
      f" ({len(examples) - official:+d})"
    )


def uncovered(index: np.ndarray, rows: int) -> str:
  """Says how `index` is not 0 .. rows-1 in some order; "" if it is."""
  outside = index[(index < 0) | (index >= rows)]
  if len(outside):
    return f"have rows that the split has not: {some(outside)} of {rows}"
  times = np.bincount(index, minlength=rows)
  if (times > 1).any():
    return f"have rows more than once: {some(np.flatnonzero(times > 1))}"
  if (times == 0).any():
    return f"lack rows: {some(np.flatnonzero(times == 0))} of {rows}"
  return ""


def some(numbers: np.ndarray) -> str:
  """Returns the first of some numbers, in words."""
  shown = ", ".join(str(number) for number in numbers[:5])
  return f"{shown} and {len(numbers) - 5} more" if len(numbers) > 5 else shown
