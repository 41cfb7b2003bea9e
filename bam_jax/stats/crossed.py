"""Seeds and dev examples as crossed random effects, for any number of seeds.

The multi-bootstrap asks the same but needs ten seeds. This is the analysis of
variance of readers who all judge the same cases: seeds are the readers and
examples the cases (Dorfman, Berbaum and Metz 1992; degrees of freedom of Hillis
2007). Where every seed has scored every example it gives what REML gives, in
closed form; statsmodels' MixedLM would hold matrices of (seeds x examples)^2,
6 GB for QNLI and five seeds, and knows means alone, no F1 and no correlation.
Needs no JAX.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import math

import numpy as np
import scipy

from bam_jax.stats.bootstrap import LEVEL, Estimate
from bam_jax.stats.multibootstrap import SCORERS

# Examples are left out so many parts at a time; a larger dev set in groups.
PARTS = 500
# Numbers in one block of weights: 16 MiB.
_BLOCK = 2**21


@dataclass(frozen=True)
class Crossed:
  """What the model says of a difference.

  Attributes:
    difference: mean score of a less that of b, x100, with its interval over
      other seeds and other examples.
    p: two-sided, of the difference being 0.
  """

  difference: Estimate
  p: float


def pseudo_values(
  predicted: np.ndarray,
  labels: np.ndarray,
  metric: str,
  *,
  parts: int = PARTS,
  progress: Callable[[int], None] = lambda n: None,
) -> np.ndarray:
  """Divides every trial's score among the examples by the jackknife.

  The value of a part is G score - (G - 1) score without it; their mean is the
  score, but for the jackknife's correction of its bias. For accuracy it is
  whether the example is right.

  Args:
    predicted: [R, N], class numbers or values; [R, N, W] of words.
    labels: [N], or [N, W].
    metric: a key of `SCORERS`.
    parts: G at most; an example each where there are not more, else every G-th
      example is in the same one.
    progress: called with the number of parts that were done.

  Returns:
    f[R, G], x100.
  """
  predicted, labels = np.asarray(predicted), np.asarray(labels, np.float64)
  n = len(labels)
  g = min(n, parts)
  score = SCORERS[metric](predicted, labels)
  whole = score(np.ones((1, n)))
  place, block, without = np.arange(n) % g, max(1, _BLOCK // n), []
  for start in range(0, g, block):
    left_out = np.arange(start, min(start + block, g))
    without.append(score((place != left_out[:, None]).astype(np.float64)))
    progress(len(left_out))
  return 100 * (g * whole - (g - 1) * np.concatenate(without)).T


def compare(a: np.ndarray, b: np.ndarray) -> Crossed:
  """Tests the difference of two methods over seeds and examples.

  Within each seed and part the difference is mean + seed + part + rest, all
  three of them random; t has the degrees of freedom of the seeds, more where
  the parts differ more than the seeds do.

  Args:
    a: f[R, G] of `pseudo_values`, R and G at least two.
    b: f[R, G], of the same seeds and parts in the same order.

  Returns:
    p is 1 and the interval a point where all differences are equal.
  """
  d = np.subtract(a, b)
  seeds, parts = d.shape
  mean = d.mean()
  of_seeds, of_parts = d.mean(1) - mean, d.mean(0) - mean
  rest = d - mean - of_seeds[:, None] - of_parts
  by_seed = parts * (of_seeds**2).sum() / (seeds - 1)
  by_part = seeds * (of_parts**2).sum() / (parts - 1)
  left = (rest**2).sum() / ((seeds - 1) * (parts - 1))
  variance = by_seed + max(by_part - left, 0.0)
  error = math.sqrt(variance / (seeds * parts))
  if error < 1e-9:
    return Crossed(Estimate(float(mean), float(mean), float(mean)), 1.0)
  # Without any variance among seeds there are as many of them as one likes.
  degrees = (
    variance**2 / (by_seed**2 / (seeds - 1)) if by_seed > 0 else math.inf
  )
  reach = error * scipy.stats.t.ppf((1 + LEVEL) / 2, degrees)
  return Crossed(
    Estimate(float(mean), float(mean - reach), float(mean + reach)),
    float(2 * scipy.stats.t.sf(abs(mean) / error, degrees)),
  )


# (method, task) -> f[R, G], of the trials in the order of the records.
Pseudo = Mapping[tuple[str, str], np.ndarray]
