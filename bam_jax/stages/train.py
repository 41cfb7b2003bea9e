"""Trains the runs that are not finished, with their teachers on the way."""

from collections.abc import Sequence
import functools
from typing import Any

import jax

from bam_jax.hf import directory as hf
from bam_jax.runtime import distributed, energy, sealed
from bam_jax.stages import evaluate, imported, lessons, reuse, teach
from bam_jax.stages.session import Session
from bam_jax.study.plan import Run, names
from bam_jax.training import adapting, loop, memory
from bam_jax.training.checkpoint import Checkpoints, save_params
from bam_jax.training.loop import Job
from bam_jax.training.trackers import trackers
from bam_jax.training.writer import Writer


def train(session: Session, *, teaching: bool) -> list[Run]:
  """Trains every run that is not finished; returns those left waiting.

  Args:
    session: the session.
    teaching: whether to make missing teacher logits on the way; without it
      the students of untaught teachers wait.
  """
  waiting = []
  for run in session.experiment.runs:
    reuse.take(session, run)
    folder = session.workdir.run(run.name)
    left = functools.partial(groups, session, run)
    for seeds in session.leases.each(folder, left):
      if teaching:
        teach.teach_for(session, run, seeds)
      untaught = session.teachers.missing(run, seeds)
      if untaught or not startable(session, run, seeds):
        waiting.append(run)
        break
      train_trials(session, run, seeds)
  return waiting


def groups(session: Session, run: Run) -> list[Sequence[int]]:
  """Returns the seeds to train, in groups that are trained together.

  A group that was interrupted goes on as it was, even if some of its trials
  were finished: alone, the others would not end in the same bits.
  """
  workdir, seeds = session.workdir, session.experiment.seeds
  at_once = session.config.trials_at_once
  most = at_once or len(seeds)
  # First, because to list a folder makes a network file system look anew.
  begun = workdir.begun(run.name)
  left = [seed for seed in seeds if not workdir.finished(run.name, seed)]
  found: list[Sequence[int]] = []
  for first, last in begun:
    group = range(first, last + 1)
    if len(group) <= most and set(group) <= set(seeds):
      found.append(group)
      left = [seed for seed in left if seed not in group]
  if left and not at_once:
    at_once = memory.trials_at_once(
      run.name,
      len(left),
      mesh=session.materials.mesh,
      lower=lambda trials: lowered(session, run, trials),
    )
  # Only neighbours are trained together: a directory is named after the ends.
  while left:
    size = 1
    while size < min(at_once, len(left)) and left[size] == left[0] + size:
      size += 1
    found.append(left[:size])
    left = left[size:]
  return found


def lowered(session: Session, run: Run, trials: int) -> jax.stages.Lowered:
  """Returns the step of R trials of a run, ready to be compiled."""
  seeds = session.experiment.seeds[:trials]
  batches = session.batches(run, seeds, taught=False)
  return memory.lower(
    session.materials.model(run),
    len(batches),
    batches[int(batches.sizes.argmax())],
    trials=trials,
    settings=session.experiment.settings(run),
    mesh=session.materials.mesh,
    matching=session.materials.matching(run),
  )


def startable(session: Session, run: Run, seeds: Sequence[int]) -> bool:
  """Tells whether the trials that a run continues are finished."""
  start, workdir = run.start, session.workdir
  return not start or all(workdir.finished(start, seed) for seed in seeds)


def train_trials(session: Session, run: Run, seeds: Sequence[int]) -> None:
  """Trains some trials of a run together, keeps and scores them."""
  workdir, materials = session.workdir, session.materials
  folder = workdir.run(run.name)
  folder.mkdir(parents=True, exist_ok=True)
  imported.look(session, run, seeds)
  job = Job(
    model=materials.model(run),
    batches=session.batches(run, seeds),
    seeds=seeds,
    settings=lessons.paced(session.experiment.settings(run), session.rows(run)),
    mesh=materials.mesh,
    matching=materials.matching(run),
  )
  checkpoints = Checkpoints(workdir.training(run.name, seeds))
  writer = writer_of(session, run, job)
  watch = loop.Watch(
    checkpoints=checkpoints,
    writer=writer,
    stop=session.stop,
    evaluate=functools.partial(evaluate.headlines, session, run),
    average=functools.partial(evaluate.average, session.experiment.named(run)),
  )
  try:
    params, steps = loop.train(
      job, session.given(run, seeds), watch, profile=folder / "profile"
    )
  except loop.NotFinite as error:
    raise loop.NotFinite(
      f"{error}. Look at that batch: python -m bam_jax.replay "
      f"--state={checkpoints.path} --step={error.step + 1}; then try a lower "
      "rate or --config.dtype=float32, or mend those examples",
      error.step,
    ) from error
  finally:
    checkpoints.close()
  describe(session, run)
  meta = [
    noted(session, run, job, writer, trial, step)
    for trial, step in enumerate(steps)
  ]
  for trial, seed in enumerate(seeds):
    mine = jax.tree.map(lambda x: x[0], take(params, trial))
    save_params(workdir.params(run.name, seed), mine, meta[trial])
  checkpoints.discard()
  for trial, seed in enumerate(seeds):
    evaluate.score(session, run, seed, take(params, trial), meta[trial])


def writer_of(session: Session, run: Run, job: Job) -> Writer:
  """Returns what records the metrics of a job."""
  file = session.workdir.run(run.name) / "metrics.jsonl"
  return Writer(
    file if distributed.leader() else None,
    run.name,
    run.tasks,
    job.seeds,
    trackers=trackers(
      names(session.config.trackers),
      workdir=session.workdir.path,
      run=run.name,
      seeds=job.seeds,
      settings=job.settings.config.to_dict(),
    ),
    guard=session.leases.writing,
    # Of several processes each can read its own devices only.
    meter=energy.meter(job.mesh.local_devices) if distributed.alone() else None,
  )


def noted(
  session: Session, run: Run, job: Job, writer: Writer, trial: int, step: int
) -> dict[str, Any]:
  """Returns what is noted beside the parameters of a trial."""
  seed, joules = job.seeds[trial], writer.joules
  return {
    "step": step,
    "seconds": writer.seconds / len(job.seeds),
    "joules": joules and joules / len(job.seeds),
    "flops": lessons.useful(
      session.materials.encoder.shape,
      session.experiment.tasks_of(run),
      job.batches,
      trial,
      step,
      **adapting.counted(job.settings.config),
    ),
    "content": session.lineage.content(run, seed),
    "made_of": session.lineage.made_of(run, seed),
  }


def describe(session: Session, run: Run) -> None:
  """Keeps what a run's parameters need to answer, without its encoder."""
  folder = session.workdir.model(run.name)
  if not distributed.leader() or folder.exists():
    return
  encoder = session.materials.encoder
  files = hf.tokenizer_files(encoder.folder)
  with sealed.beside(folder) as made:
    hf.write(made, hf.write_config(encoder.shape), {}, files)
    # A model card names the data, which may be gone by then.
    texts, own = session.materials.texts, session.experiment.tasks_of(run)
    data = {task.name: texts.facts(task, task.train) for task in own}
    session.experiment.describe(run).save(made, data=data)


@jax.jit
def take(params: Any, trial: int) -> Any:
  """Returns the parameters [1, ...] of one of R trials."""
  return jax.tree.map(
    lambda x: jax.lax.dynamic_slice_in_dim(x, trial, 1), params
  )
