"""Looks at an imported head before it is trained further.

Where a directory names its labels in another order than its columns have, no
shape is wrong and nothing fails; only the dev set shows it.
"""

from collections.abc import Sequence
import dataclasses

from bam_jax.runtime.console import say
from bam_jax.stages import evaluate, initial, outcomes
from bam_jax.stages.session import Session
from bam_jax.study.plan import Run
from bam_jax.tasks.metrics import against_chance


def look(session: Session, run: Run, seeds: Sequence[int]) -> None:
  """Says how an imported head does on dev, and whether that is below chance.

  Args:
    session: whose init_from is looked at; without one nothing is done.
    run: about to be trained.
    seeds: of its trials.
  """
  c = session.config
  new = run.start or run.random
  if new or c.init_part != "all" or session.workdir.begun(run.name):
    return
  if not initial.imported(session.experiment):
    return
  params = session.given(run, seeds[:1])
  # Heads that were not imported have no parameters yet.
  names = tuple(name for name in run.tasks if name in params["heads"])
  datasets = evaluate.scored(session, run)
  mine = [each for each in datasets if each[0].name in names]
  if not mine:
    return
  heads = dataclasses.replace(run, tasks=names)
  logits = evaluate.forward(session, heads, params, mine, "looks at the import")
  for task, split, rows in mine:
    kept = outcomes.keep(
      session, task, split, rows, logits[task.name, split][0]
    )
    name, score, chance = against_chance(
      task, kept.logits, kept.labels, kept.words
    )
    said = f"imported {task.name}: {split} {name} {score:.1f} before training"
    if score < chance:
      said += (
        f", below chance ({chance:.1f}); are the labels in {c.init_from} named "
        "in the order of its columns?"
      )
    say(said)
