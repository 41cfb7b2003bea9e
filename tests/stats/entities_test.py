"""Scores of entities, weighted: the same as seqeval's on repeated rows."""

import numpy as np
import pytest

from bam_jax.stats import entities, multibootstrap
from bam_jax.tasks.metrics import METRICS

ROWS, WORDS, TRIALS = 7, 5, 3


@pytest.mark.parametrize("name", entities.SCORERS)
def test_a_row_of_weight_w_counts_as_w_rows(name):
  rng = np.random.default_rng(5)
  gold = rng.integers(0, 5, (ROWS, WORDS))
  said = np.where(
    rng.random((TRIALS, ROWS, WORDS)) < 0.6, gold, rng.integers(0, 5, WORDS)
  )
  # Rows of other lengths; the third has no word.
  behind = np.arange(WORDS) >= np.array([5, 3, 0, 1, 4, 5, 2])[:, None]
  gold, said = np.where(behind, -1, gold), np.where(behind, -1, said)
  weights = np.array([[1, 0, 2, 3, 0, 1, 1], [1] * ROWS, [0, 0, 1, 0, 0, 0, 0]])
  got = multibootstrap.SCORERS[name](said, gold)(weights.astype(float))
  for draw, counts in enumerate(weights[:2]):
    rows = np.repeat(np.arange(ROWS), counts)
    for trial in range(TRIALS):
      want = METRICS[name](said[trial, rows], gold[rows])
      assert got[draw, trial] == pytest.approx(want, abs=1e-12)
  assert 0 < got[1].min() < 1 and got[1].max() > got[1].min()
  # Nothing there and nothing said is no score, and no division by 0.
  assert got[2].tolist() == [0] * TRIALS


def test_the_bootstrap_takes_rows_of_words():
  gold = np.array([[1, 2, 0], [0, 1, -1], [3, -1, -1], [0, 0, 0]])
  said = np.stack([gold, np.where(gold == 3, 0, gold)])
  full, drawn = multibootstrap.resample_examples(
    said, gold, "span_f1", draws=50, seed=1
  )
  assert full.tolist() == pytest.approx([100.0, 80.0])
  assert drawn.shape == (50, 2) and np.ptp(drawn[:, 1]) > 0
