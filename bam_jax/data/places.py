"""Where examples lie in the rows of a batch, and where their outputs stand."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

import numpy as np

from bam_jax.data.features import Features
from bam_jax.data.ragged import spans
from bam_jax.data.words import Words


@dataclasses.dataclass(frozen=True)
class Places:
  """Where some examples lie in a batch.

  Attributes:
    row: i32[K].
    start: i32[K] position of the first token.
    slot: i32[K].
  """

  row: np.ndarray
  start: np.ndarray
  slot: np.ndarray

  def take(self, which: np.ndarray) -> Places:
    """Returns the places of some of the examples."""
    return Places(self.row[which], self.start[which], self.slot[which])

  def outputs(
    self, numbers: np.ndarray, words: Words | None
  ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Returns whose the outputs of these examples are, and where they stand.

    Args:
      numbers: i[K] of the examples.
      words: of all examples; None = an example has one output.

    Returns:
      i64[M] numbers of the examples, or of those of their words that are read;
      and their row and slot, or their row and position, of each.
    """
    if words is None:
      return numbers, (self.row, self.slot)
    counts, found = words.counts[numbers], words.of(numbers)
    at = words.at[found]
    read = at >= 0
    row, start = np.repeat(self.row, counts), np.repeat(self.start, counts)
    return found[read], (row[read], (start + at)[read])

  def write(
    self,
    batch: Mapping[str, np.ndarray],
    features: Features,
    numbers: np.ndarray,
  ) -> None:
    """Writes the tokens of examples, and where their slots begin.

    Args:
      batch: arrays of `FORWARD`, [B, ...].
      features: of all examples.
      numbers: i[K] of these; their places in the batch are empty.
    """
    lengths = features.lengths[numbers]
    source = spans(features.offsets[numbers], lengths)
    position = spans(np.zeros_like(self.row), lengths)
    there = (
      np.repeat(self.row, lengths),
      np.repeat(self.start, lengths) + position,
    )
    batch["tokens"][there] = features.tokens[source]
    batch["types"][there] = features.types[source]
    batch["positions"][there] = position
    batch["segments"][there] = np.repeat(self.slot + 1, lengths)
    batch["cls"][self.row, self.slot] = self.start
