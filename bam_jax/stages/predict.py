"""Answers the test splits for the GLUE server."""

from typing import Any

from bam_jax.runtime import distributed
from bam_jax.runtime.console import say
from bam_jax.stages import evaluate
from bam_jax.stages.session import Session
from bam_jax.study.plan import Run, scored
from bam_jax.tasks import server, submission
from bam_jax.tasks.table import Task


def predict(session: Session) -> None:
  """Writes GLUE submission files, by the trials that `submit` asks for.

  The method is the last of the config's list. The diagnostic set is
  predicted by the head that its row names.
  """
  experiment = session.experiment
  method, runs = list(experiment.methods.items())[-1]
  majority = session.config.wnli == "majority"
  found, rows, made = {}, {}, {}
  for task in experiment.tasks:
    if not task.submission:
      say(f"{task.name} is left out: the GLUE server has no such task")
      continue
    if majority and server.MAJORITY in task.submission.values():
      continue
    if task.head not in [name for run in runs for name in run.tasks]:
      say(f"{task.name} is predicted by {task.head}, which is not trained")
      continue
    run = scored(runs, task.head)
    if not run:
      continue
    chosen = submitted(session, run, task)
    tests = session.materials.corpus.test(task)
    rows |= {(task.name, split): len(each) for split, each in tests.items()}
    logits = evaluate.forward(
      session,
      run,
      session.finished(run.name, [chosen["seed"]]),
      [(task, split, each) for split, each in tests.items()],
      f"predicts {task.name}",
    )
    found |= {key: value[0] for key, value in logits.items()}
    made |= {key: {"method": method, **chosen} for key in logits}
  if majority:
    key, answers = server.majority()
    found[key], rows[key] = answers, len(answers)
    made[key] = {"method": "majority"}
  if not found or not distributed.leader():
    return
  folder = session.workdir.path / "submission"
  submission.write_submission(folder, found, rows=rows, made_of=made)
  say(f"{method}: wrote {folder}")
  for answering, files in submission.whose(folder).items():
    say(f"{', '.join(files)}: {answering}")
  for deviation in server.check(folder):
    say(f"the GLUE server would refuse it: {deviation}")


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
