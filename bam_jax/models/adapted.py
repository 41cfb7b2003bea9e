"""A token among the weights of several tasks, of which it meets its own.

A batch is of many tasks, so a token is multiplied with the weights of all of
them at once: one product to T * r columns, of which those of its task alone go
on into the product back. No weights are gathered by token, which a TPU would
scatter back in the backward pass.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

Array = jax.Array
# Whose an adapter is that all tasks share.
ALL = "all"


@dataclasses.dataclass(frozen=True)
class Adapter:
  """Which adapters an encoder has.

  Attributes:
    kind: one of `ADAPTERS`.
    rank: r, columns of the narrow product; 0 where a kind has none.
    shared: whether all tasks have one.
    alpha: of lora, whose product counts alpha / r; 0 where a kind has none.
  """

  kind: str
  rank: int
  shared: bool = False
  alpha: float = 0.0

  def owners(self, tasks: Sequence[str]) -> tuple[str, ...]:
    """Returns whose adapters there are: each task's, or one of all."""
    return (ALL,) if self.shared else tuple(tasks)


@flax.struct.dataclass
class Adapted:
  """What adapts one layer to the tasks of a batch's tokens.

  Attributes:
    weights: the leaves of all owners, each with a leading axis T.
    together: those that are of all tasks, without it.
    own: bool[B, S, T], whose each token is; nobody's where it is padding.
    adapter: of the encoder.
    dtype: what to compute in.
  """

  weights: Mapping[str, Any]
  together: Mapping[str, Any]
  own: Array
  adapter: Adapter = flax.struct.field(pytree_node=False)
  dtype: Any = flax.struct.field(pytree_node=False)

  def into(self, x: Array, part: Mapping[str, Array]) -> Array:
    """Maps [B, S, D] to [B, S, T, r], 0 but in the columns of the own task."""
    y = jnp.einsum("bsd,tdr->bstr", x, part["kernel"].astype(self.dtype))
    if "bias" in part:
      y = (y.astype(jnp.float32) + part["bias"]).astype(self.dtype)
    return jnp.where(self.own[..., None], y, 0)

  def onto(self, y: Array, part: Mapping[str, Array]) -> Array:
    """Maps what `into` or `spread` returns to [B, S, K]."""
    z = jnp.einsum("bstr,trk->bsk", y, part["kernel"].astype(self.dtype))
    if "bias" not in part:
      return z
    # In f32, as dense.py says why.
    return (z.astype(jnp.float32) + self.pick(part["bias"])).astype(self.dtype)

  def spread(self, y: Array) -> Array:
    """Maps [B, S, r] to [B, S, T, r], 0 but in the columns of the own task."""
    return jnp.where(self.own[..., None], y[:, :, None], 0)

  def pick(self, rows: Array) -> Array:
    """Returns the row of each token's task, f32[B, S, K] of f32[T, K]."""
    # A product, whose gradient is one too; exact, as it is of ones and zeros.
    return jnp.einsum(
      "bst,tk->bsk",
      self.own.astype(jnp.float32),
      rows,
      precision=jax.lax.Precision.HIGHEST,
    )
