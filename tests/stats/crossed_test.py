"""Crossed effects against statsmodels, and their rate on nulls."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from statsmodels.regression.mixed_linear_model import MixedLM

from bam_jax.stats import crossed, multibootstrap


def answers(rng, seeds, examples, correlation=0.5, chance=1.0):
  """Two equal methods: a seed is good or bad, an example easy or hard."""
  ease = rng.normal(0.5, 1, examples)
  common = rng.normal(0, 1, (seeds, 1))
  for _ in range(2):
    own = rng.normal(0, 1, (seeds, 1))
    strength = math.sqrt(correlation) * common
    strength = 0.3 * (strength + math.sqrt(1 - correlation) * own)
    suits = rng.normal(0, 0.5, examples)
    luck = rng.normal(0, chance, (seeds, examples))
    yield ease + strength + suits + luck > 0


def test_it_is_what_reml_finds():
  rng = np.random.default_rng(0)
  seeds, parts = 5, 11
  d = 1 + rng.normal(0, 2, (seeds, 1)) + rng.normal(0, 1.5, parts)
  d = d + rng.normal(0, 1, (seeds, parts))
  found = crossed.compare(d, np.zeros_like(d))
  rows = pd.DataFrame(
    {
      "d": d.ravel(),
      "seed": np.repeat(np.arange(seeds), parts),
      "part": np.tile(np.arange(parts), seeds),
    }
  )
  fit = MixedLM.from_formula(
    "d ~ 1",
    rows,
    groups=np.ones(len(rows)),
    vc_formula={"seed": "0 + C(seed)", "part": "0 + C(part)"},
  ).fit(reml=True)
  assert found.difference.value == pytest.approx(fit.fe_params.iloc[0])
  error = fit.bse_fe.iloc[0]
  part, seed = fit.vcomp  # in the order of their names
  by_seed = fit.scale + parts * seed
  degrees = (by_seed + seeds * part) ** 2 / by_seed**2 * (seeds - 1)
  half = error * scipy.stats.t.ppf(0.975, degrees)
  assert found.difference.high - found.difference.value == pytest.approx(
    half, rel=1e-3
  )
  t = found.difference.value / error
  assert found.p == pytest.approx(2 * scipy.stats.t.sf(t, degrees), rel=1e-3)


def test_accuracy_falls_to_the_examples_that_are_right():
  labels = np.array([0, 1, 1, 0, 1])
  predicted = np.array([[0, 1, 0, 0, 0], [1, 1, 1, 0, 1]])
  found = crossed.pseudo_values(predicted, labels, "accuracy")
  np.testing.assert_allclose(found, 100 * (predicted == labels), atol=1e-9)


@pytest.mark.parametrize("metric", ["f1", "matthews", "pearson", "spearman"])
def test_pseudo_values_leave_out_one_example_at_a_time(metric):
  rng = np.random.default_rng(1)
  labels = rng.integers(2, size=23)
  predicted = np.where(rng.random((3, 23)) < 0.7, labels, 1 - labels)
  found = crossed.pseudo_values(predicted, labels, metric)
  assert found.shape == (3, 23)
  score = multibootstrap.SCORERS[metric]

  def plain(keep):
    return score(predicted[:, keep], labels[keep])(np.ones((1, len(keep))))[0]

  rest = np.delete(np.arange(23), 7)
  expected = 23 * plain(np.arange(23)) - 22 * plain(rest)
  np.testing.assert_allclose(found[:, 7], 100 * expected)


def test_a_large_dev_set_is_divided_into_parts(monkeypatch):
  rng = np.random.default_rng(2)
  labels = rng.integers(2, size=60)
  predicted = np.where(rng.random((3, 60)) < 0.7, labels, 1 - labels)
  done = []
  found = crossed.pseudo_values(
    predicted, labels, "accuracy", parts=20, progress=done.append
  )
  right = 100 * (predicted == labels)
  # Parts are of every twentieth example; their means are the scores.
  np.testing.assert_allclose(found, right.reshape(3, 3, 20).mean(1))
  assert sum(done) == 20
  monkeypatch.setattr(crossed, "_BLOCK", 60 * 7)
  blocks = crossed.pseudo_values(predicted, labels, "accuracy", parts=20)
  np.testing.assert_allclose(blocks, found)


@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_no_more_than_five_percent_of_nulls_are_rejected(seeds):
  found = []
  for k in range(300):
    both = [*answers(np.random.default_rng([seeds, k]), seeds, 277)]
    parts = [
      crossed.pseudo_values(x, np.ones(277), "accuracy", parts=100)
      for x in both
    ]
    found.append(crossed.compare(*parts).p)
  _, high = scipy.stats.binom.interval(0.999, len(found), 0.05)
  assert sum(p <= 0.05 for p in found) <= high


def test_a_difference_is_found_and_equals_have_none():
  rng = np.random.default_rng(3)
  a, b = answers(rng, 5, 277)
  a = a | (rng.random(a.shape) < 0.8)
  parts = [crossed.pseudo_values(x, np.ones(277), "accuracy") for x in (a, b)]
  found = crossed.compare(*parts)
  assert found.p < 0.05 and found.difference.low > 0
  assert found.difference.value == pytest.approx(100 * (a.mean() - b.mean()))
  assert crossed.compare(parts[0], parts[0]).p == 1
