"""The rank test of independent trials. Needs no JAX."""

from collections.abc import Sequence
import math

import numpy as np
import scipy

# Up to here every way of dealing the trials to the two sides is counted: all
# of eight against eight.
EXACT_SPLITS = 20_000


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float:
  """Two-sided p of the Mann-Whitney U test of independent trials.

  Exact where there are no ties or few trials; otherwise the normal
  approximation with the correction for ties.

  Args:
    a: f[R1], x100.
    b: f[R2], x100; R2 may differ from R1.
  """
  # Means of equal scores may differ in their last bit and must still tie.
  a, b = np.round(a, 9), np.round(b, 9)
  tied = len(np.unique([*a, *b])) < len(a) + len(b)
  # scipy's "auto" takes the approximation for any tie, even at three trials,
  # and dev sets of 277 rows tie all the time.
  few = math.comb(len(a) + len(b), len(a)) <= EXACT_SPLITS
  method = (
    scipy.stats.PermutationMethod(n_resamples=EXACT_SPLITS)
    if tied and few
    else "auto"
  )
  return float(scipy.stats.mannwhitneyu(a, b, method=method).pvalue)


def least_p(n_a: int, n_b: int) -> float:
  """The p of trials that do not overlap at all, so the least there can be."""
  return mann_whitney(range(n_a), range(n_a, n_a + n_b))
