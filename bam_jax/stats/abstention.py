"""Abstention: how right the answers are that a model is surest of.

Needs no JAX.
"""

import numpy as np

POINTS = 100


def accuracies(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
  """Returns the accuracy of the k surest answers, for every k from 1 to N.

  Of answers that are equally sure none comes first: they count as their mean.

  Args:
    confidence: f[N].
    right: [N], whether each answer is right.

  Returns:
    f64[N].
  """
  order = np.argsort(-confidence, kind="stable")
  _, tied = np.unique(-confidence[order], return_inverse=True)
  sums = np.bincount(tied, weights=right[order].astype(np.float64))
  each = (sums / np.bincount(tied))[tied]
  return np.cumsum(each) / np.arange(1, len(each) + 1)


def area(accuracy: np.ndarray) -> float:
  """Returns the area under the risk-coverage curve, in [0, 1]; less is better.

  That is the mean share of wrong answers over all coverages (AURC, Geifman et
  al. 2019).

  Args:
    accuracy: f[N], of `accuracies`.
  """
  return float(1 - accuracy.mean())


def points(accuracy: np.ndarray) -> list[float]:
  """Returns the accuracy where 1, 2, ... 100 % of the rows are answered.

  Args:
    accuracy: f[N], of `accuracies`.
  """
  shares = np.arange(1, POINTS + 1) / POINTS
  places = np.ceil(shares * len(accuracy)).astype(np.int64) - 1
  return accuracy[places.clip(0)].tolist()
