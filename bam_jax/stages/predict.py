"""Answers the test splits, for the GLUE server and for the course CS224N."""

from collections.abc import Callable
import dataclasses
from typing import Any

import numpy as np

from bam_jax.data.sources import course
from bam_jax.runtime import distributed
from bam_jax.runtime.console import say
from bam_jax.stages import evaluate
from bam_jax.stages.session import Session
from bam_jax.study.plan import Run, scored
from bam_jax.tasks import coursework, server, submission
from bam_jax.tasks.table import Task


@dataclasses.dataclass(frozen=True)
class Answered:
  """What a trial says of the splits of a task.

  Attributes:
    task: the task.
    method: whose trial it is.
    made: which trial of which run, and why.
    logits: split -> f32[N, C].
  """

  task: Task
  method: str
  made: dict[str, Any]
  logits: dict[str, np.ndarray]


def predict(session: Session) -> None:
  """Writes the files of answers, by the trials that `submit` asks for.

  The method is the last of the config's list, or for each task the best of
  them. The diagnostic set is predicted by the head that its row names.
  """
  answered = []
  for task in session.experiment.tasks:
    splits = _splits(session, task)
    if not splits:
      continue
    if not any(task.head in run.tasks for run in session.experiment.runs):
      say(f"{task.name} is predicted by {task.head}, which is not trained")
      continue
    if found := best(session, task):
      answered.append(_answer(session, *found, task, splits))
  for write in WRITERS:
    write(session, answered)


def best(
  session: Session, task: Task
) -> tuple[str, Run, dict[str, Any]] | None:
  """Returns the method that answers a task, its run and what `submitted` says.

  None where no run of the methods that are asked has its head.
  """
  methods = session.experiment.methods
  across = session.config.submit in submission.ACROSS
  found = [
    (method, run, submitted(session, run, task))
    for method in list(methods)[0 if across else -1 :]
    if (run := scored(methods[method], task.head))
  ]
  # Of equals the first.
  return max(found, key=lambda each: each[-1]["score"], default=None)


def _splits(session: Session, task: Task) -> tuple[str, ...]:
  """Returns the splits of a task that somebody wants answers of."""
  majority = session.config.wnli == "majority"
  if task.course:
    folder = session.config.data.cs224n_dir
    wanted = tuple(task.course.answers)
    found = [s for s in wanted if course.there(task, s, folder=folder)]
    for split in wanted:
      if split not in found:
        file = task.course.files[split]
        say(f"{task.course.answers[split]} is left out: {folder} lacks {file}")
    return tuple(found)
  if not task.submission:
    say(f"{task.name} is left out: the GLUE server has no such task")
  elif not (majority and server.MAJORITY in task.submission.values()):
    return task.test
  return ()


def _answer(
  session: Session,
  method: str,
  run: Run,
  chosen: dict[str, Any],
  task: Task,
  splits: tuple[str, ...],
) -> Answered:
  (head,) = (
    each for each in session.experiment.tasks_of(run) if each.name == task.head
  )
  # As that head reads it.
  task = dataclasses.replace(task, learn=head.learn)
  rows = session.materials.corpus.test(task, splits)
  logits = evaluate.forward(
    session,
    run,
    session.finished(run.name, [chosen["seed"]]),
    [(task, split, each) for split, each in rows.items()],
    f"predicts {task.name}",
  )
  said = {split: logits[task.name, split][0] for split in splits}
  for split in splits:
    assert len(said[split]) == len(rows[split]), (task.name, split)
  return Answered(task, method, chosen, said)


def _glue(session: Session, answered: list[Answered]) -> None:
  """Writes the GLUE server's files, and says what it would refuse."""
  found, made = {}, {}
  for each in answered:
    for split, logits in each.logits.items() if each.task.submission else ():
      found[each.task.name, split] = logits
      made[each.task.name, split] = {"method": each.method, **each.made}
  rows = {key: len(logits) for key, logits in found.items()}
  if session.config.wnli == "majority":
    key, answers = server.majority()
    found[key], rows[key] = answers, len(answers)
    made[key] = {"method": "majority"}
  if not found or not distributed.leader():
    return
  folder = session.workdir.path / "submission"
  submission.write_submission(folder, found, rows=rows, made_of=made)
  methods = dict.fromkeys(each.method for each in answered)
  methods = methods or list(session.experiment.methods)[-1:]
  say(f"{', '.join(methods)}: wrote {folder}")
  for answering, files in submission.whose(folder).items():
    say(f"{', '.join(files)}: {answering}")
  for deviation in server.check(folder):
    say(f"the GLUE server would refuse it: {deviation}")


def _course(session: Session, answered: list[Answered]) -> None:
  """Writes the course's files, and says what is wrong with them."""
  mine = [each for each in answered if each.task.course]
  if not mine or not distributed.leader():
    return
  folder = session.workdir.path / "cs224n"
  for each in mine:
    made = f"{each.made['run']} seed {each.made['seed']}"
    for split, logits in each.logits.items():
      path = folder / each.task.course.answers[split]
      ids = course.ids(each.task, split, folder=session.config.data.cs224n_dir)
      if len(logits) < len(ids):
        say(
          f"{path.name} is left out: data.dev_limit reads {len(logits)} of its"
          f" {len(ids)} rows; type --config.data.dev_limit="
        )
        continue
      coursework.write(path, each.task, logits, ids)
      say(f"{each.method}: wrote {path}, by {made}")
      for deviation in coursework.check(path, each.task, ids):
        say(f"the course would refuse it: {deviation}")


WRITERS: tuple[Callable[[Session, list[Answered]], None], ...] = (
  _glue,
  _course,
)


def submitted(session: Session, run: Run, task: Task) -> dict[str, Any]:
  """Returns what answers a task for the server, and why: see `best_trial`.

  Raises:
    ValueError: no trial has scores.
  """
  experiment, config = session.experiment, session.config
  known = session.workdir.scores(run.name)
  trials = {
    seed: known[str(seed)]["scores"]
    for seed in experiment.seeds
    if str(seed) in known
  }
  if not trials:
    raise ValueError(f"{run.name} is not trained yet: --config.stage=train")
  chosen = submission.best_trial(
    trials,
    experiment.tasks_of(run),
    experiment.table[task.head],
    by=config.submit,
  )
  split = "holdout" if config.data.holdout else "dev"
  return {"run": run.name, "split": split, **chosen}
