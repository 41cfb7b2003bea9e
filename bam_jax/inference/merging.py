"""A model whose adapters are in its encoder, for whoever knows no adapters."""

from collections.abc import Mapping
import dataclasses
from typing import Any

from bam_jax.inference import model as inference
from bam_jax.inference.trained import Trained
from bam_jax.models.adapted import ALL
from bam_jax.models.adapters import ADAPTERS
from bam_jax.training import adapting

_ELSEWHERE = (
  "bam_jax.predict and bam_jax.serve answer from the run, and other programs"
  " from --format=stablehlo or --format=onnx"
)


def plain(found: Trained, task: str) -> Trained:
  """Returns a model without adapters that says the same.

  Args:
    found: a model; without adapters it is returned as it is.
    task: the head that is asked of it, or "all".

  Raises:
    ValueError: there is no such encoder, or not one for all tasks.
  """
  adapter = adapting.adapter_of(found.description.adapter)
  if adapter is None:
    return found
  merged = ADAPTERS[adapter.kind].merged
  if merged is None:
    kinds = " and ".join(name for name, row in ADAPTERS.items() if row.merged)
    raise ValueError(
      f"no class of transformers computes adapters of kind {adapter.kind}, and"
      f" weights alone take in {kinds}; {_ELSEWHERE}"
    )
  if task == inference.ALL and not adapter.shared:
    raise ValueError(
      "with adapters of each task there is no one encoder for all; export the"
      f" tasks one by one, --task={found.description.heads[0].name}, or else"
      f" {_ELSEWHERE}"
    )
  owner = ALL if adapter.shared else task
  kind = found.config.kind
  layers: dict[str, Mapping[str, Any]] = {}
  for name, owned in found.params["adapters"].items():
    made = merged(found.config, found.params[kind][name], owned[owner], adapter)
    if made is None:
      raise ValueError(
        f"adapters of kind {adapter.kind} go into the norm behind a layer, and"
        f" a {found.config.family} has its norms before; {_ELSEWHERE}"
      )
    layers[name] = made
  params = {k: v for k, v in found.params.items() if k != "adapters"}
  return dataclasses.replace(
    found,
    params=params | {kind: {**found.params[kind], **layers}},
    description=dataclasses.replace(found.description, adapter=None),
  )
