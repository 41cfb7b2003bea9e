"""Scores of weighted examples, as the tests over dev examples ask for them.

A resample is the examples with weights: one that was drawn w times has weight
w, one that is left out 0. So a metric is made ready once for all resamples.
Needs no JAX.
"""

from collections.abc import Callable

import numpy as np

# Score(weights f[D, N]) -> f[D, R]: an example of weight w counts w times.
Score = Callable[[np.ndarray], np.ndarray]


def accuracy(predicted: np.ndarray, labels: np.ndarray) -> Score:
  """Returns the share of right answers.

  Args:
    predicted: [R, N], class numbers.
    labels: [N].
  """
  right = (predicted == labels).T.astype(np.float64)
  return lambda weights: (weights @ right) / weights.sum(1, keepdims=True)


def f1(predicted: np.ndarray, labels: np.ndarray) -> Score:
  """Returns F1 of class 1; arguments as of `accuracy`."""
  said = (predicted == 1).T.astype(np.float64)
  gold = (labels == 1)[:, None].astype(np.float64)
  hit = said * gold

  def score(weights):
    return ratio(2 * (weights @ hit), weights @ said + weights @ gold)

  return score


def matthews(predicted: np.ndarray, labels: np.ndarray) -> Score:
  """Returns Matthews' coefficient of any number of classes, from counts."""
  classes = np.union1d(predicted, labels)
  right = (predicted == labels).T.astype(np.float64)
  said = [(predicted == c).T.astype(np.float64) for c in classes]
  gold = [(labels == c)[:, None].astype(np.float64) for c in classes]

  def score(weights):
    n = weights.sum(1, keepdims=True)
    says = [weights @ one for one in said]
    golds = [weights @ one for one in gold]
    above = n * (weights @ right) - sum(
      p * t for p, t in zip(says, golds, strict=True)
    )
    spread_said = n**2 - sum(p**2 for p in says)
    spread_gold = n**2 - sum(t**2 for t in golds)
    return ratio(above, np.sqrt(spread_said * spread_gold))

  return score


def class_f1(predicted: np.ndarray, labels: np.ndarray) -> Score:
  """Returns the mean of the F1 of each class that is said or there."""
  counts = _by_class(predicted, labels)

  def score(weights):
    hits, said, gold = counts(weights)
    each = ratio(2 * hits, said + gold)
    return ratio(each.sum(0), (said + gold > 0).sum(0).astype(np.float64))

  return score


def balanced_accuracy(predicted: np.ndarray, labels: np.ndarray) -> Score:
  """Returns the mean over classes that are there of the share found."""
  counts = _by_class(predicted, labels)

  def score(weights):
    hits, _, gold = counts(weights)
    gold = np.broadcast_to(gold, hits.shape)
    return ratio(ratio(hits, gold).sum(0), (gold > 0).sum(0).astype(np.float64))

  return score


def kappa(predicted: np.ndarray, labels: np.ndarray) -> Score:
  """Returns Cohen's kappa with quadratic weights of class numbers.

  One less the mean squared difference over what independent classes have.
  """
  x, y = np.float64(predicted).T, np.float64(labels)[:, None]

  def score(weights):
    n = weights.sum(1, keepdims=True)
    apart = (weights @ (x - y) ** 2) / n
    mean_x, mean_y = (weights @ x) / n, (weights @ y) / n
    chance = (weights @ (x**2 + y**2)) / n - 2 * mean_x * mean_y
    return ratio(chance - apart, chance)

  return score


def _by_class(predicted: np.ndarray, labels: np.ndarray) -> Callable:
  """Returns a function from weights f[D, N] to what is counted of each class.

  How often it is right and said, f[C, D, R], and how often there, f[C, D, 1].
  """
  classes = np.union1d(predicted, labels)
  said = [(predicted == c).T.astype(np.float64) for c in classes]
  gold = [(labels == c)[:, None].astype(np.float64) for c in classes]
  hits = [p * t for p, t in zip(said, gold, strict=True)]
  return lambda weights: [
    np.stack([weights @ one for one in each]) for each in (hits, said, gold)
  ]


def pearson(predicted: np.ndarray, labels: np.ndarray) -> Score:
  """Returns the correlation of values [R, N] with labels [N]."""
  # Centred first: sums of squares of large numbers would lose their digits.
  x = (predicted - predicted.mean(1, keepdims=True)).T
  y = (labels - labels.mean())[:, None]

  def score(weights):
    n = weights.sum(1, keepdims=True)
    mean_x, mean_y = (weights @ x) / n, (weights @ y) / n
    square_x = (weights @ x**2) / n - mean_x**2
    square_y = (weights @ y**2) / n - mean_y**2
    # 0 where a side is constant, as `metrics.correlation` has it.
    square_x[square_x <= 1e-12 * (x**2).mean(0)] = 0
    square_y[square_y <= 1e-12 * (y**2).mean(0)] = 0
    above = (weights @ (x * y)) / n - mean_x * mean_y
    return ratio(above, np.sqrt(square_x * square_y))

  return score


def spearman(predicted: np.ndarray, labels: np.ndarray) -> Score:
  """Returns the correlation of ranks, every resample ranked anew.

  A rank is counted as the weight below a value.
  """
  ranks = [_ranks(values) for values in predicted]
  gold = _ranks(labels)

  def score(weights):
    n = weights.sum(1)
    y = gold(weights) - n[:, None]  # the mean of twice the ranks is n + 1
    weighted_y = weights * y
    square_y = np.einsum("dn,dn->d", weighted_y, y)
    out = []
    for rank in ranks:
      x = rank(weights) - n[:, None]
      square_x = np.einsum("dn,dn,dn->d", weights, x, x)
      above = np.einsum("dn,dn->d", weighted_y, x)
      out.append(ratio(above, np.sqrt(square_x * square_y)))
    return np.stack(out, 1)

  return score


def _ranks(values: np.ndarray) -> Score:
  """Returns a function from weights f[D, N] to twice the mid-ranks, less 1."""
  _, place, size = np.unique(values, return_inverse=True, return_counts=True)
  order = np.argsort(place, kind="stable")
  starts = np.cumsum(size) - size

  def rank(weights):
    tied = np.add.reduceat(weights[:, order], starts, axis=1)
    # Below it, and up to it.
    return (2 * np.cumsum(tied, axis=1) - tied)[:, place]

  return rank


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
  """Divides f[D, R]; 0 where there is nothing below."""
  return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
