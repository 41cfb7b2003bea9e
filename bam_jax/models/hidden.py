"""What an encoder makes of every token on the way to its last vectors."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax

Array = jax.Array
# Where a layer shows what it attends by.
_ATTENDED = "attended"


class Hidden(NamedTuple):
  """The inside of an encoder.

  Attributes:
    layers: dtype[B, S, D] of each: 0 is what the first layer reads, L what
      comes out.
    attended: the queries, keys and values of the last layer, dtype[B, S, H, K]
      as attention compares them; () where an encoder shows none.
  """

  layers: tuple[Array, ...]
  attended: tuple[Array, ...]


def show(layer: nn.Module, query: Array, key: Array, value: Array) -> None:
  """Shows what a layer attends by, where it is asked for."""
  layer.sow("intermediates", _ATTENDED, (query, key, value))


def asked(config: Any) -> dict[str, Any]:
  """Returns what `apply` of an encoder, or of a model with it, is given more.

  It then returns the kept intermediates beside its outputs; see `found`.

  Args:
    config: of the encoder.
  """
  named = [f"layer_{i}" for i in range(config.layers)]

  def wanted(module: nn.Module, method: str) -> bool:
    return method in ("embed", "encode") or module.name in named

  return {"capture_intermediates": wanted, "mutable": ["intermediates"]}


def hold(x: Array, place: Any) -> Array:
  """Keeps hidden states in a sharding, if there is one, or as a `Watch` does.

  Left alone, the compiler may gather the rows of all devices to spare itself
  the gathering of a layer's parameters.
  """
  if isinstance(place, Watch):
    return place.note(x)
  return jax.lax.with_sharding_constraint(x, place) if place else x


class Watch:
  """Notes what goes from layer to layer, in the place of an encoder's `place`.

  Attributes:
    seen: dtype[B, S, D] of each, what the first layer reads first.
  """

  def __init__(self, place: jax.sharding.Sharding | None):
    self._place = place
    self.seen: list[Array] = []

  def note(self, x: Array) -> Array:
    """Returns x, where it is to be kept."""
    self.seen.append(hold(x, self._place))
    return self.seen[-1]


def found(kept: Mapping[str, Any], config: Any) -> Hidden:
  """Returns what is inside an encoder.

  Args:
    kept: what `apply` returned beside its outputs, as `asked` asks for it.
    config: of the encoder.
  """
  made = kept["intermediates"]
  # In a model, it is in the encoder's place.
  made = made.get(config.kind, made)
  layers = [made[f"layer_{i}"] for i in range(config.layers)]
  between = (each["__call__"][0] for each in layers[:-1])
  # A norm may follow the last layer.
  return Hidden(
    (made["embed"][0], *between, made["encode"][0]),
    layers[-1].get(_ATTENDED, ((),))[0],
  )
