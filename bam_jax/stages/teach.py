"""Makes the logits by which finished trials teach others."""

from collections.abc import Sequence

from bam_jax.data import teachers
from bam_jax.runtime.console import say
from bam_jax.stages import evaluate
from bam_jax.stages.session import Session
from bam_jax.study.plan import Run


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

  Returns:
    The teachers that are not trained.
  """
  workdir, untrained = session.workdir, []
  for teacher, name, seed in session.teachers.missing(run, seeds):
    if not workdir.finished(teacher.name, seed):
      untrained.append(teacher)
      continue
    folder = workdir.run(teacher.name)
    with session.leases.hold(folder, f"logits-{name}-{seed}") as mine:
      # Another command may have made them while this one looked.
      if mine and not workdir.teacher(teacher.name, name, seed).exists():
        teach_task(session, teacher, name, seed)
  return untrained


def teach_task(session: Session, teacher: Run, name: str, seed: int) -> None:
  """Makes the logits of a task by one trial of its teacher."""
  task = session.experiment.table[name]
  # Held-out rows are taught too.
  rows = session.materials.corpus.taught(task)
  params = session.finished(teacher.name, [seed])
  split = "train"
  said = evaluate.forward(
    session, teacher, params, [(task, split, rows)], f"teaches {name}"
  )
  teachers.write(
    rows,
    said[name, split][0],
    path=session.workdir.teacher(teacher.name, name, seed),
    metadata=session.teachers.expected(teacher.name, task, seed),
  )
