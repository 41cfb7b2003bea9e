"""Paired tests against every sign there is, and their rates on nulls."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from bam_jax.stats import bootstrap, paired, ranks

A = [61.0, 60.0, 63.5, 64.0, 62.5, 61.5]
B = [60.5, 60.5, 61.0, 63.0, 62.0, 61.5]


def every_sign(a, b):
  d = np.subtract(a, b)
  signs = np.array(list(itertools.product([1, -1], repeat=len(d))))
  sums = signs @ d
  return np.mean(np.abs(sums) >= abs(d.sum()) - 1e-6)


@pytest.mark.parametrize(
  ("a", "b"),
  [
    (A, B),
    (A[:3], B[:3]),
    # Multiples of 100/277: ties among sums but for their last bits.
    (np.array([7, 9, 4, 6, 8]) / 2.77, np.array([6, 9, 6, 3, 7]) / 2.77),
    ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]),
  ],
)
def test_sign_flip_counts_every_sign(a, b):
  assert paired.sign_flip(a, b) == pytest.approx(every_sign(a, b))
  assert paired.sign_flip(b, a) == paired.sign_flip(a, b)


def test_forty_seeds_are_as_exact_as_four():
  rng = np.random.default_rng(0)
  a, b = rng.normal(0, 1, (2, 40))
  a = a + 0.4 - (a - b).mean()
  drawn = scipy.stats.permutation_test(
    (a - b,),
    lambda x, axis: x.mean(axis),
    permutation_type="samples",
    vectorized=True,
    n_resamples=20_000,
    rng=1,
  ).pvalue
  assert 0.01 < drawn < 0.2
  assert paired.sign_flip(a, b) == pytest.approx(drawn, abs=0.008)


@pytest.mark.parametrize("seeds", [3, 5, 6, 10])
def test_least_p_is_that_of_differences_of_one_sign(seeds):
  a = np.arange(seeds) ** 2 + 1.0
  assert paired.sign_flip(a, np.zeros(seeds)) == paired.least_p(seeds)


def test_five_seeds_are_too_few_for_any_exact_test():
  assert paired.least_p(5) > 0.05 > paired.least_p(6)


def test_t_test_and_interval_are_the_textbooks():
  d = np.subtract(A, B)
  t = d.mean() / (d.std(ddof=1) / math.sqrt(6))
  assert paired.t_test(A, B) == pytest.approx(2 * scipy.stats.t.sf(t, 5))
  found = paired.difference(A, B)
  assert found.value == pytest.approx(d.mean())
  reach = 2.5706 * d.std(ddof=1) / math.sqrt(6)  # of a table of Student's t
  assert found.high - found.value == pytest.approx(reach, rel=1e-4)
  assert found.value - found.low == pytest.approx(reach, rel=1e-4)


@pytest.mark.parametrize("margin", [0.1, 0.25, 1.0, 3.0])
def test_not_below_agrees_with_the_interval(margin):
  low = paired.difference(B, A).low
  assert (paired.not_below(B, A, margin) < 0.05) == (low > -margin)


def test_whoever_loses_more_than_the_margin_is_never_not_below():
  assert paired.not_below([50.0, 51.0, 52.5], [60.0, 61.0, 62.0], 1.0) == 1


def test_differences_that_do_not_vary_tell_nothing():
  a, b = [1.0, 2.0, 3.1], [2.0, 3.0, 4.1]
  assert np.ptp(np.subtract(a, b)) > 0  # in the last bit
  assert paired.t_test(a, b) == 1
  assert paired.not_below(b, a, 0.5) == 1
  alone = paired.difference([60.0], [61.0])
  assert alone.value == -1
  assert math.isnan(alone.low) and math.isnan(alone.high)


def test_pairing_sees_what_is_lost_between_unlike_seeds():
  rng = np.random.default_rng(0)
  seeds = rng.normal(60, 5, 12)
  a, b = seeds + rng.normal(1, 0.3, 12), seeds + rng.normal(0, 0.3, 12)
  assert paired.t_test(a, b) < 0.01
  assert paired.sign_flip(a, b) < 0.01
  assert bootstrap.difference_test(a, b, draws=999) > 0.1
  assert ranks.mann_whitney(a, b) > 0.1


def nulls(seeds, correlation, collapses=0.0, studies=1000):
  """Yields trials of two equal methods that share what their seeds do."""
  rng = np.random.default_rng([seeds, int(10 * correlation)])
  for _ in range(studies):
    common = math.sqrt(correlation) * rng.normal(0, 2, seeds)
    own = math.sqrt(1 - correlation) * rng.normal(0, 2, (2, seeds))
    yield 60 + common + own - 20 * (rng.random((2, seeds)) < collapses)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_five_percent_of_nulls_are_rejected(seeds, correlation):
  found = [paired.t_test(*each) for each in nulls(seeds, correlation)]
  low, high = scipy.stats.binom.interval(0.999, len(found), 0.05)
  assert low <= sum(p <= 0.05 for p in found) <= high


@pytest.mark.parametrize("seeds", [5, 6, 10, 20])
def test_sign_flip_never_rejects_more(seeds):
  found = [paired.sign_flip(*each) for each in nulls(seeds, 0.5, 0.1)]
  _, high = scipy.stats.binom.interval(0.999, len(found), 0.05)
  assert sum(p <= 0.05 for p in found) <= high
  assert any(p <= 0.05 for p in found) == (seeds > 5)


@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_t_is_not_too_bold_where_trials_collapse(seeds):
  found = [paired.t_test(*each) for each in nulls(seeds, 0.5, 0.1)]
  _, high = scipy.stats.binom.interval(0.999, len(found), 0.05)
  assert sum(p <= 0.05 for p in found) <= high


def test_as_if_independent_half_a_correlation_hides_a_difference():
  pairs = list(nulls(10, 0.5, studies=300))
  alone = np.mean([ranks.mann_whitney(*each) <= 0.05 for each in pairs])
  assert alone < 0.03
  found = [
    [test(a + 2, b) <= 0.05 for test in (paired.t_test, ranks.mann_whitney)]
    for a, b in pairs
  ]
  together, apart = np.mean(found, 0)
  assert together > apart + 0.2


@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_at_the_margin_one_in_forty_passes(seeds):
  found = [paired.not_below(a - 1, b, 1.0) for a, b in nulls(seeds, 0.5)]
  low, high = scipy.stats.binom.interval(0.999, len(found), 0.025)
  assert low <= sum(p < 0.05 for p in found) <= high
