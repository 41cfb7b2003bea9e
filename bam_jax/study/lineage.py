"""What made a trial: everything that its numbers depend on, and its hash.

Two trials of one hash are the same trial, in whatever directory, beside
whatever other methods and trials, on whatever machine they were trained; they
differ by rounding at most. So a study takes over what another has finished.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from bam_jax.runtime import sealed
from bam_jax.runtime.files import digest, flatten
from bam_jax.study import chains, fewer, sides
from bam_jax.study.experiment import Experiment
from bam_jax.study.plan import OUTSIDE, Run
from bam_jax.study.workdir import FREE, without_neutral
from bam_jax.tasks.kinds import KINDS, SAID
from bam_jax.tasks.table import Task
from bam_jax.training import settings
from bam_jax.training.adversaries import ADVERSARIES

# Raise it when the same settings begin to give other numbers.
SCHEMA = 1
# Keys that stand in a lineage as what they lead to: files as their content,
# names as what they name.
NAMING = (
  "variants_share",  # the epochs say it
  "tasks",
  *("first", "sets"),
  "seed",
  "encoder",
  "encoder_layers",
  "encoder_every",
  "scratch",
  "init_from",
  "data.glue_dir",
  "data.cs224n_dir",
  "data.text",
  "data.limit",
  "data.dev_limit",
  "data.synthetic_seed",
  "data.double_unordered",
  "own_tasks",
  "learn",
  "teacher.trials",
  "teacher.files",
  "teacher.online",
  # Nothing is trained by it: whoever takes a trial over chooses anew.
  "calibration.threshold",
)


@dataclasses.dataclass(frozen=True)
class Facts:
  """What of an experiment's files a lineage depends on, asked for when needed.

  Attributes:
    shape: the encoder's configuration, as JSON has it.
    weights: the digest of the encoder's parameters; without any, of nothing.
    tokenizer: the digest of the tokenizer's files.
    text: (task, split) -> the fingerprint of its text and labels.
    initial: the digest of the parameters that init_from means.
    online: that of the teacher that teacher.online means.
    masked: that of the encoder's own head for masked tokens.
  """

  shape: Callable[[], dict[str, Any]]
  weights: Callable[[], str]
  tokenizer: Callable[[], str]
  text: Callable[[Task, str], str]
  initial: Callable[[], str]
  online: Callable[[], str] = lambda: ""
  masked: Callable[[], str] = lambda: ""


@dataclasses.dataclass(frozen=True, eq=False)
class Lineage:
  """The lineage of every trial of an experiment.

  Attributes:
    experiment: the experiment.
    facts: about its files.
  """

  experiment: Experiment
  facts: Facts

  def content(self, run: Run, seed: int) -> str:
    """Returns the hash of what made a trial."""
    return self._contents(run, seed)

  @functools.cached_property
  def _contents(self):
    return functools.cache(lambda run, seed: digest(self.made_of(run, seed)))

  def made_of(self, run: Run, seed: int) -> dict[str, Any]:
    """Returns what made a trial, flat, as JSON has it.

    Args:
      run: the run; what it starts from and what teaches it count by their own
        lineages.
      seed: of the trial.
    """
    experiment, config = self.experiment, self.experiment.config
    start = ""
    if run.random:
      start = chains.RANDOM
    elif run.start:
      start = self.content(experiment.run(run.start), seed)
    elif config.init_from:
      start = self.facts.initial()
    tasks, side = experiment.tasks_of(run), sides.of(experiment, run)
    made = {
      "schema": SCHEMA,
      "seed": seed,
      "tasks": [[task.name, *task.labels] for task in tasks],
      "encoder": self.facts.shape(),
      "weights": "" if run.random else self.facts.weights(),
      "tokenizer": self.facts.tokenizer(),
      "text": {
        f"{task.name}/{split}": self.facts.text(task, split)
        for task in tasks
        for split in (task.train, *(() if config.data.holdout else task.dev))
      },
      "swapped": [
        task.name
        for task in tasks
        if task.symmetric and config.data.double_unordered
      ],
      # What is held out follows from them and the share.
      "groups": {
        task.name: task.group
        for task in tasks
        if experiment.held.share(task) or (side and side.task == task.name)
      },
      "learn": learned(tasks, run, experiment.settings(run).config),
      "start": start,
      "teachers": {
        task: self._taught(run, task, seed) for task, _ in run.teachers
      },
    }
    if rows := fewer.of(experiment, run):
      made["rows"] = rows
    if run.fresh:
      made["heads"] = "new"
    if run.teachers and config.teacher.online:
      made["online"] = self.facts.online()
    if any(KINDS[task.kind].reads in SAID for task in tasks):
      made["masked"] = self.facts.masked()
    return flatten(json.loads(json.dumps(made))) | shaped(experiment, run)

  def _taught(self, run: Run, task: str, seed: int) -> list[str]:
    """Returns what made the soft labels of a task, one hash per teacher."""
    seeds = self.experiment.teacher_seeds(run, seed)
    name = dict(run.teachers)[task]
    if name != OUTSIDE:
      teacher = self.experiment.run(name)
      return [self.content(teacher, each) for each in seeds]
    # Without a file they stand in the rows, of which `text` tells.
    return [_bytes_of(path) for path in self.experiment.soft_paths(task, seeds)]


def learned(
  tasks: Sequence[Task], run: Run, config: ConfigDict
) -> dict[str, dict[str, Any]]:
  """Returns what each task of a run chooses, as far as the run looks at it."""
  idle = set()
  if not run.teachers or config.teacher.mix == "targets":
    idle.add("kd_loss")
  if not ADVERSARIES[config.adversary.kind].compares:
    idle.add("adv_loss")
  taught = dict(run.teachers)
  return {
    task.name: {
      key: value
      for key, value in task.learn.chosen(KINDS[task.kind]).items()
      # Rows without a label are there where somebody teaches them.
      if key not in idle and (key != "unlabelled_weight" or task.name in taught)
    }
    for task in tasks
  }


def shaped(experiment: Experiment, run: Run) -> dict[str, Any]:
  """Returns the part of a lineage that the config alone tells."""
  config = experiment.settings(run).config.to_dict()
  config["kind"] = config[run.kind]
  left_out = {*FREE, *NAMING, *settings.KINDS}
  if not run.teachers:
    left_out.add("teacher")
  if run.start or run.random or not config["init_from"]:
    left_out.add("init_part")
  if run.start or run.random:
    # It shaped the run that this one starts from, or nothing.
    left_out.add("reinit_layers")
  if len(run.tasks) == 1:
    # One task alone is drawn alike by all, but for the scheme of copies.
    config["copies"] = config["sampling"]["kind"] == "copies"
    left_out.add("sampling")
  return {
    f"settings.{key}": value
    for key, value in without_neutral(
      flatten(json.loads(json.dumps(config)))
    ).items()
    if not {key, key.split(".")[0]} & left_out
  }


def _bytes_of(path: Path) -> str:
  """Returns the digest of a file, or of what a sealed folder says it holds."""
  path = path / sealed.DIGESTS if path.is_dir() else path
  return hashlib.sha256(path.read_bytes()).hexdigest()


def differences(there: dict[str, Any], here: dict[str, Any]) -> str:
  """Names what makes two lineages differ, the first three; "" if nothing."""
  keys = sorted(
    key for key in there.keys() | here.keys() if there.get(key) != here.get(key)
  )
  parts = [
    f"{key.removeprefix('settings.')} is {_short(there.get(key))} there and "
    f"{_short(here.get(key))} here"
    for key in keys[:3]
  ]
  if len(keys) > 3:
    parts.append(f"{len(keys) - 3} more differ")
  return "; ".join(parts)


def _short(value: Any) -> str:
  """Shows a value; of a digest its beginning."""
  text = str(value)
  return text if len(text) <= 24 else f"{text[:12]}..."
