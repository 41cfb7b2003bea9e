"""Weighted scores of chances are scikit-learn's of repeated rows."""

import numpy as np
import pytest
import scipy
from sklearn import metrics

from bam_jax.stats import multibootstrap, ordered
from bam_jax.tasks import own
from bam_jax.tasks.metrics import METRICS, scores

R, N, D = 2, 23, 5
THEIRS = {
  "auroc": metrics.roc_auc_score,
  "class_precision": metrics.average_precision_score,
}


def theirs(name, chances, gold):
  """Returns scikit-learn's, a class after the other."""
  count = chances.shape[1]
  found = [
    THEIRS[name](gold == c, chances[:, c])
    for c in range(int(count == 2), count)
    if (gold == c).any()
  ]
  return np.mean(found)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("name", THEIRS)
def test_a_weight_is_a_repeated_row(name, classes):
  rng = np.random.default_rng(5)
  # Of four classes one has no row.
  gold = rng.integers(0, max(2, classes - 1), N)
  # Rounded, so that some are equal.
  logits = np.round(rng.normal(size=(R, N, classes)), 0)
  logits[..., 0] += gold == 0
  chances = ordered.chances(logits)
  np.testing.assert_allclose(chances, scipy.special.softmax(logits, -1))
  weights = rng.integers(0, 4, (D, N)).astype(np.float64)
  score = multibootstrap.SCORERS[name](chances, gold.astype(np.float64))
  found = score(weights)
  assert found.shape == (D, R)
  for d, draw in enumerate(weights.astype(int)):
    for r, mine in enumerate(chances):
      wanted = theirs(name, np.repeat(mine, draw, 0), np.repeat(gold, draw))
      assert found[d, r] == pytest.approx(wanted, abs=1e-12)
  for mine in chances:
    assert METRICS[name](mine, gold) == pytest.approx(theirs(name, mine, gold))


@pytest.mark.parametrize("name", THEIRS)
def test_where_all_rows_are_of_one_class(name):
  chances = ordered.chances(np.random.default_rng(6).normal(size=(1, 7, 2)))
  for gold, wanted in ((0, 0.0), (1, 0.0 if name == "auroc" else 1.0)):
    labels = np.full(7, gold)
    assert METRICS[name](chances[0], labels) == pytest.approx(wanted)
    score = ordered.SCORERS[name](chances, labels)
    assert score(np.ones((1, 7)))[0, 0] == pytest.approx(wanted)


def test_a_task_is_scored_by_what_is_in_its_logits(tmp_path):
  entry = {
    "train": "a.csv",
    "dev": "b.csv",
    "text": "text",
    "label": "label",
    "labels": ["no", "yes"],
    "metric": ["auroc", "accuracy", "average_precision"],
  }
  task = own.table({"mine": entry}, tmp_path / "t.toml")["mine"]
  # All are said to be no, some more surely than others.
  logits = np.float32([[3, 0], [3, 1], [9, 8], [3, -1], [3, 1.5]])
  found = scores(task, logits, np.float32([0, 1, 1, 0, 0]))
  assert found["accuracy"] == pytest.approx(60)
  # Of six pairs one is the other way round.
  assert found["auroc"] == pytest.approx(100 * 5 / 6)
  assert found["average_precision"] == pytest.approx(100 * (1 + 2 / 3) / 2)
