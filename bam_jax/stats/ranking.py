"""How well candidates are ranked, question by question.

Relevance is 0 for a wrong candidate, more for a better one, -1 where there is
none. A tie counts against a model: what it cannot tell apart it has not found.
Needs no JAX.
"""

from collections.abc import Callable, Mapping

import numpy as np

# Weights f[D, N] -> scores f[D, R].
Score = Callable[[np.ndarray], np.ndarray]


def first_hit(scores: np.ndarray, relevance: np.ndarray) -> np.ndarray:
  """Returns the rank of the best relevant candidate, from 1: i[..., N].

  Args:
    scores: f[..., N, W].
    relevance: f[N, W].
  """
  hits = np.where(relevance > 0, scores, -np.inf).max(-1, keepdims=True)
  return 1 + ((scores >= hits) & (relevance == 0)).sum(-1)


def reciprocal_rank(scores: np.ndarray, relevance: np.ndarray) -> np.ndarray:
  """Returns 1 over the rank of the best relevant candidate, f[..., N]."""
  return 1 / first_hit(scores, relevance)


def hit(scores: np.ndarray, relevance: np.ndarray) -> np.ndarray:
  """Returns 1 where a relevant candidate is before all others, f[..., N]."""
  return (first_hit(scores, relevance) == 1).astype(np.float64)


def average_precision(scores: np.ndarray, relevance: np.ndarray) -> np.ndarray:
  """Returns the mean precision at the relevant candidates, f[..., N].

  By scikit-learn, whose label ranking average precision it is of one question.
  """
  # Slow to import, with whatever else is installed; nothing trains with it.
  from sklearn import metrics

  return _each(
    lambda s, r: metrics.label_ranking_average_precision_score(
      (r > 0).astype(int), s
    ),
    scores,
    relevance,
  )


def ndcg(scores: np.ndarray, relevance: np.ndarray) -> np.ndarray:
  """Returns the normalised discounted cumulative gain, f[..., N].

  By scikit-learn: a candidate's gain is its relevance, and the gain of ties is
  their mean.
  """
  from sklearn import metrics

  return _each(
    lambda s, r: metrics.ndcg_score(r.astype(np.float64), s), scores, relevance
  )


def _each(
  metric: Callable[[np.ndarray, np.ndarray], float],
  scores: np.ndarray,
  relevance: np.ndarray,
) -> np.ndarray:
  """Returns a metric of scikit-learn [1, W] of each question by itself."""
  flat = scores.reshape(-1, *relevance.shape)
  found = np.ones(flat.shape[:-1])
  for row, mine in enumerate(relevance):
    there = mine >= 0
    for trial, said in enumerate(flat):
      found[trial, row] = metric(said[row, there][None], mine[there][None])
  return found.reshape(scores.shape[:-1])


QUESTIONS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
  "mrr": reciprocal_rank,
  "map": average_precision,
  "ndcg": ndcg,
  "best_accuracy": hit,
}


def scorer(
  metric: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Callable[[np.ndarray, np.ndarray], Score]:
  """Returns the weighted form of what is a mean over questions."""

  def weighted(scores: np.ndarray, relevance: np.ndarray) -> Score:
    each = metric(scores, relevance).T
    return lambda weights: (weights @ each) / weights.sum(1, keepdims=True)

  return weighted


SCORERS = {name: scorer(metric) for name, metric in QUESTIONS.items()}
