"""What a command would do and cost, told before anything is done.

Nothing is written: the text of each task is read, some of its rows are
tokenised in memory to know how long they are, and that is all the data.
"""

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import functools
from pathlib import Path
import tempfile

from ml_collections import ConfigDict
import numpy as np
import rich.table

from bam_jax.data import features
from bam_jax.models import flops
from bam_jax.runtime import distributed
from bam_jax.runtime.console import CONSOLE, say
from bam_jax.stages import checks, reuse
from bam_jax.stages.lessons import Lessons
from bam_jax.stages.speed import measured
from bam_jax.study.plan import Run
from bam_jax.study.workdir import Workdir
from bam_jax.tasks.table import Task

# Rows of a task whose tokens are counted.
SAMPLE = 2000


@dataclasses.dataclass(frozen=True)
class Cost:
  """A run and what is left of it.

  Attributes:
    run: the run.
    steps: of a trial.
    state: of its trials, in words.
    trial: FLOPs to train one trial.
    whole: FLOPs of all trials, teaching included.
    left: of them those that are not done.
    waiting: trials that are not finished.
    notes: what could have been taken from another study and is not.
  """

  run: Run
  steps: int
  state: str
  trial: float
  whole: float
  left: float
  waiting: int
  notes: tuple[str, ...]


@dataclasses.dataclass
class Forecast(Lessons):
  """The runs of an experiment, with what they cost."""

  @functools.cached_property
  def samples(self) -> dict[str, features.Features]:
    """Some training rows of every task, evenly spread, tokenised."""
    found = {}
    for task in self.trained_tasks:
      text = self.texts.look(task, task.train)
      rows = np.linspace(0, len(text) - 1, min(len(text), SAMPLE)).astype(int)
      found[task.name] = features.featurise(
        self.encoder[2],
        [[column[row] for row in rows] for column in text.texts],
        text.labels[rows],
        max_length=self.config.max_length,
      )
    return found

  def rows(self, task: Task, *, held: bool) -> int:
    """Returns how many training rows a task has, swapped copies included.

    Args:
      task: the task.
      held: whether those that are held out count.
    """
    data = self.config.data
    rows = len(self.texts.look(task, task.train))
    rows -= 0 if held else round(data.holdout * rows)
    return rows * (2 if task.symmetric and data.double_unordered else 1)

  def costs(self) -> Iterator[Cost]:
    """Yields what every run costs, in the order of training."""
    for run in self.runs:
      steps, trial = self.trial(run)
      finished = [s for s in self.seeds if self.workdir.finished(run.name, s)]
      # The trial that was interrupted, and the share of it that is done.
      begun = dict(self.begun(run))
      taken, notes = {}, []
      for seed in self.seeds if reuse.sources(self) else ():
        if seed not in finished and seed not in begun:
          found = reuse.find(self, run, seed)
          if found:
            taken[seed] = found
          elif note := reuse.unlike(self, run, seed):
            notes.append(note)
      left = [s for s in self.seeds if s not in finished and s not in taken]
      parts = [f"{len(finished)} finished"] if finished else []
      for step in sorted(set(begun.values())):
        count = list(begun.values()).count(step)
        parts.append(f"{count} interrupted at step {step}")
      for source in sorted({str(f.workdir.path) for f in taken.values()}):
        count = [str(f.workdir.path) for f in taken.values()].count(source)
        parts.append(f"{count} to be copied from {source}")
      fresh = len([seed for seed in left if seed not in begun])
      parts += [f"{fresh} to train"] if fresh else []
      teaching = self.teaching(run)
      todo = sum(
        cost for seed, cost in teaching.items() if not self.taught(run, seed)
      )
      yield Cost(
        run,
        steps,
        ", ".join(parts),
        trial,
        whole=trial * len(self.seeds) + sum(teaching.values()),
        left=sum(trial * (1 - begun.get(s, 0) / steps) for s in left) + todo,
        waiting=len(left),
        notes=tuple(notes),
      )

  def trial(self, run: Run) -> tuple[int, float]:
    """Returns the steps of a trial of a run, and the FLOPs of training it."""
    tasks = self.tasks_of(run)
    sizes = {task.name: self.rows(task, held=False) for task in tasks}
    order = self.order(run, sizes)(seed=self.seeds[0])
    ends = np.cumsum(list(sizes.values()))
    drawn = np.bincount(
      np.searchsorted(ends, order[order >= 0], side="right"),
      minlength=len(tasks),
    )
    each = [flops.TRAIN_OVER_FORWARD * self.example(task) for task in tasks]
    return len(order), float(np.dot(drawn, each))

  def example(self, task: Task) -> float:
    """Returns the mean FLOPs of a forward pass of a task's example."""
    return flops.forward(
      self.encoder[0], self.samples[task.name].lengths, classes=task.classes
    ).mean()

  def teaching(self, run: Run) -> dict[int, float]:
    """Returns the FLOPs in which each trial of a run teaches, by its seed."""
    tasks = [self.table[name] for name in self.lessons_of(run)]
    if not tasks:
      return {}
    total = sum(self.rows(t, held=True) * self.example(t) for t in tasks)
    seeds = {t for seed in self.seeds for t in self.teacher_seeds(seed)}
    return dict.fromkeys(sorted(seeds), total)

  def lessons_of(self, run: Run) -> list[str]:
    """Returns the tasks that a run teaches."""
    return sorted(
      {
        task
        for other in self.runs
        for task, name in other.teachers
        if name == run.name
      }
    )

  def taught(self, run: Run, seed: int) -> bool:
    """Tells whether a trial has taught all that it is to teach."""
    return all(
      self.workdir.teacher(run.name, task, seed).exists()
      for task in self.lessons_of(run)
    )

  def begun(self, run: Run) -> Iterator[tuple[int, int]]:
    """Yields the seed of every interrupted trial, and the steps it has done."""
    for first, last in self.workdir.begun(run.name):
      folder = self.workdir.training(run.name, [first, last])
      steps = [int(p.name) for p in folder.iterdir() if p.name.isdigit()]
      for seed in range(first, last + 1):
        if not self.workdir.finished(run.name, seed) and seed in self.seeds:
          yield seed, max(steps, default=0)


