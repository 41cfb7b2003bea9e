"""The parameters of adapters: a tree beside the encoder's own.

The encoder's keeps what its files have. Here lie layer_0/TASK/... and, where a
task's layers share something, every_layer/TASK/...
"""

from collections.abc import Mapping, Sequence
import math
from typing import Any
import zlib

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models.adapted import ALL, Adapted, Adapter
from bam_jax.models.adapters import ADAPTERS, Leaf, Leaves
from bam_jax.models.attention import pairs

Array = jax.Array
# Where what a task's layers share lies.
EVERY = "every_layer"


def leaves(adapter: Adapter, config: Any, tasks: Sequence[str]) -> Leaves:
  """Returns all leaves of an encoder's adapters, nested as they are named.

  Args:
    adapter: which.
    config: of the encoder.
    tasks: of the run.
  """
  kind, owners = ADAPTERS[adapter.kind], adapter.owners(tasks)
  every = kind.every(config, adapter.rank)
  found = {EVERY: dict.fromkeys(owners, every)} if every else {}
  for i in range(config.layers):
    own = kind.layer(config, adapter.rank)
    found[f"layer_{i}"] = dict.fromkeys(owners, own)
    if together := kind.together(config, adapter.rank):
      there = found[f"layer_{i}"].get(ALL, {})
      found[f"layer_{i}"][ALL] = {**there, **together}
  return found


def shapes(
  adapter: Adapter, config: Any, tasks: Sequence[str]
) -> dict[str, tuple[int, ...]]:
  """Returns the shape of every parameter by its path."""
  flat = jax.tree_util.tree_leaves_with_path(
    leaves(adapter, config, tasks), is_leaf=lambda x: isinstance(x, Leaf)
  )
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
    for path, leaf in flat
  }


def count(adapter: Adapter, config: Any, tasks: Sequence[str]) -> int:
  """Returns how many parameters the adapters of some tasks have."""
  return sum(map(math.prod, shapes(adapter, config, tasks).values()))


def multiplied(
  adapter: Adapter, config: Any, lengths: np.ndarray
) -> np.ndarray:
  """Counts the multiplications that one task's adapters add: i64[N].

  Those with other tasks' columns are no use to anybody and are not counted.

  Args:
    adapter: which.
    config: of the encoder.
    lengths: i64[N], tokens of each example.
  """
  weights = sum(
    math.prod(shape) * (config.layers if path.startswith(EVERY) else 1)
    for path, shape in shapes(adapter, config, ("one",)).items()
    if path.endswith("/kernel")
  )
  attention = 0
  if ADAPTERS[adapter.kind].attends:
    attention = config.layers * 2 * adapter.rank * pairs(lengths, 0)
  return lengths * weights + attention


def depth(names: Sequence[str], layers: int) -> int | None:
  """Says how deep an adapter lies: as its layer does; see `EncoderKind.depth`.

  What all layers share lies where the last one does.
  """
  match names:
    case [name, _, *_] if name == EVERY:
      return layers
    case [layer, _, *_] if layer.startswith("layer_"):
      number = layer.removeprefix("layer_")
      if number.isdecimal() and int(number) < layers:
        return int(number) + 1
  return None


def kept(params: Mapping[str, Any], tasks: Sequence[str]) -> dict[str, Any]:
  """Returns the adapters of some tasks, and those that all have together.

  Args:
    params: the tree "adapters".
    tasks: their names.
  """
  return {
    place: {k: v for k, v in owned.items() if k in (ALL, *tasks)}
    for place, owned in params.items()
  }


def of(params: Mapping[str, Any], heads: Sequence[Any]) -> dict[str, Any]:
  """Returns a model's parameters with the adapters of some of its heads.

  Args:
    params: the whole tree, with adapters or without.
    heads: their `name` is that of the task.
  """
  if "adapters" not in params:
    return dict(params)
  names = [head.name for head in heads]
  return {**params, "adapters": kept(params["adapters"], names)}


class Adapters(nn.Module):
  """The adapters of an encoder; its parameters are the tree "adapters"."""

  adapter: Adapter
  # Of the encoder.
  config: Any
  # The names of the tasks, in the order of their numbers.
  tasks: tuple[str, ...]
  dtype: Any

  @nn.compact
  def __call__(self, task: Array) -> tuple[Adapted, ...]:
    """Returns what adapts each layer, L of them.

    Args:
      task: i32[B, S], whose each token is, -1 where nothing lies.
    """
    owners = self.adapter.owners(self.tasks)
    own = task[..., None] == jnp.arange(len(owners))
    if self.adapter.shared:
      own = task[..., None] >= 0
    kind = ADAPTERS[self.adapter.kind]
    named = leaves(self.adapter, self.config, self.tasks)
    params = {
      place: self.param(place, _drawn, owned) for place, owned in named.items()
    }

    def of_all(place, part) -> Mapping[str, Any]:
      if not part:
        return {}
      held = [
        {name: params[place][owner][name] for name in part} for owner in owners
      ]
      return jax.tree.map(lambda *each: jnp.stack(each), *held)

    rank, found = self.adapter.rank, []
    every = of_all(EVERY, kind.every(self.config, rank))
    layer = kind.layer(self.config, rank)
    together = kind.together(self.config, rank)
    for i in range(self.config.layers):
      place = f"layer_{i}"
      found.append(
        Adapted(
          {**every, **of_all(place, layer)},
          {name: params[place][ALL][name] for name in together},
          own,
          self.adapter,
          self.dtype,
        )
      )
    return tuple(found)


def _drawn(key: Array, owned: Leaves) -> dict[str, Any]:
  """Returns parameters drawn by their names: alike, whoever is beside them."""

  def draw(path, leaf: Leaf) -> Array:
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    own = jax.random.fold_in(key, zlib.crc32(name.encode()) >> 1)
    return leaf.init(own, leaf.shape, jnp.float32)

  return jax.tree_util.tree_map_with_path(
    draw, owned, is_leaf=lambda x: isinstance(x, Leaf)
  )
