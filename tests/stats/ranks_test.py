"""The rank test against every way of dealing, and its rate on nulls."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from bam_jax.stats import compare, ranks


def rank_sum_p(a, b):
  """Counts every way of dealing the scores to the two sides."""

  def wins(x, y):
    return sum((p > q) + (p == q) / 2 for p in x for q in y)

  pool, seen = [*a, *b], wins(a, b)
  dealt = []
  for chosen in itertools.combinations(range(len(pool)), len(a)):
    rest = [pool[i] for i in range(len(pool)) if i not in chosen]
    dealt.append(wins([pool[i] for i in chosen], rest))
  below = sum(u <= seen for u in dealt) / len(dealt)
  above = sum(u >= seen for u in dealt) / len(dealt)
  return min(1.0, 2 * min(below, above))


@pytest.mark.parametrize(
  ("a", "b"),
  [
    ([3.0, 5.0, 9.0], [1.0, 2.0, 4.0, 7.0]),
    ([3.0, 5.0, 9.0], [10.0, 12.0, 14.0]),
    ([3.0, 5.0, 5.0], [5.0, 2.0, 3.0, 1.0]),
    ([5.0, 5.0, 6.0, 7.0, 8.0], [5.0, 4.0, 4.0, 3.0, 2.0]),
    ([5.0, 5.0, 5.0], [5.0, 5.0, 5.0]),
  ],
)
def test_mann_whitney_counts_every_deal_with_and_without_ties(a, b):
  assert ranks.mann_whitney(a, b) == pytest.approx(rank_sum_p(a, b))
  assert ranks.mann_whitney(b, a) == pytest.approx(rank_sum_p(a, b))


def test_many_tied_trials_take_the_corrected_normal_approximation():
  a, b = [1, 2, 2, 3, 5] * 4, [2, 3, 4, 5, 5] * 4
  n = len(a)
  u = sum((p > q) + (p == q) / 2 for p in a for q in b)
  ties = sum((a + b).count(x) ** 3 - (a + b).count(x) for x in set(a + b))
  variance = n * n / 12 * (2 * n + 1 - ties / (2 * n * (2 * n - 1)))
  z = (abs(u - n * n / 2) - 0.5) / math.sqrt(variance)
  expected = math.erfc(z / math.sqrt(2))
  assert ranks.mann_whitney(a, b) == pytest.approx(expected)


def test_last_bits_do_not_break_a_tie():
  assert 0.1 + 0.2 != 0.3
  a, b = [0.1 + 0.2, 5.0, 6.0], [0.3, 1.0, 2.0]
  assert ranks.mann_whitney(a, b) == ranks.mann_whitney([0.3, 5.0, 6.0], b)


@pytest.mark.parametrize("ties", [False, True])
def test_mann_whitney_rejects_five_percent_of_nulls(ties):
  rng = np.random.default_rng(3)

  def trials():
    if ties:
      return np.round(rng.normal(166, 4, 20)) * 100 / 277
    return rng.normal(60, 2, 20)

  rejected = sum(
    ranks.mann_whitney(trials(), trials()) <= 0.05 for _ in range(3000)
  )
  low, high = scipy.stats.binom.interval(0.99, 3000, 0.05)
  assert low <= rejected <= high


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 2), (3, 3), (3, 5), (8, 8)])
def test_least_p_is_two_of_all_deals(n_a, n_b):
  expected = 2 / math.comb(n_a + n_b, n_a)
  assert ranks.least_p(n_a, n_b) == pytest.approx(expected)


def test_fewer_trials_than_tested_could_never_tell():
  few = compare.MIN_TRIALS - 1
  assert ranks.least_p(few, few) > 0.3
