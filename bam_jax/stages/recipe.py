"""A method as a graph of runs: train teachers, cache logits, train students.

Methods share every run that they have in common: the single-task models of
`single` are the teachers of `single->multi`. What is finished is not redone.
"""

from collections.abc import Callable
import functools
from typing import Any

from bam_jax.report import write as report
from bam_jax.runtime import distributed
from bam_jax.runtime.console import CONSOLE, say
from bam_jax.runtime.files import write_json
from bam_jax.stages import (
  calibrating,
  checks,
  contrasting,
  pretrained,
  reuse,
)
from bam_jax.stages.evaluate import evaluate
from bam_jax.stages.predict import predict
from bam_jax.stages.session import Session, opened
from bam_jax.stages.teach import teach
from bam_jax.stages.train import train
from bam_jax.stats import search
from bam_jax.study import locks, results
from bam_jax.study.chains import KINDS
from bam_jax.study.workdir import Workdir
from bam_jax.tasks import coverage


def tell(here: Session) -> None:
  """Says how much of every task's text is read, and held out."""
  held = here.experiment.held
  calibrating.tell(here.experiment, here.materials.corpus.fitted)
  contrasting.tell(here)
  for task in here.experiment.trained_tasks:
    if held.share(task):
      say(here.materials.texts.holdout(task, held).sentence)
    corpus, most = here.materials.corpus, here.config.max_length
    key = "max_length"
    trained = [run for run in here.experiment.runs if task.name in run.tasks]
    if trained:
      # As the last that trains on it reads it.
      corpus = here.materials.corpus_of(trained[-1])
      settings = here.experiment.settings(trained[-1]).config
      most = settings.max_length
      if KINDS[trained[-1].kind].ahead:
        # Of each text; together they have twice as many.
        key, most = f"contrast.{key}", settings.contrast.max_length
    found = corpus.coverage(task)
    say(coverage.sentence(task.name, found))
    for text in coverage.warnings(task.name, found, most, key):
      say(f"warning: {text}")


def execute(config: Any, workdir: Workdir, stop: Callable[[], bool]) -> None:
  """Runs the stages that `config.stage` asks for.

  Args:
    config: the whole config.
    workdir: where everything goes.
    stop: asked while training; True ends the run after saving.

  Raises:
    ValueError: something that the user asked for cannot be.
    loop.Stopped: `stop` said so.
  """
  here = opened(config, workdir, stop)
  checks.check(here)
  reuse.sources(here)
  with locks.lock(workdir.path, share=config.share) as last:
    run_stages(here, last)


def run_stages(here: Session, last: Callable[[], bool]) -> None:
  """Runs what `config.stage` asks for, in a directory that is ours.

  Args:
    here: the session.
    last: tells whether no other command is at work there.
  """
  workdir, config, stage = here.workdir, here.config, here.config.stage
  repeat = functools.partial(here.leases.repeat, ask=here.ask)
  with distributed.leader_first("workdir"):
    if distributed.leader():
      with here.leases.writing():
        workdir.open(config)
  if stage in ("all", "train"):
    if not checks.complete(here.experiment, workdir):
      tell(here)
    waiting = repeat(lambda: train(here, teaching=stage == "all"))
    for run in waiting:
      say(f"{run.name} waits for its teachers: --config.stage=teach")
  if stage == "teach":
    repeat(lambda: teach(here))
  if stage in ("all", "evaluate"):
    repeat(lambda: evaluate(here, again=stage == "evaluate"))
  if stage == "predict":
    predict(here)
  if stage in ("all", "evaluate", "report") and distributed.leader():
    if not last():
      say("another command in this workdir writes the results at its end")
      return
    conclude(here)


def conclude(here: Session) -> None:
  """Writes results.json and the report, and prints the comparison."""
  path = here.workdir.path
  pretrained.keep(here)
  found = results.gather(here.experiment, here.workdir)
  write_json(path / "results.json", found)
  report.write(found, path)
  CONSOLE.print(report.table(found))
  for method, cells in found["search"].items():
    say(f"best settings of {method}: {search.flags(cells[0])}")
  say(f"wrote {path / 'report' / 'report.md'}")
