"""Models in: encoders with heads from directories, matched by label name.

Two files may put the same labels in different orders, and a swapped order is
never seen in a shape. So columns are moved to where the names say, and a head
whose names do not fit is refused.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from pathlib import Path
from typing import Any

from flax import traverse_util
import numpy as np

from bam_jax.hf import classifiers, tensor_files
from bam_jax.hf import directory as hf
from bam_jax.hf.family import Config
from bam_jax.models.heads import HEADS
from bam_jax.tasks import description as heads_lib
from bam_jax.tasks.description import Description, Head
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.learn import USUAL_LAYERS, USUAL_POOL, Learn
from bam_jax.tasks.table import Task


@dataclasses.dataclass(frozen=True)
class Exported:
  """What a directory of `export --task=all` holds.

  Attributes:
    config: of the encoder.
    params: {"bert": ..., "pooler": ..., "heads": {task: ...}}.
    description: what the heads mean.
    about: where they come from.
  """

  config: Config
  params: Mapping[str, Any]
  description: Description
  about: Mapping[str, Any]


def is_exported(path: Path) -> bool:
  """Tells whether `export --task=all` has written a directory."""
  return (path / heads_lib.FILE).is_file() and (path / hf.WEIGHTS).is_file()


def read_exported(path: Path) -> Exported:
  """Reads what `export --task=all` has written.

  Raises:
    ValueError: a file is missing or is not what heads.json says.
  """
  description, raw = heads_lib.load(path / heads_lib.FILE)
  config, params, _ = hf.load_encoder(path)
  heads = {}
  for head in description.heads:
    file = path / "heads" / f"{head.parameters}.safetensors"
    with tensor_files.opened(file) as each:
      tensors = {name: each.get_tensor(name) for name in [*each.keys()]}
    wanted = {"weight": (head.classes, config.width), "bias": (head.classes,)}
    got = {name: tensor.shape for name, tensor in tensors.items()}
    usual = head.learn.usual(KINDS[head.kind])
    usual &= HEADS[KINDS[head.kind].head].dense
    if usual and got != wanted:
      raise ValueError(f"{file} holds {got}, {heads_lib.FILE} says {wanted}")
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
      raise ValueError(f"{file} has NaN or infinity")
    heads[head.parameters] = head_of(tensors)
  return Exported(config, params | {"heads": heads}, description, raw["about"])


def tensors_of(head: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """Returns the tensors of a head's own file; `head_of` reads them.

  One dense layer has PyTorch's names and order, all others ours.

  Args:
    head: its parameters.
  """
  flat = traverse_util.flatten_dict(head, sep=".")
  flat = {name: np.asarray(array, np.float32) for name, array in flat.items()}
  if flat.keys() != {"kernel", "bias"}:
    return flat
  return {
    "weight": np.ascontiguousarray(flat["kernel"].T),
    "bias": flat["bias"],
  }


def head_of(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Returns the parameters of a head, from the tensors of its file."""
  if tensors.keys() != {"weight", "bias"}:
    return traverse_util.unflatten_dict(dict(tensors), sep=".")
  kernel = np.ascontiguousarray(tensors["weight"].T)
  return {"kernel": kernel, "bias": tensors["bias"]}


def read_encoder(path: Path) -> dict[str, Any]:
  """Returns {"bert": ..., "pooler": ...} of a directory that `read` reads."""
  if is_exported(path):
    return dict(hf.load_encoder(path)[1])
  return classifiers.read_encoder(path)


def read(
  path: Path, named: str, tasks: Sequence[Task], *, regression_output: str
) -> dict[str, Any]:
  """Returns parameters to start from, with the heads that fit some tasks.

  Args:
    path: a directory of `export`, or any classification model of transformers.
    named: the task that its head is for; "" = told by the directory, or by the
      label names where they fit one task only.
    tasks: that are trained.
    regression_output: of the model that starts.

  Returns:
    {"bert": ..., "pooler": ..., "heads": {task: ...}}.

  Raises:
    ValueError: no head fits, or several tasks do.
  """
  if is_exported(path):
    found = read_exported(path)
    known = {task.name: task for task in tasks}
    heads = {
      Head.of(known[head.name]).parameters: _ordered(
        found.params["heads"][head.parameters],
        KINDS[head.kind].columns_of(head),
        head.learn,
        known[head.name],
        found.description,
        path,
        regression_output,
      )
      for head in found.description.heads
      if head.name in known
    }
    if not heads:
      there = ", ".join(head.name for head in found.description.heads)
      raise ValueError(
        f"init_from {path} has heads for {there}, none of which is trained "
        f"here ({', '.join(known)}); set --config.init_part=encoder"
      )
    return {**found.params, "heads": heads}
  model = classifiers.read(path)
  task = _meant(model, named, tasks)
  head = _ordered(
    model.head,
    model.labels,
    Learn(pool=model.pool),  # of the one layer that transformers has
    task,
    model.description,
    path,
    regression_output,
  )
  return {**model.params, "heads": {Head.of(task).parameters: head}}


