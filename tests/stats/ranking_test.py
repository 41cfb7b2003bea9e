"""Metrics of questions: by hand, by scikit-learn, and of weighted questions."""

import numpy as np
import pytest
from sklearn import metrics

from bam_jax.stats import multibootstrap, ranking
from bam_jax.tasks.metrics import METRICS

# Three questions with 4, 3 and 2 candidates.
GOLD = np.array([[0, 2, 0, 1], [1, 0, 0, -1], [0, 1, -1, -1]], float)
SAID = np.array(
  [
    # ranks of what is relevant: 1 and 3; 3; 1
    [[0.1, 3.0, 2.0, 1.0], [-4.0, -2.0, -3.0, 9.0], [0.0, 0.5, 9.0, 9.0]],
    # 4 and 2; 1; tied with what is wrong, so 2
    [[3.0, -1.0, 0.5, 2.0], [5.0, 1.0, 2.0, 9.0], [7.0, 7.0, 9.0, 9.0]],
  ]
)


def test_by_hand():
  want = [[1, 1 / 3, 1], [1 / 2, 1, 1 / 2]]
  np.testing.assert_allclose(ranking.reciprocal_rank(SAID, GOLD), want)
  np.testing.assert_allclose(ranking.hit(SAID, GOLD), np.array(want) == 1)
  want = [[(1 + 2 / 3) / 2, 1 / 3, 1], [(1 / 2 + 2 / 4) / 2, 1, 1 / 2]]
  np.testing.assert_allclose(ranking.average_precision(SAID, GOLD), want)
  assert METRICS["mrr"](SAID[0], GOLD) == pytest.approx((1 + 1 / 3 + 1) / 3)
  # Gains of 2 at rank 1 and of 1 at 3, of at best 2 at 1 and 1 at 2.
  discount = 1 / np.log2([2, 3, 4])
  first = (2 * discount[0] + discount[2]) / (2 * discount[0] + discount[1])
  found = ranking.ndcg(SAID, GOLD)
  np.testing.assert_allclose(found[0], [first, discount[2], 1])
  # Of a tie the mean of both ranks.
  assert found[1, 2] == pytest.approx((discount[0] + discount[1]) / 2)


def test_as_scikit_learn_says_question_by_question():
  rng = np.random.default_rng(3)
  scores = rng.normal(size=(2, 5, 7)).round(1)
  gold = rng.integers(0, 3, (5, 7)).astype(float)
  gold[:, 0], gold[0, 4:] = 1, -1
  for r in range(2):
    for n in range(5):
      there = gold[n] >= 0
      said, mine = scores[r, n, there], gold[n, there]
      want = metrics.average_precision_score(mine > 0, said)
      got = ranking.average_precision(scores[r], gold)[n]
      assert got == pytest.approx(want)
      want = metrics.ndcg_score(mine[None], said[None])
      assert ranking.ndcg(scores, gold)[r, n] == pytest.approx(want)


@pytest.mark.parametrize("name", ranking.QUESTIONS)
def test_a_question_of_weight_two_counts_twice(name):
  weights = np.array([[1.0, 1, 1], [2, 0, 1]])
  found = multibootstrap.SCORERS[name](SAID, GOLD)(weights)
  for draw, rows in enumerate(([0, 1, 2], [0, 0, 2])):
    for trial in range(2):
      want = METRICS[name](SAID[trial, rows], GOLD[rows])
      assert found[draw, trial] == pytest.approx(want)
