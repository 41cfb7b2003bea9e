"""A method as a graph of runs: train teachers, cache logits, train students.

Methods share every run that they have in common: the single-task models of
`single` are the teachers of `single->multi`. What is finished is not redone.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
from typing import Any

import jax

from bam_jax.data.features import width_of
from bam_jax.report import write as report
from bam_jax.runtime import distributed, energy
from bam_jax.runtime.console import CONSOLE, bar, say
from bam_jax.runtime.files import write_json
from bam_jax.stages import checks, reuse, welcome
from bam_jax.stages.scoring import Scoring
from bam_jax.stats import search as tuning
from bam_jax.study import results
from bam_jax.study.plan import Run, names, scored
from bam_jax.study.workdir import Workdir
from bam_jax.tasks import coverage, submission
from bam_jax.tasks import server as glue_server
from bam_jax.tasks.table import Task
from bam_jax.training import loop as train
from bam_jax.training import memory, teach
from bam_jax.training.checkpoint import Checkpoints, load_params, save_params
from bam_jax.training.trackers import trackers
from bam_jax.training.writer import Writer


@dataclasses.dataclass
class Recipe(Scoring):
  """The stages, over the runs of an experiment."""

  def ask(self) -> None:
    """Raises Stopped if the command is to stop while it waits for others."""
    if self.stop():
      raise train.Stopped("stopped while it waited for other commands")

  def train(self, *, teaching: bool) -> list[Run]:
    """Trains every run that is not finished; returns those left waiting.

    Args:
      teaching: whether to make missing teacher logits on the way; without it
        the students of untaught teachers wait.
    """
    waiting = []
    for run in self.runs:
      reuse.take(self, run, self.keep)
      directory = self.workdir.run(run.name)
      left = functools.partial(self.groups, run)
      for seeds in self.claims.each(directory, left):
        if teaching:
          self.teach_for(run, seeds)
        if self.untaught(run, seeds) or not self.startable(run, seeds):
          waiting.append(run)
          break
        self.train_trials(run, seeds)
    return waiting

  def groups(self, run: Run) -> list[Sequence[int]]:
    """Returns the seeds to train, in groups that are trained together.

    A group that was interrupted goes on as it was, even if some of its trials
    were finished: alone, the others would not end in the same bits.
    """
    at_once = self.config.trials_at_once
    most = at_once or len(self.seeds)
    # First, because to list a folder makes a network file system look anew.
    begun = self.workdir.begun(run.name)
    left = [s for s in self.seeds if not self.workdir.finished(run.name, s)]
    found: list[Sequence[int]] = []
    for first, last in begun:
      group = range(first, last + 1)
      if len(group) <= most and set(group) <= set(self.seeds):
        found.append(group)
        left = [s for s in left if s not in group]
    if left and not at_once:
      at_once = memory.trials_at_once(self, run, len(left))
    # Only neighbours are trained together: a directory is named after the ends.
    while left:
      size = 1
      while size < min(at_once, len(left)) and left[size] == left[0] + size:
        size += 1
      found.append(left[:size])
      left = left[size:]
    return found

  def train_trials(self, run: Run, seeds: Sequence[int]) -> None:
    """Trains some trials of a run together, keeps and scores them."""
    directory = self.workdir.run(run.name)
    directory.mkdir(parents=True, exist_ok=True)
    welcome.look(self, run, seeds, self.scored(run), self.forward)
    metrics = directory / "metrics.jsonl" if distributed.leader() else None
    writer = Writer(
      metrics,
      run.name,
      run.tasks,
      seeds,
      trackers=trackers(
        names(self.config.trackers),
        workdir=self.workdir.path,
        run=run.name,
        seeds=seeds,
        settings=self.settings(run).to_dict(),
      ),
      guard=self.claims.writing,
      # Of several processes each can read its own devices only.
      meter=energy.meter(self.mesh.local_devices)
      if distributed.alone()
      else None,
    )
    batches = self.batches(run, seeds)
    checkpoints = Checkpoints(self.workdir.training(run.name, seeds))
    config = self.settings(run)
    try:
      params, steps = train.train(
        self.model(run),
        batches,
        seeds=seeds,
        given=self.given(run, seeds),
        settings=config[run.kind],
        config=config,
        mesh=self.mesh,
        checkpoints=checkpoints,
        writer=writer,
        stop=self.stop,
        evaluate=functools.partial(self.headlines, run),
        profile=directory / "profile",
      )
    except train.NotFinite as error:
      raise train.NotFinite(
        f"{error}. Look at that batch: python -m bam_jax.replay "
        f"--state={checkpoints.path} --step={error.step + 1}; then try a lower "
        "rate or --config.dtype=float32, or mend those examples",
        error.step,
      ) from error
    finally:
      checkpoints.close()
    self.describe(run)
    joules = writer.joules
    meta = [
      {
        "step": step,
        "seconds": writer.seconds / len(seeds),
        "joules": joules and joules / len(seeds),
        "flops": self.useful(run, batches, trial, step),
        "content": self.content(run, seed),
        "made_of": self.made_of(run, seed),
      }
      for trial, (step, seed) in enumerate(zip(steps, seeds, strict=True))
    ]
    for trial, seed in enumerate(seeds):
      mine = jax.tree.map(lambda x: x[0], take(params, trial))
      save_params(self.workdir.params(run.name, seed), mine, meta[trial])
    checkpoints.discard()
    for trial, seed in enumerate(seeds):
      self.score(run, seed, take(params, trial), meta[trial])

  def startable(self, run: Run, seeds: Sequence[int]) -> bool:
    """Tells whether the trials that a run continues are finished."""
    start = run.start
    return not start or all(self.workdir.finished(start, s) for s in seeds)

  # --- teachers

  def teach(self) -> None:
    """Makes all teacher logits whose teachers are trained."""
    waiting = {
      teacher.name
      for run in self.runs
      for teacher in self.teach_for(run, self.seeds)
    }
    for name in sorted(waiting):
      say(f"{name} cannot teach yet: --config.stage=train")

  def teach_for(self, run: Run, seeds: Sequence[int]) -> list[Run]:
    """Makes the teacher logits that trials of a run lack.

    Returns:
      The teachers that are not trained.
    """
    untrained = []
    for teacher, name, seed in self.untaught(run, seeds):
      if not self.workdir.finished(teacher.name, seed):
        untrained.append(teacher)
        continue
      folder = self.workdir.run(teacher.name)
      with self.claims.hold(folder, f"logits-{name}-{seed}") as mine:
        # Another command may have made them while this one looked.
        if mine and not self.workdir.teacher(teacher.name, name, seed).exists():
          self.teach_task(teacher, name, seed)
    return untrained

  def teach_task(self, teacher: Run, name: str, seed: int) -> None:
    """Makes the logits of a task by one trial of its teacher."""
    task = self.table[name]
    rows = self.corpus.taught(task)
    text = f"teaches {name}"
    with bar(teacher.name, len(rows), text=text) as progress:
      teach.teach(
        self.model(teacher),
        self.trial_params(teacher.name, [seed]),
        task,
        rows,
        paths=[self.workdir.teacher(teacher.name, name, seed)],
        metadata=self.metadata(teacher.name, task, seed),
        # Held-out rows are taught too, and may be longer than those trained on.
        width=width_of([rows], at_most=self.config.max_length),
        batch_size=self.config.eval_batch_size,
        packing=self.config.data.packing,
        mesh=self.mesh,
        progress=self.asking(progress),
      )

  # --- evaluation, prediction, report

  def evaluate(self, *, again: bool) -> None:
    """Scores every finished trial that has no scores, or all `again`."""
    for run in self.runs:
      directory = self.workdir.run(run.name)
      left = functools.partial(self.unscored, run, again=again)
      for (seed,) in self.claims.each(directory, left):
        params, meta = load_params(self.workdir.params(run.name, seed))
        whole = jax.tree.map(lambda x: x[None], params)
        self.score(run, seed, whole, meta)

  def unscored(self, run: Run, *, again: bool) -> list[Sequence[int]]:
    """Returns the finished trials, each by itself, that lack scores, or all.

    Args:
      run: the run.
      again: those that have scores too.
    """
    known = self.workdir.scores(run.name)
    return [
      (seed,)
      for seed in self.seeds
      if self.workdir.finished(run.name, seed)
      and (again or str(seed) not in known)
    ]

  def submitted(self, run: Run, task: Task) -> dict[str, Any]:
    """Returns what answers a task for the server, and why: see `best_trial`.

    Raises:
      ValueError: no trial has scores.
    """
    known = self.workdir.scores(run.name)
    trials = {s: known[str(s)]["scores"] for s in self.seeds if str(s) in known}
    if not trials:
      raise ValueError(f"{run.name} is not trained yet: --config.stage=train")
    chosen = submission.best_trial(
      trials,
      self.tasks_of(run),
      self.table[task.head],
      by=self.config.submit,
    )
    split = "holdout" if self.config.data.holdout else "dev"
    return {"run": run.name, "split": split, **chosen}

  def predict(self) -> None:
    """Writes GLUE submission files, by the trials that `submit` asks for.

    The method is the last of the config's list. The diagnostic set is
    predicted by the head that its row names.
    """
    method, runs = list(self.methods.items())[-1]
    found, rows, made = {}, {}, {}
    for task in self.tasks:
      if not task.submission:
        say(f"{task.name} is left out: the GLUE server has no such task")
        continue
      if task.name == "wnli" and self.config.wnli == "majority":
        continue
      if task.head not in [name for run in runs for name in run.tasks]:
        say(f"{task.name} is predicted by {task.head}, which is not trained")
        continue
      run = scored(runs, task.head)
      if not run:
        continue
      chosen = self.submitted(run, task)
      tests = self.corpus.test(task)
      datasets = [(task, split, each) for split, each in tests.items()]
      rows |= {(task.name, s): len(each) for s, each in tests.items()}
      logits = self.forward(
        run,
        self.trial_params(run.name, [chosen["seed"]]),
        datasets,
        f"predicts {task.name}",
      )
      found |= {key: value[0] for key, value in logits.items()}
      made |= {key: {"method": method, **chosen} for key in logits}
    if self.config.wnli == "majority":
      key, answers = glue_server.majority()
      found[key], rows[key] = answers, len(answers)
      made[key] = {"method": "majority"}
    if not found or not distributed.leader():
      return
    folder = self.workdir.path / "submission"
    submission.write_submission(folder, found, rows=rows, made_of=made)
    say(f"{method}: wrote {folder}")
    for answering, files in submission.whose(folder).items():
      say(f"{', '.join(files)}: {answering}")
    for deviation in glue_server.check(folder):
      say(f"the GLUE server would refuse it: {deviation}")


@jax.jit
def take(params: Any, trial: int) -> Any:
  """Returns the parameters [1, ...] of one of R trials."""
  return jax.tree.map(
    lambda x: jax.lax.dynamic_slice_in_dim(x, trial, 1), params
  )


def tell(recipe: Recipe) -> None:
  """Says how much of every task's text the encoder reads."""
  for task in recipe.trained_tasks:
    found = recipe.corpus.coverage(task)
    say(coverage.sentence(task.name, found))
    for text in coverage.warnings(task.name, found, recipe.config.max_length):
      say(f"warning: {text}")


