"""What the parameters of a run start from."""

from collections.abc import Sequence
import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bam_jax.hf import classifiers, transfer
from bam_jax.models.multitask import init_params
from bam_jax.runtime.files import flatten
from bam_jax.study.experiment import Experiment
from bam_jax.study.plan import Run
from bam_jax.training.checkpoint import load_params


@dataclasses.dataclass
class Starts(Experiment):
  """The parameters that the runs of an experiment start from."""

  def given(self, run: Run, seeds: Sequence[int]) -> Any:
    """Returns the parameters a run starts from, [R, ...]; {} = none.

    In this order: the run that it continues, the run named by init_from, the
    pretrained directory. (Its own checkpoint comes before all: train.py.)
    """
    c = self.config
    if run.start:
      return self.own(run, self.trial_params(run.start, seeds))
    given = self.encoder[1]
    if c.init_from:
      self.check_fit(run)
      given = self.own(run, self.initial)
      if c.init_part == "encoder":
        given.pop("heads")
    return jax.tree.map(
      lambda x: np.broadcast_to(x, (len(seeds), *x.shape)), given
    )

  @functools.cached_property
  def imported(self) -> tuple[str, Path] | None:
    """The directory of a model that init_from means, and the task it names."""
    tasks = [task.name for task in self.trained_tasks]
    named, equals, rest = self.config.init_from.partition("=")
    if not equals or named not in tasks:
      named, rest = "", self.config.init_from
    path = Path(rest)
    there = classifiers.is_classifier(path) or transfer.is_exported(path)
    return (named, path) if rest and there else None

  @functools.cached_property
  def initial(self) -> Any:
    """The parameters that init_from means; {} = none.

    Of a run they are its first trial's, with all of its heads; of a model of
    transformers, those that fit the tasks. Without init_part "all", no head is
    looked at.
    """
    c = self.config
    if c.init_part not in ("encoder", "all"):
      raise ValueError(f"init_part is {c.init_part!r}; it is encoder or all")
    if not c.init_from:
      return {}
    if self.imported:
      named, path = self.imported
      if c.init_part == "encoder":
        return transfer.read_encoder(path) | {"heads": {}}
      return transfer.read(
        path,
        named,
        self.trained_tasks,
        regression_output=c.loss.regression_output,
      )
    found = (Path(c.init_from) / "checkpoints").glob("seed-*")
    # seed-2 comes before seed-10; what Orbax left half is no trial.
    seeds = [int(p.name[5:]) for p in found if p.name[5:].isdigit()]
    if not seeds:
      raise ValueError(
        f"init_from is {c.init_from}, which holds no finished run; give a "
        "directory like W/runs/NAME, or a classification model's"
      )
    return load_params(
      Path(c.init_from) / "checkpoints" / f"seed-{min(seeds)}"
    )[0]

  def check_fit(self, run: Run) -> None:
    """Refuses parameters of another shape than the run's model has."""
    key = jax.random.key(0)
    wanted = jax.eval_shape(lambda: init_params(self.model(run), key))
    shapes = {k: v.shape for k, v in flatten(wanted).items()}
    for name, value in flatten(self.own(run, self.initial)).items():
      if value.shape != shapes.get(name):
        raise ValueError(
          f"init_from {self.config.init_from} has {name} of shape "
          f"{value.shape}, the encoder {self.config.encoder} wants "
          f"{shapes.get(name)}; give the encoder that it was trained with"
        )

  def own(self, run: Run, params: dict) -> dict:
    """Returns the parameters with the heads of a run's own tasks only."""
    heads = {k: v for k, v in params["heads"].items() if k in run.tasks}
    return {**params, "heads": heads}

  def trial_params(self, name: str, seeds: Sequence[int]) -> Any:
    """Returns the parameters of finished trials of a run, [R, ...]."""
    trees = [load_params(self.workdir.params(name, s))[0] for s in seeds]
    return jax.tree.map(lambda *x: np.stack(x), *trees)
