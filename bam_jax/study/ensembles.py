"""What the trials of a method score on dev when they answer together."""

from collections.abc import Mapping, Sequence
import dataclasses
import statistics
from typing import Any

import numpy as np

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


def scores_of_all(
  task: Task, kept: Mapping[str, Predictions]
) -> dict[str, float] | None:
  """Returns the scores x100 of the mean of all trials of several methods.

  Args:
    task: the task.
    kept: method -> what its trials said of dev, all of the same rows.
  """
  one = next(iter(kept.values()))
  logits = np.concatenate([rows.logits for rows in kept.values()])
  return scores(task, dataclasses.replace(one, logits=logits))


def row(
  records: Mapping[str, Mapping[str, Any]],
  found: Mapping[str, Mapping[str, float]],
  names: Sequence[str],
) -> dict[str, float | None]:
  """Returns what results.json holds: "average", and each task's headline.

  Args:
    records: task -> what results.json holds of it.
    found: task -> its `scores`.
    names: the tasks that count in the average.
  """
  return {
    "average": average(records, found, names),
    **{name: found[name][records[name]["metric"]] for name in found},
  }


def across(
  methods: Mapping[str, Mapping[str, Mapping[str, Any]]],
  everyone: Mapping[str, Mapping[str, float]],
  names: Sequence[str],
) -> dict[str, dict[str, Any]]:
  """Returns what methods score together, by what is meant: "scores", "trials".

  Args:
    methods: method -> task -> what results.json holds of it.
    everyone: task -> its `scores_of_all`; {} = nothing of several methods.
    names: the tasks that count in the average.
  """
  best: dict[str, dict[str, Any]] = {}
  for records in methods.values():
    for name, record in records.items():
      score = statistics.median(record["scores"])
      if name not in best or score > best[name]["scores"][0]:
        best[name] = {**record, "scores": [score]}
  if not everyone:
    return {}
  highest = {
    name: {record["metric"]: record["scores"][0]}
    for name, record in best.items()
  }
  trials = {
    method: len(next(iter(records.values()))["seeds"])
    for method, records in methods.items()
  }
  return {
    "All methods": {
      "trials": sum(trials.values()),
      "scores": row(best, everyone, names),
    },
    "Best of each task": {"trials": 1, "scores": row(best, highest, names)},
  }


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
