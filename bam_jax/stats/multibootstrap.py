"""The multi-bootstrap: draws seeds and dev examples together.

A dev set is a sample as the seeds are: RTE's has 277 rows, so three of them are
a point. Sellam et al. (2022), *The MultiBERTs*, draw both. Needs no JAX.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bam_jax.stats import (
  entities,
  masked,
  multilabel,
  ordered,
  ranking,
  squad,
)
from bam_jax.stats.bootstrap import LEVEL, Estimate
from bam_jax.stats.weighted import (
  Score,
  accuracy,
  balanced_accuracy,
  class_f1,
  f1,
  kappa,
  matthews,
  pearson,
  spearman,
)

# The least p is 2e-4: below 0.05 after Holm's correction for 250 tests.
DRAWS = 9_999
# Scores are x100; what differs by less is equal but for its last bits.
_EQUAL = 1e-9
# Numbers in one block of drawn examples: 16 MiB.
_BLOCK = 2**21


@dataclass(frozen=True)
class MultiBootstrap:
  """What the multi-bootstrap says of a difference.

  Attributes:
    difference: mean score of a less that of b, x100, with its interval.
    p: two-sided, of the difference being 0.
  """

  difference: Estimate
  p: float


def multi_bootstrap(
  a: np.ndarray,
  b: np.ndarray,
  labels: np.ndarray,
  metric: str,
  *,
  paired_seeds: bool,
  draws: int = DRAWS,
  seed: int = 0,
) -> MultiBootstrap:
  """Compares two methods over seeds and dev examples (Sellam et al. 2022).

  Every draw takes N examples with replacement, the same for both methods, and
  as many seeds with replacement as there are: the same for both where they are
  paired, else for each method by itself. It scores every drawn seed on the
  drawn examples, and takes the difference of the two means. The interval is
  between percentiles of the draws and p counts those on the rarer side of 0:
  2 (1 + count) / (1 + draws). It is too bold with few seeds (see
  `compare.MIN_MULTI_TRIALS`), and too shy where every seed errs on examples of
  its own, which both drawings then count.

  Args:
    a: [R1, N], class numbers or values; see `TaskKind.predicted`.
    b: [R2, N], of the same examples in the same order.
    labels: [N].
    metric: a key of `SCORERS`.
    paired_seeds: row r of `a` and of `b` have the same seed.
    draws: number of resamples.
    seed: of the resamples.

  Raises:
    ValueError: the shapes do not fit, or there is no such metric.
  """
  a, b = np.asarray(a), np.asarray(b)
  both = np.concatenate([a, b])
  full, drawn = resample_examples(both, labels, metric, draws=draws, seed=seed)
  n = len(a)
  return resample_seeds(
    (full[:n], drawn[:, :n]),
    (full[n:], drawn[:, n:]),
    paired_seeds=paired_seeds,
    seed=seed,
  )


def resample_examples(
  predicted: np.ndarray,
  labels: np.ndarray,
  metric: str,
  *,
  draws: int = DRAWS,
  seed: int = 0,
  progress: Callable[[int], None] = lambda n: None,
) -> tuple[np.ndarray, np.ndarray]:
  """Scores trials on their dev set and on resamples of it.

  The multi-bootstrap's first half. Give it all trials of all methods at once:
  they meet the same resamples and those are drawn once.

  Args:
    predicted: [R, N], class numbers or values; [R, N, W] of words
      or answers.
    labels: [N], or [N, W].
    metric: a key of `SCORERS`.
    draws: D, number of resamples.
    seed: of the resamples.
    progress: called with the number of resamples that were done.

  Returns:
    The scores f[R] of the dev set and f[D, R] of its resamples, x100.

  Raises:
    ValueError: the shapes do not fit, or there is no such metric.
  """
  predicted, labels = np.asarray(predicted), np.asarray(labels, np.float64)
  if metric not in SCORERS:
    raise ValueError(f"metric is {metric!r}; choose from {', '.join(SCORERS)}")
  if not labels.ndim or predicted.shape[1:] != labels.shape:
    raise ValueError(
      f"predictions {predicted.shape} do not fit labels {labels.shape}; give "
      "[trials, examples] and [examples]"
    )
  n = len(labels)
  score = SCORERS[metric](predicted, labels)
  rng = np.random.default_rng(seed)
  block = max(1, _BLOCK // n)
  drawn = []
  for start in range(0, draws, block):
    rows = min(block, draws - start)
    # How often each example was drawn; several times faster than multinomial.
    picked = rng.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
    counts = np.bincount(picked.ravel(), minlength=rows * n).reshape(rows, n)
    drawn.append(100 * score(counts.astype(np.float64)))
    progress(rows)
  return 100 * score(np.ones((1, n)))[0], np.concatenate(drawn)


def resample_seeds(
  a: tuple[np.ndarray, np.ndarray],
  b: tuple[np.ndarray, np.ndarray],
  *,
  paired_seeds: bool,
  seed: int = 0,
) -> MultiBootstrap:
  """Compares two methods from their scores on the same resamples.

  The multi-bootstrap's second half.

  Args:
    a: f[R1] and f[D, R1], from `resample_examples`.
    b: f[R2] and f[D, R2], from the same call or another of the same seed.
    paired_seeds: column r of both has the same seed; see `multi_bootstrap`.
    seed: of the seeds drawn.

  Raises:
    ValueError: paired seeds of unequal number.
  """
  (full_a, drawn_a), (full_b, drawn_b) = a, b
  if paired_seeds and len(full_a) != len(full_b):
    raise ValueError(
      f"{len(full_a)} and {len(full_b)} trials cannot be paired; give the "
      "same seeds in the same order, or paired_seeds=False"
    )
  # A stream of its own: the examples were drawn from [seed].
  rng = np.random.default_rng([seed, 1])
  weights_a = _seed_weights(rng, *drawn_a.shape)
  weights_b = weights_a if paired_seeds else _seed_weights(rng, *drawn_b.shape)
  found = (weights_a * drawn_a).sum(1) - (weights_b * drawn_b).sum(1)
  tail = (1 - LEVEL) / 2
  low, high = np.quantile(found, [tail, 1 - tail])
  # Scores that are equal are as much on the one side as on the other.
  rarer = min((found <= _EQUAL).sum(), (found >= -_EQUAL).sum())
  return MultiBootstrap(
    Estimate(float(full_a.mean() - full_b.mean()), float(low), float(high)),
    float(min(1.0, 2 * (1 + rarer) / (1 + len(found)))),
  )


def _seed_weights(rng, draws: int, trials: int) -> np.ndarray:
  """Returns f[D, R]: the share of each trial in each draw of R trials."""
  even = np.full(trials, 1 / trials)
  return rng.multinomial(trials, even, size=draws) / trials


# Metric -> its weighted form; the metrics are those of `metrics.METRICS`.
SCORERS: Mapping[str, Callable[[np.ndarray, np.ndarray], Score]] = {
  "accuracy": accuracy,
  "f1": f1,
  "matthews": matthews,
  "class_f1": class_f1,
  "balanced_accuracy": balanced_accuracy,
  "kappa": kappa,
  "pearson": pearson,
  "spearman": spearman,
  **entities.SCORERS,
  **multilabel.SCORERS,
  **squad.SCORERS,
  **ranking.SCORERS,
  **masked.SCORERS,
  **ordered.SCORERS,
}
