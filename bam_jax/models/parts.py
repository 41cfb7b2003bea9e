"""Two texts that one pass has read together, told apart again."""

from collections.abc import Mapping
import dataclasses

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Parts:
  """What an encoder made of the tokens of two texts.

  Attributes:
    tokens: [B, S, D] of each token.
    first: `bool[B, E, S]`, which are of each example's first text, with what
      stands before and behind it.
    second: the same of its second text.
    examples: i32[B, E, 2], task and index of each; None where there is no
      training.
    segments: i32[B, S], which text the encoder has read each token in.
    layers: what its layers made of them, [B, S, D] each; () = no head asks.
  """

  tokens: jax.Array
  first: jax.Array
  second: jax.Array
  examples: jax.Array | None
  segments: jax.Array
  layers: tuple[jax.Array, ...] = ()

  def sum(self, weights: jax.Array) -> jax.Array:
    """Returns sums of tokens f32[B, E, D] by their weights, f32[B, E, S]."""
    tokens = self.tokens.astype(jnp.float32)
    return jnp.einsum("bes,bsd->bed", weights, tokens)

  def mean(self, part: jax.Array) -> jax.Array:
    """Returns the mean token of a part f32[B, E, D], 0 of one without any."""
    weights = part / jnp.maximum(part.sum(-1, keepdims=True), 1)
    return self.sum(weights)


def attended(scores: jax.Array, part: jax.Array) -> jax.Array:
  """Returns the softmax of scores f32[B, E, S] over the tokens of a part."""
  return jax.nn.softmax(jnp.where(part, scores, -1e30), axis=-1)


def told_apart(
  tokens: jax.Array,
  batch: Mapping,
  examples: jax.Array | None,
  read: Mapping,
  layers: tuple[jax.Array, ...] = (),
) -> Parts:
  """Returns the parts of a batch's examples.

  Args:
    tokens: [B, S, D].
    batch: `types`, `segments` i32[B, S] and `cls` i32[B, E].
    examples: i32[B, E, 2], see `Parts`.
    read: the batch as the encoder has read it.
    layers: see `Parts`.
  """
  here = own_tokens(batch)
  second = batch["types"][:, None] > 0
  return Parts(
    tokens,
    here & ~second,
    here & second,
    examples,
    read["segments"],
    layers,
  )


def own_tokens(batch: Mapping) -> jax.Array:
  """Returns which tokens are of each slot's example, `bool[B, E, S]`.

  Args:
    batch: `segments` i32[B, S] and `cls` i32[B, E].
  """
  # Not the slot's number: several slots may read one segment.
  segment = jnp.take_along_axis(batch["segments"], batch["cls"], axis=1)
  here = batch["segments"][:, None] == segment[..., None]
  return here & (segment[..., None] > 0)
