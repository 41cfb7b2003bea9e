"""Scores trials on what they are held against."""

from collections.abc import Callable, Mapping, Sequence
import functools
from typing import Any

import jax
import numpy as np

from bam_jax.data.features import Features, width_of
from bam_jax.data.pipeline import Layout
from bam_jax.runtime.console import bar
from bam_jax.stages import outcomes
from bam_jax.stages.session import Session
from bam_jax.study.plan import Run
from bam_jax.tasks import coverage, metrics
from bam_jax.tasks.calibration import SPLIT
from bam_jax.tasks.table import Task
from bam_jax.training import forward as forward_pass
from bam_jax.training.checkpoint import load_params

Datasets = Sequence[tuple[Task, str, Features]]


def evaluate(session: Session, *, again: bool) -> None:
  """Scores every finished trial that has no scores, or all `again`."""
  workdir = session.workdir
  for run in session.experiment.runs:
    left = functools.partial(unscored, session, run, again=again)
    for (seed,) in session.leases.each(workdir.run(run.name), left):
      params, meta = load_params(workdir.params(run.name, seed))
      whole = jax.tree.map(lambda x: x[None], params)
      score(session, run, seed, whole, meta)


def unscored(session: Session, run: Run, *, again: bool) -> list[Sequence[int]]:
  """Returns the finished trials, each by itself, that lack scores, or all.

  Args:
    session: the session.
    run: the run.
    again: those that have scores too.
  """
  known = session.workdir.scores(run.name)
  return [
    (seed,)
    for seed in session.experiment.seeds
    if session.workdir.finished(run.name, seed)
    and (again or str(seed) not in known)
  ]


def score(
  session: Session, run: Run, seed: int, params: Any, meta: Mapping[str, Any]
) -> None:
  """Scores one trial of a run on dev, calibrates it and records both.

  One at a time, so that the numbers do not depend on which trials were
  trained, or were left unscored, together.

  Args:
    session: the session.
    run: the run.
    seed: of the trial.
    params: its parameters, [1, ...].
    meta: what was noted when they were saved.
  """
  datasets = asked(session, run)
  said = forward(session, run, params, datasets, "evaluates")
  kept = {
    (task.name, split): outcomes.keep(
      session, task, split, rows, said[task.name, split][0]
    )
    for task, split, rows in datasets
  }
  session.scorebook.keep(
    run,
    seed,
    kept,
    table=session.experiment.named(run),
    meta=meta,
    coverage=covered(session, run),
  )


def covered(session: Session, run: Run) -> dict[str, Any]:
  """Returns task -> split -> how much of its text the encoder reads."""
  corpus = session.materials.corpus_of(run)
  return {
    task.name: coverage.record(corpus.coverage(task))
    for task in session.experiment.tasks_of(run)
  }


def scored(session: Session, run: Run) -> Datasets:
  """Returns (task, split, rows) of all that a run is scored on."""
  return [
    (task, split, rows)
    for task in session.experiment.tasks_of(run)
    for split, rows in session.materials.corpus_of(run).scored(task).items()
  ]


def asked(session: Session, run: Run) -> Datasets:
  """Returns what a finished trial answers: also what it is calibrated on."""
  rows = {
    task: session.materials.corpus_of(run).fitted(task)
    for task in session.experiment.tasks_of(run)
  }
  return [
    *scored(session, run),
    *((task, SPLIT, found) for task, found in rows.items() if found),
  ]


def headlines(session: Session, run: Run, params: Any) -> list[dict]:
  """Returns {task: headline score} of each trial, while it trains."""
  # Reversed, so that of a task's splits the one that tables show stays.
  datasets = {
    task.name: (task, s, r) for task, s, r in scored(session, run)[::-1]
  }
  shown = [datasets[name] for name in run.tasks]
  said = logits(session, run, params, shown, progress=lambda n: None)
  found = []
  for trial in range(len(jax.tree.leaves(params)[0])):
    found.append({})
    for task, split, rows in shown:
      mine = said[task.name, split][trial]
      kept = outcomes.keep(session, task, split, rows, mine)
      scores = metrics.scores(task, kept.logits, kept.labels, kept.words)
      found[-1][task.name] = scores[task.headline]
  return found


def average(table: Mapping[str, Task], scores: Mapping[str, float]) -> float:
  """Returns what tasks count together.

  Args:
    table: of the tasks.
    scores: {task: headline score}.
  """
  return float(
    np.mean([table[name].counted(score) for name, score in scores.items()])
  )


def forward(
  session: Session, run: Run, params: Any, datasets: Datasets, text: str
) -> dict[tuple[str, str], np.ndarray]:
  """Returns the logits f32[R, N, C] of every (task, split), with a bar."""
  total = sum(len(rows.examples) for _, _, rows in datasets)
  with bar(run.name, total, text=text) as progress:
    return logits(
      session, run, params, datasets, progress=session.asking(progress)
    )


def logits(
  session: Session,
  run: Run,
  params: Any,
  datasets: Datasets,
  *,
  progress: Callable[[int], None],
  layout: Layout | None = None,
) -> dict[tuple[str, str], np.ndarray]:
  """Returns the logits f32[R, N, C] of every (task, split)."""
  return forward_pass.outputs(
    session.materials.model(run),
    params,
    datasets,
    layout or layout_of(session, run, datasets),
    mesh=session.materials.mesh,
    progress=progress,
  )


def layout_of(session: Session, run: Run, datasets: Datasets) -> Layout:
  """Returns how examples lie in the batches in which a run answers."""
  config = session.experiment.settings(run).config
  return Layout(
    width_of((rows for _, _, rows in datasets), at_most=config.max_length),
    config.eval_batch_size,
    packing=config.data.packing,
    masker=session.materials.masker(run),
  )
