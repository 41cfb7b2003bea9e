"""Which labels are probably wrong, by models that have not been shown them.

Confident learning (Northcutt, Jiang and Chuang 2021, section 3.1): a row counts
for a class if it is given at least the probability that rows labelled with that
class are given on average. Where that class is another than its label, the
label is suspected. Nothing is assumed of how sure a model should be, so one
that is too sure of everything, or of one class, is held against itself.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Suspects:
  """The rows whose labels are suspected, the most suspicious first.

  Attributes:
    rows: i64[K], their numbers.
    margin: f64[K], the probability of the label less that of the likeliest
      other one, from -1 to below 0.
    agree: f64[K], the share of the trials that say the same as all together.
  """

  rows: np.ndarray
  margin: np.ndarray
  agree: np.ndarray


def thresholds(chances: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """Returns how likely rows of each class are said to be of it, f64[C].

  Args:
    chances: f64[N, C].
    labels: i64[N]; what no row is labelled with is never confident.
  """
  classes = np.arange(chances.shape[-1])
  mine = labels[:, None] == classes
  count = mine.sum(0)
  total = np.where(mine, chances, 0.0).sum(0)
  return np.where(count > 0, total / np.maximum(count, 1), np.inf)


def counted(chances: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """Returns the class that each row counts for, i64[N]; -1 = none.

  Args:
    chances: f64[N, C].
    labels: i64[N].
  """
  sure = chances >= thresholds(chances, labels)
  found = np.where(sure, chances, -1.0).argmax(-1)
  return np.where(sure.any(-1), found, -1)


def joint(chances: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """Returns how many rows with each label count for each class, i64[C, C].

  Args:
    chances: f64[N, C].
    labels: i64[N].
  """
  found = np.zeros((chances.shape[-1],) * 2, np.int64)
  says = counted(chances, labels)
  np.add.at(found, (labels[says >= 0], says[says >= 0]), 1)
  return found


def suspects(chances: np.ndarray, labels: np.ndarray) -> Suspects:
  """Returns the rows whose label is another than the class they count for.

  A row whose label is the likeliest of all is never one of them.

  Args:
    chances: f64[R, N, C] of R trials, none of which was trained on the row.
    labels: i64[N].
  """
  mean = chances.mean(0)
  rows, best = np.arange(len(labels)), mean.argmax(-1)
  says = counted(mean, labels)
  others = mean.copy()
  others[rows, labels] = -np.inf
  margin = mean[rows, labels] - others.max(-1)
  found = np.flatnonzero((says >= 0) & (says != labels) & (best != labels))
  found = found[np.argsort(margin[found], kind="stable")]
  agree = (chances.argmax(-1) == best).mean(0)
  return Suspects(found, margin[found], agree[found])
