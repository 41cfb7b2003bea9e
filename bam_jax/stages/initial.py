"""What the parameters of a run start from."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict
import numpy as np

from bam_jax.hf import classifiers, transfer
from bam_jax.models import adapter_tree
from bam_jax.models.encoders import ENCODERS
from bam_jax.models.heads import HEADS
from bam_jax.models.multitask import MultiTask, init_params
from bam_jax.runtime.files import flatten
from bam_jax.study.experiment import Experiment
from bam_jax.study.plan import Run
from bam_jax.study.workdir import Workdir
from bam_jax.training.checkpoint import load_params, trials


def given(
  run: Run,
  seeds: Sequence[int],
  *,
  heads: Collection[str],
  finished: Callable[[str, Sequence[int]], Any],
  imported: Any,
  pretrained: Any,
) -> Any:
  """Returns the parameters a run starts from, [R, ...]; {} = none.

  In this order: the run that it continues, what init_from means, the
  pretrained directory; nothing where its encoder is to be random. (Its own
  checkpoint comes before all: training/loop.py.)

  Args:
    run: the run.
    seeds: of its trials.
    heads: what the parameters of its heads are called.
    finished: (name of a run, seeds) -> parameters of its trials, [R, ...].
    imported: what of init_from is taken; {} = nothing.
    pretrained: the encoder's parameters; {} = none.
  """
  if run.random:
    return {}
  if run.start:
    # Fresh is what is a task's own.
    names, tasks = ((), ()) if run.fresh else (heads, run.tasks)
    return own(names, finished(run.start, seeds), tasks)
  start = own(heads, imported, run.tasks) if imported else pretrained
  return jax.tree.map(
    lambda x: np.broadcast_to(x, (len(seeds), *x.shape)), start
  )


def imported(experiment: Experiment) -> tuple[str, Path] | None:
  """Returns the directory of a model that init_from means, and its task."""
  tasks = [task.name for task in experiment.trained_tasks]
  init_from = experiment.config.init_from
  named, equals, rest = init_from.partition("=")
  if not equals or named not in tasks:
    named, rest = "", init_from
  path = Path(rest)
  there = classifiers.is_classifier(path) or transfer.is_exported(path)
  return (named, path) if rest and there else None


def read(experiment: Experiment) -> Any:
  """Returns the parameters that init_from means; {} = none.

  Of a run they are its first trial's, with all of its heads; of a model of
  transformers, those that fit the tasks. Without init_part "all", no head is
  looked at.

  Raises:
    ValueError: it means nothing that can be read.
  """
  c = experiment.config
  if c.init_part not in ("encoder", "all"):
    raise ValueError(f"init_part is {c.init_part!r}; it is encoder or all")
  if not c.init_from:
    return {}
  if found := imported(experiment):
    named, path = found
    if c.init_part == "encoder":
      return transfer.read_encoder(path) | {"heads": {}}
    return transfer.read(
      path,
      named,
      experiment.trained_tasks,
      regression_output=c.loss.regression_output,
    )
  seeds = trials(Path(c.init_from) / "checkpoints")
  if not seeds:
    raise ValueError(
      f"init_from is {c.init_from}, which holds no finished run; give a "
      "directory like W/runs/NAME, or a classification model's"
    )
  return load_params(Path(c.init_from) / "checkpoints" / f"seed-{min(seeds)}")[
    0
  ]


def thinned(params: Any, config: ConfigDict, layers: int) -> Any:
  """Returns the parameters with the layers that a student keeps of them.

  Args:
    params: from `read`.
    config: the whole config; its encoder_every and encoder_layers choose as
      they do among the encoder's own.
    layers: L of the student. What has as many was chosen from before.
  """
  if not params or (config.encoder_layers, config.encoder_every) == (0, 1):
    return params
  (kind,) = params.keys() & ENCODERS.keys()
  deep = sum(name.startswith("layer_") for name in params[kind])
  if deep <= layers:
    return params
  kept = range(0, deep, config.encoder_every)[: config.encoder_layers or None]

  def chosen(parts):
    others = {k: v for k, v in parts.items() if not k.startswith("layer_")}
    own = {f"layer_{i}": parts[f"layer_{old}"] for i, old in enumerate(kept)}
    return others | own

  layered = params.keys() & {kind, "adapters"}
  return {**params, **{name: chosen(params[name]) for name in layered}}


def taken(params: Any, part: str) -> Any:
  """Returns what of the parameters of init_from is taken.

  Args:
    params: from `read`.
    part: encoder or all.
  """
  if part == "all" or not params:
    return params
  return {k: v for k, v in params.items() if k != "adapters"} | {"heads": {}}


def check_fit(
  params: Any, run: Run, model: MultiTask, *, named: str, encoder: str
) -> None:
  """Refuses parameters of another shape than the run's model has.

  Args:
    params: from `read`.
    run: the run.
    model: of the run.
    named: what init_from is, for the sentence.
    encoder: what encoder is.
  """
  wanted = jax.eval_shape(lambda: init_params(model, jax.random.key(0)))
  shapes = {k: v.shape for k, v in flatten(wanted).items()}
  heads = {spec.parameters for spec in model.heads if HEADS[spec.head].build}
  given = own(heads, params, run.tasks)
  if model.adapter is None:
    # They are left there, or were refused: see stages/adapted.py.
    given.pop("adapters", None)
  for name, value in flatten(given).items():
    if value.shape != shapes.get(name):
      raise ValueError(
        f"init_from {named} has {name} of shape {value.shape}, the encoder "
        f"{encoder} wants {shapes.get(name)}; give the encoder that it was "
        "trained with"
      )


def own(heads: Collection[str], params: dict, tasks: Sequence[str]) -> dict:
  """Returns the parameters with some of the heads and adapters only.

  Args:
    heads: what those are called that stay.
    params: the whole tree.
    tasks: whose adapters stay.
  """
  found = {
    **params,
    # There are none of an encoder that was trained alone.
    "heads": {k: v for k, v in params.get("heads", {}).items() if k in heads},
  }
  if "adapters" in params:
    found["adapters"] = adapter_tree.kept(params["adapters"], tasks)
  return found


def finished(workdir: Workdir, name: str, seeds: Sequence[int]) -> Any:
  """Returns the parameters of finished trials of a run, [R, ...]."""
  trees = [load_params(workdir.params(name, s))[0] for s in seeds]
  return jax.tree.map(lambda *x: np.stack(x), *trees)
