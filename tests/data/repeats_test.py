"""Rows of dev that are rows of train are found, however they are laid."""

import numpy as np

from bam_jax.data import features as features_lib
from bam_jax.data import ragged
from bam_jax.data.repeats import repeats


def rows(*texts, first=0):
  lengths = [len(text) for text in texts]
  return features_lib.Features(
    tokens=np.array([ord(c) for text in texts for c in text], np.int32),
    types=np.zeros(sum(lengths), np.int8),
    offsets=ragged.offsets_of(lengths),
    index=first + np.arange(len(texts)),
    labels=np.zeros(len(texts), np.float32),
  )


def test_equal_rows_are_found_and_parts_of_rows_are_not():
  train = rows("abc", "d", "ef", "abc"), rows("gh")
  dev = rows("ab", "abc", "cd", "gh", "", "abc", "efg", first=10)
  assert repeats(dev, train).tolist() == [11, 13, 15]
  assert repeats(dev, []).tolist() == []
  assert repeats(rows(), train).tolist() == []
