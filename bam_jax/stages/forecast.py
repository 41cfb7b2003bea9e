"""What a command would do and cost, told before anything is done.

Nothing is written: the text of each task is read, some of its rows are
tokenised in memory to know how long they are, and that is all the data.
"""

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
from pathlib import Path
import tempfile

from ml_collections import ConfigDict
import numpy as np
import rich.table

from bam_jax.data import tables
from bam_jax.data.features import Features
from bam_jax.runtime import distributed
from bam_jax.runtime.console import CONSOLE, say
from bam_jax.stages import checks, lessons, parameters, reuse
from bam_jax.stages.lessons import Useful
from bam_jax.stages.materials import trains_words
from bam_jax.stages.samples import SAMPLE, rows_of, samples_of
from bam_jax.stages.session import Session, opened
from bam_jax.stages.speed import measured
from bam_jax.study import fewer
from bam_jax.study.plan import Run
from bam_jax.study.workdir import Workdir


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


def costs(session: Session, samples: Mapping[str, Features]) -> Iterator[Cost]:
  """Yields what every run costs, in the order of training.

  Args:
    session: the session.
    samples: from `samples_of`.
  """
  shape = session.materials.encoder.shape
  known = {task.name: task for task in session.experiment.trained_tasks}
  rows = {name: (known[name], some) for name, some in samples.items()}
  for run in session.experiment.runs:
    config = session.experiment.settings(run).config
    example = lessons.each_useful(shape, rows, config)
    yield cost_of(session, run, example)


def cost_of(session: Session, run: Run, example: Mapping[str, Useful]) -> Cost:
  """Returns what a run costs.

  Args:
    session: the session.
    run: the run.
    example: FLOPs of an example of each task.
  """
  workdir, seeds = session.workdir, session.experiment.seeds
  steps, trial = trial_of(session, run, example)
  finished = [seed for seed in seeds if workdir.finished(run.name, seed)]
  # The trial that was interrupted, and the share of it that is done.
  begun = dict(interrupted(session, run))
  taken, notes = {}, []
  for seed in seeds if reuse.sources(session) else ():
    if seed not in finished and seed not in begun:
      found = reuse.find(session, run, seed)
      if found:
        taken[seed] = found
      elif note := reuse.unlike(session, run, seed):
        notes.append(note)
  left = [s for s in seeds if s not in finished and s not in taken]
  parts = [f"{len(finished)} finished"] if finished else []
  for step in sorted(set(begun.values())):
    count = list(begun.values()).count(step)
    parts.append(f"{count} interrupted at step {step}")
  for source in sorted({str(f.workdir.path) for f in taken.values()}):
    count = [str(f.workdir.path) for f in taken.values()].count(source)
    parts.append(f"{count} to be copied from {source}")
  fresh = len([seed for seed in left if seed not in begun])
  parts += [f"{fresh} to train"] if fresh else []
  teaching = teaching_of(session, run, example)
  todo = sum(
    cost for seed, cost in teaching.items() if not taught(session, run, seed)
  )
  return Cost(
    run,
    steps,
    ", ".join(parts),
    trial,
    whole=trial * len(seeds) + sum(teaching.values()),
    left=sum(trial * (1 - begun.get(s, 0) / steps) for s in left) + todo,
    waiting=len(left),
    notes=tuple(notes),
  )


def trial_of(
  session: Session, run: Run, example: Mapping[str, Useful]
) -> tuple[int, float]:
  """Returns the steps of a trial of a run, and the FLOPs of training it."""
  sources = tables.drawn(session.experiment.tasks_of(run))
  # A table's texts are read once; its heads are little beside that.
  first = {name: tasks[0] for name, tasks in sources.items()}
  most = fewer.of(session.experiment, run)
  sizes = {
    k: rows_of(session, task, held=False, most=most.get(task.name), run=run)
    for k, task in first.items()
  }
  settings = session.experiment.settings(run)
  draw = lessons.order(settings, sizes)
  order = draw(seed=session.experiment.seeds[0])
  ends = np.cumsum(list(sizes.values()))
  drawn = np.bincount(
    np.searchsorted(ends, order[order >= 0], side="right"),
    minlength=len(sizes),
  )
  each = [example[task.name].trained for task in first.values()]
  return len(order), float(np.dot(drawn, each))


