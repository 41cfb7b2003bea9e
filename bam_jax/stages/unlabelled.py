"""Refuses, or says, what of rows without a label would be asked in vain."""

from collections.abc import Mapping

import numpy as np

from bam_jax.data.sources import unlabelled
from bam_jax.data.sources.examples import has_gold
from bam_jax.data.trust import Trust
from bam_jax.runtime.console import say
from bam_jax.study.experiment import Experiment
from bam_jax.study.plan import OUTSIDE, Run
from bam_jax.tasks.kinds import KINDS

_STUDENT = "--config.methods=single-\\>multi"


def check(experiment: Experiment, labels: Mapping[str, np.ndarray]) -> None:
  """Checks what is said of rows without a label against those that there are.

  Args:
    experiment: the experiment.
    labels: of the training rows of each task, NaN where there is none.

  Raises:
    ValueError: a filter has no rows to look at, or nothing to look for.
  """
  blank = {name: int((~has_gold(each)).sum()) for name, each in labels.items()}
  for task in experiment.trained_tasks:
    taught = [r for r in experiment.runs if task.name in dict(r.teachers)]
    own = task.own and (unlabelled.has(task) or task.own.judges)
    if blank[task.name] and own and not taught:
      say(
        f"warning: {blank[task.name]} rows of {task.name} have no label, and"
        f" nobody teaches it in {experiment.config.methods}: nothing is learned"
        f" from them; take {_STUDENT}"
      )
    if task.learn.unlabelled_weight and not (blank[task.name] and taught):
      say(
        f"unlabelled_weight of {task.name} is not looked at: no method learns"
        " from a row of it without a label"
      )
  asked = {}
  for run in experiment.runs:
    if trust := Trust.of(experiment.settings(run).config.teacher):
      asked.setdefault(trust, []).append(run)
  for trust, runs in asked.items():
    _filtered(experiment, trust, runs, blank)


def _filtered(
  experiment: Experiment,
  trust: Trust,
  runs: list[Run],
  blank: Mapping[str, int],
) -> None:
  """Checks that a filter finds rows, and what it asks of their teachers."""
  key = "confidence" if trust.confidence else "agreement"
  said = f"teacher.{key} is {getattr(trust, key)}"
  taught = dict.fromkeys(
    task for run in runs for task, _ in run.teachers if blank[task]
  )
  if not taught:
    raise ValueError(
      f"{said}, which looks at rows without a label that somebody teaches, and"
      f" there are none; give a task unlabelled = FILE, and take {_STUDENT}"
    )
  for task in (experiment.table[name] for name in taught):
    if KINDS[task.kind].sure is None:
      raise ValueError(
        f"{said}, and rows of {task.name} without a label are taught numbers,"
        " of which a teacher is not more or less sure; leave it out, or give"
        " those rows fewer or more weight: unlabelled_weight"
      )
  most = max(
    voters(experiment, run, task)
    for run in runs
    for task, _ in run.teachers
    if blank[task]
  )
  if trust.agreement and most < 2:
    raise ValueError(
      f"teacher.agreement is {trust.agreement}, and one alone teaches"
      f" {', '.join(taught)}; have several trials teach:"
      " --config.teacher.trials=ensemble --config.trials=3, or several judges"
    )


def voters(experiment: Experiment, run: Run, name: str) -> int:
  """Returns how many teach a run one of its tasks together.

  Args:
    experiment: the experiment.
    run: the student.
    name: of the task.
  """
  seeds = experiment.teacher_seeds(run, experiment.config.seed)
  if dict(run.teachers)[name] != OUTSIDE:
    return len(seeds)
  task = experiment.table[name]
  paths = experiment.soft_paths(task.name, seeds)
  return len(paths) or (len(task.own.judges) if task.own else 1)
