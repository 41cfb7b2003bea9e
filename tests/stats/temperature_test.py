"""Temperature against a search over a grid, and on rows that were made."""

import numpy as np
import pytest
import scipy
import sklearn.metrics

from bam_jax.stats import calibration, temperature


def drawn(rows, classes, by, seed=0):
  """Logits that are `by` times what the labels were drawn from."""
  rng = np.random.default_rng(seed)
  logits = rng.normal(0, 1.5, (rows, classes))
  chances = scipy.special.softmax(logits, axis=-1)
  labels = (rng.random((rows, 1)) > chances.cumsum(-1)).sum(-1)
  return by * logits, labels.clip(0, classes - 1)


@pytest.mark.parametrize("by", [0.4, 1.0, 3.0])
def test_the_temperature_that_rows_were_made_with_is_found(by):
  assert temperature.fit(*drawn(20_000, 4, by)) == pytest.approx(by, rel=0.04)


def test_it_is_the_best_of_a_grid_by_scikit_learn_s_likelihood():
  logits, labels = drawn(300, 3, 2.0, seed=1)
  found = temperature.fit(logits.astype(np.float32), labels)
  grid = np.linspace(0.8, 4, 641)
  losses = [
    sklearn.metrics.log_loss(labels, scipy.special.softmax(logits / t, -1))
    for t in grid
  ]
  assert found == pytest.approx(grid[np.argmin(losses)], abs=0.005)


def test_several_labels_have_one_temperature_of_their_binary_likelihood():
  rng = np.random.default_rng(2)
  logits = rng.normal(0, 1, (500, 5))
  holds = rng.random((500, 5)) < scipy.special.expit(logits)
  flat, gold = calibration.each_label(2.5 * logits[None], holds)
  found = temperature.fit(flat[0], gold)

  def loss(t):
    chances = scipy.special.expit(2.5 * logits / t)
    return sklearn.metrics.log_loss(holds.ravel(), chances.ravel())

  assert loss(found) <= min(loss(0.98 * found), loss(1.02 * found))
  assert found == pytest.approx(2.5, rel=0.15)


def test_rows_that_are_all_right_have_none_and_such_that_are_wrong_the_most():
  logits, labels = np.array([[2.0, 0, 1], [0, 3, 1]]), np.array([0, 1])
  assert temperature.fit(logits, labels) is None
  assert temperature.fit(-logits, labels) == temperature.MOST
  assert temperature.fit(np.zeros((0, 3)), np.zeros(0)) is None
