"""Heads: what is made of an example's vector for its own task.

A head writes its columns; what they mean, its task's kind says.
"""

from collections.abc import Callable, Mapping
import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

# What a head's columns go through.
OUTPUTS: Mapping[str, Callable[[jax.Array], jax.Array]] = {
  "logits": lambda x: x,
  "linear": lambda x: x,
  "sigmoid": jax.nn.sigmoid,
}


@dataclasses.dataclass(frozen=True)
class HeadSpec:
  """One head of a model.

  Attributes:
    name: of its parameters, and of its task.
    outputs: its columns, C.
    output: what they go through, one of `OUTPUTS`.
    loss: its objective, a name of `objectives.OBJECTIVES`.
    head: how it is built, one of `HEADS`.
  """

  name: str
  outputs: int
  output: str
  loss: str
  head: str = "linear"


def linear(spec: HeadSpec, pooled: jax.Array) -> jax.Array:
  """Returns f32[B, E, C] of one dense layer on the pooled vector [B, E, D]."""
  dense = nn.Dense(
    spec.outputs,
    kernel_init=nn.initializers.glorot_uniform(),
    name=spec.name,
  )
  return dense(pooled.astype(jnp.float32))


# How a head is built: (spec, pooled [B, E, D]) -> f32[B, E, C].
HEADS: Mapping[str, Callable[[HeadSpec, jax.Array], jax.Array]] = {
  "linear": linear
}


class Heads(nn.Module):
  """All heads of a model; every example gets its own task's output."""

  heads: tuple[HeadSpec, ...]

  @nn.compact
  def __call__(self, pooled: jax.Array, task: jax.Array) -> jax.Array:
    """Returns f32[B, E, C]; columns past a task's own are zero.

    Args:
      pooled: [B, E, D].
      task: i32[B, E], the position of each example's task in `heads`; -1 where
        there is no example (its output is zero).
    """
    widest = max(spec.outputs for spec in self.heads)
    own = jnp.zeros((*task.shape, widest))
    for number, spec in enumerate(self.heads):
      found = OUTPUTS[spec.output](HEADS[spec.head](spec, pooled))
      found = jnp.pad(found, ((0, 0), (0, 0), (0, widest - spec.outputs)))
      # Not gathered: a TPU would scatter the gradients one by one.
      own = jnp.where((task == number)[..., None], found, own)
    return own
