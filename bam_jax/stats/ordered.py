"""Scores of how sure each class is, of weighted examples.

What is predicted are the chances of C classes; of two, the second is the one
that is looked for, of more each counts once. Needs no JAX.
"""

from collections.abc import Callable

import numpy as np
import scipy

from bam_jax.stats.multilabel import average_precision, ranked
from bam_jax.stats.weighted import Score, ratio


def chances(logits: np.ndarray) -> np.ndarray:
  """Returns what the metrics here take, f64[..., C], of logits f32[..., C]."""
  return scipy.special.softmax(logits.astype(np.float64), axis=-1)


def looked_for(classes: int) -> np.ndarray:
  """Returns the numbers of the classes that count."""
  return np.arange(1 if classes == 2 else 0, classes)


def auroc(predicted: np.ndarray, labels: np.ndarray) -> Score:
  """Returns the chance that an example of a class is surer than another one.

  Equal chances count half; the mean over the classes that some example is of,
  and some is not; 0 where there is none.

  Args:
    predicted: f[R, N, C].
    labels: [N], class numbers.
  """
  return _mean(_area, predicted, labels, others=True)


def class_precision(predicted: np.ndarray, labels: np.ndarray) -> Score:
  """Returns the mean average precision of the classes that some example is of.

  Arguments as of `auroc`.
  """
  return _mean(average_precision, predicted, labels, others=False)


def _mean(
  of_one: Callable, predicted: np.ndarray, labels: np.ndarray, *, others: bool
) -> Score:
  """Returns the mean over classes of a score of one of them.

  Args:
    of_one: (chances f[N], bool[N]) -> (weights f[D, N]) -> f[D].
    predicted: f[R, N, C].
    labels: [N], class numbers.
    others: whether a class that all examples are of has no score.
  """
  numbers = looked_for(predicted.shape[-1])
  gold = labels == numbers[:, None]
  each = [
    [of_one(trial[:, c], mine) for c, mine in zip(numbers, gold, strict=True)]
    for trial in predicted
  ]

  def score(weights: np.ndarray) -> np.ndarray:
    some = weights @ gold.T.astype(np.float64) > 0
    if others:
      some &= weights @ (~gold).T.astype(np.float64) > 0
    # Of a class without a score it is 0.
    total = np.stack([sum(x(weights) for x in trial) for trial in each], 1)
    counted = some.sum(1, keepdims=True).astype(np.float64)
    return ratio(total, np.broadcast_to(counted, total.shape))

  return score


def _area(sure: np.ndarray, there: np.ndarray) -> Callable:
  """Returns weights f[D, N] -> the AUROC of one class, f[D]."""
  order, last = ranked(sure)
  there = there[order]

  def score(weights: np.ndarray) -> np.ndarray:
    drawn = weights[:, order]
    hit, missed = (
      np.cumsum(drawn * side, axis=1)[:, last] for side in (there, ~there)
    )
    gained = np.diff(missed, axis=1, prepend=0.0)
    # Of those that are as sure, half lie above.
    above = hit - np.diff(hit, axis=1, prepend=0.0) / 2
    return ratio((gained * above).sum(1), hit[:, -1] * missed[:, -1])

  return score


SCORERS: dict[str, Callable[[np.ndarray, np.ndarray], Score]] = {
  "auroc": auroc,
  "class_precision": class_precision,
}
