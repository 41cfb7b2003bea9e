"""Bootstrap intervals and tests against every resample there is."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from bam_jax.stats import bootstrap

A, B = [61.0, 60.0, 63.5], [60.5, 64.0, 62.0, 66.5]


def resamples(x):
  """Returns every resample f[R**R, R] of a sample."""
  return np.array(list(itertools.product(x, repeat=len(x))))


def p_of_all(seen, null):
  """The two-sided p of a statistic among all its values under the null."""
  above, below = (null >= seen - 1e-9).mean(), (null <= seen + 1e-9).mean()
  return min(1.0, 2 * min(above, below))


def divided(difference, variance):
  """Divides as the textbook does, with infinities where nothing varies."""
  out = np.where(np.abs(difference) < 1e-9, 0, np.copysign(np.inf, difference))
  sure = variance < 1e-18
  np.divide(difference, np.sqrt(variance), out=out, where=~sure)
  return out


def rejected(p_values):
  """Tells whether 5 % of null p-values are below 0.05, within their error."""
  low, high = scipy.stats.binom.interval(0.99, len(p_values), 0.05)
  return low <= sum(p <= 0.05 for p in p_values) <= high


# Trials of a dev set like RTE's, whose scores are multiples of 100 / 277.
NULLS = {
  "normal": lambda rng: (rng.normal(60, 2, 20), rng.normal(60, 2, 20)),
  "ties": lambda rng: np.round(rng.normal(166, 4, (2, 20))) * 100 / 277,
  "unequal": lambda rng: (rng.normal(60, 4, 20), rng.normal(60, 1, 15)),
}


def test_difference_test_is_that_of_all_resamples():
  a, b = np.array(A), np.array(B)
  x = resamples(a - a.mean())
  y = resamples(b - b.mean())
  null = divided(
    np.subtract.outer(x.mean(1), y.mean(1)),
    np.add.outer(x.var(1, ddof=1) / 3, y.var(1, ddof=1) / 4),
  )
  t = scipy.stats.ttest_ind(a, b, equal_var=False).statistic
  expected = p_of_all(t, null)
  assert 0.1 < expected < 0.6
  # Three standard errors of 99,999 draws.
  assert bootstrap.difference_test(a, b) == pytest.approx(expected, abs=0.006)
  assert bootstrap.difference_test(b, a) == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize("name", NULLS)
def test_difference_test_rejects_five_percent_of_nulls(name):
  rng = np.random.default_rng(1)
  assert rejected(
    [
      bootstrap.difference_test(*NULLS[name](rng), draws=999, seed=k)
      for k in range(3000)
    ]
  )


def test_power_grows_with_the_difference():
  test = bootstrap.difference_test
  rng = np.random.default_rng(3)
  pairs = [rng.normal(60, 1, (2, 10)) for _ in range(100)]
  powers = [
    np.mean([test(a + shift, b, draws=499) <= 0.05 for a, b in pairs])
    for shift in (0.0, 0.8, 1.6)
  ]
  assert powers[0] < 0.15
  assert powers[0] + 0.2 < powers[1] < powers[2] - 0.2
  assert powers[2] > 0.8


def test_nothing_varies_so_nothing_is_told():
  flat, low = [85.0] * 4, [80.0] * 4
  assert bootstrap.difference_test(flat, low) == 1
  assert bootstrap.difference_test(flat, flat) == 1
  # The last bit of equal means is no spread.
  bits = [0.1 + 0.2, 0.3, 0.3]
  assert bits[0] != bits[1]
  assert bootstrap.difference_test(bits, [0.5, 0.5]) == 1
  # One side that varies is enough; most resamples of three are not constant.
  assert 0.01 < bootstrap.difference_test(flat, [80.0, 81.0, 80.5]) < 0.5


def test_p_is_never_zero():
  far = [0.0, 1.0, 2.0, 1.5, 0.3, 0.7], [90.0, 91.0, 92.5, 90.3, 91.1, 92.0]
  assert bootstrap.difference_test(*far, draws=99) == pytest.approx(0.02)


def bca(statistic, sample):
  """BCa by its definition, from every resample instead of some."""
  seen = statistic(np.array(sample))
  values = np.sort([statistic(x) for x in resamples(sample)])
  normal = scipy.stats.norm
  below = ((values < seen).mean() + (values <= seen).mean()) / 2
  z0 = normal.ppf(below)
  left = np.array([statistic(np.delete(sample, i)) for i in range(len(sample))])
  gap = left.mean() - left
  speed = (gap**3).sum() / (6 * (gap**2).sum() ** 1.5)
  ends = []
  for tail in (0.025, 0.975):
    z = z0 + normal.ppf(tail)
    ends.append(np.quantile(values, normal.cdf(z0 + z / (1 - speed * z))))
  return ends


@pytest.mark.parametrize("statistic", [np.median, np.mean])
def test_interval_is_bca_of_all_resamples(statistic):
  sample = [60.0, 61.0, 61.5, 63.0, 70.0]
  found = bootstrap.interval(statistic, sample, draws=99_999)
  assert found.value == statistic(sample)
  low, high = bca(statistic, sample)
  assert found.low == pytest.approx(low, abs=0.05)
  assert found.high == pytest.approx(high, abs=0.05)
  plain = np.quantile(statistic(resamples(sample), 1), [0.025, 0.975])
  if statistic is np.mean:  # the correction is seen
    assert found.high - plain[1] > 0.2


def test_median_lies_in_its_interval_in_95_percent_of_samples():
  rng = np.random.default_rng(4)
  held = 0
  for k in range(500):
    found = bootstrap.interval(
      np.median, rng.normal(0, 1, 20), draws=499, seed=k
    )
    held += found.low <= 0 <= found.high
  # A bootstrap of 20 is a little short of its promise, and never far.
  assert 0.91 <= held / 500 <= 0.98


def test_interval_of_what_does_not_vary():
  alone = bootstrap.interval(np.median, [70.4])
  assert alone.value == 70.4
  assert math.isnan(alone.low) and math.isnan(alone.high)
  assert bootstrap.interval(np.median, [85.0] * 3) == bootstrap.Estimate(
    85.0, 85.0, 85.0
  )


def test_interval_without_an_acceleration_is_the_percentile_one():
  # Leaving any one out, the median stays: BCa would be 0/0.
  sample = [60.0, 61.0, 61.0, 61.0, 65.0]
  found = bootstrap.interval(np.median, sample)
  values = np.median(resamples(sample), axis=1)
  low, high = np.quantile(values, [0.025, 0.975])
  assert (found.low, found.high) == (low, high)


@pytest.mark.parametrize(
  "function",
  [
    lambda seed: bootstrap.difference_test(A, B, seed=seed),
    lambda seed: bootstrap.interval(np.mean, B, draws=99, seed=seed),
  ],
)
def test_the_seed_decides(function):
  assert function(5) == function(5)
  assert function(5) != function(6)


def test_golden_p_value():
  found = bootstrap.difference_test(A, B, draws=999, seed=7)
  assert found == 0.284, "change it only with the test or with NumPy's streams"
