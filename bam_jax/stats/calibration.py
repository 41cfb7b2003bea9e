"""Calibration: whether a confidence of 80 % is right in 80 % of cases.

Of classifiers only: a regression task has no confidence. Needs no JAX.
"""

from dataclasses import dataclass

import numpy as np
import scipy

BINS = 15  # as in Guo et al. (2017)


@dataclass(frozen=True)
class Reliability:
  """The points of a reliability curve, one for each bin that is not empty.

  Attributes:
    confidence: f[K], mean probability of the predicted class.
    accuracy: f[K], share of those predictions that are right.
    count: i[K], number of predictions.
  """

  confidence: np.ndarray
  accuracy: np.ndarray
  count: np.ndarray

  @property
  def error(self) -> float:
    """The expected calibration error, in [0, 1] (Guo et al. 2017, eq. 3)."""
    gaps = np.abs(self.accuracy - self.confidence)
    return float(np.average(gaps, weights=self.count))


def reliability(
  logits: np.ndarray,
  labels: np.ndarray,
  *,
  bins: int = BINS,
  equal_mass: bool = False,
) -> Reliability:
  """Sorts predictions into bins of confidence.

  Args:
    logits: f32[..., N, C]; trials before them are pooled.
    labels: [N], class numbers.
    bins: how many.
    equal_mass: the same number of predictions in each bin, to within one,
      instead of the same width, (k / bins, (k + 1) / bins].
  """
  chances = scipy.special.softmax(logits.astype(np.float64), axis=-1)
  confidence = chances.max(-1).ravel()
  right = (logits.argmax(-1) == labels).ravel().astype(np.float64)
  if equal_mass:
    order = np.argsort(confidence, kind="stable")
    place = np.empty(len(order), np.int64)
    parts = np.array_split(order, bins)
    for k, part in enumerate(parts):
      place[part] = k
  else:
    place = np.ceil(confidence * bins).astype(np.int64) - 1
    place = np.clip(place, 0, bins - 1)
  count = np.bincount(place, minlength=bins)
  full = count > 0

  def mean(values):
    sums = np.bincount(place, weights=values, minlength=bins)
    return sums[full] / count[full]

  return Reliability(mean(confidence), mean(right), count[full])


def brier(logits: np.ndarray, labels: np.ndarray) -> float:
  """The Brier score: mean squared error summed over classes, in [0, 2].

  Args:
    logits: f32[N, C].
    labels: [N], class numbers.
  """
  chances = scipy.special.softmax(logits.astype(np.float64), axis=-1)
  gold = np.eye(logits.shape[-1])[labels.astype(np.int64)]
  return float(np.sum((chances - gold) ** 2, axis=-1).mean())


def nll(logits: np.ndarray, labels: np.ndarray) -> float:
  """The negative log-likelihood of the labels, mean over examples, in nats.

  Args:
    logits: f32[N, C].
    labels: [N], class numbers.
  """
  logs = scipy.special.log_softmax(logits.astype(np.float64), axis=-1)
  gold = labels.astype(np.int64)[:, None]
  return float(-np.take_along_axis(logs, gold, axis=-1).mean())


def each_label(
  logits: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Returns what several labels of a row say as so many choices of two.

  Args:
    logits: f32[R, N, C], a label each.
    labels: f32[N, C], 1 where a label holds.

  Returns:
    logits f32[R, N * C, 2] and labels i64[N * C].
  """
  flat = logits.reshape(len(logits), -1)
  return np.stack([np.zeros_like(flat), flat], -1), labels.ravel().astype(int)


def summary(logits: np.ndarray, labels: np.ndarray) -> dict[str, list] | None:
  """Returns what results.json keeps of a method's trials on a task.

  Args:
    logits: f32[R, N, C].
    labels: [N], class numbers.

  Returns:
    "ece", "ece_equal_mass", "brier" and "nll", f[R] each, and "curve": rows of
    confidence, accuracy and count over the bins of equal width, all trials
    pooled. None where C is 1: the values of a regression have no confidence.
  """
  if logits.shape[-1] == 1:
    return None
  curve = reliability(logits, labels)
  return {
    "ece": [reliability(one, labels).error for one in logits],
    "ece_equal_mass": [
      reliability(one, labels, equal_mass=True).error for one in logits
    ],
    "brier": [brier(one, labels) for one in logits],
    "nll": [nll(one, labels) for one in logits],
    "curve": [
      [float(confidence), float(accuracy), int(count)]
      for confidence, accuracy, count in zip(
        curve.confidence, curve.accuracy, curve.count, strict=True
      )
    ],
  }
