"""What of a model a run trains, and what tasks have of their own inside it."""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any

import optax

from bam_jax.models.adapted import Adapter
from bam_jax.models.adapters import ADAPTERS
from bam_jax.models.heads import HEADS
from bam_jax.models.multitask import MultiTask
from bam_jax.tasks.description import Adapts
from bam_jax.training.state import TrainState

OFF = "none"


def adapter_of(said: Any) -> Adapter | None:
  """Returns the adapters that are asked for.

  Args:
    said: the config's `adapter`, or what a description says; None = nothing.

  Raises:
    ValueError: there is no such kind.
  """
  if said is None or said.kind == OFF:
    return None
  if said.kind not in ADAPTERS:
    raise ValueError(
      f"adapters are of kind {said.kind!r}, which is none of"
      f" {', '.join(ADAPTERS)}"
    )
  row = ADAPTERS[said.kind]
  alpha = float(said.alpha or row.alpha)
  return Adapter(said.kind, said.rank or row.rank, bool(said.shared), alpha)


def told(said: Any) -> Adapts | None:
  """Returns what a description says of adapters; see `adapter_of`."""
  found = adapter_of(said)
  return found and Adapts(**dataclasses.asdict(found))


def counted(config: Any) -> dict[str, Any]:
  """Returns what `flops.train` asks of a run, by its whole config."""
  return {
    "adapter": adapter_of(config.adapter),
    "frozen": config.encoder_frozen,
  }


def left(model: MultiTask, config: Any) -> str:
  """Returns the part of the parameters that a run leaves as it is; "" = none.

  Args:
    model: of the run.
    config: its whole config.
  """
  if config.encoder_frozen:
    return model.config.kind
  # Where no head is built, nothing reads the pooler.
  return "" if any(HEADS[spec.head].build for spec in model.heads) else "pooler"


def without(params: Mapping[str, Any], part: str) -> dict[str, Any]:
  """Returns the parameters that are trained where a part is frozen."""
  return {name: tree for name, tree in params.items() if name != part}


def sparing(
  tx: optax.GradientTransformationExtraArgs, part: str
) -> optax.GradientTransformationExtraArgs:
  """Returns an optimiser that keeps nothing of a frozen part."""
  return optax.GradientTransformationExtraArgs(
    lambda params: tx.init(without(params, part)), tx.update
  )


def beside(losses: Callable, held: Mapping[str, Any]) -> Callable:
  """Returns losses that get the parameters without those that are frozen."""
  return lambda params, *rest: losses(params | held, *rest)


def frozen(
  make: Callable[[Mapping[str, Any]], Callable], part: str
) -> Callable[[TrainState, Mapping], tuple[TrainState, dict]]:
  """Returns a step that leaves a part of the parameters as it is.

  What is frozen is no argument of the gradient, so none is made of it.

  Args:
    make: the frozen parameters -> the step of all others.
    part: of the tree of parameters.
  """

  def step(state: TrainState, batch: Mapping):
    held = {part: state.params[part]}
    trees = {
      name: tree
      for name in ("params", "average", "mean")
      if (tree := getattr(state, name)) is not None
    }
    rest = {name: without(tree, part) for name, tree in trees.items()}
    new, sums = make(held)(state.replace(**rest), batch)
    whole = {name: {**getattr(new, name), **held} for name in trees}
    return new.replace(**whole), sums

  return step
