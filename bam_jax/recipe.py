"""A method as a graph of runs: train teachers, cache logits, train students.

Methods share every run that they have in common: the single-task models of
`single` are the teachers of `single->multi`. What is finished is not redone.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from bam_jax import (
  checks,
  distributed,
  evaluate,
  glue_server,
  predictions,
  report,
  results,
  submission,
  teach,
  train,
  tuning,
  welcome,
)
from bam_jax.checkpoint import Checkpoints, load_params, save_params
from bam_jax.lessons import Lessons
from bam_jax.plan import Run, scored
from bam_jax.tasks import Task
from bam_jax.workdir import Workdir, write_json
from bam_jax.writer import CONSOLE, Writer, bar, say


@dataclasses.dataclass
class Recipe(Lessons):
  """The stages, over the runs of an experiment.

  Attributes:
    stop: asked while training; True ends the run after saving.
  """

  stop: Callable[[], bool]

  def train(self, *, teaching: bool) -> list[Run]:
    """Trains every run that is not finished; returns those left waiting.

    Args:
      teaching: whether to make missing teacher logits on the way; without it
        the students of untaught teachers wait.
    """
    waiting = []
    for run in self.runs:
      for seeds in self.groups(run):
        if teaching:
          self.teach_for(run, seeds)
        elif self.untaught(run, seeds) or not self.startable(run, seeds):
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
    left = [s for s in self.seeds if not self.workdir.finished(run.name, s)]
    found: list[Sequence[int]] = []
    for first, last in self.workdir.begun(run.name):
      group = range(first, last + 1)
      if len(group) <= at_once and set(group) <= set(self.seeds):
        found.append(group)
        left = [s for s in left if s not in group]
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
    writer = Writer(metrics, run.name, run.tasks, seeds)
    checkpoints = Checkpoints(self.workdir.training(run.name, seeds))
    config = self.settings(run)
    try:
      params, steps = train.train(
        self.model(run),
        self.batches(run, seeds),
        seeds=seeds,
        given=self.given(run, seeds),
        settings=config[run.kind],
        config=config,
        mesh=self.mesh,
        checkpoints=checkpoints,
        writer=writer,
        stop=self.stop,
        evaluate=functools.partial(self.headlines, run),
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
    meta = [{"step": k, "seconds": writer.seconds / len(seeds)} for k in steps]
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
          metadata=self.metadata(teacher.name, task),
          width=self.width(teacher),
          batch_size=self.config.eval_batch_size,
          packing=self.config.data.packing,
          mesh=self.mesh,
          progress=self.asking(progress),
        )
    return untrained

  def asking(self, progress: Callable[[int], None]) -> Callable[[int], None]:
    """Returns `progress` that also asks whether to stop."""

    def advance(n: int) -> None:
      progress(n)
      if self.stop():
        raise train.Stopped("stopped between two batches")

    return advance

  # --- evaluation, prediction, report

  def score(
    self, run: Run, seed: int, params: Any, meta: Mapping[str, Any]
  ) -> None:
    """Scores one trial of a run on dev and records it.

    One at a time, so that the numbers do not depend on which trials were
    trained, or were left unscored, together.

    Args:
      run: the run.
      seed: of the trial.
      params: its parameters, [1, ...].
      meta: what was noted when they were saved.
    """
    datasets = self.scored(run)
    logits = self.forward(run, params, datasets, "evaluates")
    entry: dict[str, Any] = {"scores": {}, "examples": {}, "warnings": []}
    for task, split, rows in datasets:
      mine = entry["scores"].setdefault(task.name, {})
      answers = logits[task.name, split][0]
      found = evaluate.scores(task, answers, rows.labels)
      # The split that tables show has the bare names.
      mine |= {f"{split}/{k}" if mine else k: v for k, v in found.items()}
      entry["examples"].setdefault(task.name, len(rows))
      if np.ptp(answers, axis=0).max() < 1e-6 and len(rows) > 1:
        entry["warnings"].append(
          f"{run.name} seed {seed} answers all {len(rows)} {task.name} {split} "
          "rows alike: it has learnt nothing; try another rate or more steps"
        )
    for warning in entry["warnings"]:
      say(warning)
    entry |= {"step": meta["step"], "seconds": round(meta["seconds"], 1)}
    with distributed.leader_first(f"{run.name} seed {seed} scored"):
      if distributed.leader():
        predictions.write(
          predictions.path(self.workdir.run(run.name), seed),
          {
            (task.name, split): predictions.Predictions(
              rows.index, logits[task.name, split][0], rows.labels
            )
            for task, split, rows in datasets
          },
        )
        self.workdir.record(run.name, seed, entry)
    shown = ", ".join(
      f"{task.name} {entry['scores'][task.name][task.headline]:.1f}"
      for task in self.tasks_of(run)
    )
    say(f"{run.name} seed {seed}: {shown}")

  def scored(self, run: Run) -> list[tuple[Task, str, Any]]:
    """Returns (task, split, rows) of all that a run is scored on."""
    return [
      (task, split, rows)
      for task in self.tasks_of(run)
      for split, rows in self.corpus.scored(task).items()
    ]

  def headlines(self, run: Run, params: Any) -> list[dict[str, float]]:
    """Returns {task: headline score} of each trial, while it trains."""
    datasets = {
      task.name: (task, s, r) for task, s, r in self.scored(run)[::-1]
    }
    # Reversed, so that of a task's splits the one that tables show stays.
    shown = [datasets[name] for name in run.tasks]
    logits = self.logits(run, params, shown, progress=lambda n: None)
    return [
      {
        task.name: evaluate.scores(
          task, logits[task.name, split][trial], r.labels
        )[task.headline]
        for task, split, r in shown
      }
      for trial in range(len(jax.tree.leaves(params)[0]))
    ]

  def forward(
    self, run: Run, params: Any, datasets: Sequence, text: str
  ) -> dict[tuple[str, str], np.ndarray]:
    """Returns the logits f32[R, N, C] of every (task, split), with a bar."""
    total = sum(len(rows) for _, _, rows in datasets)
    with bar(run.name, total, text=text) as progress:
      return self.logits(run, params, datasets, progress=self.asking(progress))

  def logits(
    self, run: Run, params: Any, datasets: Sequence, *, progress: Callable
  ) -> dict[tuple[str, str], np.ndarray]:
    """Returns the logits f32[R, N, C] of every (task, split)."""
    longest = max(rows.lengths.max() for _, _, rows in datasets)
    return evaluate.evaluate(
      self.model(run),
      params,
      datasets,
      width=min(self.config.max_length, -(-int(longest) // 16) * 16),
      batch_size=self.config.eval_batch_size,
      packing=self.config.data.packing,
      mesh=self.mesh,
      progress=progress,
    )

  def evaluate(self, *, again: bool) -> None:
    """Scores every finished trial that has no scores, or all `again`."""
    for run in self.runs:
      known = self.workdir.scores(run.name)
      for seed in self.seeds:
        done = self.workdir.finished(run.name, seed)
        if done and (again or str(seed) not in known):
          params, meta = load_params(self.workdir.params(run.name, seed))
          whole = jax.tree.map(lambda x: x[None], params)
          self.score(run, seed, whole, meta)

  def predict(self) -> None:
    """Writes GLUE submission files from each task's best trial by dev score.

    The method is the last of the config's list. The diagnostic set is
    predicted by the head that its row names.
    """
    method, runs = list(self.methods.items())[-1]
    found, rows = {}, {}
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
      scores = self.workdir.scores(run.name)
      head = self.table[task.head]
      seeds = [s for s in self.seeds if str(s) in scores]
      if not seeds:
        raise ValueError(f"{run.name} is not trained yet: --config.stage=train")
      best = max(
        seeds, key=lambda s: scores[str(s)]["scores"][head.name][head.headline]
      )
      tests = self.corpus.test(task)
      datasets = [(task, split, each) for split, each in tests.items()]
      rows |= {(task.name, s): len(each) for s, each in tests.items()}
      logits = self.forward(
        run,
        self.trial_params(run.name, [best]),
        datasets,
        f"predicts {task.name}",
      )
      found |= {key: value[0] for key, value in logits.items()}
    if self.config.wnli == "majority":
      key, answers = glue_server.majority()
      found[key], rows[key] = answers, len(answers)
    if not found or not distributed.leader():
      return
    folder = self.workdir.path / "submission"
    submission.write_submission(folder, found, rows=rows)
    say(f"{method}: wrote {folder}")
    for deviation in glue_server.check(folder):
      say(f"the GLUE server would refuse it: {deviation}")


@jax.jit
def take(params: Any, trial: int) -> Any:
  """Returns the parameters [1, ...] of one of R trials."""
  return jax.tree.map(
    lambda x: jax.lax.dynamic_slice_in_dim(x, trial, 1), params
  )


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
  with workdir.lock():
    run_stages(recipe)


def run_stages(recipe: Recipe) -> None:
  """Runs what `config.stage` asks for, in a directory that is ours."""
  workdir, config, stage = recipe.workdir, recipe.config, recipe.config.stage
  with distributed.leader_first("workdir"):
    if distributed.leader():
      workdir.open(config)
  if stage in ("all", "train"):
    waiting = recipe.train(teaching=stage == "all")
    for run in waiting:
      say(f"{run.name} waits for its teachers: --config.stage=teach")
  if stage == "teach":
    recipe.teach()
  if stage in ("all", "evaluate"):
    recipe.evaluate(again=stage == "evaluate")
  if stage == "predict":
    recipe.predict()
  if stage in ("all", "evaluate", "report") and distributed.leader():
    found = results.gather(recipe)
    write_json(workdir.path / "results.json", found)
    report.write(found, workdir.path)
    CONSOLE.print(report.table(found))
    for method, cells in found["search"].items():
      say(f"best settings of {method}: {tuning.flags(cells[0])}")
    say(f"wrote {workdir.path / 'report' / 'report.md'}")
