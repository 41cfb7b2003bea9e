"""The interquartile mean, its interval, and performance profiles."""

import math

import numpy as np
import pytest
import scipy.stats

from bam_jax.stats import aggregates


def test_a_quarter_is_cut_off_at_either_end():
  scores = np.array([[1.0, 100.0], [60.0, 62.0], [61.0, 63.0], [2.0, 99.0]])
  found = aggregates.interquartile_mean(scores)
  assert found.value == pytest.approx((60 + 61 + 62 + 63) / 4)
  # A collapsed trial more or less moves it little.
  scores[0, 0] = 50.0
  assert aggregates.interquartile_mean(scores).value == found.value


def test_the_interval_is_the_jackknifes():
  scores = np.random.default_rng(0).normal(60, 2, (5, 3))

  def middle(x):
    x = np.sort(x.ravel())
    cut = len(x) // 4
    return x[cut : len(x) - cut].mean()

  pseudo = [
    5 * middle(scores) - 4 * middle(np.delete(scores, k, 0)) for k in range(5)
  ]
  reach = 2.7764 * np.std(pseudo, ddof=1) / math.sqrt(5)
  found = aggregates.interquartile_mean(scores)
  assert found.value == pytest.approx(middle(scores))
  assert found.high - found.value == pytest.approx(reach, rel=1e-4)
  assert found.value - found.low == pytest.approx(reach, rel=1e-4)


@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_the_gain_of_nulls_is_away_from_0_in_five_percent(seeds):
  rng, wrong = np.random.default_rng(seeds), 0
  for _ in range(300):
    shared = rng.normal(0, 1, (seeds, 1)) + np.array([30.0, 60.0, 85.0])
    a, b = shared + rng.normal(0, 2, (2, seeds, 3))
    found = aggregates.interquartile_gain(a, b)
    wrong += not found.low <= 0 <= found.high
  _, high = scipy.stats.binom.interval(0.999, 300, 0.06)
  assert 0 < wrong <= high


def test_overall_is_over_the_tasks_that_count_and_the_seeds_of_both():
  def record(*scores, seeds=None):
    return {"scores": list(scores), "seeds": seeds or list(range(len(scores)))}

  single = {"rte": record(60.0, 61.0, 66.0), "cola": record(30.0, 31.0, 36.0)}
  multi = {
    "rte": record(70.0, 62.0, 63.5, seeds=[7, 0, 1]),
    "cola": record(32.0, 33.5, None, seeds=[0, 1, 7]),
    "wnli": record(0.0, 0.0, 0.0, seeds=[0, 1, 7]),
  }
  found = aggregates.overall(
    {"multi": multi, "single": single, "multi->multi": {"rte": record(1.0)}},
    ["rte", "cola"],
  )
  assert found["tasks"] == ["rte", "cola"] and found["base"] == "single"
  assert list(found["methods"]) == ["multi", "single"]
  assert found["methods"]["single"]["gain"] is None
  mine = found["methods"]["multi"]
  # Seed 7 has no number on CoLA.
  assert mine["trials"] == 2
  expected = aggregates.interquartile_gain(
    np.array([[62.0, 32.0], [63.5, 33.5]]), np.array([[60.0, 30.0], [61, 31]])
  )
  assert mine["gain"] == [expected.value, expected.low, expected.high]
  assert aggregates.overall({"single": {}}, ["rte"]) == {}
  assert aggregates.overall({"single": {"mlm": {}}}, []) == {}


def test_a_single_trial_has_no_interval():
  found = aggregates.overall(
    {"single": {"rte": {"scores": [60.0], "seeds": [0]}}}, ["rte"]
  )
  assert found["methods"]["single"]["iqm"] == [60.0, None, None]


def test_a_profile_falls_from_one_to_none():
  scores = np.array([[61.0, 30.0], [64.0, 29.0]])
  points, above = aggregates.profile(scores, np.array([60.0, 30.0]))
  assert points.tolist() == [-1, 0, 1, 4]
  assert above.tolist() == [0.75, 0.5, 0.25, 0]
