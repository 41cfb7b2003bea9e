"""What a config amounts to: tasks, methods, runs and their settings.

Nothing here touches a device or reads text, so that a finished experiment is
reported without its data or its encoder.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from bam_jax.data import limits
from bam_jax.data.holdout import Part
from bam_jax.data.sources import own as own_files
from bam_jax.stats.thresholds import Rule
from bam_jax.study import chains, contrast, first, text_tasks, variants
from bam_jax.study.plan import Run, names, plan
from bam_jax.study.workdir import Workdir
from bam_jax.tasks import calibration, judged, learn
from bam_jax.tasks import own as own_tasks
from bam_jax.tasks.description import Description, Head
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.origins import Synthetic
from bam_jax.tasks.spans import Limits
from bam_jax.tasks.table import TASKS, Task, get_tasks
from bam_jax.training import adapting
from bam_jax.training.settings import Settings


@dataclasses.dataclass(frozen=True, eq=False)
class Experiment:
  """The runs of one working directory.

  Attributes:
    config: the whole config; what its tasks_file says is put into it.
    table: every task that may be named: the package's and the user's own,
      without what the config's `learn` says of them.
    tasks: in the order of the config.
    methods: each method's runs, in the order of training.
    outside: the tasks whose soft labels were made elsewhere: their file, or
      the directory of a run; None = they stand in the task's own rows.
  """

  config: ConfigDict
  table: Mapping[str, Task]
  tasks: tuple[Task, ...]
  methods: Mapping[str, tuple[Run, ...]]
  outside: Mapping[str, Path | None]

  @functools.cached_property
  def trained_tasks(self) -> tuple[Task, ...]:
    """All that some run may train on (the diagnostic set has no such split)."""
    return self.learned(self._trained, self.config)

  @functools.cached_property
  def first(self) -> tuple[Task, ...]:
    """Tasks that only an encoder is trained on, before those of the study."""
    own = {task.name for task in self.tasks}
    every = dict.fromkeys(task for run in self.runs for task in run.tasks)
    return tuple(self.table[name] for name in every if name not in own)

  @property
  def _trained(self) -> tuple[Task, ...]:
    return (*trained(self.tasks), *self.first)

  @functools.cached_property
  def runs(self) -> tuple[Run, ...]:
    """All runs, each once, every one after what it needs."""
    found = {run.name: run for runs in self.methods.values() for run in runs}
    return tuple(found.values())

  @functools.cached_property
  def limits(self) -> dict[str, dict[str, int]]:
    """Rows that are read at most, by task: of `train`, and of `dev`.

    Raises:
      ValueError: what the config says of them cannot be read.
    """
    tasks, data = (*self.tasks, *self.first), self.config.data
    names = [task.name for task in tasks]
    found = {}
    for split, key in (("train", "limit"), ("dev", "dev_limit")):
      said = f"data.{key}"
      found[split] = limits.counts(said, data[key], names)
      limits.check_tables(said, found[split], tasks)
    return found

  @property
  def held(self) -> Part:
    """The part of the training rows that is not trained on."""
    return Part.of(self.config)

  @functools.cached_property
  def rules(self) -> dict[str, Rule]:
    """What the thresholds of tasks are chosen by.

    Raises:
      ValueError: what the config says of them cannot be read.
    """
    text = self.config.calibration.threshold
    return calibration.rules(text, self.trained_tasks)

  @property
  def seeds(self) -> tuple[int, ...]:
    """One per trial."""
    return tuple(range(self.config.seed, self.config.seed + self.config.trials))

  def run(self, name: str) -> Run:
    """Returns the run of a name."""
    return next(run for run in self.runs if run.name == name)

  def tasks_of(self, run: Run) -> tuple[Task, ...]:
    """Returns the tasks of a run, in the order of its heads."""
    config, tasks = self.settings(run).config, get_tasks(run.tasks, self.table)
    if chains.KINDS[run.kind].ahead:
      return tuple(contrast.view(task, config.contrast) for task in tasks)
    return self.learned(tasks, config)

  def named(self, run: Run) -> dict[str, Task]:
    """Returns the tasks of a run by their names."""
    return {task.name: task for task in self.tasks_of(run)}

  def learned(
    self, tasks: Sequence[Task], config: ConfigDict
  ) -> tuple[Task, ...]:
    """Returns tasks with what a config's `learn` says of them.

    Raises:
      ValueError: it cannot be read.
    """
    names = [task.name for task in self._trained]
    said = learn.typed(config.learn, names)

    def choice(task: Task) -> learn.Learn:
      return dataclasses.replace(task.learn, **said.get(task.name, {}))

    every = {task.name: choice(task) for task in self._trained}

    def shared(task: Task) -> learn.Learn:
      mine = choice(task)
      if mine.head_of == task.name:
        return dataclasses.replace(mine, head_of="")
      owner = every.get(mine.head_of, mine)
      return dataclasses.replace(
        mine,
        **{
          key: getattr(mine, key) or getattr(owner, key) for key in learn.BUILT
        },
      )

    return tuple(dataclasses.replace(t, learn=shared(t)) for t in tasks)

  def settings(self, run: Run) -> Settings:
    """Returns the settings of a run, with what its variant changes."""
    config = variants.settings(self.config, run.variant)
    if run.first:
      config = first.settings(config, run)
    if chains.KINDS[run.kind].frozen:
      config = config.copy_and_resolve_references()
      config.encoder_frozen = True
    if chains.KINDS[run.kind].ahead:
      config = contrast.settings(config, self.table)
    return Settings.of(config, run.kind)

  def teacher_seeds(self, run: Run, seed: int) -> tuple[int, ...]:
    """Returns which of a teacher's trials teach a run's trial of this seed."""
    which = self.settings(run).config.teacher.trials
    choices = {
      "first": self.seeds[:1],
      "matched": (seed,),
      "ensemble": self.seeds,
    }
    if which not in choices:
      raise ValueError(
        f"teacher.trials is {which!r}; it is one of {', '.join(choices)}"
      )
    return choices[which]

  def teaching_seeds(self, name: str) -> tuple[int, ...]:
    """Returns which trials of a run, by its name, teach others."""
    found = {
      teacher
      for run in self.runs
      if name in dict(run.teachers).values()
      for seed in self.seeds
      for teacher in self.teacher_seeds(run, seed)
    }
    return tuple(sorted(found))

  def taught_by(self, name: str) -> tuple[str, ...]:
    """Returns the tasks that a run, by its name, teaches to others."""
    found = {
      task
      for run in self.runs
      for task, teacher in run.teachers
      if teacher == name
    }
    return tuple(sorted(found))

  def soft_paths(self, task: str, seeds: Sequence[int]) -> list[Path]:
    """Returns the files of soft labels made elsewhere for these trials."""
    path = self.outside[task]
    if path is None or path.is_file():
      return [] if path is None else [path]
    return [logits_of(path, task) / f"seed-{seed}" for seed in seeds]

  def describe(self, run: Run) -> Description:
    """Returns what the heads of a run mean."""
    heads = tuple(map(Head.of, self.tasks_of(run)))
    asked = any(KINDS[head.kind].reads == "question context" for head in heads)
    config = self.settings(run).config
    # Of a text, and not of the two that a row has there.
    of_each = config.contrast if chains.KINDS[run.kind].ahead else config
    return Description(
      heads=heads,
      regression_output=self.config.loss.regression_output,
      max_length=of_each.max_length,
      dtype=self.config.dtype,
      span=Limits(**self.config.span) if asked else None,
      adapter=adapting.told(self.settings(run).config.adapter),
    )


def read(config: ConfigDict) -> Experiment:
  """Returns the experiment of a config.

  Args:
    config: the whole config. Its tasks file is read, unless a working
      directory knows what it said.

  Raises:
    ValueError: a task, a method or a file of soft labels is none.
    OSError: there is no such tasks file.
  """
  config = _with_own_tasks(config)
  own = config.own_tasks.to_dict()
  table = TASKS | judged.table(names(config.tasks))
  table |= own_tasks.table(own, Path(config.tasks_file))
  told = _told(config)
  table |= text_tasks.table(config, table, told)
  tasks = get_tasks(names(config.tasks), table)
  if own and not {*own} & {*told}:
    raise ValueError(
      f"tasks_file {config.tasks_file} has {', '.join(own)}, but tasks are "
      f"{config.tasks}; name one: --config.tasks={next(iter(own))}"
    )
  known = trained(tasks)
  before = first.firsts(config, table)
  outside = dict.fromkeys(_judged(known)) | _soft_files(config, known)
  methods = plan(
    names(config.methods),
    tuple(task.name for task in known),
    outside=set(outside),
    subsets={v: variants.tasks(config, v) for v in config.variants},
    untaught={t.name for t in known if KINDS[t.kind].mean is None},
    first=before,
  )
  found = Experiment(config, table, tasks, methods, outside)
  first.check(config, found.runs, before)
  for name, path in outside.items():
    if name in found.limits["train"] and path is not None and path.is_file():
      raise ValueError(
        f"data.limit is {config.data.limit!r}, and the rows of {path} are those"
        f" of all of {name}; leave {name} out of the limit, or have a run teach"
        " it in place of a file"
      )
  return found


def _told(config: ConfigDict) -> tuple[str, ...]:
  """Returns what a config trains on, and first, known or not."""
  before = chains.prefixes(names(config.methods))
  sets = (names(config.sets.get(name, name)) for name in before)
  return (*names(config.tasks), *(task for tasks in sets for task in tasks))


def trained(tasks: Sequence[Task]) -> tuple[Task, ...]:
  """Returns those of some tasks that have a training split.

  Raises:
    ValueError: none has.
  """
  found = tuple(task for task in tasks if task.train)
  if not found:
    raise ValueError(
      f"tasks {','.join(task.name for task in tasks)!r} hold nothing to train "
      "on; add one: --config=configs/glue_bam.py:rte,mrpc"
    )
  return found


def _with_own_tasks(config: ConfigDict) -> ConfigDict:
  """Returns the config with what its tasks file says."""
  if not config.tasks_file or config.own_tasks:
    return config
  path = Path(config.tasks_file)
  found: dict[str, Any] = own_files.complete(own_tasks.read(path), path)
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.own_tasks = ConfigDict(found)
  return config


def _soft_files(config: ConfigDict, tasks: Sequence[Task]) -> dict[str, Path]:
  """Returns the soft labels that teacher.files names, by task."""
  found = {}
  for entry in names(config.teacher.files):
    task, _, path = entry.partition("=")
    if not path or task not in [each.name for each in tasks]:
      raise ValueError(
        f"teacher.files has {entry!r}; it is TASK=FILE with a task of "
        f"{config.tasks}"
      )
    found[task] = Path(path)
    if not found[task].is_file() and not logits_of(found[task], task).is_dir():
      raise ValueError(
        f"teacher.files names {path}, {_silent(found[task], task)}"
      )
  return found


def _silent(path: Path, task: str) -> str:
  """Says why a path gives no soft labels of a task, and what would."""
  run = path.absolute()
  there, kind = Workdir(run.parent.parent), run.name.partition(".")[0]
  teach = f"--config.methods={kind}-\\>{kind} --config.stage=teach"
  trials = there.scores(run.name) if run.parent.name == "runs" else {}
  if any(task in trial.get("scores", {}) for trial in trials.values()):
    return (
      f"a finished run that has not taught {task}; type the command that"
      f" trained it with --workdir={there.path} {teach}"
    )
  missing = "is not there"
  if path.is_dir():
    missing = f"is no run that is finished with {task}"
  return (
    f"which {missing}; give a .jsonl or .parquet file, or a run W/runs/NAME"
    f" that has taught {task} (by --workdir=W"
    " --config.methods=single-\\>single --config.stage=teach)"
  )


def _judged(tasks: Sequence[Task]) -> list[str]:
  """Returns the tasks whose rows come with soft labels."""
  return [
    task.name
    for task in tasks
    if (task.own and task.own.judges)
    or (isinstance(task.origin, Synthetic) and task.origin.judge)
  ]


def logits_of(run: Path, task: str) -> Path:
  """Returns where the logits of a task are that a run, W/runs/NAME, made."""
  run = run.absolute()
  return Workdir(run.parent.parent).teacher(run.name, task, 0).parent