def execute(config: Any, workdir: Workdir, stop: Callable[[], bool]) -> None:
  """Runs the stages that `config.stage` asks for.

  Args:
    config: the whole config.
    workdir: where everything goes.
    stop: asked while training; True ends the run after saving.

  Raises:
    ValueError: something that the user asked for cannot be.
    train.Stopped: `stop` said so.
  """
  recipe = Recipe(config, workdir, stop)
  checks.check(recipe)
  reuse.sources(recipe)
  with workdir.lock(share=config.share) as last:
    run_stages(recipe, last)


def run_stages(recipe: Recipe, last: Callable[[], bool]) -> None:
  """Runs what `config.stage` asks for, in a directory that is ours.

  Args:
    recipe: the stages.
    last: tells whether no other command is at work there.
  """
  workdir, config, stage = recipe.workdir, recipe.config, recipe.config.stage
  repeat = functools.partial(recipe.claims.repeat, ask=recipe.ask)
  with distributed.leader_first("workdir"):
    if distributed.leader():
      with recipe.claims.writing():
        workdir.open(config)
  if stage in ("all", "train") and not checks.complete(recipe):
    tell(recipe)
  if stage in ("all", "train"):
    waiting = repeat(lambda: recipe.train(teaching=stage == "all"))
    for run in waiting:
      say(f"{run.name} waits for its teachers: --config.stage=teach")
  if stage == "teach":
    repeat(recipe.teach)
  if stage in ("all", "evaluate"):
    repeat(lambda: recipe.evaluate(again=stage == "evaluate"))
  if stage == "predict":
    recipe.predict()
  if stage in ("all", "evaluate", "report") and distributed.leader():
    if not last():
      say("another command in this workdir writes the results at its end")
      return
    found = results.gather(recipe)
    write_json(workdir.path / "results.json", found)
    report.write(found, workdir.path)
    CONSOLE.print(report.table(found))
    for method, cells in found["search"].items():
      say(f"best settings of {method}: {tuning.flags(cells[0])}")
    say(f"wrote {workdir.path / 'report' / 'report.md'}")
