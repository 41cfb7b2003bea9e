"""What tasks are scored by."""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any

import numpy as np
import scipy

from bam_jax.stats import entities, masked, ordered, pairs, ranking, squad
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task


def correlation(function: Callable, x: np.ndarray, y: np.ndarray) -> float:
  """Returns a correlation; 0 where one side is constant and none exists."""
  if np.ptp(x) == 0 or np.ptp(y) == 0:
    return 0.0
  return float(function(x, y).statistic)


def counted(name: str, x: np.ndarray, y: np.ndarray, **options: Any) -> float:
  """Returns a metric of scikit-learn of predicted and true classes."""
  # Slow to import, with whatever else is installed; nothing trains with it.
  from sklearn import metrics

  return float(getattr(metrics, name)(y, x, **options))


def recalled(x: np.ndarray, y: np.ndarray) -> float:
  """Returns the mean over true classes of the share that is found."""
  return counted(
    "recall_score", x, y, labels=np.unique(y), average="macro", zero_division=0
  )


def agreed(x: np.ndarray, y: np.ndarray) -> float:
  """Returns kappa with quadratic weights; 0 where all is of one class."""
  if np.ptp(x) == 0 and np.ptp(y) == 0 and x[0] == y[0]:
    return 0.0
  # By class numbers: one that is nowhere is a step between others all the same.
  every = np.arange(int(max(x.max(), y.max())) + 1)
  return counted("cohen_kappa_score", x, y, labels=every, weights="quadratic")


def several(name: str, x: np.ndarray, y: np.ndarray, **options: Any) -> float:
  """Returns a metric of scikit-learn of logits and marks of labels, [N, C]."""
  # One column would be read as classes of its own.
  if y.shape[1] == 1:
    return counted(name, x[:, 0] > 0, y[:, 0], zero_division=0)
  return counted(name, x > 0, y, zero_division=0, **options)


def precise(x: np.ndarray, y: np.ndarray) -> float:
  """Returns the mean average precision of the labels that a row has; else 0."""
  there = y.any(0)
  if not there.any():
    return 0.0
  return counted("average_precision_score", x[:, there], y[:, there])


def sure(name: str, x: np.ndarray, y: np.ndarray, *, others: bool) -> float:
  """Returns the mean over classes of a metric of scikit-learn of their chances.

  Args:
    name: of the metric.
    x: f[N, C], chances; of two classes the second one counts.
    y: [N], class numbers.
    others: whether it needs examples of other classes too; 0 where no class
      has what it needs.
  """
  numbers = [
    c
    for c in ordered.looked_for(x.shape[1])
    if (y == c).any() and not (others and (y == c).all())
  ]
  each = [counted(name, x[:, c], y == c) for c in numbers]
  return float(np.mean(each)) if each else 0.0


def tagged(name: str, x: np.ndarray, y: np.ndarray) -> float:
  """Returns a metric of seqeval of predicted and true tags, i[N, W]."""
  from seqeval import metrics

  said, gold = entities.names(x), entities.names(y)
  return float(getattr(metrics, name)(gold, said, zero_division=0))


def answered(weighted: Callable) -> Callable[[np.ndarray, np.ndarray], float]:
  """Returns a metric of answers, from what counts each question as often."""
  return lambda x, y: float(weighted(x[None], y)(np.ones((1, len(y))))[0, 0])


