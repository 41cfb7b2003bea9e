"""Scores of rows that may have several labels at once, of weighted examples.

What is predicted are logits, and a label is said to hold above 0. Needs no JAX.
"""

from collections.abc import Callable

import numpy as np

from bam_jax.stats.weighted import Score, ratio


def micro_f1(predicted: np.ndarray, gold: np.ndarray) -> Score:
  """Returns F1 of all pairs of an example and a label.

  Args:
    predicted: f[R, N, C], logits.
    gold: [N, C], 1 where a label holds.
  """
  said, there = _marks(predicted, gold)
  hit = (said & there).sum(-1).T.astype(np.float64)
  both = said.sum(-1).T + there.sum(-1)[:, None].astype(np.float64)
  return lambda weights: ratio(2 * (weights @ hit), weights @ both)


def macro_f1(predicted: np.ndarray, gold: np.ndarray) -> Score:
  """Returns the mean over labels of F1, 0 of one that is never said or there.

  Arguments as of `micro_f1`.
  """
  said, there = _marks(predicted, gold)

  def score(weights: np.ndarray) -> np.ndarray:
    total = 0.0
    for c in range(there.shape[1]):
      mine, true = said[..., c].T, there[:, c, None]
      hit = weights @ (mine & true).astype(np.float64)
      both = weights @ (mine.astype(np.float64) + true)
      total = total + ratio(2 * hit, both)
    return total / there.shape[1]

  return score


def subset_accuracy(predicted: np.ndarray, gold: np.ndarray) -> Score:
  """Returns the share of examples of which all labels are right.

  Arguments as of `micro_f1`.
  """
  said, there = _marks(predicted, gold)
  right = (said == there).all(-1).T.astype(np.float64)
  return lambda weights: (weights @ right) / weights.sum(1, keepdims=True)


def label_precision(predicted: np.ndarray, gold: np.ndarray) -> Score:
  """Returns the mean average precision of the labels that some example has.

  Equal logits share one threshold. Arguments as of `micro_f1`.
  """
  labels = (gold > 0.5).T
  each = [
    [average_precision(x, y) for x, y in zip(logits.T, labels, strict=True)]
    for logits in predicted
  ]

  def score(weights: np.ndarray) -> np.ndarray:
    some = (weights @ labels.T.astype(np.float64) > 0).sum(1, keepdims=True)
    # Of a label that no example has it is 0.
    total = np.stack([sum(x(weights) for x in trial) for trial in each], 1)
    return ratio(total, np.broadcast_to(some, total.shape))

  return score


def _marks(
  predicted: np.ndarray, gold: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  return predicted > 0, gold > 0.5


def ranked(sure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns the order f[N] falls in, i64[N], and where equal ones end, bool[N].

  Args:
    sure: f[N], how sure a label is of each example.
  """
  order = np.argsort(-sure, kind="stable")
  return order, np.append(np.diff(sure[order]) != 0, True)


def average_precision(logits: np.ndarray, there: np.ndarray) -> Callable:
  """Returns weights f[D, N] -> the average precision of one label, f[D]."""
  order, last = ranked(logits)
  there = there[order]

  def score(weights: np.ndarray) -> np.ndarray:
    drawn = weights[:, order]
    hit = np.cumsum(drawn * there, axis=1)[:, last]
    said = np.cumsum(drawn, axis=1)[:, last]
    gained = np.diff(hit, axis=1, prepend=0.0)
    area = (gained * ratio(hit, said)).sum(1)
    return ratio(area, hit[:, -1])

  return score


SCORERS: dict[str, Callable[[np.ndarray, np.ndarray], Score]] = {
  "micro_f1": micro_f1,
  "macro_f1": macro_f1,
  "subset_accuracy": subset_accuracy,
  "label_precision": label_precision,
}
