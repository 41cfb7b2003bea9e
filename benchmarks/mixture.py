"""The mixed batches of real examples that every side trains on."""

import argparse
from collections.abc import Sequence
import dataclasses
from pathlib import Path

from ml_collections import ConfigDict
import numpy as np

from bam_jax.data import pipeline
from bam_jax.data.fields import EXAMPLE
from bam_jax.data.pool import Pool, TaskData, join
from bam_jax.models import flops
from bam_jax.stages import checks, lessons
from bam_jax.stages.session import Session, opened
from bam_jax.study.plan import Run
from bam_jax.study.workdir import Workdir
from bam_jax.tasks.table import Task
from bam_jax.training import heads, sharding
from bam_jax.training.settings import Settings
from benchmarks import settings

# Share of the gold label in every target; the rest is the teacher's.
SHARE = 0.5
# The first steps of the run: what is measured is of these, and a peer may group
# their examples as it likes.
DRAWN = 50
# Of the command line; what figures depend on besides the machine.
PLACES = ("encoder", "glue_dir")
SETTINGS = (
  "tasks",
  "batch_size",
  "max_length",
  "dtype",
  "micro_rows",
  "row_shapes",
  "steps",
)


@dataclasses.dataclass(frozen=True)
class Mixture:
  """A multi-task run with a teacher for every example.

  Attributes:
    session: of an experiment of one run.
    run: its one run.
    pool: its examples; what the teachers say is random.
    order: i32[steps, B] the examples of every step.
  """

  session: Session
  run: Run
  pool: Pool
  order: np.ndarray

  @classmethod
  def of(cls, config: ConfigDict, workdir: Path) -> "Mixture":
    """Returns the mixture of a config; what is tokenised stays in workdir."""
    session = opened(config, Workdir(workdir))
    experiment = session.experiment
    checks.settings(experiment)
    (run,) = experiment.runs
    tasks = experiment.tasks_of(run)
    features = [session.materials.corpus.train(task) for task in tasks]
    sizes = dict(zip(run.tasks, map(len, features), strict=True))
    rng, data = np.random.default_rng(0), []
    for task, rows in zip(tasks, features, strict=True):
      teacher = rng.normal(size=(len(rows), task.classes)).astype(np.float32)
      if task.classes == 1:
        teacher = 1 / (1 + np.exp(-teacher))
      data.append(TaskData(task.name, rows, task.classes, teacher))
    return cls(
      session,
      run,
      join(data, weights=[1.0] * len(data)),
      lessons.order(experiment.settings(run), sizes)(seed=config.seed),
    )

  @property
  def settings(self) -> Settings:
    """The settings of the run."""
    return self.session.experiment.settings(self.run)

  @property
  def tasks(self) -> tuple[Task, ...]:
    """The tasks of the run."""
    return self.session.experiment.tasks_of(self.run)

  def batches(self) -> pipeline.TrialBatches:
    """Returns the batches of the whole run, as it would be trained."""
    c, mesh = self.settings.config, self.session.materials.mesh
    return pipeline.TrialBatches(
      [self.pool],
      self.order[None],
      width=self.session.materials.width(self.run),
      packing=c.data.packing,
      row_shapes=c.data.row_shapes,
      multiple=c.micro_rows or sharding.row_multiple(mesh),
    )

  @property
  def mean_length(self) -> float:
    """Mean real tokens of the examples that are drawn."""
    return float(self.pool.lengths[self.examples(range(DRAWN))].mean())

  def measured(self, count: int) -> list[int]:
    """Returns steps that stand for all: sorted by their rows, every n-th."""
    rows = self.batches().rows[:DRAWN]
    places = (np.arange(count) + 0.5) / count * len(rows)
    return np.argsort(rows, kind="stable")[places.astype(int)].tolist()

  def examples(self, steps: Sequence[int]) -> np.ndarray:
    """Returns the examples of some steps: i32[N]."""
    drawn = self.order[list(steps)].ravel()
    return drawn[drawn >= 0]

  def useful_flops(self, examples: np.ndarray) -> float:
    """Returns the useful FLOPs of training on some examples."""
    encoder, tasks = self.session.materials.encoder.shape, self.tasks
    return float(
      sum(
        flops.train(
          encoder,
          self.pool.lengths[examples[self.pool.task[examples] == number]],
          head=heads.spec(task),
        ).sum()
        for number, task in enumerate(tasks)
      )
    )

  def save(self, file: Path, count: int) -> None:
    """Writes the examples of the first steps for peers: an .npz.

    Args:
      file: to be written.
      count: of the steps that are measured.
    """
    tasks, pool = self.tasks, self.pool
    order = self.order[:DRAWN]
    kept, places = np.unique(order[order >= 0], return_inverse=True)
    numbers = np.full(order.shape, -1, np.int64)
    numbers[order >= 0] = places
    features, learned = pool.features.take(kept), pool.learned[EXAMPLE]
    np.savez(
      file,
      tokens=features.tokens,
      types=features.types,
      offsets=features.offsets,
      labels=learned.label[kept],
      task=pool.task[kept],
      teacher=learned.teacher[kept],
      order=numbers,
      measured=self.measured(count),
      classes=[task.classes for task in tasks],
      share=SHARE,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds what a mixture is made of to a command line."""
  settings.add_arguments(parser, tasks="rte,mrpc,cola,stsb", batch_size=128)
  parser.add_argument(
    "--micro_rows", type=int, default=6, help="of ours; 0 = all rows"
  )
  parser.add_argument(
    "--row_shapes", type=int, default=3, help="numbers of rows of ours"
  )
  parser.add_argument(
    "--adversary", default="none", help="of ours; see adversary.kind"
  )
  parser.add_argument(
    "--steps", type=int, default=3, help="batches in each measurement"
  )


def config(args: argparse.Namespace) -> ConfigDict:
  """Returns the config that a command line asks for."""
  c = settings.config(args)
  c.micro_rows, c.data.row_shapes = args.micro_rows, args.row_shapes
  c.adversary.kind = args.adversary
  c.teacher.schedule, c.teacher.value = "constant", SHARE
  return c


def side(args: argparse.Namespace, workdir: Path, job: str) -> list[str]:
  """Returns the command line of our side; see benchmarks/ours.py."""
  given = [f"--{name}={getattr(args, name)}" for name in PLACES + SETTINGS]
  line = ["-m", "benchmarks.ours", f"--workdir={workdir}", f"--job={job}"]
  return line + given
