"""Rows without a label are left out where their teacher is not trusted."""

import numpy as np
import pytest

from bam_jax.data import trust
from bam_jax.data.trust import Trust
from bam_jax.tasks.kinds import KINDS

KIND = KINDS["classification"]
# Probabilities of three labels, of rows with gold, sure, unsure, without any.
SAID = np.log(
  np.float32(
    [[0.4, 0.3, 0.3], [0.9, 0.05, 0.05], [0.5, 0.3, 0.2], [np.nan] * 3]
  )
)
GOLD = np.array([True, False, False, False])
AGREED = np.float32([1 / 3, 2 / 3, 1, 0])


@pytest.mark.parametrize(
  ("confidence", "agreement", "left_out"),
  [
    (0.0, 0.0, []),
    (0.6, 0.0, [2]),
    (0.95, 0.0, [1, 2]),
    # Two of three is 2/3, which no decimal is.
    (0.0, 2 / 3, []),
    (0.0, 0.7, [1]),
    (0.6, 0.7, [1, 2]),
  ],
)
def test_what_is_left_out(confidence, agreement, left_out):
  asked = Trust(confidence, agreement)
  found = trust.doubted(asked, KIND, SAID, AGREED, GOLD)
  assert np.flatnonzero(found).tolist() == left_out
  assert bool(asked) == bool(confidence or agreement)


def test_one_teacher_has_no_votes():
  assert trust.votes(KIND, [SAID]) is None
  assert trust.votes(KIND, [SAID[:2], SAID[[0, 2]]]).tolist() == [1, 1]
  found = trust.doubted(Trust(0.0, 1.0), KIND, SAID, None, GOLD)
  assert not found.any()