# Metric -> function(predicted, label) in [-1, 1], but perplexity, which is a
# hundredth of itself, and its share, which may be any number below 1; predicted
# are class numbers, or values for regression; of words see `tags.codes`, of
# candidates `ranking`, of several labels `multilabel`, of masked tokens
# `masked`, of pairs' vectors `pairs`.
METRICS: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
  "accuracy": lambda p, y: counted("accuracy_score", p, y),
  "f1": lambda p, y: counted("f1_score", p, y, zero_division=0),
  "matthews": lambda p, y: counted("matthews_corrcoef", p, y),
  "class_f1": lambda p, y: counted(
    "f1_score", p, y, average="macro", zero_division=0
  ),
  "balanced_accuracy": recalled,
  "kappa": agreed,
  "auroc": lambda p, y: sure("roc_auc_score", p, y, others=True),
  "class_precision": lambda p, y: sure(
    "average_precision_score", p, y, others=False
  ),
  "pearson": lambda p, y: correlation(scipy.stats.pearsonr, p, y),
  "spearman": lambda p, y: correlation(scipy.stats.spearmanr, p, y),
  "span_f1": lambda p, y: tagged("f1_score", p, y),
  "span_precision": lambda p, y: tagged("precision_score", p, y),
  "span_recall": lambda p, y: tagged("recall_score", p, y),
  "word_accuracy": lambda p, y: float((p == y)[y >= 0].mean()),
  "micro_f1": lambda p, y: several("f1_score", p, y, average="micro"),
  "macro_f1": lambda p, y: several("f1_score", p, y, average="macro"),
  "subset_accuracy": lambda p, y: counted("accuracy_score", p > 0, y),
  "label_precision": precise,
  "pair_loss": lambda p, y: pairs.loss(p),
  "pair_precision": lambda p, y: counted(
    "average_precision_score", p[:, pairs.COSINE], y
  ),
  "pair_accuracy": lambda p, y: pairs.accuracy(p[:, pairs.COSINE], y),
  **{
    f"pair_{name}": lambda p, y, name=name: METRICS[name](p[:, pairs.COSINE], y)
    for name in ("spearman", "pearson")
  },
  **{
    name: answered(each)
    for name, each in (*squad.SCORERS.items(), *masked.SCORERS.items())
  },
  **{
    name: lambda p, y, metric=metric: float(metric(p, y).mean())
    for name, metric in ranking.QUESTIONS.items()
  },
}


def scores(
  task: Task,
  logits: np.ndarray,
  labels: np.ndarray,
  words: np.ndarray | None = None,
) -> dict[str, float]:
  """Returns every metric of the task, x100.

  Args:
    task: says which metrics.
    logits: f32[N, C], or f32[M, C] of words or candidates.
    labels: f32[N], class numbers or values, or f32[M] of words or candidates.
    words: i64[N], how many each row has; None = rows are labelled.

  Raises:
    ValueError: the logits are not finite.
  """
  if not np.isfinite(logits).all():
    raise ValueError(
      f"the logits of {task.name} are not finite; its run diverged: try a "
      "lower rate"
    )
  kind = KINDS[task.kind]
  gold = kind.gold(task, labels, words)
  by_chance = {
    name: kind.metrics[name] in ordered.SCORERS for name in task.metrics
  }
  # What several metrics take is made once.
  made = {
    each: said(task, name, logits, words)
    for each, name in {each: name for name, each in by_chance.items()}.items()
  }
  return {
    name: 100 * METRICS[kind.metrics[name]](made[each], gold)
    for name, each in by_chance.items()
  }


def said(
  task: Task, name: str, logits: np.ndarray, words: np.ndarray | None
) -> np.ndarray:
  """Returns what a metric takes of logits.

  Args:
    task: whose they are.
    name: of the metric, as the task has it.
    logits: f32[..., N, C], as for `scores`.
    words: as for `scores`.
  """
  kind = KINDS[task.kind]
  if kind.metrics[name] in ordered.SCORERS:
    return ordered.chances(logits)
  return kind.predicted(task, logits, words)


def against_chance(
  task: Task,
  logits: np.ndarray,
  labels: np.ndarray,
  words: np.ndarray | None = None,
) -> tuple[str, float, float]:
  """Returns a metric, its value and what guessing would have, x100.

  The metric is the kind's, whatever the task's own are.

  Args:
    task: says what the labels are.
    logits: as for `scores`.
    labels: as for `scores`.
    words: as for `scores`.
  """
  name, chance = KINDS[task.kind].chance(task)
  alone = dataclasses.replace(task, metrics=(name,))
  return name, scores(alone, logits, labels, words)[name], chance
