"""Weighted scores of several labels are scikit-learn's of repeated rows."""

import numpy as np
import pytest
from sklearn import metrics

from bam_jax.stats import multilabel
from bam_jax.tasks.metrics import METRICS

R, N, C, D = 2, 23, 4, 5
THEIRS = {
  "micro_f1": lambda p, y: metrics.f1_score(
    y, p > 0, average="micro", zero_division=0
  ),
  "macro_f1": lambda p, y: metrics.f1_score(
    y, p > 0, average="macro", zero_division=0
  ),
  "subset_accuracy": lambda p, y: metrics.accuracy_score(y, p > 0),
  "label_precision": lambda p, y: np.mean(
    [
      metrics.average_precision_score(y[:, c], p[:, c])
      for c in range(y.shape[1])
      if y[:, c].any()
    ]
  ),
}


@pytest.mark.parametrize("name", THEIRS)
def test_a_weight_is_a_repeated_row(name):
  rng = np.random.default_rng(3)
  gold = (rng.random((N, C)) < 0.3).astype(np.int64)
  # One label that nobody has, and equal logits.
  gold[:, 2] = 0
  logits = np.round(rng.normal(size=(R, N, C)) + gold, 1)
  logits[logits == 0] = 0.1
  weights = rng.integers(0, 4, (D, N)).astype(np.float64)
  found = multilabel.SCORERS[name](logits, gold.astype(np.float64))(weights)
  assert found.shape == (D, R)
  for d, draw in enumerate(weights.astype(int)):
    for r, mine in enumerate(logits):
      wanted = THEIRS[name](np.repeat(mine, draw, 0), np.repeat(gold, draw, 0))
      assert found[d, r] == pytest.approx(wanted, abs=1e-12)
  for mine in logits:
    assert METRICS[name](mine, gold) == pytest.approx(THEIRS[name](mine, gold))


@pytest.mark.parametrize("name", THEIRS)
def test_one_label_alone_is_scored_by_itself(name):
  logits = np.array([[2.0], [-1.0], [0.5], [-3.0]])
  gold = np.array([[1], [1], [0], [0]])
  wanted = {"label_precision": (1 + 2 / 3) / 2}.get(name, 0.5)
  assert METRICS[name](logits, gold) == pytest.approx(wanted)
  score = multilabel.SCORERS[name](logits[None], gold.astype(float))
  assert score(np.ones((1, 4)))[0, 0] == pytest.approx(wanted)