def _meant(
  model: classifiers.Classifier, named: str, tasks: Sequence[Task]
) -> Task:
  """Returns the task that the head of a classification model is for."""
  path, known = model.directory, {task.name: task for task in tasks}
  told = model.description.heads[0].name if model.description else ""
  for name in (named, told):
    if name in known:
      return known[name]
  fitting = [
    task
    for task in tasks
    if classifiers.order(model.labels, Head.of(task)) and task.labels
  ]
  if len(fitting) == 1:
    return fitting[0]
  said = ", ".join(model.labels) or "one number"
  if fitting:
    names = [task.name for task in fitting]
    raise ValueError(
      f"init_from {path} gives {said}, which fits {' and '.join(names)}; say "
      f"which, as in --config.init_from={names[0]}={path}"
    )
  wanted = "; ".join(
    f"{task.name}: {', '.join(task.labels) or 'one number'}" for task in tasks
  )
  raise ValueError(
    f"init_from {path} gives {said}, which are the labels of no task here "
    f"({wanted}); write those names in id2label of its {hf.CONFIG}, or set "
    "--config.init_part=encoder"
  )


def _ordered(
  params: Mapping[str, Any],
  labels: tuple[str, ...],
  learned: Learn,
  task: Task,
  description: Description | None,
  path: Path,
  regression_output: str,
) -> dict[str, Any]:
  """Returns a head with its columns in the order of a task's labels."""
  kind = KINDS[task.kind]
  theirs, mine = learned.built(kind), task.learn.built(kind)
  if theirs != mine:
    raise ValueError(
      f"init_from {path} gives a head that is {theirs[0]}, and that of"
      f" {task.name} is {mine[0]}; make both alike by learn.head, or set"
      " --config.init_part=encoder"
    )
  pools = [each.pool or USUAL_POOL for each in (learned, task.learn)]
  if pools[0] != pools[1]:
    raise ValueError(
      f"init_from {path} gives a head that reads by the pool {pools[0]}, and"
      f" that of {task.name} by {pools[1]}; set --config.learn.pool={pools[0]},"
      " or --config.init_part=encoder"
    )
  layers = [each.layers or USUAL_LAYERS for each in (learned, task.learn)]
  if layers[0] != layers[1]:
    raise ValueError(
      f"init_from {path} gives a head that reads the layers {layers[0]}, and"
      f" that of {task.name} {layers[1]}; set"
      f" --config.learn.layers={layers[0]}, or --config.init_part=encoder"
    )
  if task.labels:
    places = classifiers.order(labels, Head.of(task))
    if places is None:
      raise ValueError(
        f"init_from {path} gives {', '.join(labels) or 'one number'}, but "
        f"{task.name} has {', '.join(KINDS[task.kind].columns_of(task))}; write"
        " those names in "
        f"id2label of its {hf.CONFIG}, or set --config.init_part=encoder"
      )
    if places == [*range(len(places))]:
      return dict(params)
    if not task.learn.usual(kind):
      raise ValueError(
        f"init_from {path} has the labels of {task.name} in another order,"
        f" {', '.join(labels)}, and a head of several layers; write labels in"
        " this order, or set --config.init_part=encoder"
      )
    return {
      "kernel": params["kernel"][:, places],
      "bias": params["bias"][places],
    }
  if not task.range and not labels:
    # A score means nothing by itself, only beside that of another candidate.
    return dict(params)
  ranges = [h.range for h in description.heads] if description else []
  same = description and description.regression_output == regression_output
  if not task.range:
    raise ValueError(
      f"init_from {path} gives {', '.join(labels)}, but {task.name} gives each"
      " candidate one score; set --config.init_part=encoder"
    )
  if labels or task.range not in ranges or not same:
    raise ValueError(
      f"init_from {path} does not say that its number means what {task.name}'s "
      f"does (range {task.range}, regression_output {regression_output}); set "
      "--config.init_part=encoder"
    )
  return dict(params)
