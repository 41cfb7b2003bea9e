"""Looks at an imported head before it is trained further.

Where a directory names its labels in another order than its columns have, no
shape is wrong and nothing fails; only the dev set shows it.
"""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any

from bam_jax.runtime.console import say
from bam_jax.stages.initial import Starts
from bam_jax.study.plan import Run
from bam_jax.training import evaluate


def look(
  experiment: Starts,
  run: Run,
  seeds: Sequence[int],
  datasets: Sequence[tuple],
  forward: Callable[[Run, Any, Sequence, str], dict],
) -> None:
  """Says how an imported head does on dev, and whether that is below chance.

  Args:
    experiment: whose init_from is looked at; without one nothing is done.
    run: about to be trained.
    seeds: of its trials.
    datasets: (task, split, rows) that the run is scored on.
    forward: run, parameters [1, ...], datasets and a word for the bar ->
      {(task, split): logits f32[1, N, C]}.
  """
  c = experiment.config
  new = not experiment.workdir.begun(run.name)
  if run.start or c.init_part != "all" or not experiment.imported or not new:
    return
  params = experiment.given(run, seeds[:1])
  # Heads that were not imported have no parameters yet.
  names = tuple(name for name in run.tasks if name in params["heads"])
  mine = [each for each in datasets if each[0].name in names]
  if not mine:
    return
  heads = dataclasses.replace(run, tasks=names)
  logits = forward(heads, params, mine, "looks at the import")
  for task, split, rows in mine:
    name, score, chance = evaluate.against_chance(
      task, logits[task.name, split][0], rows.labels
    )
    said = f"imported {task.name}: {split} {name} {score:.1f} before training"
    if score < chance:
      said += (
        f", below chance ({chance:.1f}); are the labels in {c.init_from} named "
        "in the order of its columns?"
      )
    say(said)
