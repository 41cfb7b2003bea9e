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
  there = gold > 0.5

  def score(weights: np.ndarray) -> np.ndarray:
    found = []
    for logits in predicted:
      total = count = np.zeros(len(weights))
      for c in range(there.shape[1]):
        some = weights @ there[:, c].astype(np.float64) > 0
        mine = _average_precision(logits[:, c], there[:, c], weights)
        total, count = total + np.where(some, mine, 0.0), count + some
      found.append(ratio(total[:, None], count[:, None])[:, 0])
    return np.stack(found, 1)

  return score


def average_precision(logits: np.ndarray, gold: np.ndarray) -> float:
  """Returns `label_precision` of one trial, every example counted once."""
  score = label_precision(logits[None], gold)
  return float(score(np.ones((1, len(gold))))[0, 0])


def _marks(
  predicted: np.ndarray, gold: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  return predicted > 0, gold > 0.5


def _average_precision(
  logits: np.ndarray, there: np.ndarray, weights: np.ndarray
) -> np.ndarray:
  """Returns the average precision of one label for each draw, f[D]."""
  order = np.argsort(-logits, kind="stable")
  last = np.append(np.diff(logits[order]) != 0, True)
  drawn = weights[:, order]
  hit = np.cumsum(drawn * there[order], axis=1)[:, last]
  said = np.cumsum(drawn, axis=1)[:, last]
  gained = np.diff(hit, axis=1, prepend=0.0)
  area = (gained * ratio(hit, said)).sum(1, keepdims=True)
  return ratio(area, hit[:, -1:])[:, 0]


SCORERS: dict[str, Callable[[np.ndarray, np.ndarray], Score]] = {
  "micro_f1": micro_f1,
  "macro_f1": macro_f1,
  "subset_accuracy": subset_accuracy,
  "label_precision": label_precision,
}
