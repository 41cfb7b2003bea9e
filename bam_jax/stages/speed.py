"""How fast this machine trains, from a few steps on some of the rows."""

from collections.abc import Mapping
import time

import jax
import numpy as np

from bam_jax.data import pipeline, tables
from bam_jax.data.features import Features, width_of
from bam_jax.data.pool import TaskData, join
from bam_jax.models import flops
from bam_jax.runtime.console import bar
from bam_jax.stages import lessons
from bam_jax.stages.session import Session
from bam_jax.study.plan import Run
from bam_jax.training import adapting, heads, loop, sharding

# Steps that are measured, after one that compiles; fewer if they take long.
STEPS, SECONDS = 4, 20.0


def measured(
  session: Session, run: Run, samples: Mapping[str, Features], *, at_most: int
) -> tuple[float, int, int]:
  """Returns the useful FLOP/s of steps of a run, their number and trials.

  The sampled rows stand for all rows, random parameters for trained ones.

  Args:
    session: the session.
    run: the run.
    samples: some training rows of each task.
    at_most: trials that it would train together.
  """
  settings, mesh = session.experiment.settings(run), session.materials.mesh
  c, tasks = settings.config, session.experiment.tasks_of(run)
  rows = [samples[name] for name in run.tasks]
  sizes = tables.units(tasks, samples)
  pool = join(
    [
      TaskData(task.name, each, task.classes, None)
      for task, each in zip(tasks, rows, strict=True)
    ],
    weights=[1.0] * len(tasks),
    masker=session.materials.masker(run),
  )
  # Where as many as fit are trained, one tells the least that is to be had.
  trials = min(c.trials_at_once or 1, at_most)
  order = lessons.order(settings, sizes)(seed=c.seed)[: STEPS + 1]
  # A short run goes over its few batches again.
  order = np.resize(order, (STEPS + 1, order.shape[1]))
  batches = pipeline.TrialBatches(
    [pool] * trials,
    np.stack([order] * trials),
    width=width_of(rows, at_most=session.config.max_length),
    packing=c.data.packing,
    row_shapes=1,
    multiple=c.micro_rows or sharding.row_multiple(mesh),
    micro_rows=c.micro_rows,
  )
  init, step, _, _ = loop.make_step(
    session.materials.model(run),
    len(batches),
    trials=trials,
    settings=settings,
    mesh=mesh,
    matching=session.materials.matching(run),
  )
  state = init(np.arange(trials, dtype=np.uint32), {})
  shape = session.materials.encoder.shape
  useful = np.zeros(len(pool.task))
  for number, task in enumerate(tasks):
    mine = pool.task == number
    useful[mine] = flops.train(
      shape,
      pool.lengths[mine],
      head=heads.spec(task, vocabulary=shape.vocab_size),
      **adapting.counted(settings.config),
    )
  if pool.units is not None:
    useful = np.add.reduceat(useful, pool.units.first)
  seconds, done, count = 0.0, 0.0, 0
  with bar(run.name, STEPS, text="measures its speed") as advance:
    for k in range(len(batches)):
      begin = time.monotonic()
      state, sums = step(state, loop.put(mesh, batches, k))
      jax.block_until_ready((state, sums))
      if k:
        seconds += time.monotonic() - begin
        done += trials * float(useful[order[k][order[k] >= 0]].sum())
        count += 1
        advance(1)
      if seconds > SECONDS:
        break
  return done / seconds, count, trials
