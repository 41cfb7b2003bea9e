"""What the trials of a method score on dev when they answer together."""

from collections.abc import Mapping, Sequence
from typing import Any

from bam_jax.stats import compare
from bam_jax.study.predictions import Predictions
from bam_jax.tasks import metrics
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task


def scores(task: Task, rows: Predictions) -> dict[str, float] | None:
  """Returns the scores x100 of the mean of what all trials say.

  Probabilities are averaged, or numbers, as teachers' are.

  Args:
    task: the task.
    rows: of dev, logits f32[R, N, C].

  Returns:
    None of one trial, and where answers cannot be averaged.
  """
  kind = KINDS[task.kind]
  if len(rows.logits) < 2 or kind.mean is None or kind.kept != "outputs":
    return None
  mean = kind.mean(rows.logits, rows.words)
  return metrics.scores(task, mean, rows.labels, rows.words)


def average(
  records: Mapping[str, Mapping[str, Any]],
  found: Mapping[str, Mapping[str, float]],
  names: Sequence[str],
) -> float | None:
  """Returns the average over tasks, as a trial's; None where a task lacks.

  Args:
    records: task -> what results.json holds of it under the method.
    found: task -> its `scores`.
    names: the tasks that count.
  """
  one = {
    name: {
      **records[name],
      "seeds": [0],
      "scores": [each[records[name]["metric"]]],
    }
    for name, each in found.items()
  }
  return next(iter(compare.average(one, names)), None)
