"""How large a difference between two methods is, and what would show it.

Takes trials and gives numbers with intervals; see `compare` for the tests.
"""

import bisect
from collections.abc import Sequence
import math

import numpy as np
import scipy

from bam_jax.stats import bootstrap
from bam_jax.stats.bootstrap import Estimate


def median_difference(
  a: Sequence[float], b: Sequence[float], *, seed: int = 0
) -> Estimate:
  """The median of a less that of b, with its BCa interval.

  Args:
    a: f[R1], x100.
    b: f[R2], x100; R2 may differ from R1.
    seed: of the resamples.
  """

  def difference(x, y, axis):
    return np.median(x, axis) - np.median(y, axis)

  return bootstrap.interval(difference, a, b, seed=seed)


def superiority(a: Sequence[float], b: Sequence[float]) -> Estimate:
  """How often a trial of a beats one of b: Vargha and Delaney's A.

  It is U / (R1 R2) of the Mann-Whitney test, ties counted by half: 0.5 is no
  effect, and Cliff's delta is 2 A - 1. The interval is Newcombe's (2006, method
  5), which stays honest where the trials do not overlap and a bootstrap would
  be a point.

  Args:
    a: f[R1], x100.
    b: f[R2], x100; R2 may differ from R1.
  """
  a, b = np.round(a, 9), np.round(b, 9)
  found = float(np.mean(np.sign(a[:, None] - b[None])) / 2 + 0.5)
  z = scipy.special.ndtri((1 + bootstrap.LEVEL) / 2)
  more = (len(a) + len(b)) / 2 - 1

  def beyond(x):
    """Whether x is more than z of its own standard errors from `found`."""
    tails = (1 - x) / (2 - x) + x / (1 + x)
    variance = x * (1 - x) * (1 + more * tails) / (len(a) * len(b))
    return abs(x - found) - z * math.sqrt(variance)

  # At 0 and 1 the standard error is 0, so both are beyond unless `found`.
  near = 1e-12
  low = scipy.optimize.brentq(beyond, 0, found - near) if found > 0 else 0.0
  high = scipy.optimize.brentq(beyond, found + near, 1) if found < 1 else 1.0
  return Estimate(found, float(low), float(high))


def seeds_needed(
  a: Sequence[float],
  b: Sequence[float],
  *,
  power: float = 0.8,
  level: float = 0.05,
) -> int | None:
  """How many trials a method would show a difference of the seen size.

  The number with which a two-sided Mann-Whitney test at `level` would find it
  with probability `power`, were the means and spreads what they seem here. It
  is that of Student's t divided by 3 / pi, the efficiency of ranks on normal
  scores; one single test, before any correction.

  Args:
    a: f[R1], x100, at least two.
    b: f[R2], x100, at least two.
    power: probability of finding it.
    level: of the test.

  Returns:
    Trials for each of the two; None where no difference was seen, or one so
    small that a million would not do.
  """
  # Slow to import, and most reports hold no test.
  from statsmodels.stats.power import TTestIndPower

  difference = abs(np.mean(a) - np.mean(b))
  if difference < 1e-9:
    return None
  squares = sum(np.var(x, ddof=1) * (len(x) - 1) for x in (a, b))
  spread = math.sqrt(squares / (len(a) + len(b) - 2))
  # With ten spreads between them the fewest that can tell are enough.
  size = min(10.0, difference / spread) if spread > 0 else 10.0
  # Without overlap p is 2 of all the ways to deal the trials to two sides.
  fewest = next(n for n in range(2, 100) if 2 / math.comb(2 * n, n) <= level)
  numbers = range(fewest, 1_000_001)

  def enough(n):
    found = TTestIndPower().power(size, nobs1=n * 3 / math.pi, alpha=level)
    # NaN far out, where it is 1: scipy's noncentral t gives up there.
    return not found < power

  place = bisect.bisect_left(numbers, True, key=enough)
  return numbers[place] if place < len(numbers) else None
