"""Makes the logits by which finished trials teach others."""

from collections.abc import Sequence
import dataclasses

import jax
import numpy as np

from bam_jax.data import pipeline
from bam_jax.data.parts import Parts
from bam_jax.data.pipeline import Layout
from bam_jax.runtime import distributed
from bam_jax.runtime.console import bar, say
from bam_jax.stages import evaluate
from bam_jax.stages.session import Session
from bam_jax.study.plan import Run
from bam_jax.tasks.table import Task
from bam_jax.training import answers, sharding


def teach(session: Session) -> None:
  """Makes all teacher logits whose teachers are trained."""
  waiting = {
    teacher.name
    for run in session.experiment.runs
    for teacher in teach_for(session, run, session.experiment.seeds)
  }
  for name in sorted(waiting):
    say(f"{name} cannot teach yet: --config.stage=train")


def teach_for(session: Session, run: Run, seeds: Sequence[int]) -> list[Run]:
  """Makes the teacher logits that trials of a run lack.

  Those that other commands are making are left to them.

  Returns:
    The teachers that are not trained.
  """
  workdir, untrained = session.workdir, []
  for teacher, name, seed in session.teachers.missing(run, seeds):
    if not workdir.finished(teacher.name, seed):
      untrained.append(teacher)
      continue
    teach_task(session, teacher, name, seed)
  return untrained


def teach_task(session: Session, teacher: Run, name: str, seed: int) -> None:
  """Makes the logits of a task by one trial of its teacher, part by part."""
  workdir, tasks = session.workdir, session.experiment.tasks_of(teacher)
  # As its own head reads it.
  (task,) = (each for each in tasks if each.name == name)
  made = workdir.teacher(teacher.name, name, seed)
  parts = Parts(
    workdir.teacher_parts(teacher.name, name, seed),
    # Held-out rows are taught too.
    session.materials.corpus.taught(task),
    session.teachers.expected(teacher.name, task, seed),
  )
  folder = workdir.run(teacher.name)
  if session.config.data.beam and not made.exists():
    with session.leases.hold(folder, f"logits-{name}-{seed}-beam") as mine:
      if mine:
        have_answered(session, teacher, task, seed, parts)
  if not answer(session, teacher, task, seed, parts):
    return
  with session.leases.hold(folder, f"logits-{name}-{seed}") as mine:
    # Another command may have made them while this one looked.
    if mine and not made.exists():
      with distributed.leader_first(f"logits {made}"):
        if distributed.leader():
          parts.join(made)


def answer(
  session: Session, teacher: Run, task: Task, seed: int, parts: Parts
) -> bool:
  """Makes the parts that nobody has made; tells whether all are there.

  Args:
    session: the session.
    teacher: the run that teaches.
    task: what it teaches.
    seed: of its trial.
    parts: of the task's training rows.
  """
  made = session.workdir.teacher(teacher.name, task.name, seed)
  folder, whole = session.workdir.run(teacher.name), True
  params = layout = None
  total = len(parts.features.examples)
  with bar(teacher.name, total, text=f"teaches {task.name}") as progress:
    for part in range(len(parts)):
      name = f"logits-{task.name}-{seed}-{part}"
      with session.leases.hold(folder, name) as mine:
        # Whoever has made all of them has deleted the parts after that.
        if not mine or parts.there(part) or made.exists():
          whole &= mine
          progress(len(parts.rows(part).examples))
          continue
        if params is None:
          params = session.finished(teacher.name, [seed])
          layout = layout_of(session, teacher, task, parts)
        said = evaluate.logits(
          session,
          teacher,
          params,
          [(task, task.train, parts.rows(part))],
          progress=session.asking(progress),
          layout=layout,
        )
        with distributed.leader_first(f"{parts.folder} {part}"):
          if distributed.leader():
            parts.keep(part, said[task.name, task.train][0])
  return whole


def have_answered(
  session: Session, teacher: Run, task: Task, seed: int, parts: Parts
) -> None:
  """Has Beam's workers make the parts that nobody has made; see `answer`."""
  lacking = [part for part in range(len(parts)) if not parts.there(part)]
  with distributed.leader_first(f"{parts.folder} by Beam"):
    if not lacking or not distributed.leader():
      return
    asked = answers.Asked(
      session.materials.model(teacher),
      jax.tree.map(np.asarray, session.finished(teacher.name, [seed])),
      task,
      layout_of(session, teacher, task, parts),
      session.config.mesh.to_dict(),
    )
    text, done = f"teaches {task.name} by Beam", 0
    with bar(teacher.name, len(lacking), text=text) as advance:

      def progress(count: int) -> None:
        nonlocal done
        advance(count - done)
        done = count

      said = answers.by_workers(
        asked,
        ((part, parts.rows(part)) for part in lacking),
        runner=session.config.data.beam,
        beside=parts.folder,
        progress=progress,
      )
      for part, logits in said:
        parts.keep(part, logits)


def layout_of(
  session: Session, teacher: Run, task: Task, parts: Parts
) -> Layout:
  """Returns a layout that all parts have, for one program to answer them."""
  every = evaluate.layout_of(
    session, teacher, [(task, task.train, parts.features)]
  )
  multiple = sharding.row_multiple(session.materials.mesh)
  needed = [
    pipeline.eval_batches([(parts.rows(k), 0)], every, multiple=multiple)
    for k in range(len(parts))
  ]
  return dataclasses.replace(
    every, rows=max(each.plan.shapes[-1] for each in needed)
  )
