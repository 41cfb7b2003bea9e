"""Rows of different lengths in flat arrays, with offsets."""

from __future__ import annotations

import numpy as np


def offsets_of(lengths: np.ndarray) -> np.ndarray:
  """Returns where rows of these lengths start, and the end: i64[N + 1]."""
  return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
  """Returns `starts[i] + [0 .. lengths[i])` of all rows, joined: i64[sum]."""
  before = offsets_of(lengths)
  return np.arange(before[-1]) + np.repeat(starts - before[:-1], lengths)
