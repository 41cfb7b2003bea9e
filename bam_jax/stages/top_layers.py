"""The last layers of an encoder and its pooler, drawn anew (`reinit_layers`).

What pre-training has made of them is often a worse start for a small task than
nothing at all (Zhang et al. 2021, section 5.1).
"""

from collections.abc import Mapping
from typing import Any

from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict

from bam_jax.models.encoders import EncoderConfig
from bam_jax.runtime.console import say
from bam_jax.study import variants
from bam_jax.study.experiment import Experiment
from bam_jax.study.plan import Run
from bam_jax.training import optim

KEY = "reinit_layers"


def kept(params: Mapping[str, Any], *, layers: int, last: int) -> dict:
  """Returns the parameters that a run is given; it draws the others.

  Args:
    params: of an encoder and its pooler.
    layers: L.
    last: how many of its last layers are drawn anew, the pooler and a norm
      behind them too; 0 = nothing is.
  """
  if not last:
    return dict(params)
  flat = flatten_dict(params, sep="/")
  below = {
    path: value
    for path, value in flat.items()
    # The embeddings have depth 0 and the first layer 1.
    if optim.depth_of(path, layers) <= layers - last
  }
  return unflatten_dict(below, sep="/")


def check_config(c: ConfigDict) -> None:
  """Refuses it where no run starts from an encoder that was trained.

  Raises:
    ValueError: nothing is read, or something else is.
  """
  if not c.reinit_layers:
    return
  for bad, what, cure in (
    (
      c.encoder == "scratch",
      "encoder is scratch, whose layers are all drawn anew",
      "leave it out",
    ),
    (
      c.init_from,
      f"init_from is {c.init_from}, and it is layers of the encoder itself that"
      " are drawn anew",
      "leave one of them out",
    ),
  ):
    if bad:
      raise ValueError(f"{KEY} is {c.reinit_layers}, but {what}; {cure}")


def check(experiment: Experiment, shape: EncoderConfig) -> None:
  """Checks that there are so many layers, and says whose stay as they were.

  Args:
    experiment: the experiment.
    shape: of its encoder.

  Raises:
    ValueError: there are fewer, they would stay as they are drawn, or a variant
      changes what its run never reads.
  """
  going_on = []
  for run in experiment.runs:
    asked = experiment.settings(run).config.reinit_layers
    if asked > shape.layers:
      raise ValueError(
        f"{KEY} is {asked}, and {experiment.config.encoder} has {shape.layers}"
        f" layers here; try --config.{KEY}={max(1, shape.layers // 4)}"
      )
    if run.start or run.random:
      _unread(experiment, run)
    elif asked and experiment.settings(run).config.encoder_frozen:
      raise ValueError(
        f"{KEY} is {asked}, but the encoder of {run.name} is frozen, so what is"
        " drawn would never be trained; leave one of them out"
      )
    if run.start and asked:
      going_on.append(run.name)
  if going_on:
    say(
      f"{KEY} is of runs that start from the encoder; {', '.join(going_on)} go"
      " on with all layers of the run before"
    )


def _unread(experiment: Experiment, run: Run) -> None:
  """Refuses a variant that would draw layers which its run never reads."""
  if not run.variant:
    return
  changes = variants.changed(experiment.config, run.variant)
  if KEY in changes:
    start = run.start or "random weights"
    raise ValueError(
      f"variant {run.variant} changes {KEY}, and {run.name} starts from"
      f" {start}, whose layers are taken as they are; change it for all:"
      f" --config.{KEY}={changes[KEY]}"
    )