def show(config: ConfigDict, workdir: Workdir) -> None:
  """Prints what a command would do, and what that would cost.

  Args:
    config: the whole config.
    workdir: where everything would go; it is read, if it is there.

  Raises:
    ValueError: the command would be refused.
    OSError: a file is missing or the hub cannot be reached.
  """
  with contextlib.ExitStack() as stack:
    if (
      config.encoder == "scratch" and not (workdir.data / "tokenizer").exists()
    ):
      # Its vocabulary is made by the run; here it is made and thrown away.
      folder = stack.enter_context(tempfile.TemporaryDirectory())
      workdir = Workdir(workdir.path)
      workdir.data = Path(folder)
    forecast = Forecast(config, workdir)
    checks.check(forecast)
    reuse.sources(forecast)
    costs = list(forecast.costs())
    speed, words = estimate(forecast, costs)
  CONSOLE.print(table(costs, len(forecast.seeds), speed))
  left = sum(cost.left for cost in costs)
  for note in dict.fromkeys(note for cost in costs for note in cost.notes):
    say(f"not taken: {note}")
  say(
    f"{amount(left)}FLOPs are left. Counted are the useful ones of training "
    "and teaching, a multiplication and an addition as two, by the lengths of "
    f"up to {SAMPLE} rows of each task."
  )
  say(words)


