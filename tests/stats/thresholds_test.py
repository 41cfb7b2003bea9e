"""Thresholds against every threshold that there is, tried one by one."""

import numpy as np
import pytest
import sklearn.metrics

from bam_jax.stats import thresholds
from bam_jax.stats.thresholds import Rule


@pytest.fixture(scope="module")
def label():
  """Chances f[N] and whether a label holds, some chances equal."""
  rng = np.random.default_rng(4)
  holds = rng.random(90) < 0.3
  chances = np.round((rng.normal(0.3, 0.2, 90) + 0.25 * holds).clip(0, 1), 2)
  return chances, holds


def tried(chances, holds):
  """{threshold: (precision, recall, f1)} by scikit-learn's plain scorers."""
  return {
    t: sklearn.metrics.precision_recall_fscore_support(
      holds, chances >= t, average="binary", zero_division=0
    )[:3]
    for t in np.unique(chances)
  }


def test_the_best_f1_of_all_thresholds(label):
  found, every = thresholds.choose(*label, Rule("f1")), tried(*label)
  best = max(f1 for _, _, f1 in every.values())
  assert every[found.value][2] == pytest.approx(best)
  assert every[found.value][:2] == pytest.approx(
    (found.precision, found.recall)
  )
  assert found.rows == label[1].sum()


@pytest.mark.parametrize("wanted", [0.5, 0.7])
def test_of_those_precise_enough_the_one_with_most_recall(label, wanted):
  found = thresholds.choose(*label, Rule("precision", wanted))
  every = tried(*label)
  enough = [r for p, r, _ in every.values() if p >= wanted]
  assert every[found.value][0] >= wanted
  assert every[found.value][1] == pytest.approx(max(enough))
  # One step lower is not precise enough any more.
  assert found.value == min(t for t, (p, _, _) in every.items() if p >= wanted)


def test_a_precision_out_of_reach_has_no_threshold_but_the_best_is_known():
  chances, holds = np.array([0.9, 0.8, 0.7, 0.1]), np.array([0, 1, 1, 0])
  found = thresholds.choose(chances, holds, Rule("precision", 0.9))
  assert found == thresholds.Threshold(None, pytest.approx(2 / 3), 1.0, 2)


def test_a_label_that_no_row_has_stays_at_one_half_or_is_never_said():
  nothing = np.array([0.2, 0.7]), np.zeros(2, bool)
  assert thresholds.choose(*nothing, Rule("f1")).value == 0.5
  assert thresholds.choose(*nothing, Rule("precision", 0.8)).value is None


def test_scores_are_of_each_label_of_all_and_their_mean():
  gold = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 0], [1, 0, 1]])
  holds = np.array([[1, 0, 1], [1, 0, 0], [0, 1, 0], [1, 0, 1]], bool)
  found = thresholds.scores(holds, gold)
  third = 200 / 3
  assert found["precision"] == pytest.approx([third, 0, 100, third, 500 / 9])
  assert found["recall"] == pytest.approx([third, 0, third, third, 400 / 9])
  assert found["f1"] == pytest.approx([third, 0, 80, third, (third + 80) / 3])
  one = thresholds.scores(holds[:, :1], gold[:, :1])
  assert one["f1"] == pytest.approx([third] * 3)
