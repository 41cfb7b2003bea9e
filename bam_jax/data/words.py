"""The words of text, and the token that stands for each of them.

Where words are labelled, an encoder says of a word what it says of the word's
first token, and whatever is kept of a word is kept whichever tokenizer reads
it. A word is a span of the text, so that answers lead back to it. The
candidates of a question are kept likewise, each read by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from bam_jax.data.ragged import offsets_of, spans


@dataclasses.dataclass(frozen=True)
class Words:
  """Where the words of N rows are read, in flat arrays.

  Attributes:
    at: i32[M], the position in its row of the first token of each word; -1
      where no token of it is left, because max_length has cut it away.
    offsets: i64[N + 1], row `i` has the words `offsets[i] : offsets[i + 1]`.
    apart: each is an example that begins there, a candidate with its question,
      and no word among others.
    drawn: they are all tokens of the text, labelled 1 where a word begins;
      which of them are learned is drawn anew in every step.
    sides: of each the one behind it is learned in every step, 1, or both that
      are beside it, 2; 0 = neither.
  """

  at: np.ndarray
  offsets: np.ndarray
  apart: bool = False
  drawn: bool = False
  sides: int = 0

  @property
  def counts(self) -> np.ndarray:
    """Words of every row: i64[N]."""
    return np.diff(self.offsets)

  def of(self, rows: np.ndarray) -> np.ndarray:
    """Returns the numbers of the words of some rows, i64[sum of counts]."""
    return spans(self.offsets[rows], self.counts[rows])

  def take(self, rows: np.ndarray) -> Words:
    """Returns the words of the given rows i64[K], in the given order."""
    return dataclasses.replace(
      self, at=self.at[self.of(rows)], offsets=offsets_of(self.counts[rows])
    )

  @staticmethod
  def none(rows: int) -> Words:
    """Returns those of rows in which no word is labelled."""
    return Words(np.zeros(0, np.int32), np.zeros(rows + 1, np.int64))

  @staticmethod
  def join(parts: Sequence[Words]) -> Words:
    """Returns the words of all parts, one part after the other."""
    return Words(
      np.concatenate([part.at for part in parts]),
      offsets_of(np.concatenate([part.counts for part in parts])),
      any(part.apart for part in parts),
      any(part.drawn for part in parts),
      max(part.sides for part in parts),
    )


def first_tokens(words: np.ndarray, tokens: np.ndarray) -> np.ndarray:
  """Returns which token is the first of each word: i32[W], -1 where none is.

  It is the first that has any of the word's letters; a token of several words
  is the first of each.

  Args:
    words: i32[W, 2], where each begins and ends in the text.
    tokens: i32[S, 2] likewise, in their order.
  """
  if not len(tokens) or not len(words):
    return np.full(len(words), -1, np.int32)
  found = np.searchsorted(tokens[:, 1], words[:, 0], side="right")
  there = tokens[np.minimum(found, len(tokens) - 1), 0] < words[:, 1]
  return np.where((found < len(tokens)) & there, found, -1).astype(np.int32)
