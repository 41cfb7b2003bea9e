"""What several teachers say together, how sure they are, and how far agreed.

Of tasks whose rows are labelled; what is said of words or candidates is with
their kinds.
"""

import numpy as np
import scipy


def mean_probability(
  logits: np.ndarray,
  words: np.ndarray | None = None,
  weights: np.ndarray | None = None,
) -> np.ndarray:
  """Averages in probability space: the softmax of it is the mean softmax.

  Args:
    logits: f32[K, N, C].
    words: of no account.
    weights: f64[K, N], what each says counts; 0 = it says nothing. None = all
      count the same.

  Returns:
    f32[N, C]; NaN where nobody says anything.
  """
  if weights is None:
    mean = scipy.special.logsumexp(
      scipy.special.log_softmax(logits, axis=-1), axis=0
    ) - np.log(len(logits))
    return mean.astype(np.float32)
  logits, shares = _shared(logits, weights)
  mean = scipy.special.logsumexp(
    scipy.special.log_softmax(logits, axis=-1), axis=0, b=shares
  )
  return _silent(mean, weights)


def mean_chance(
  logits: np.ndarray,
  words: np.ndarray | None = None,
  weights: np.ndarray | None = None,
) -> np.ndarray:
  """Averages the chance that each label holds: the sigmoid of it is the mean.

  Args:
    logits: f32[K, N, C].
    words: of no account.
    weights: see `mean_probability`.

  Returns:
    f32[N, C]; NaN where nobody says anything.
  """
  shares = None
  if weights is not None:
    logits, shares = _shared(logits, weights)
  holds, not_ = (
    scipy.special.logsumexp(
      scipy.special.log_expit(sign * logits), axis=0, b=shares
    )
    for sign in (np.float64(1), np.float64(-1))
  )
  mean = holds - not_
  return mean.astype(np.float32) if shares is None else _silent(mean, weights)


def mean_value(
  values: np.ndarray,
  words: np.ndarray | None = None,
  weights: np.ndarray | None = None,
) -> np.ndarray:
  """Averages numbers; see `mean_probability` for what is given.

  Args:
    values: f32[K, N, 1].
    words: of no account.
    weights: see there.

  Returns:
    f32[N, 1]; NaN where nobody says anything.
  """
  if weights is None:
    return np.mean(values, axis=0)
  values, shares = _shared(values, weights)
  return _silent((values * shares).sum(0), weights)


def _shared(
  outputs: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns outputs f64[K, N, C] without NaN, and their shares f64[K, N, 1]."""
  total = weights.sum(0)
  shares = weights / np.where(total > 0, total, 1)
  said = np.where(weights[..., None] > 0, outputs.astype(np.float64), 0)
  # A row that nobody judges is made up here and taken out again.
  shares = np.where(total > 0, shares, 1 / len(weights))
  return said, shares[..., None]


def _silent(mean: np.ndarray, weights: np.ndarray) -> np.ndarray:
  """Returns f32[N, C], NaN where no weight f64[K, N] is above 0."""
  there = weights.sum(0) > 0
  return np.where(there[:, None], mean, np.nan).astype(np.float32)


def largest(logits: np.ndarray) -> np.ndarray:
  """Returns the largest probability of each row f[N, C]: f[N]."""
  return scipy.special.softmax(logits, axis=-1).max(-1)


def least_sure(logits: np.ndarray) -> np.ndarray:
  """Returns how sure f[N, C] is of the label it is least sure of: f[N].

  Of each label it is as sure as its chance, or that it does not hold, is large.
  """
  chance = scipy.special.expit(logits)
  return np.maximum(chance, 1 - chance).min(-1)


def agreed(logits: np.ndarray) -> np.ndarray:
  """Returns the share of votes that the most voted class has, f[N].

  Args:
    logits: f[K, N, C], of which each k votes for its largest; NaN = it does not
      vote. Where nobody does the share is 0.
  """
  votes = ~np.isnan(logits).any(-1)
  first = np.where(votes[..., None], logits, 0).argmax(-1)
  given = (first[..., None] == np.arange(logits.shape[-1])) & votes[..., None]
  return given.sum(0).max(-1) / np.maximum(votes.sum(0), 1)


def agreed_by_label(logits: np.ndarray) -> np.ndarray:
  """Returns the share of the larger side, of the least agreed label: f[N].

  Args:
    logits: f[K, N, C], of which each k votes for or against each label; see
      `agreed`.
  """
  votes = ~np.isnan(logits).any(-1)
  count = np.maximum(votes.sum(0), 1)[:, None]
  holds = ((logits > 0) & votes[..., None]).sum(0) / count
  not_ = ((logits <= 0) & votes[..., None]).sum(0) / count
  return np.maximum(holds, not_).min(-1)
