"""Tests and intervals of trials that share their seeds.

All methods of a study take the order of the examples, the start of the heads
and dropout from the seed, so that trials of the same number go up and down
together; what is tested is their difference. Needs no JAX.
"""

from collections.abc import Sequence
import math

import numpy as np
import scipy

from bam_jax.stats.bootstrap import LEVEL, Estimate

# Sums of half of the seeds are held at once: 2^20 of them for forty.
EXACT_SEEDS = 40
# Scores are x100. What differs by less is equal but for its last bits, and
# whole numbers of it add up without rounding.
_UNIT = 1e-9


def t_test(a: Sequence[float], b: Sequence[float]) -> float:
  """Two-sided p of Student's t of the differences within seeds.

  Exact where differences are normal, and rather too shy than too bold where a
  trial collapses now and then (docs/results/nulls.md).

  Args:
    a: f[R], x100, at least two.
    b: f[R], x100, of the same seeds in the same order.

  Returns:
    p; 1 where all differences are equal, because nothing says how far they
    might be from each other.
  """
  return _p(np.subtract(a, b), 0.0)


def not_below(a: Sequence[float], b: Sequence[float], margin: float) -> float:
  """P of a losing less than a margin on b: the test of non-inferiority.

  Below 1 - `LEVEL` where the lower end of `difference` is above -margin, and
  differences vary: twice the one-sided p, so that it reads as a two-sided one.

  Args:
    a: f[R], x100, at least two.
    b: f[R], x100, of the same seeds in the same order.
    margin: points that a may lose, above 0.

  Returns:
    p; 1 where a loses more than the margin on the average, or where all
    differences are equal.
  """
  differences = np.subtract(a, b)
  return _p(differences, -margin) if differences.mean() > -margin else 1.0


def difference(a: Sequence[float], b: Sequence[float]) -> Estimate:
  """The mean of a less that of b, with Student's interval of the differences.

  Args:
    a: f[R], x100.
    b: f[R], x100, of the same seeds in the same order.

  Returns:
    Its ends are NaN for a single seed, and a point for equal differences.
  """
  found = np.subtract(a, b)
  return student(float(found.mean()), found)


def student(value: float, samples: np.ndarray) -> Estimate:
  """Puts around a value the interval that its samples' mean has.

  Args:
    value: the estimate.
    samples: f[R]; one has no spread, so the ends are NaN.
  """
  if len(samples) < 2:
    return Estimate(value, math.nan, math.nan)
  reach = scipy.stats.t.ppf((1 + LEVEL) / 2, len(samples) - 1)
  reach *= samples.std(ddof=1) / math.sqrt(len(samples))
  return Estimate(value, float(value - reach), float(value + reach))


def sign_flip(a: Sequence[float], b: Sequence[float]) -> float:
  """Two-sided p of all ways of giving the differences their signs.

  Exact whatever the scores are like, ties among them, where a seed would as
  soon have favoured the one method as the other. All 2^R ways are counted: the
  sums of one half of the seeds meet those of the other.

  Args:
    a: f[R], x100, R up to `EXACT_SEEDS`.
    b: f[R], x100, of the same seeds in the same order.
  """
  whole = np.rint(np.abs(np.subtract(a, b)) / _UNIT)
  seen = abs(np.rint(np.subtract(a, b) / _UNIT).sum())
  half = len(whole) // 2
  left, right = _sums(whole[:half]), np.sort(_sums(whole[half:]))
  above = len(right) - np.searchsorted(right, seen - left, side="left")
  # As many ways lead as far to the other side.
  return float(min(1.0, 2 * above.sum() / 2.0 ** len(whole)))


def least_p(seeds: int) -> float:
  """The least p that `sign_flip`, or any exact paired test, can have."""
  return 2.0 ** (1 - seeds)


def _sums(numbers: np.ndarray) -> np.ndarray:
  """Returns f[2^N]: the sums of N numbers under all signs."""
  sums = np.zeros(1)
  for number in numbers:
    sums = np.concatenate([sums + number, sums - number])
  return sums


def _p(differences: np.ndarray, mean: float) -> float:
  """Two-sided p of Student's t against a mean; 1 where nothing varies."""
  if np.ptp(differences) <= _UNIT:
    return 1.0
  return float(scipy.stats.ttest_1samp(differences, mean).pvalue)
