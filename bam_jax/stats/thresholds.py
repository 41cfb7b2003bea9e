"""From which probability on a label is said to hold.

A threshold is one of the probabilities that some rows have, as scikit-learn's
`precision_recall_curve` lists them. Needs no JAX.
"""

from collections.abc import Callable, Mapping
import dataclasses

import numpy as np

HALF = 0.5


@dataclasses.dataclass(frozen=True)
class Rule:
  """What a threshold is chosen by.

  Attributes:
    name: a name of `RULES`.
    wanted: what it has to reach, where it has to reach something.
  """

  name: str
  wanted: float | None = None


@dataclasses.dataclass(frozen=True)
class Threshold:
  """A threshold, and what it was on the rows that it was chosen on.

  Attributes:
    value: the label holds from this probability on; None = it never does.
    precision: there; of a label that never holds, the best that there was.
    recall: there, likewise.
    rows: how many rows have the label.
  """

  value: float | None
  precision: float
  recall: float
  rows: int


def _f1(precision: np.ndarray, recall: np.ndarray, _) -> int | None:
  """The place of the best F1, the mean of both that lies nearer the less."""
  both = precision + recall
  return int(np.argmax(2 * precision * recall / np.where(both, both, 1)))


def _precision(
  precision: np.ndarray, recall: np.ndarray, wanted: float
) -> int | None:
  """The first place, with the most recall, that is precise enough."""
  enough = np.flatnonzero((precision >= wanted) & (recall > 0))
  return int(enough[0]) if len(enough) else None


# (precision, recall, wanted) by rising threshold -> the place that is chosen.
RULES: Mapping[str, Callable[..., int | None]] = {
  "f1": _f1,
  "precision": _precision,
}


def choose(chances: np.ndarray, holds: np.ndarray, rule: Rule) -> Threshold:
  """Chooses the threshold of one label.

  Args:
    chances: f[N], probabilities that it holds.
    holds: [N], whether it does.
    rule: what it is chosen by.
  """
  # Slow to import, and nothing trains with it.
  from sklearn import metrics

  rows = int(holds.sum())
  if not rows:
    # Nothing is known of it: one half stays, unless it was to be sure.
    return Threshold(HALF if rule.wanted is None else None, 0.0, 0.0, 0)
  precision, recall, values = metrics.precision_recall_curve(holds, chances)
  # Its last point has no threshold: there nothing holds.
  precision, recall = precision[:-1], recall[:-1]
  place = RULES[rule.name](precision, recall, rule.wanted)
  value = None if place is None else float(values[place])
  if place is None:
    place = int(np.argmax(np.where(recall > 0, precision, -1)))
  return Threshold(value, float(precision[place]), float(recall[place]), rows)


def scores(holds: np.ndarray, gold: np.ndarray) -> dict[str, list[float]]:
  """Returns what is said by some thresholds, and how it is held against gold.

  Args:
    holds: bool[N, C], what is said.
    gold: [N, C], what is.

  Returns:
    "precision", "recall" and "f1": of each label, of all labels' rows together
    (micro) and the mean over labels (macro), f[C + 2] each, x100.
  """
  from sklearn import metrics

  sides, ways = (gold.astype(int), holds.astype(int)), (None, "micro", "macro")
  if gold.shape[1] == 1:
    # One column would be read as two classes.
    sides, ways = [side[:, 0] for side in sides], ["binary"] * 3
  found = []
  for average in ways:
    parts = metrics.precision_recall_fscore_support(
      *sides, average=average, zero_division=0
    )
    found.append([np.ravel(part) for part in parts[:3]])
  return {
    name: (100 * np.concatenate([each[k] for each in found])).tolist()
    for k, name in enumerate(("precision", "recall", "f1"))
  }
