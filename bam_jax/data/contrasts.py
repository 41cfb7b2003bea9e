"""The pairs of texts of a task, of which each is encoded by itself.

Labels are how alike the two are, from 0 to 1; or each text stands in a pair
with itself, whatever its label is.
"""

from collections.abc import Callable
import dataclasses
import functools

import numpy as np

from bam_jax.data.apart import apart
from bam_jax.data.corpus import Corpus
from bam_jax.data.features import Features
from bam_jax.data.ragged import offsets_of, spans
from bam_jax.data.tokenizer import Tokenizer
from bam_jax.tasks.coverage import Coverage
from bam_jax.tasks.table import Task

# Which pairs are trained on: all, those that are alike, each text with itself.
ALL, ALIKE, TWICE = "all", "alike", "twice"


def likeness(labels: np.ndarray, alike: int | None) -> np.ndarray:
  """Returns how alike pairs are, f32[N]; NaN where nobody says.

  Args:
    labels: f32[N], class numbers, or values in [0, 1].
    alike: the class of pairs that are alike; None = they are values.
  """
  if alike is None:
    return labels
  return np.where(np.isnan(labels), labels, labels == alike).astype(np.float32)


def twice(rows: Features) -> Features:
  """Returns each text of some rows in a pair with itself, equal ones once.

  Args:
    rows: of one text each, or pairs from `apart`.
  """
  counted = np.concatenate([[0], np.cumsum(rows.types > 0)])
  starts, ends = rows.offsets[:-1], rows.offsets[1:]
  second = counted[ends] - counted[starts]
  begins = np.stack([starts, ends - second], axis=1).ravel()
  sizes = np.stack([ends - starts - second, second], axis=1).ravel()
  seen: dict[bytes, int] = {}
  for number in np.flatnonzero(sizes):
    begin = begins[number]
    text = rows.tokens[begin : begin + sizes[number]].tobytes()
    seen.setdefault(text, int(number))
  kept = np.fromiter(seen.values(), np.int64, len(seen))
  # A text and itself, one after the other.
  both = np.repeat(kept, 2)
  which = np.tile(np.array([0, 1], np.int8), len(kept))
  return Features(
    tokens=rows.tokens[spans(begins[both], sizes[both])],
    types=np.repeat(which, sizes[both]),
    offsets=offsets_of(2 * sizes[kept]),
    # Dropout is drawn by it, so that of a row the texts have two.
    index=2 * rows.index[kept // 2] + kept % 2,
    labels=np.ones(len(kept), np.float32),
  )


def row_of(index: np.ndarray) -> np.ndarray:
  """Returns which rows the pairs of `twice` are of, i[N], by their index."""
  return index // 2


@dataclasses.dataclass(frozen=True, eq=False)
class Contrasts:
  """The rows of the stage that trains an encoder alone, in a corpus's place.

  Attributes:
    corpus: of the stage's rows, without swapped copies.
    tokenizer: the encoder's own.
    task: whose rows, as all other stages see it.
    most: tokens of a pair.
    alike: see `likeness`.
    rows: ALL, ALIKE or TWICE.
  """

  corpus: Corpus
  tokenizer: Tokenizer
  task: Task
  most: int
  alike: int | None
  rows: str

  def _pairs(self, rows: Features) -> Features:
    if len(self.task.text) < 2:
      return twice(rows)
    made = apart(rows, self.tokenizer, most=self.most, each=True)
    labels = likeness(made.labels, self.alike)
    return dataclasses.replace(made, labels=labels)

  @functools.cached_property
  def _train(self) -> Callable[[int | None], Features]:
    return functools.cache(self._learned)

  def _learned(self, most: int | None) -> Features:
    found = self._pairs(self.corpus.train(self.task, most))
    if self.rows == TWICE:
      return found if len(self.task.text) < 2 else twice(found)
    some = found.labels == 1 if self.rows == ALIKE else found.has_gold
    return found.take(some)

  def train(self, task: Task, most: int | None = None) -> Features:
    """Returns the pairs trained on; `task` is the stage's own.

    Args:
      task: whose rows.
      most: as many rows of its split are read; None = all that are the stage's.
    """
    assert task.name == self.task.name
    return self._train(most)

  def scored(self, task: Task) -> dict[str, Features]:
    """Returns {split: pairs} that the encoder is scored on."""
    assert task.name == self.task.name
    found = self.corpus.scored(self.task)
    return {split: self._pairs(rows) for split, rows in found.items()}

  def fitted(self, task: Task) -> None:
    """Returns nothing: there are no probabilities to calibrate."""
    assert task.name == self.task.name

  def coverage(self, task: Task) -> dict[str, Coverage]:
    """Returns how much is read of the splits trained and scored on."""
    assert task.name == self.task.name
    return self.corpus.coverage(self.task)
