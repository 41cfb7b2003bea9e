"""Effect sizes by counting, their intervals and the seeds by simulation."""

import math
import statistics

import numpy as np
import pytest
import scipy.stats
import statsmodels.stats.nonparametric

from bam_jax.stats import effects, ranks


def test_superiority_counts_the_pairs_won():
  a, b = [3.0, 5.0, 5.0, 9.0], [5.0, 2.0, 7.0]
  won = sum((x > y) + (x == y) / 2 for x in a for y in b)
  found = effects.superiority(a, b)
  assert found.value == pytest.approx(won / 12)
  assert found.value * 12 == scipy.stats.mannwhitneyu(a, b).statistic
  other = effects.superiority(b, a)
  assert found.low == pytest.approx(1 - other.high)
  assert found.high == pytest.approx(1 - other.low)
  assert effects.superiority([0.1 + 0.2], [0.3]).value == 0.5


def test_superiority_interval_of_many_is_brunner_and_munzel_s():
  rng = np.random.default_rng(0)
  a, b = rng.normal(0.5, 1, 400), rng.normal(0, 1, 300)
  found = effects.superiority(a, b)
  peer = statsmodels.stats.nonparametric.rank_compare_2indep(a, b)
  assert found.value == pytest.approx(peer.prob1)
  assert [found.low, found.high] == pytest.approx(peer.conf_int(), abs=0.003)


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_superiority_interval_holds_the_truth(shift):
  rng = np.random.default_rng(1)
  truth = statistics.NormalDist().cdf(shift / math.sqrt(2))
  held = 0
  for _ in range(1000):
    found = effects.superiority(rng.normal(shift, 1, 8), rng.normal(0, 1, 8))
    held += found.low <= truth <= found.high
  assert held / 1000 >= scipy.stats.binom.ppf(0.005, 1000, 0.95) / 1000


def test_superiority_interval_ends_where_the_truth_would_be_too_far():
  n = 7
  rng = np.random.default_rng(3)
  found = effects.superiority(rng.normal(1, 1, n), rng.normal(0, 1, n))
  z = statistics.NormalDist().inv_cdf(0.975)
  assert 0 < found.low < found.value < found.high < 1
  for end in (found.low, found.high):
    # The variance of Hanley and McNeil (1982), were `end` the truth.
    q1, q2 = end / (2 - end), 2 * end**2 / (1 + end)
    both = (n - 1) * (q1 + q2 - 2 * end**2)
    variance = (end * (1 - end) + both) / n**2
    assert abs(end - found.value) == pytest.approx(z * math.sqrt(variance))


def test_superiority_without_overlap_is_still_in_doubt():
  found = effects.superiority([5.0, 6.0, 7.0], [1.0, 2.0, 3.0])
  assert (found.value, found.high) == (1.0, 1.0)
  assert 0.3 < found.low < 0.7
  many = effects.superiority(range(100, 120), range(20))
  assert 0.85 < many.low < 1


def test_difference_of_medians():
  a, b = [60.0, 61.0, 61.5, 63.0, 70.0], [58.0, 59.0, 59.5, 61.0]
  found = effects.median_difference(a, b)
  assert found.value == 61.5 - 59.25
  assert min(a) - max(b) <= found.low < found.value < found.high
  other = effects.median_difference(b, a)
  assert other.value == -found.value
  flat = effects.median_difference([85.0] * 3, [80.0] * 4)
  assert (flat.value, flat.low, flat.high) == (5.0, 5.0, 5.0)


def of(mean, sd, n=20):
  """A sample of exactly this mean and standard deviation."""
  x = np.arange(n, dtype=float)
  return mean + sd * (x - x.mean()) / x.std(ddof=1)


@pytest.mark.parametrize("size", [0.3, 0.8, 1.5])
def test_seeds_needed_is_the_textbook_s(size):
  found = effects.seeds_needed(of(60 + 2 * size, 2), of(60, 2))
  normal = statistics.NormalDist()
  z = normal.inv_cdf(0.975)
  # Two samples of equal size, with Guenther's term for Student's t.
  n = 2 * ((z + normal.inv_cdf(0.8)) / size) ** 2 + z**2 / 4
  assert found == pytest.approx(n * math.pi / 3, abs=1)
  assert found == effects.seeds_needed(of(60, 2), of(60 + 2 * size, 2))


def test_that_many_seeds_find_it_in_four_of_five_cases():
  rng = np.random.default_rng(2)
  n = effects.seeds_needed(of(61.2, 1), of(60, 1))
  assert 10 < n < 16
  found = np.mean(
    [
      ranks.mann_whitney(rng.normal(1.2, 1, n), rng.normal(0, 1, n)) <= 0.05
      for _ in range(1500)
    ]
  )
  assert found == pytest.approx(0.8, abs=0.04)


def test_seeds_needed_at_the_ends():
  assert effects.seeds_needed([60.0, 61.0], [61.0, 60.0]) is None
  assert effects.seeds_needed([60.0, 60.0], [60.0, 60.0]) is None
  assert effects.seeds_needed(of(60.0001, 5), of(60, 5)) is None
  # Four against four is the fewest of which p can be below 0.05.
  assert effects.seeds_needed([80.0, 80.0], [60.0, 60.0]) == 4
  assert effects.seeds_needed([80.0, 80.1], [60.0, 60.1]) == 4
  assert ranks.least_p(4, 4) < 0.05 < ranks.least_p(3, 3)


def test_more_power_and_a_stricter_level_need_more_seeds():
  a, b = of(61, 1), of(60, 1)
  usual = effects.seeds_needed(a, b)
  assert effects.seeds_needed(a, b, power=0.9) > usual
  assert effects.seeds_needed(a, b, level=0.01) > usual
