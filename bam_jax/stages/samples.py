"""Some training rows of each task, tokenised in memory, and how many it has."""

import dataclasses

import numpy as np

from bam_jax.data import columns, contexts, documents, limits
from bam_jax.data.features import Features
from bam_jax.stages import contrasting
from bam_jax.stages.session import Session
from bam_jax.study import sides
from bam_jax.study.plan import Run
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task

# Rows of a task whose tokens are counted.
SAMPLE = 2000


def samples_of(session: Session) -> dict[str, Features]:
  """Returns some training rows of every task, evenly spread, tokenised."""
  found = {}
  for task in session.experiment.trained_tasks:
    text = session.materials.texts.look(task, task.train)
    rows = np.linspace(0, len(text) - 1, min(len(text), SAMPLE)).astype(int)
    some = text.take(rows)
    kind, materials = KINDS[task.kind], session.materials
    recipe = columns.Recipe(
      kind.reads, materials.encoder.tokenizer, materials.lengths
    )
    made = columns.featurise(recipe, some)
    words = made.words and dataclasses.replace(made.words, sides=kind.sides)
    found[task.name] = dataclasses.replace(made, words=words, table=task.table)
  return found


def rows_of(
  session: Session,
  task: Task,
  *,
  held: bool,
  most: int | None = None,
  run: Run | None = None,
) -> int:
  """Returns how many training rows a task has, swapped copies included.

  Args:
    session: the session.
    task: the task.
    held: whether those that are held out count.
    most: as many of its split are read; None = all.
    run: that trains on them, which may have some of them only; None = all.
  """
  side = sides.of(session.experiment, run) if run else None
  if side and side.inside:
    return contrasting.rows(session, run)
  data, materials = session.config.data, session.materials
  text = materials.texts.look(task, task.train)
  rows = np.ones(len(text), np.int64)
  if KINDS[task.kind].reads == "document":
    rows = documents.counts(
      materials.encoder.tokenizer, *text.texts, most=materials.lengths.most
    )
  if text.answers is not None:
    tokenizer = materials.encoder.tokenizer
    rows = contexts.counts(tokenizer, text, materials.lengths)
  out, kept = session.experiment.held, np.ones(len(rows), bool)
  if out.share(task) and not held:
    kept &= ~materials.texts.holdout(task, out).mask
  if side and side.task == task.name:
    kept &= materials.texts.side(task, side, out)
  rows = rows[kept]
  if most:
    rows = rows[limits.drawn(np.arange(len(rows)), most)]
  twice = task.symmetric and data.double_unordered
  return int(rows.sum()) * (2 if twice else 1)
