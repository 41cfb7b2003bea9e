"""What of an experiment is calibrated: asked for, said, and fitted.

A trial answers the rows that were held out of its training, and what is fitted
on them is kept beside its scores.
"""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any

from bam_jax.data.features import Features
from bam_jax.runtime.console import say
from bam_jax.stats.thresholds import Rule
from bam_jax.study.experiment import Experiment
from bam_jax.study.predictions import Predictions
from bam_jax.tasks import calibration
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task


def check(experiment: Experiment) -> None:
  """Checks that what is held out for calibration is read by something.

  Raises:
    ValueError: nothing reads it, or rows are held out for two things.
  """
  c = experiment.config
  share, holdout = c.calibration.share, c.data.holdout
  if not share and c.calibration.threshold:
    raise ValueError(
      f"calibration.threshold is {c.calibration.threshold!r}, but no rows are "
      "held out to fit thresholds on; set --config.calibration.share=0.1"
    )
  if not share:
    return
  if holdout:
    raise ValueError(
      f"calibration.share is {share:g} and data.holdout is {holdout:g}: while "
      "settings are chosen nobody acts on a model; choose them first, and then "
      "leave data.holdout out"
    )
  tasks = experiment.trained_tasks
  if not any(KINDS[task.kind].calibrates for task in tasks):
    said = ", ".join(f"{task.name} is of kind {task.kind}" for task in tasks)
    kinds = [name for name, kind in KINDS.items() if kind.calibrates]
    raise ValueError(
      f"calibration.share is {share:g}, but {said}, and probabilities of "
      f"{', '.join(kinds)} alone are calibrated: --config.calibration.share=0"
    )
  # Reads them, and refuses what is none.
  _ = experiment.rules


def tell(
  experiment: Experiment, fitted: Callable[[Task], Features | None]
) -> None:
  """Says which tasks are not calibrated though others are.

  Args:
    experiment: the experiment.
    fitted: (task) -> the rows that its calibration is fitted on.
  """
  held = experiment.held
  if held.scored or not held.asked:
    return
  for task in experiment.trained_tasks:
    name = f"{task.name} is not calibrated"
    if not held.fits(task):
      rows = "no row of it is" if not held.share(task) else "its rows are"
      say(f"{name}, being of kind {task.kind}: {rows} held out")
    elif not fitted(task):
      say(f"{name}: no held-out row has a label that is not a teacher's")


def fit(
  kept: Mapping[tuple[str, str], Predictions],
  table: Mapping[str, Task],
  rules: Mapping[str, Rule],
) -> tuple[dict[str, Any], list[str]]:
  """Fits what is kept beside the scores of a trial.

  Args:
    kept: (task, split) -> what the trial said of it; of these splits it is
      fitted on `calibration.SPLIT` alone.
    table: every task by its name.
    rules: what thresholds of some tasks are chosen by.

  Returns:
    task -> its calibration as JSON has it, and what could not be had.
  """
  found, notes = {}, []
  for (name, split), rows in kept.items():
    if split == calibration.SPLIT:
      made, said = calibration.fit(
        table[name], rows.logits, rows.labels, rules.get(name)
      )
      found[name] = dataclasses.asdict(made) | {"rows": len(rows.index)}
      notes += said
  return found, notes
