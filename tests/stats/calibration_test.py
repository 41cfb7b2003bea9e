"""Calibration against scikit-learn, and models that know what they know."""

import numpy as np
import pytest
import scipy.special
import sklearn.calibration
import sklearn.metrics

from bam_jax.stats import calibration


@pytest.fixture(scope="module")
def answers():
  """Logits f32[R, N, C] and labels [N] of three classes."""
  rng = np.random.default_rng(0)
  labels = rng.integers(3, size=200)
  logits = rng.normal(0, 1, (2, 200, 3)) + 2 * np.eye(3)[labels]
  return logits.astype(np.float32), labels.astype(np.float32)


def confidences(logits, labels):
  chances = scipy.special.softmax(logits.astype(np.float64), axis=-1)
  return chances, chances.max(-1), logits.argmax(-1) == labels


@pytest.mark.parametrize("equal_mass", [False, True])
def test_curve_is_scikit_learn_s(answers, equal_mass):
  logits, labels = answers[0][0], answers[1]
  _, confidence, right = confidences(logits, labels)
  accuracy, mean = sklearn.calibration.calibration_curve(
    right,
    confidence,
    n_bins=8,
    strategy="quantile" if equal_mass else "uniform",
  )
  found = calibration.reliability(logits, labels, bins=8, equal_mass=equal_mass)
  np.testing.assert_allclose(found.accuracy, accuracy)
  np.testing.assert_allclose(found.confidence, mean)
  assert found.count.sum() == 200
  if equal_mass:
    assert set(found.count) == {25}


def test_error_by_the_definition(answers):
  logits, labels = answers[0][1], answers[1]
  _, confidence, right = confidences(logits, labels)
  expected = 0.0
  for k in range(15):
    here = (confidence > k / 15) & (confidence <= (k + 1) / 15)
    if here.any():
      gap = abs(right[here].mean() - confidence[here].mean())
      expected += here.mean() * gap
  found = calibration.reliability(logits, labels)
  assert found.error == pytest.approx(expected)
  assert 0 < found.error < 1


def test_brier_and_likelihood_are_scikit_learn_s(answers):
  logits, labels = answers[0][0], answers[1]
  chances, *_ = confidences(logits, labels)
  assert calibration.nll(logits, labels) == pytest.approx(
    sklearn.metrics.log_loss(labels, chances)
  )
  binary, halves = logits[:, :2], (labels > 0).astype(int)
  chance = scipy.special.softmax(binary.astype(np.float64), axis=-1)[:, 1]
  # Of two classes, summed over both.
  assert calibration.brier(binary, halves) == pytest.approx(
    2 * sklearn.metrics.brier_score_loss(halves, chance)
  )
  sure = np.array([[40.0, 0.0, 0.0], [0.0, 0.0, 40.0]])
  assert calibration.brier(sure, np.array([0, 2])) == pytest.approx(0)
  assert calibration.brier(sure, np.array([1, 1])) == pytest.approx(2)


def test_a_model_that_knows_its_chances_has_no_error():
  rng = np.random.default_rng(1)
  logits = rng.normal(0, 2, (100_000, 2))
  chance = scipy.special.expit(logits[:, 1] - logits[:, 0])
  labels = (rng.random(100_000) < chance).astype(int)
  assert calibration.reliability(logits, labels).error < 0.01
  # Twice as sure as it has reason to be.
  assert calibration.reliability(2 * logits, labels).error > 0.05


def test_edges_belong_to_the_bin_below():
  # Two classes of equal chance: confidence is exactly one half.
  logits = np.array([[0.0, 0.0], [0.0, 0.0], [0.1, 0.0]])
  found = calibration.reliability(logits, np.zeros(3), bins=2)
  assert found.count.tolist() == [2, 1]
  assert found.confidence[0] == 0.5
  sure = calibration.reliability(np.array([[0.0, 99.0]]), np.ones(1), bins=4)
  assert sure.confidence.tolist() == [1.0]
  few = calibration.reliability(
    np.zeros((3, 2)), np.zeros(3), bins=5, equal_mass=True
  )
  assert few.count.tolist() == [1, 1, 1]


def test_summary_of_trials(answers):
  logits, labels = answers
  found = calibration.summary(logits, labels)
  assert [len(found[key]) for key in ("ece", "brier", "nll")] == [2, 2, 2]
  assert found["ece"][1] == calibration.reliability(logits[1], labels).error
  # All trials are pooled in the curve.
  assert sum(count for *_, count in found["curve"]) == 400
  assert found["ece_equal_mass"] != found["ece"]


def test_regression_has_no_calibration():
  assert calibration.summary(np.zeros((2, 5, 1)), np.zeros(5)) is None
