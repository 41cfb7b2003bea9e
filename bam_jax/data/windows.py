"""The windows in which long texts are read, and where their tokens stand.

A row of features is then one window of a question and its context. It has a
place for [CLS], which says that the answer is not there, and one for each token
of the context. Or it is a part of a document.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from bam_jax.data.words import Words


@dataclasses.dataclass(frozen=True)
class Lengths:
  """How much of a text is read at once.

  Attributes:
    most: tokens of an example, or of a window of one.
    stride: tokens that neighbouring windows share, if there is room.
  """

  most: int
  stride: int


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
  """Whose the windows of N rows are.

  Attributes:
    source: i64[N], the row of its split that each is a window of; those of one
      follow each other.
    chars: i32[M, 2], where in the context the token at each place begins and
      ends; (0, 0) for [CLS]. None where nobody asks.
  """

  source: np.ndarray
  chars: np.ndarray | None = None

  def take(self, rows: np.ndarray, words: Words) -> Windows:
    """Returns those of the given rows i64[K], whose places `words` has."""
    chars = None if self.chars is None else self.chars[words.of(rows)]
    return Windows(self.source[rows], chars)

  @staticmethod
  def join(parts: Sequence[Windows]) -> Windows:
    """Returns those of all parts, one part after the other."""
    chars = [part.chars for part in parts if part.chars is not None]
    return Windows(
      np.concatenate([part.source for part in parts]),
      np.concatenate(chars) if chars else None,
    )