def estimate(forecast: Forecast, costs: list[Cost]) -> tuple[float, str]:
  """Returns the speed in FLOP/s, 0 = not known, and where it is from."""
  left = [cost for cost in costs if cost.left]
  stage = forecast.config.stage
  if not left or stage not in ("all", "train", "teach"):
    return 0.0, "No estimate of time: nothing is left to train or to teach."
  more = "scoring, reading data and compiling come on top."
  speed, trials = known(forecast, costs)
  if speed:
    return speed, (
      f"Time: at {amount(speed)}FLOP/s, the speed of the "
      f"{several(trials, 'trial')} that were trained here; {more}"
    )
  if not distributed.alone():
    return 0.0, (
      "No estimate of time: no trial is finished here, and a speed is measured "
      "by a process alone."
    )
  most = max(left, key=lambda cost: cost.left)
  speed, steps, trials = measured(
    forecast, most.run, forecast.samples, at_most=max(most.waiting, 1)
  )
  return speed, (
    f"Time: at {amount(speed)}FLOP/s, the speed of {several(steps, 'step')} "
    f"of {several(trials, 'trial')} of {most.run.name} just now; {more}"
  )


def known(forecast: Forecast, costs: list[Cost]) -> tuple[float, int]:
  """Returns FLOP/s of the trials that were trained here, and their number.

  Those of which not the last step was kept do not say how far they went.
  """
  done, seconds, count = 0.0, 0.0, 0
  for cost in costs:
    for entry in forecast.workdir.scores(cost.run.name).values():
      if forecast.config.select.by == "last" and "taken_from" not in entry:
        done += cost.trial * entry["step"] / cost.steps
        seconds += entry["seconds"]
        count += 1
  return (done / seconds if seconds else 0.0), count


def table(costs: list[Cost], trials: int, speed: float) -> rich.table.Table:
  """Returns the graph of runs as a table.

  Args:
    costs: of the runs, in order.
    trials: of every run.
    speed: FLOP/s; 0 = not known.
  """
  made = rich.table.Table(
    title=f"Runs in order, {several(trials, 'trial')} each",
    title_justify="left",
    show_footer=True,
    box=rich.table.box.SIMPLE_HEAD,
  )
  tasks = {task for cost in costs for task in cost.run.tasks}
  number = {cost.run.name: str(n) for n, cost in enumerate(costs, start=1)}
  made.add_column("#", justify="right")
  made.add_column("Run", "Total", overflow="fold")
  made.add_column("Steps", justify="right")
  made.add_column("From", overflow="fold")
  made.add_column("Trials", overflow="fold")
  whole = amount(sum(cost.whole for cost in costs))
  made.add_column("FLOPs", whole, justify="right", no_wrap=True)
  if speed:
    total = span(sum(cost.left for cost in costs) / speed)
    made.add_column("Time", total, justify="right", no_wrap=True)
  for cost in costs:
    run, time = cost.run, [span(cost.left / speed)] if speed else []
    every = len(run.tasks) > 2 and set(run.tasks) == tasks
    of = f"all {len(tasks)} tasks" if every else ", ".join(run.tasks)
    made.add_row(
      number[run.name],
      f"{run.name.partition('.')[0]}\n{run.kind}: {of}",
      str(cost.steps),
      origin(run, number),
      cost.state,
      amount(cost.whole),
      *time,
    )
  return made


def origin(run: Run, number: Mapping[str, str]) -> str:
  """Says what teaches a run and where it starts, by the numbers of runs."""
  teachers = {number.get(name, "files"): None for _, name in run.teachers}
  parts = [f"taught by {', '.join(teachers)}"] if teachers else []
  parts += [f"starts from {number[run.start]}"] if run.start else []
  return "; ".join(parts) or "encoder"


def amount(number: float) -> str:
  """Returns a number with a unit's letter: 1.23e13 is "12.3 T"."""
  for power, letter in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M")):
    if number >= 10**power:
      return f"{number / 10**power:.3g} {letter}"
  return f"{number:.3g} "


def several(count: int, thing: str) -> str:
  """Returns "1 trial" or "3 trials"."""
  return f"{count} {thing}" + ("s" if count != 1 else "")


def span(seconds: float) -> str:
  """Returns a time in the two units that matter."""
  if seconds < 90:
    return f"{seconds:.0f} s"
  minutes = round(seconds / 60)
  if minutes < 90:
    return f"{minutes} min"
  return f"{minutes // 60} h {minutes % 60} min"
