"""What the calibrations of a method's trials do on dev, for results.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bam_jax.stats import abstention, thresholds
from bam_jax.stats import calibration as stats
from bam_jax.study.predictions import Predictions
from bam_jax.tasks import calibration
from bam_jax.tasks.calibration import Calibration
from bam_jax.tasks.description import Head
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task

MEASURES = ("ece", "ece_equal_mass", "brier", "nll")


def plain(task: Task, rows: Predictions) -> dict[str, Any] | None:
  """Returns `calibration.summary` of a task's dev rows, logits f32[R, N, C]."""
  sides = rows.logits, rows.labels
  if KINDS[task.kind].many:
    sides = stats.each_label(*sides)
  return stats.summary(*sides)


def fitted(
  task: Task, rows: Predictions, trials: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
  """Returns what held-out rows have changed, each trial by its own.

  Args:
    task: the task.
    rows: of dev, logits f32[R, N, C].
    trials: the R entries of "calibration" in scores.json.

  Returns:
    "temperature" f[R]; "rows" that it was fitted on; "after": `MEASURES`, f[R]
    each, of the tempered logits; "area" f[R] under the risk-coverage curve and
    "coverage" f[R, 100], the accuracy where 1 to 100 % are answered; and, where
    there are any, "thresholds": "labels", the names of C of them, "values"
    f[R, C], and "half" and "fitted", `thresholds.scores` of both by measure,
    f[R, C + 2].
  """
  made = [calibration.parse(each, Head.of(task)) for each in trials]
  by = np.array([each.temperature for each in made])
  tempered = rows.logits.astype(np.float64) / by[:, None, None]
  after = plain(task, Predictions(rows.index, tempered, rows.labels))
  curves = []
  for mine, each in zip(rows.logits, made, strict=True):
    said, sure = each.surely(task, mine)
    right = said == rows.labels
    if KINDS[task.kind].many:
      right = right.all(-1)
    curves.append(abstention.accuracies(sure, right))
  found = {
    "temperature": by.tolist(),
    "rows": trials[0]["rows"],
    "after": {name: after[name] for name in MEASURES},
    "area": [abstention.area(curve) for curve in curves],
    "coverage": [abstention.points(curve) for curve in curves],
  }
  if made[0].thresholds:
    found["thresholds"] = _thresholds(task, rows, made)
  return found


def _thresholds(
  task: Task, rows: Predictions, made: Sequence[Calibration]
) -> dict[str, Any]:
  """Returns what labels are said by thresholds, and at one half."""
  names = calibration.decided(task)
  many = KINDS[task.kind].many
  gold = rows.labels == 1 if many else rows.labels[:, None] == 1
  found: dict[str, Any] = {"labels": list(names)}
  found["values"] = [[each.thresholds[x] for x in names] for each in made]
  for way, each in (
    ("half", [Calibration(x.temperature) for x in made]),
    ("fitted", made),
  ):
    scores = []
    for mine, one in zip(rows.logits, each, strict=True):
      said, _ = one.surely(task, mine)
      holds = said if many else said[:, None] == 1
      scores.append(thresholds.scores(holds, gold))
    found[way] = {name: [s[name] for s in scores] for name in scores[0]}
  return found
