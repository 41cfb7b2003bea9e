"""Adapters: what each task has of its own inside every layer of an encoder.

What kinds there are, one row each: which weights, and where they act.
"""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models.adapted import Adapted

Array = jax.Array
# Heads of a pal's attention, at most (Bert-n-Pals' code; its paper has 12).
HEADS = 6
# Standard deviation of Houlsby's weights (section 3 there): all but nothing.
NEAR = 1e-2


class Leaf(NamedTuple):
  """An array of parameters: its shape, and how it is drawn."""

  shape: tuple[int, ...]
  init: nn.initializers.Initializer


# Names -> leaves, nested as parameters are.
Leaves = Mapping[str, Any]


def gelu(x: Array) -> Array:
  """The erf form, as the encoders have it."""
  return nn.gelu(x, approximate=False)


def projected(
  own: Adapted, x: Array, attend: Callable[..., Array]
) -> tuple[Array]:
  """Returns a projected attention layer's vectors (Stickland & Murray, 3.3).

  Down, attention without a product after it, up, and gelu.

  Args:
    own: with "query", "key" and "value", and "down" and "up" of every layer.
    x: dtype[B, S, D].
    attend: see `at`.
  """
  narrow = own.into(x, own.weights["down"])
  heads = heads_of(own.adapter.rank)

  def by_heads(name: str) -> Array:
    one = own.onto(narrow, own.weights[name])
    return one.reshape(*one.shape[:2], heads, own.adapter.rank // heads)

  context = attend(*map(by_heads, ("query", "key", "value")))
  flat = context.reshape(*x.shape[:2], own.adapter.rank)
  return gelu(own.onto(own.spread(flat), own.weights["up"]))


def heads_of(rank: int) -> int:
  """Returns how many heads a pal's attention has: they divide its columns."""
  return max(n for n in range(1, HEADS + 1) if rank % n == 0)


def bottleneck(own: Adapted, x: Array, part: Mapping[str, Any]) -> Array:
  """Returns up(gelu(down(x))), dtype[B, S, D]."""
  return own.onto(gelu(own.into(x, part["down"])), part["up"])


def _beside(own, y, x, attend):
  return y + projected(own, x, attend)


def _fused(own, y, x, attend):
  fuse = own.together["fuse"]
  both = jnp.concatenate([y, projected(own, x, attend)], axis=-1)
  z = both @ fuse["kernel"].astype(own.dtype)
  return (z.astype(jnp.float32) + fuse["bias"]).astype(own.dtype)


def _low_rank(own, y, x, attend):
  del attend
  return y + bottleneck(own, x, own.weights)


def _behind(name):
  def behind(own, y, x, attend):
    del x, attend
    return y + bottleneck(own, y, own.weights[name])

  return behind


def _added(name):
  def added(own, y, x, attend):
    del attend
    part = own.weights[name]
    change = own.onto(own.into(x, part["down"]), part["up"])
    return y + change * (own.adapter.alpha / own.adapter.rank)

  return added


def _gated(own, y, x, attend):
  del x, attend
  gate = 2 * nn.sigmoid(own.pick(own.weights["gate"]))
  return (y.astype(jnp.float32) * gate).astype(own.dtype)


def dense(
  inputs: int,
  outputs: int,
  init: nn.initializers.Initializer,
  *,
  bias: bool = True,
) -> dict[str, Leaf]:
  """Returns the leaves of a dense layer, whose bias starts at 0."""
  found = {"kernel": Leaf((inputs, outputs), init)}
  if bias:
    found["bias"] = Leaf((outputs,), nn.initializers.zeros)
  return found


def _down_up(c, rank, init) -> Leaves:
  return {
    "down": dense(c.width, rank, init),
    "up": dense(rank, c.width, init),
  }


def _attention(c, rank) -> Leaves:
  names = ("query", "key", "value")
  return {name: dense(rank, rank, c.init) for name in names}


def _two(c, rank) -> Leaves:
  near = nn.initializers.truncated_normal(NEAR)
  return {name: _down_up(c, rank, near) for name in ("attention", "mlp")}


def _lora(c, rank) -> Leaves:
  # As its authors' code draws them: uniform, of variance 1 / 3D; the way back
  # starts at 0.
  down = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
  return {
    name: {
      "down": dense(c.width, rank, down, bias=False),
      "up": dense(rank, c.width, nn.initializers.zeros, bias=False),
    }
    for name in ("query", "value")
  }


def _gate(c, rank) -> Leaves:
  del rank
  return {"gate": Leaf((c.width,), nn.initializers.zeros)}


def _fuse(c, rank) -> Leaves:
  del rank

  def first_half(key, shape, dtype=jnp.float32):
    # What attention says goes through; the pal is heard as it learns to be.
    del key
    return jnp.eye(*shape, dtype=dtype)

  return {"fuse": dense(2 * c.width, c.width, first_half)}


def _merged_lora(config, layer, own, adapter):
  del config
  made = dict(layer)
  for name in ("query", "value"):
    down, up = (
      np.asarray(own[name][way]["kernel"], np.float64) for way in ("down", "up")
    )
    change = (down @ up) * (adapter.alpha / adapter.rank)
    kernel = (layer[name]["kernel"] + change).astype(np.float32)
    made[name] = {**layer[name], "kernel": kernel}
  return made


def _merged_lhuc(config, layer, own, adapter):
  del adapter
  if config.pre_norm:
    return None
  gate = 2 / (1 + np.exp(-np.asarray(own["gate"], np.float64)))
  norm = {
    name: (np.asarray(array) * gate).astype(np.float32)
    for name, array in layer["mlp_norm"].items()
  }
  return {**layer, "mlp_norm": norm}


def _nothing(c, rank) -> Leaves:
  del c, rank
  return {}


@dataclasses.dataclass(frozen=True)
class AdapterKind:
  """One kind of adapter.

  Attributes:
    rank: r where none is said, as published; 0 = it has none.
    places: place of a layer -> (adapted, y, x, attend) -> what is made of y;
      see `at`.
    layer: (config of the encoder, r) -> leaves of each task in each layer.
    every: likewise, those that a task has once for all layers.
    together: likewise, those of each layer that all tasks have together.
    alpha: where none is said, as its paper has it on GLUE; 0 = it has none.
    attends: whether it attends, in r columns.
    merged: (config, parameters of a layer, leaves of a task there, adapter) ->
      parameters of the layer with the adapter in them, so that it computes the
      same without; None = this encoder's cannot be. None = none can.
  """

  rank: int
  places: Mapping[str, Callable[..., Array]]
  layer: Callable[[Any, int], Leaves]
  every: Callable[[Any, int], Leaves] = _nothing
  together: Callable[[Any, int], Leaves] = _nothing
  alpha: float = 0.0
  attends: bool = False
  merged: Callable[..., Mapping[str, Any] | None] | None = None


# Where a layer asks its adapters: queries and values as they are made, what
# attention says before its last product, what either block adds, what leaves.
PLACES = ("query", "value", "context", "attention", "mlp", "layer")

ADAPTERS: dict[str, AdapterKind] = {
  "pal": AdapterKind(
    rank=204,
    places={"mlp": _beside},
    layer=_attention,
    every=lambda c, rank: _down_up(c, rank, c.init),
    attends=True,
  ),
  "pal_concat": AdapterKind(
    rank=204,
    places={"context": _fused},
    layer=_attention,
    every=lambda c, rank: _down_up(c, rank, c.init),
    together=_fuse,
    attends=True,
  ),
  "low_rank": AdapterKind(
    rank=100,
    places={"mlp": _low_rank},
    layer=lambda c, rank: _down_up(c, rank, c.init),
  ),
  "houlsby": AdapterKind(
    rank=50,
    places={"attention": _behind("attention"), "mlp": _behind("mlp")},
    layer=_two,
  ),
  "lora": AdapterKind(
    rank=8,
    alpha=8.0,
    places={"query": _added("query"), "value": _added("value")},
    layer=_lora,
    merged=_merged_lora,
  ),
  "lhuc": AdapterKind(
    rank=0,
    places={"layer": _gated},
    layer=_gate,
    merged=_merged_lhuc,
  ),
}


def at(
  own: Adapted,
  place: str,
  y: Array,
  x: Array,
  attend: Callable[..., Array],
) -> Array:
  """Returns what is made of y at a place of a layer.

  Args:
    own: what adapts the layer.
    place: one of `PLACES`.
    y: what the encoder has there, dtype[B, S, ...].
    x: dtype[B, S, D], what the layer reads; of "query" and "value" what they
      are made from.
    attend: (query, key, value) dtype[B, S, H, K] -> the same, within examples.
  """
  made = ADAPTERS[own.adapter.kind].places.get(place)
  return made(own, y, x, attend) if made else y
