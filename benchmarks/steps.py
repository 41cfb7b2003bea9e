"""Steps of a real run, for what is measured around them."""

from collections.abc import Callable
import dataclasses
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict
import numpy as np

from bam_jax.data import corpus, pipeline
from bam_jax.data.sources.examples import Examples
from bam_jax.stages import checks
from bam_jax.stages.lessons import Lessons
from bam_jax.study.plan import Run
from bam_jax.study.workdir import Workdir
from bam_jax.tasks.table import Task
from bam_jax.training import loop as train


class FirstRows(corpus.Texts):
  """The first rows of every split."""

  def __init__(self, rows: int, **where: Any):
    """Reads nothing yet.

    Args:
      rows: of a split, at most; 0 = all.
      **where: see `corpus.Texts`.
    """
    super().__init__(**where)
    self._rows = rows or None

  def _load(self, task: Task, split: str) -> Examples:
    whole = super()._load(task, split)
    labels = whole.labels
    return dataclasses.replace(
      whole,
      texts=tuple(column[: self._rows] for column in whole.texts),
      labels=None if labels is None else labels[: self._rows],
    )


@dataclasses.dataclass
class Steps:
  """The steps of some trials of a multi-task run.

  Attributes:
    lessons: the experiment, of one run.
    batches: of all trials.
    step: jitted step(state, batch) -> (state, sums).
    state: that the next step takes.
  """

  lessons: Lessons
  batches: pipeline.TrialBatches
  step: Callable
  state: Any

  @classmethod
  def of(cls, lessons: Lessons, trials: int) -> "Steps":
    """Returns the steps of the first trials, before the first of them."""
    run, config = run_of(lessons), lessons.config
    seeds = range(config.seed, config.seed + trials)
    batches = lessons.batches(run, seeds, taught=False)
    init, step, _, _ = train.make_step(
      lessons.model(run),
      len(batches),
      trials=trials,
      settings=config[run.kind],
      config=config,
      mesh=lessons.mesh,
    )
    given = {
      name: jax.tree.map(lambda x: np.stack([x] * trials), part)
      for name, part in lessons.encoder[1].items()
    }
    return cls(lessons, batches, step, init(np.array(seeds, np.uint32), given))

  def put(self, k: int) -> Any:
    """Returns the batch of step k, on the devices; the steps repeat."""
    return train.put(self.lessons.mesh, self.batches, k % len(self.batches))

  def one(self, batch: Any) -> None:
    """Begins a step."""
    self.state, _ = self.step(self.state, batch)

  def wait(self) -> None:
    """Waits for the end of what has begun."""
    jax.block_until_ready(self.state)

  def examples(self, k: int) -> int:
    """Returns how many examples step k holds, of all trials."""
    return int((self.batches[k % len(self.batches)]["task"] >= 0).sum())


def run_of(lessons: Lessons) -> Run:
  """Returns the one run of an experiment."""
  (run,) = lessons.runs
  return run


def lessons_of(config: ConfigDict, workdir: Path, *, rows: int) -> Lessons:
  """Returns the experiment of a config, on the first rows of its tasks."""
  lessons = Lessons(config, Workdir(workdir))
  checks.settings(lessons)
  data = config.data
  lessons.texts = FirstRows(
    rows, glue_dir=data.glue_dir, synthetic_seed=data.synthetic_seed
  )
  return lessons