def teaching_of(
  session: Session, run: Run, example: Mapping[str, Useful]
) -> dict[int, float]:
  """Returns the FLOPs in which each trial of a run teaches, by its seed."""
  experiment = session.experiment
  tasks = [experiment.table[name] for name in experiment.taught_by(run.name)]
  if not tasks:
    return {}
  total = sum(
    rows_of(session, task, held=True) * example[task.name].asked
    for task in tasks
  )
  return dict.fromkeys(experiment.teaching_seeds(run.name), total)


def taught(session: Session, run: Run, seed: int) -> bool:
  """Tells whether a trial has taught all that it is to teach."""
  return all(
    session.workdir.teacher(run.name, task, seed).exists()
    for task in session.experiment.taught_by(run.name)
  )


def interrupted(session: Session, run: Run) -> Iterator[tuple[int, int]]:
  """Yields the seed of every interrupted trial, and the steps it has done."""
  workdir, seeds = session.workdir, session.experiment.seeds
  for first, last in workdir.begun(run.name):
    folder = workdir.training(run.name, [first, last])
    steps = [int(p.name) for p in folder.iterdir() if p.name.isdigit()]
    for seed in range(first, last + 1):
      if not workdir.finished(run.name, seed) and seed in seeds:
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
    if trains_words(config) and not (workdir.data / "tokenizer").exists():
      # Its vocabulary is made by the run; here it is made and thrown away.
      folder = stack.enter_context(tempfile.TemporaryDirectory())
      workdir = Workdir(workdir.path)
      workdir.data = Path(folder)
    here = opened(config, workdir)
    checks.check(here)
    reuse.sources(here)
    samples = samples_of(here)
    found = list(costs(here, samples))
    speed, words = estimate(here, found, samples)
    sizes = parameters.told(here)
  CONSOLE.print(table(found, len(here.experiment.seeds), speed))
  left = sum(cost.left for cost in found)
  for note in dict.fromkeys(note for cost in found for note in cost.notes):
    say(f"not taken: {note}")
  say(
    f"{amount(left)}FLOPs are left. Counted are the useful ones of training "
    "and teaching, a multiplication and an addition as two, by the lengths of "
    f"up to {SAMPLE} rows of each task."
  )
  say(words)
  say(sizes)


def estimate(
  session: Session, costs: list[Cost], samples: Mapping[str, Features]
) -> tuple[float, str]:
  """Returns the speed in FLOP/s, 0 = not known, and where it is from."""
  left = [cost for cost in costs if cost.left]
  stage = session.config.stage
  if not left or stage not in ("all", "train", "teach"):
    return 0.0, "No estimate of time: nothing is left to train or to teach."
  more = "scoring, reading data and compiling come on top."
  speed, trials = known(session, costs)
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
    session, most.run, samples, at_most=max(most.waiting, 1)
  )
  return speed, (
    f"Time: at {amount(speed)}FLOP/s, the speed of {several(steps, 'step')} "
    f"of {several(trials, 'trial')} of {most.run.name} just now; {more}"
  )


def known(session: Session, costs: list[Cost]) -> tuple[float, int]:
  """Returns FLOP/s of the trials that were trained here, and their number.

  Those of which not the last step was kept do not say how far they went.
  """
  done, seconds, count = 0.0, 0.0, 0
  for cost in costs:
    for entry in session.workdir.scores(cost.run.name).values():
      if session.config.select.by == "last" and "taken_from" not in entry:
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
    total = duration(sum(cost.left for cost in costs) / speed)
    made.add_column("Time", total, justify="right", no_wrap=True)
  for cost in costs:
    run, time = cost.run, [duration(cost.left / speed)] if speed else []
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


def duration(seconds: float) -> str:
  """Returns a time in the two units that matter."""
  if seconds < 90:
    return f"{seconds:.0f} s"
  minutes = round(seconds / 60)
  if minutes < 90:
    return f"{minutes} min"
  return f"{minutes // 60} h {minutes % 60} min"
