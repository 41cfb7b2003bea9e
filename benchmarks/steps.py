"""Steps of a real run, for what is measured around them."""

from collections.abc import Callable
import dataclasses
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict
import numpy as np

from bam_jax.data import pipeline
from bam_jax.data.sources import readers
from bam_jax.data.sources.examples import Examples
from bam_jax.stages import checks
from bam_jax.stages.session import Session, opened
from bam_jax.study.plan import Run
from bam_jax.study.workdir import Workdir
from bam_jax.tasks.table import Task
from bam_jax.training import loop


def first_rows(
  config: ConfigDict, rows: int
) -> Callable[[Task, str], Examples]:
  """Returns what reads the first rows of every split, 0 = all of them."""
  data, cut = config.data, slice(rows or None)

  def read(task: Task, split: str) -> Examples:
    whole = readers.load(
      task, split, glue_dir=data.glue_dir, seed=data.synthetic_seed
    )
    labels = whole.labels
    return dataclasses.replace(
      whole,
      texts=tuple(column[cut] for column in whole.texts),
      labels=None if labels is None else labels[cut],
    )

  return read


@dataclasses.dataclass
class Steps:
  """The steps of some trials of a multi-task run.

  Attributes:
    session: of an experiment of one run.
    batches: of all trials.
    step: jitted step(state, batch) -> (state, sums).
    state: that the next step takes.
  """

  session: Session
  batches: pipeline.TrialBatches
  step: Callable
  state: Any

  @classmethod
  def of(cls, session: Session, trials: int) -> "Steps":
    """Returns the steps of the first trials, before the first of them."""
    run, config = run_of(session), session.config
    materials = session.materials
    seeds = range(config.seed, config.seed + trials)
    batches = session.batches(run, seeds, taught=False)
    init, step, _, _ = loop.make_step(
      materials.model(run),
      len(batches),
      trials=trials,
      settings=session.experiment.settings(run),
      mesh=materials.mesh,
    )
    given = {
      name: jax.tree.map(lambda x: np.stack([x] * trials), part)
      for name, part in materials.encoder.params.items()
    }
    return cls(session, batches, step, init(np.array(seeds, np.uint32), given))

  def put(self, k: int) -> Any:
    """Returns the batch of step k, on the devices; the steps repeat."""
    return loop.put(
      self.session.materials.mesh, self.batches, k % len(self.batches)
    )

  def one(self, batch: Any) -> None:
    """Begins a step."""
    self.state, _ = self.step(self.state, batch)

  def wait(self) -> None:
    """Waits for the end of what has begun."""
    jax.block_until_ready(self.state)

  def examples(self, k: int) -> int:
    """Returns how many examples step k holds, of all trials."""
    return int((self.batches[k % len(self.batches)]["task"] >= 0).sum())


def run_of(session: Session) -> Run:
  """Returns the one run of an experiment."""
  (run,) = session.experiment.runs
  return run


def session_of(config: ConfigDict, workdir: Path, *, rows: int) -> Session:
  """Returns the session of a config, on the first rows of its tasks."""
  read = first_rows(config, rows)
  session = opened(config, Workdir(workdir), read=read)
  checks.settings(session.experiment)
  return session
