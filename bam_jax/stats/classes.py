"""What a classifier does with each class: precision, recall, confusions.

Needs no JAX.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

# What is told of each class, in the order of its columns.
COLUMNS = ("precision", "recall", "f1", "auroc", "average_precision")


def summary(
  logits: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
  """Returns what results.json keeps of a method's trials on a task's classes.

  A class that nothing is said to be has a precision of 0, as scikit-learn has
  it; AUROC and average precision are of its chance against all others.

  Args:
    logits: f32[R, N, C].
    labels: i[N], class numbers; i[N, C] of 0 and 1 where a row may have
      several, each of which is then told by itself.
    names: C names.

  Returns:
    "labels": the names; "support": rows of each; `COLUMNS`: f[C, R], each in
    [0, 1], None where no row or every row is of the class; "confusion":
    i[C, C], gold by said, all trials added; [] where a row may have several.
  """
  # Slow to import, and training should not wait for it.
  from sklearn import metrics

  many, numbers = labels.ndim > 1, np.arange(len(names))
  gold = labels > 0 if many else labels[:, None] == numbers
  support = gold.sum(0)
  found: dict[str, list] = {name: [[] for _ in names] for name in COLUMNS}
  confusion = np.zeros((len(names), len(names)), int)
  for trial in logits.astype(np.float64):
    best = trial.argmax(-1)
    said = trial > 0 if many else best[:, None] == numbers
    chance = trial if many else scipy.special.softmax(trial, axis=-1)
    if not many:
      confusion += metrics.confusion_matrix(
        labels.astype(int), best, labels=numbers
      )
    parts = metrics.precision_recall_fscore_support(
      gold.astype(int), said.astype(int), average=None, zero_division=0
    )
    for c in numbers:
      both = 0 < support[c] < len(gold)
      values = [
        *(float(part[c]) for part in parts[:3]),
        *(
          float(area(gold[:, c], chance[:, c])) if both else None
          for area in (metrics.roc_auc_score, metrics.average_precision_score)
        ),
      ]
      for name, value in zip(COLUMNS, values, strict=True):
        found[name][c].append(value)
  return {
    "labels": list(names),
    "support": support.tolist(),
    **found,
    "confusion": [] if many else confusion.tolist(),
  }
