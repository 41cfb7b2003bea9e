"""Finds rows that are scored and trained on alike."""

from collections.abc import Iterable, Iterator
import itertools

import numpy as np

from bam_jax.data.features import Features


def repeats(rows: Features, train: Iterable[Features]) -> np.ndarray:
  """Returns the numbers i64[M] of the rows that train has too, in order.

  Equal is what an encoder reads alike: the same tokens in the same places,
  after max_length has cut them, whatever the label is.

  Args:
    rows: that are scored.
    train: the training rows; of a symmetric task also their swapped copies.
  """
  wanted: dict[bytes, list[int]] = {}
  for number, key in zip(rows.index.tolist(), _keys(rows), strict=True):
    wanted.setdefault(key, []).append(number)
  # Of the larger side nothing is kept.
  found = {key for part in train for key in _keys(part) if key in wanted}
  return np.sort(np.array([n for key in found for n in wanted[key]], np.int64))


def _keys(rows: Features) -> Iterator[bytes]:
  """Yields what tells a row from others."""
  size, offsets = rows.tokens.itemsize, rows.offsets.tolist()
  tokens = memoryview(np.ascontiguousarray(rows.tokens)).cast("B")
  for start, stop in itertools.pairwise(offsets):
    yield tokens[start * size : stop * size].tobytes()
