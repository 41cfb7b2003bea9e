"""Variants: other settings for the last stage of a method, in the same study.

`c.variants.lambda_0` holds what differs, and `single->multi@lambda_0` is the
method single->multi whose last stage is trained with it. What comes before is
not varied, so that the same teachers serve all.
"""

from collections.abc import Mapping
import math
import re
from typing import Any

from ml_collections import ConfigDict

from bam_jax.runtime.files import flatten
from bam_jax.runtime.spelling import hint
from bam_jax.study.plan import names
from bam_jax.training.settings import KINDS

# What may differ between the runs of one study, and nothing that the data, the
# encoder or the trials of a run are made from: those are shared.
KEYS = (
  *(
    "tasks",
    "max_steps",
    "data.limit",
    "head_dropout",
    "sampling",
    "loss",
    "optim",
  ),
  *("teacher.schedule", "teacher.value", "teacher.options"),
  *("adapter", "encoder_frozen", "learn", "adversary", "reinit_layers"),
  *("teacher.mix", "teacher.temperature", "teacher.trials"),
  *("teacher.confidence", "teacher.agreement"),
  *("teacher.hidden_weight", "teacher.layer_map"),
  *("teacher.relations_weight", "teacher.relation_heads"),
  *(*KINDS, "eval_every", "select"),
)


def settings(config: ConfigDict, variant: str) -> ConfigDict:
  """Returns the whole config with what a variant changes; "" = nothing.

  Raises:
    ValueError: no such variant, or it changes what is not there, is of another
      type, or is shared by all runs of a study.
  """
  if not variant:
    return config
  changes = changed(config, variant)
  for key in changes:
    _check(key, variant, flatten(config.to_dict() | {"variants": {}}))
  made = config.copy_and_resolve_references()
  for key, value in changes.items():
    group, _, last = key.rpartition(".")
    holder = made
    for part in group.split(".") if group else ():
      holder = holder[part]
    try:
      with holder.unlocked():
        holder[last] = value
    except TypeError:
      raise ValueError(
        f"variant {variant} sets {key} to {value!r}, which is no "
        f"{type(holder[last]).__name__} as {holder[last]!r} is"
      ) from None
  _shortened(made)
  if "tasks" in changes:
    made.tasks = ",".join(tasks(config, variant))
  return made


def _shortened(config: ConfigDict) -> None:
  """Makes the runs of a config as short as its variants_share says."""
  share = config.variants_share
  if share == 1:
    return
  for kind in KINDS:
    config[kind].epochs *= share
    config[kind].min_steps = int(share * config[kind].min_steps)
  config.max_steps = math.ceil(share * config.max_steps)


def changed(config: ConfigDict, variant: str) -> dict[str, Any]:
  """Returns {"teacher.value": 0.0, ...}, what a variant changes.

  Raises:
    ValueError: there is no such variant, or it changes nothing.
  """
  known = config.variants
  if variant not in known:
    there = f"; there are {', '.join(known)}" if known else ""
    raise ValueError(
      f"no variant {variant!r} in config.variants"
      f"{hint(variant, known) or there}"
    )
  found = known[variant]
  found = found.to_dict() if isinstance(found, ConfigDict) else found
  changes = flatten(found) if isinstance(found, Mapping) else {}
  if not changes or not re.fullmatch(r"[\w-]+", variant, re.ASCII):
    raise ValueError(
      f"variant {variant!r} is {found!r}; it is a name of letters, digits, _ "
      'and - with the keys it changes, as in {"teacher": {"value": 0.0}}'
    )
  return changes


def tasks(config: ConfigDict, variant: str) -> tuple[str, ...]:
  """Returns what a variant is trained on, in the order of the study.

  Raises:
    ValueError: it names a task that the study has not.
  """
  every = names(config.tasks)
  asked = names(changed(config, variant).get("tasks", config.tasks))
  for task in asked:
    if task not in every:
      raise ValueError(
        f"variant {variant} trains on {task!r}, which is none of the study's "
        f"tasks {config.tasks}{hint(task, every)}"
      )
  if not asked:
    raise ValueError(
      f"variant {variant} trains on no task; leave out its tasks"
    )
  return tuple(task for task in every if task in asked)


def _check(key: str, variant: str, known: Mapping[str, Any]) -> None:
  """Refuses a key that is not there or cannot vary."""
  free = key.startswith("teacher.options.")
  if key not in known and not free:
    raise ValueError(
      f"variant {variant} changes {key!r}, which is no config key"
      f"{hint(key, known)}"
    )
  parts = key.split(".")
  if not {parts[0], ".".join(parts[:2])} & set(KEYS):
    raise ValueError(
      f"variant {variant} changes {key}, which all runs of a study share; what "
      f"may differ is {', '.join(KEYS)}; for the rest take another --workdir"
    )
