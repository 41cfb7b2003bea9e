"""How many parameters the runs of an experiment have, and train."""

from collections.abc import Mapping
import dataclasses
import math
from typing import Any

import jax

from bam_jax.models.multitask import MultiTask, init_params
from bam_jax.stages.session import Session
from bam_jax.study.plan import Run

# The trees of the parameters, but for the encoder's.
ADAPTERS = "adapters"


@dataclasses.dataclass(frozen=True)
class Sizes:
  """Numbers of parameters.

  Attributes:
    whole: of the model.
    adapters: of those, what tasks have inside the encoder.
    trained: of those, what gets a gradient.
  """

  whole: int
  adapters: int
  trained: int


def sizes_of(model: MultiTask, *, frozen: bool) -> Sizes:
  """Returns the sizes of a model; nothing is drawn.

  Args:
    model: the model.
    frozen: whether its encoder is not trained.
  """
  trees = jax.eval_shape(lambda: init_params(model, jax.random.key(0)))
  each = {name: _size(tree) for name, tree in trees.items()}
  whole = sum(each.values())
  held = each[model.config.kind] if frozen else 0
  return Sizes(whole, each.get(ADAPTERS, 0), whole - held)


def told(session: Session) -> str:
  """Returns a sentence on a model of each stage, one with most columns."""
  found: dict[str, tuple[int, Run, MultiTask]] = {}
  for run in session.experiment.runs:
    name, model = run.name.partition(".")[0], session.materials.model(run)
    columns = sum(spec.outputs for spec in model.heads)
    if name not in found or columns > found[name][0]:
      found[name] = columns, run, model
  parts = []
  for name, (_, run, model) in found.items():
    frozen = session.experiment.settings(run).config.encoder_frozen
    parts.append(f"{name} {in_words(sizes_of(model, frozen=frozen))}")
  return f"Parameters of a model: {'; '.join(parts)}."


def in_words(sizes: Sizes) -> str:
  """Returns sizes as "1,234 (567 in adapters, 589 trained)"."""
  parts = [f"{sizes.adapters:,} in adapters"] if sizes.adapters else []
  if sizes.trained < sizes.whole:
    parts.append(f"{sizes.trained:,} trained")
  return f"{sizes.whole:,}" + (f" ({', '.join(parts)})" if parts else "")


def _size(tree: Mapping[str, Any]) -> int:
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
