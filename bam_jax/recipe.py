"""A method as a graph of runs: train teachers, cache logits, train students.

Methods share every run that they have in common: the single-task models of
`single` are the teachers of `single->multi`. What is finished is not redone.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import time
from typing import Any

import jax
import numpy as np

from bam_jax import (
  checks,
  evaluate,
  predict,
  report,
  results,
  sharding,
  teach,
  train,
)
from bam_jax.checkpoint import Checkpoints, save_params
from bam_jax.data import pipeline, sampling
from bam_jax.experiment import Experiment
from bam_jax.plan import OUTSIDE, Run, scored
from bam_jax.tasks import Task, get_tasks
from bam_jax.workdir import Workdir, write_json
from bam_jax.writer import CONSOLE, Writer, bar, say


@dataclasses.dataclass
class Recipe(Experiment):
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
      todo = [s for s in self.seeds if not self.workdir.finished(run.name, s)]
      for seeds in chunks(todo, self.config.trials_at_once):
        if teaching:
          self.teach_for(run, seeds)
        elif self.untaught(run, seeds) or not self.startable(run, seeds):
          waiting.append(run)
          break
        self.train_trials(run, seeds)
    return waiting

  def train_trials(self, run: Run, seeds: Sequence[int]) -> None:
    """Trains some trials of a run together, keeps and scores them."""
    model, settings = self.model(run), self.config[run.kind]
    directory = self.workdir.run(run.name)
    directory.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    batches = self.batches(run, seeds)
    checkpoints = Checkpoints(
      directory / "checkpoints" / f"training-{seeds[0]}-{seeds[-1]}"
    )
    try:
      params = train.train(
        model,
        batches,
        seeds=seeds,
        given=self.given(run, seeds),
        settings=settings,
        config=self.config,
        mesh=self.mesh,
        checkpoints=checkpoints,
        writer=Writer(directory / "metrics.jsonl", run.name, run.tasks, seeds),
        stop=self.stop,
      )
    except BaseException:
      checkpoints.close()
      raise
    params = jax.device_get(params)
    for trial, seed in enumerate(seeds):
      save_params(
        self.workdir.params(run.name, seed),
        jax.tree.map(lambda x, trial=trial: x[trial], params),
      )
    checkpoints.discard()
    self.score(run, seeds, params, time.monotonic() - started)

  def batches(self, run: Run, seeds: Sequence[int]) -> pipeline.TrialBatches:
    """Plans the steps of some trials of a run."""
    c, settings = self.config, self.config[run.kind]
    tasks = get_tasks(run.tasks)
    features = [self.corpus.train(task) for task in tasks]
    sizes = dict(zip(run.tasks, map(len, features), strict=True))
    copies, weights = self.mixture(run, sizes)
    pooled = sum(sizes[name] * copies[name] for name in run.tasks)
    steps = sampling.count_steps(
      pooled, batch_size=settings.batch_size, epochs=settings.epochs
    )
    steps = min(steps, c.max_steps) if c.max_steps else steps
    order = functools.partial(
      sampling.train_order,
      tuple(sizes.values()),
      kind=c.sampling.kind,
      exponent=c.sampling.exponent,
      temperature=c.sampling.temperature,
      copies=tuple(copies[name] for name in run.tasks),
      batch_size=settings.batch_size,
      steps=steps,
    )
    pools = {}
    for seed in seeds:
      teachers = self.teacher_seeds(seed)
      if teachers not in pools:
        data = [
          pipeline.TaskData(
            task.name, rows, task.classes, self.teacher(run, task, teachers)
          )
          for task, rows in zip(tasks, features, strict=True)
        ]
        pools[teachers] = pipeline.join(
          data, weights=[weights[name] for name in run.tasks]
        )
    return pipeline.TrialBatches(
      [pools[self.teacher_seeds(seed)] for seed in seeds],
      np.stack([order(seed=seed) for seed in seeds]),
      width=self.width(run),
      packing=c.data.packing,
      row_shapes=c.data.row_shapes,
      multiple=sharding.row_multiple(self.mesh) * c.accumulation,
    )

  def startable(self, run: Run, seeds: Sequence[int]) -> bool:
    """Tells whether the trials that a run continues are finished."""
    start = run.start
    return not start or all(self.workdir.finished(start, s) for s in seeds)

  # --- teachers

  def untaught(
    self, run: Run, seeds: Sequence[int]
  ) -> list[tuple[Run, str, int]]:
    """Returns (teacher, task, seed) for all logits that a run lacks."""
    by_name = {other.name: other for other in self.runs}
    wanted = sorted({t for seed in seeds for t in self.teacher_seeds(seed)})
    return [
      (by_name[name], task, seed)
      for task, name in run.teachers
      for seed in wanted
      if name != OUTSIDE and not self.workdir.teacher(name, task, seed).exists()
    ]

  def metadata(self, name: str, task: Task) -> dict[str, Any]:
    """Returns what a teacher's logits of a task must have been made with."""
    teacher = next(run for run in self.runs if run.name == name)
    return teach.metadata(
      task,
      self.corpus.taught(task),
      teacher=self.settings_hash(teacher),
      tokenizer=self.encoder[2].digest,
    )

  def teacher(
    self, run: Run, task: Task, seeds: Sequence[int]
  ) -> np.ndarray | None:
    """Returns the logits that teach a run one task, or None."""
    rows = self.corpus.train(task)
    name = dict(run.teachers).get(task.name)
    if name is None:
      return None
    if name == OUTSIDE:
      path = self.soft_files[task.name]
      return teach.read_file(task, rows, path, rows=self.corpus.rows(task))
    paths = [self.workdir.teacher(name, task.name, seed) for seed in seeds]
    return teach.read(
      task, rows, paths=paths, metadata=self.metadata(name, task)
    )

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
      task = get_tasks([name])[0]
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
    self, run: Run, seeds: Sequence[int], params: Any, seconds: float | None
  ) -> None:
    """Scores trials of a run on dev and records them.

    Args:
      run: the run.
      seeds: of the trials.
      params: their parameters, [R, ...].
      seconds: that training them took, all together; None = not known.
    """
    datasets = [
      (task, split, rows)
      for task in get_tasks(run.tasks)
      for split, rows in self.corpus.scored(task).items()
    ]
    logits = self.forward(run, params, datasets, "evaluates")
    for trial, seed in enumerate(seeds):
      entry: dict[str, Any] = {"scores": {}, "examples": {}}
      for task, split, rows in datasets:
        found = evaluate.scores(
          task, logits[task.name, split][trial], rows.labels
        )
        mine = entry["scores"].setdefault(task.name, {})
        # The split that tables show has the bare names.
        mine |= {f"{split}/{k}" if mine else k: v for k, v in found.items()}
        entry["examples"].setdefault(task.name, len(rows))
      if seconds is not None:
        entry["seconds"] = round(seconds / len(seeds), 1)
      self.workdir.record(run.name, seed, entry)
    shown = ", ".join(
      f"{task.name} {entry['scores'][task.name][task.headline]:.1f}"
      for task in get_tasks(run.tasks)
    )
    say(f"{run.name} seed {seeds[-1]}: {shown}")

  def forward(
    self, run: Run, params: Any, datasets: Sequence, text: str
  ) -> dict[tuple[str, str], np.ndarray]:
    """Returns the logits f32[R, N, C] of every (task, split)."""
    longest = max(rows.lengths.max() for _, _, rows in datasets)
    total = sum(len(rows) for _, _, rows in datasets)
    with bar(run.name, total, text=text) as progress:
      return evaluate.evaluate(
        self.model(run),
        params,
        datasets,
        width=min(self.config.max_length, -(-int(longest) // 16) * 16),
        batch_size=self.config.eval_batch_size,
        packing=self.config.data.packing,
        mesh=self.mesh,
        progress=self.asking(progress),
      )

  def evaluate(self, *, again: bool) -> None:
    """Scores every finished trial that has no scores, or all `again`."""
    for run in self.runs:
      known = self.workdir.scores(run.name)
      for seed in self.seeds:
        done = self.workdir.finished(run.name, seed)
        if done and (again or str(seed) not in known):
          seconds = known.get(str(seed), {}).get("seconds")
          params = self.trial_params(run.name, [seed])
          self.score(run, [seed], params, seconds)

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
      if task.head not in [name for run in runs for name in run.tasks]:
        say(f"{task.name} is predicted by {task.head}, which is not trained")
        continue
      run = scored(runs, task.head)
      scores = self.workdir.scores(run.name)
      head = get_tasks([task.head])[0]
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
    if not found:
      return
    predict.write_submission(self.workdir.path / "submission", found, rows=rows)
    say(f"{method}: wrote {self.workdir.path / 'submission'}")


def chunks(items: Sequence, size: int) -> list[Sequence]:
  """Cuts a sequence into pieces of `size`, the last perhaps shorter."""
  return [items[i : i + size] for i in range(0, len(items), size)]


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
  workdir.open(config)
  stage = config.stage
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
  if stage in ("all", "evaluate", "report"):
    found = results.gather(recipe)
    write_json(workdir.path / "results.json", found)
    report.write(found, workdir.path)
    CONSOLE.print(report.table(found))
    say(f"wrote {workdir.path / 'report' / 'report.md'}")
