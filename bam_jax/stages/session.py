"""What the stages of one command work with."""

from collections.abc import Callable, Sequence
import dataclasses
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from bam_jax.data import pipeline
from bam_jax.data.features import Features
from bam_jax.models.heads import HEADS
from bam_jax.stages import initial, lessons
from bam_jax.stages.materials import Materials
from bam_jax.stages.scoring import Scorebook
from bam_jax.stages.teachers import Teachers
from bam_jax.study import experiment as experiments
from bam_jax.study.experiment import Experiment
from bam_jax.study.leases import Leases
from bam_jax.study.lineage import Lineage
from bam_jax.study.plan import Run
from bam_jax.study.workdir import Workdir
from bam_jax.training import loop, sharding


@dataclasses.dataclass(frozen=True, eq=False)
class Session:
  """A working directory with what a command needs to work in it.

  Attributes:
    experiment: what there is to do.
    workdir: where it is done.
    materials: what it is made from.
    lineage: what made each trial.
    teachers: who teaches which run.
    scorebook: where scores are kept.
    leases: what of the work is this command's.
    stop: asked now and then; True ends the work after saving.
  """

  experiment: Experiment
  workdir: Workdir
  materials: Materials
  lineage: Lineage
  teachers: Teachers
  scorebook: Scorebook
  leases: Leases
  stop: Callable[[], bool]

  @property
  def config(self) -> ConfigDict:
    """The whole config."""
    return self.experiment.config

  def batches(
    self, run: Run, seeds: Sequence[int], *, taught: bool = True
  ) -> pipeline.TrialBatches:
    """Plans the steps of some trials of a run.

    Args:
      run: the run.
      seeds: of the trials.
      taught: False leaves the teachers out, who may not be trained yet: the
        shapes are the same.
    """

    def targets(task, teachers):
      return self.teachers.targets(run, task, teachers)

    return lessons.batches(
      self.experiment,
      run,
      seeds,
      rows=self.rows(run),
      targets=targets if taught else None,
      frame=lessons.Frame(
        self.materials.width(run),
        sharding.row_multiple(self.materials.mesh),
        self.materials.masker(run),
      ),
    )

  def rows(self, run: Run) -> dict[str, Features]:
    """Returns the training rows of each task of a run."""
    tasks = self.experiment.tasks_of(run)
    return {task.name: self.materials.rows(run, task) for task in tasks}

  def given(self, run: Run, seeds: Sequence[int]) -> Any:
    """Returns the parameters that trials of a run start from, [R, ...]."""
    return initial.given(
      run,
      seeds,
      heads=self.heads(run),
      finished=self.finished,
      imported=self.taken(),
      pretrained=self.materials.pretrained(run),
    )

  def heads(self, run: Run) -> set[str]:
    """Returns what the parameters of a run's heads are called."""
    heads = self.materials.model(run).heads
    return {spec.parameters for spec in heads if HEADS[spec.head].build}

  def taken(self) -> Any:
    """Returns the parameters that are taken of init_from; {} = none."""
    return initial.taken(self.materials.initial, self.config.init_part)

  def finished(self, name: str, seeds: Sequence[int]) -> Any:
    """Returns the parameters of finished trials of a run, [R, ...]."""
    return initial.finished(self.workdir, name, seeds)

  def asking(self, progress: Callable[[int], None]) -> Callable[[int], None]:
    """Returns `progress` that also asks whether to stop."""

    def advance(n: int) -> None:
      progress(n)
      if self.stop():
        raise loop.Stopped("stopped between two batches")

    return advance

  def ask(self) -> None:
    """Raises Stopped if the command is to stop while it waits for others."""
    if self.stop():
      raise loop.Stopped("stopped while it waited for other commands")


def opened(
  config: ConfigDict,
  workdir: Workdir,
  stop: Callable[[], bool] = lambda: False,
  **parts: Any,
) -> Session:
  """Returns a session; nothing is written, and no text is read yet.

  Args:
    config: the whole config.
    workdir: where everything goes.
    stop: see `Session`.
    **parts: of `Materials`, in place of its own.

  Raises:
    ValueError: the config names what there is not.
  """
  found = experiments.read(config)
  materials = Materials(found, workdir.data, **parts)
  lineage = Lineage(found, materials.facts())
  leases = Leases(workdir.path, share=config.share)
  return Session(
    experiment=found,
    workdir=workdir,
    materials=materials,
    lineage=lineage,
    teachers=Teachers(found, materials, lineage, workdir),
    scorebook=Scorebook(workdir, leases, found.rules),
    leases=leases,
    stop=stop,
  )


def of_run(path: Path) -> tuple[Session, Run]:
  """Returns a session of the working directory of a run, and the run.

  Args:
    path: W/runs/NAME.

  Raises:
    ValueError: the working directory has no such run.
  """
  workdir = Workdir(path.absolute().parents[1])
  found = opened(workdir.config(), workdir)
  runs = {run.name: run for run in found.experiment.runs}
  if path.name not in runs:
    raise ValueError(
      f"{workdir.file} has no run {path.name}; it has {', '.join(runs)}"
    )
  return found, runs[path.name]
