"""Which tokens of an example are said in a step, and what stands for them.

Whole words in random order are masked as long as they fit into the share of the
example's tokens (at least the shortest one does); of their tokens 80 % become
[MASK], 10 % another token and 10 % stay (Devlin et al. 2019, section 3.1). All
is drawn from the seed of the trial, the step, the task and the number of the
example, on whichever host reads it, never from a place in a row; how many there
may be in a row is known before.

A language model masks none: of every token of the text it says the one behind,
by what has read up to it, and the one before, by what has read down to it; a
decoder the one behind alone.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import zlib

import numpy as np

from bam_jax.data.ragged import spans
from bam_jax.data.tokenizer import Tokenizer
from bam_jax.data.words import Words

# Of the tokens that are masked, what becomes [MASK], and then another token.
MASKED, REPLACED = 0.8, 0.1
# What is scored is masked alike for all runs and trials.
SCORED = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Masker:
  """How tokens are masked.

  Attributes:
    share: of an example's tokens.
    mask: id of [MASK].
    others: i32[...] ids of the tokens that one may be replaced by.
    whole: whether all tokens of a word are masked together.
  """

  share: float
  mask: int
  others: np.ndarray
  whole: bool = True


@dataclasses.dataclass(frozen=True, eq=False)
class Masking:
  """What of N examples may be masked, and by what.

  Attributes:
    masker: how; None = no task masks any.
    words: their tokens that may be, M in all; none of an example of a task that
      masks nothing.
    begins: bool[M], whether a word begins there.
    whose: i64[N, 2], what an example draws by: task and number.
    most: i32[N], tokens of each example that are said at most.
    sides: i[N], of each example, see `Words.sides`.
    seed: of the trial.
  """

  masker: Masker | None
  words: Words
  begins: np.ndarray
  whose: np.ndarray
  most: np.ndarray
  sides: np.ndarray
  seed: int = SCORED

  def of(self, seed: int) -> Masking:
    """Returns the same for the trial of a seed."""
    return dataclasses.replace(self, seed=seed)

  def write(
    self,
    batch: dict[str, np.ndarray],
    numbers: np.ndarray,
    row: np.ndarray,
    start: np.ndarray,
    *,
    step: int,
  ) -> None:
    """Masks examples that lie in a batch, and notes what stood there.

    Args:
      batch: arrays [B, ...], with `masked` and `place`, where nothing is yet.
      numbers: i[K] of the examples.
      row: i[K] where each lies.
      start: i[K] where in its row it begins.
      step: that draws.
    """
    sequence = np.random.SeedSequence((self.seed, zlib.crc32(b"masks"), step))
    key = sequence.generate_state(2, np.uint64)
    filled = np.zeros(len(batch["place"]), np.int32)
    for number, b, first in zip(
      numbers.tolist(), row.tolist(), start.tolist(), strict=True
    ):
      if not self.most[number]:
        continue
      mine = slice(*self.words.offsets[number : number + 2].tolist())
      at = first + self.words.at[mine]
      if sides := int(self.sides[number]):
        here = slice(filled[b], filled[b] + sides * len(at))
        filled[b] += sides * len(at)
        _beside(batch, b, here, at, sides)
        continue
      counter = np.array([0, 0, *self.whose[number]], np.uint64)
      draw = np.random.Generator(np.random.Philox(key=key, counter=counter))
      chosen = at[_chosen(draw, self.begins[mine], int(self.most[number]))]
      here = slice(filled[b], filled[b] + len(chosen))
      filled[b] += len(chosen)
      batch["place"][b, here] = chosen
      batch["masked"][b, here] = batch["tokens"][b, chosen]
      sort = draw.random(len(chosen))
      other = draw.choice(self.masker.others, len(chosen))
      new = np.where(sort < MASKED, self.masker.mask, other)
      stays = sort >= MASKED + REPLACED
      batch["tokens"][b, chosen] = np.where(
        stays, batch["tokens"][b, chosen], new
      )


def _beside(
  batch: dict[str, np.ndarray], b: int, here: slice, at: np.ndarray, sides: int
) -> None:
  """Notes what stands behind each token, and before it.

  Args:
    batch: as for `Masking.write`, with `side`.
    b: the row.
    here: of its places, one or two of each token.
    at: i64[K], where the tokens stand, between the marks of their example.
    sides: 1 or 2, how many of each.
  """
  ways, tokens = np.array([1, -1])[:sides, None], batch["tokens"][b]
  batch["place"][b, here] = np.tile(at, sides)
  batch["masked"][b, here] = tokens[(at + ways).ravel()]
  if "side" in batch:
    batch["side"][b, here] = np.repeat(np.arange(sides), len(at))


def _chosen(
  draw: np.random.Generator, begins: np.ndarray, most: int
) -> np.ndarray:
  """Returns which tokens of an example are masked, i64[1 to most], in order."""
  starts = np.flatnonzero(begins)
  lengths = np.diff(np.append(starts, len(begins)))
  taken, left = [], most
  for word in draw.permutation(len(starts)).tolist():
    if lengths[word] <= left:
      taken.append(word)
      left -= lengths[word]
    if not left:
      break
  taken = np.sort(taken)
  return spans(starts[taken], lengths[taken])


def masker_of(tokenizer: Tokenizer, *, share: float, whole: bool) -> Masker:
  """Returns how tokens of a tokenizer are masked.

  Args:
    tokenizer: with a [MASK]. One token is replaced by any that is not special.
    share: of an example's tokens.
    whole: whether all tokens of a word are masked together.
  """
  special = tokenizer.backend.get_added_tokens_decoder()
  others = {*tokenizer.backend.get_vocab().values()} - {*special}
  return Masker(
    share, tokenizer.mask, np.array(sorted(others), np.int32), whole
  )


def make(
  masker: Masker | None,
  tasks: Sequence[str],
  rows: Sequence[tuple[Words, np.ndarray, np.ndarray]],
) -> Masking:
  """Returns the masking of the examples of several tasks, end to end.

  Args:
    masker: how; None = no task masks any.
    tasks: their names.
    rows: of each the tokens that may be masked, where words begin f32[M], and
      the numbers of its examples i64[N].
  """
  words = Words.join([each for each, _, _ in rows])
  begins = np.concatenate([marks for _, marks, _ in rows]) > 0
  begins |= masker is None or not masker.whole
  whose = np.concatenate(
    [
      np.stack([np.full(len(index), zlib.crc32(name.encode())), index], 1)
      for name, (_, _, index) in zip(tasks, rows, strict=True)
    ]
  )
  counts = words.counts
  sides = np.concatenate(
    [np.full(len(index), each.sides) for each, _, index in rows]
  )
  most = np.rint((masker.share if masker else 0) * counts)
  # The shortest word of each example has room, or nothing is learned of it.
  starts = np.flatnonzero(begins)
  lengths = np.diff(np.append(starts, len(begins)))
  owner = np.searchsorted(words.offsets, starts, side="right") - 1
  shortest = np.full(len(counts), np.iinfo(np.int64).max)
  np.minimum.at(shortest, owner, lengths)
  most = np.where(counts > 0, np.maximum(most, np.minimum(shortest, counts)), 0)
  most = np.where(sides > 0, sides * counts, most)
  return Masking(masker, words, begins, whose, most.astype(np.int32), sides)


def in_a_row(most: np.ndarray, row: np.ndarray) -> int:
  """Returns how many tokens may be masked in a row of some steps, at most.

  Args:
    most: i32[N, W] of each example, 0 = none.
    row: i32[N, W] where it lies, -1 = nowhere.
  """
  rows = 1 + int(row.max(initial=0))
  there, step = row >= 0, np.arange(len(row))[:, None]
  total = np.bincount((step * rows + row)[there], most[there])
  return int(total.max(initial=0))
