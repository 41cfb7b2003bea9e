"""The accuracy of the surest answers, against counting them."""

import itertools

import numpy as np
import pytest

from bam_jax.stats import abstention


def test_the_curve_is_the_accuracy_of_the_surest_answers():
  rng = np.random.default_rng(5)
  confidence, right = rng.random(37), rng.random(37) < 0.6
  found = abstention.accuracies(confidence, right)
  for k in range(1, 38):
    least = np.sort(confidence)[-k]
    assert found[k - 1] == pytest.approx(right[confidence >= least].mean())
  risks = [1 - right[confidence >= c].mean() for c in confidence]
  assert abstention.area(found) == pytest.approx(np.mean(risks))
  assert found[-1] == pytest.approx(right.mean())


def test_answers_that_are_equally_sure_count_as_the_mean_of_all_orders():
  right = np.array([1, 0, 0, 1])
  orders = [
    np.cumsum(right[list(order)]) / np.arange(1, 5)
    for order in itertools.permutations(range(4))
  ]
  found = abstention.accuracies(np.full(4, 0.7), right)
  np.testing.assert_allclose(found, np.mean(orders, axis=0))


def test_a_hundred_points_are_taken_of_it():
  curve = np.linspace(1, 0.5, 250)
  points = abstention.points(curve)
  assert len(points) == 100
  assert points[-1] == curve[-1] and points[1] == curve[4]
  assert abstention.points(np.array([0.25])) == [0.25] * 100
