"""What comes of drawing trials again with replacement: intervals and tests.

Everything is a function of its arguments and a seed; scipy draws, counts and
corrects. Needs no JAX.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import functools
import math

import numpy as np
import scipy

LEVEL = 0.95
# Of an interval; scipy's own number.
INTERVAL_DRAWS = 9_999
# Of a test: the least p is 1e-5, so that "p < 0.001" stays within reach after
# Holm's correction for 99 tests; the paper's Table 1 has some fifty.
TEST_DRAWS = 199_999
# Drawn at a time, so that they stay in the cache.
_BATCH = 5_000
# Scores are x100; what differs by less is equal but for its last bits.
_EQUAL = 1e-9


@dataclass(frozen=True)
class Estimate:
  """A number and its interval at `LEVEL`; NaN ends where there is none."""

  value: float
  low: float
  high: float


def interval(
  statistic: Callable[..., np.ndarray],
  *samples: Sequence[float],
  draws: int = INTERVAL_DRAWS,
  seed: int = 0,
) -> Estimate:
  """Estimates a statistic of independent samples with its BCa interval.

  A sample of one has no interval: its ends are NaN. Where leaving out any one
  number changes nothing, BCa's acceleration is 0/0 and the percentile interval
  is given instead; for samples of equal numbers that is a point.

  Args:
    statistic: of the samples, along `axis`.
    *samples: f[R] each; their sizes may differ.
    draws: number of resamples.
    seed: of the resamples.
  """
  arrays = [np.asarray(sample, np.float64) for sample in samples]
  value = float(statistic(*arrays, axis=-1))
  if min(map(len, arrays)) < 2:
    return Estimate(value, math.nan, math.nan)
  flat = all(np.ptp(left) == 0 for left in _leaving_one_out(statistic, arrays))
  found = scipy.stats.bootstrap(
    arrays,
    statistic,
    vectorized=True,
    n_resamples=draws,
    confidence_level=LEVEL,
    method="percentile" if flat else "BCa",
    rng=np.random.default_rng(seed),
  ).confidence_interval
  return Estimate(value, float(found.low), float(found.high))


def difference_test(
  a: Sequence[float],
  b: Sequence[float],
  *,
  draws: int = TEST_DRAWS,
  seed: int = 0,
) -> float:
  """Two-sided p of the bootstrap test of independent trials.

  The null is equal means; spreads and shapes may differ. Both samples are
  shifted to a common mean and drawn from, each by itself, and Welch's t is
  compared with its values there (Efron and Tibshirani 1993, algorithm 16.2):
  p = 2 (1 + count) / (1 + draws) of the rarer side. The same with plain means
  or medians would call far too much significant at the sizes of a study.

  Args:
    a: f[R1], x100, at least two.
    b: f[R2], x100, at least two; R2 may differ from R1.
    draws: number of resamples.
    seed: of the resamples.

  Returns:
    p; 1 where neither side varies, because there is nothing to draw from.
  """
  return _test(_welch, a, b, draws=draws, seed=seed)


def _leaving_one_out(statistic, arrays: Sequence[np.ndarray]):
  """Yields for each sample the statistic without each of its numbers."""
  for i, x in enumerate(arrays):
    without = np.array([np.delete(x, k) for k in range(len(x))])
    rest = [np.tile(other, (len(x), 1)) for other in arrays]
    yield statistic(*rest[:i], without, *rest[i + 1 :], axis=-1)


def _test(statistic, *samples, draws: int, seed: int) -> float:
  arrays = [np.asarray(sample, np.float64) for sample in samples]
  if all(np.ptp(x) <= _EQUAL for x in arrays):
    return 1.0
  rng = np.random.default_rng(seed)
  null = [functools.partial(rng.choice, x - x.mean()) for x in arrays]
  return float(
    scipy.stats.monte_carlo_test(
      arrays,
      null,
      statistic,
      vectorized=True,
      n_resamples=draws,
      batch=_BATCH,
    ).pvalue
  )


def _welch(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
  return _errors_away(
    a.mean(axis) - b.mean(axis), np.hypot(_error(a, axis), _error(b, axis))
  )


def _error(x: np.ndarray, axis: int) -> np.ndarray:
  """The standard error of the mean."""
  return x.std(axis, ddof=1) / math.sqrt(x.shape[axis])


def _errors_away(difference: np.ndarray, error: np.ndarray) -> np.ndarray:
  """Divides; a difference without an error is infinitely many errors away."""
  sure = error <= _EQUAL
  infinite = np.where(
    np.abs(difference) <= _EQUAL, 0.0, np.copysign(np.inf, difference)
  )
  return np.where(sure, infinite, difference / np.where(sure, 1.0, error))
