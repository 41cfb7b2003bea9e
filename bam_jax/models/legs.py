"""Two texts of an example that are encoded each by itself, side by side.

Such an example has one slot and its tokens lie together, as those of any other
do; to the encoder its second text is an example of its own: a segment with
positions from 0, of sentence type A.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from bam_jax.models.parts import own_tokens


def second_of(batch: Mapping, apart: Sequence[bool]) -> jax.Array:
  """Returns which tokens are of second texts read apart, `bool[B, S]`.

  Args:
    batch: `types`, `segments` i32[B, S] and `task` i32[B, E].
    apart: of each task of the model whether its texts are.
  """
  slot = jnp.maximum(batch["segments"] - 1, 0)
  owner = jnp.take_along_axis(batch["task"], slot, axis=1)
  mine = jnp.zeros(owner.shape, bool)
  for number, each in enumerate(apart):
    if each:
      mine |= owner == number
  return mine & (batch["types"] > 0) & (batch["segments"] > 0)


def split(batch: Mapping, second: jax.Array) -> tuple[dict, dict]:
  """Returns a batch as the encoder reads it, and the same of second texts.

  Args:
    batch: `types`, `positions`, `segments` i32[B, S] and `cls` i32[B, E].
    second: `bool[B, S]`, from `second_of`.

  Returns:
    Batches that differ in `cls` alone, where an example's first or its second
    text begins; of examples with one it is the same.
  """
  own = own_tokens(batch)
  first = (own & ~second[:, None]).sum(-1)
  there = (own & second[:, None]).any(-1)
  slot = jnp.maximum(batch["segments"] - 1, 0)
  before = jnp.take_along_axis(first, slot, axis=1)
  # No slot's number is above E, so theirs are those of nobody else.
  room = batch["cls"].shape[1]
  read = dict(batch) | {
    "types": jnp.where(second, 0, batch["types"]),
    "positions": batch["positions"] - jnp.where(second, before, 0),
    "segments": batch["segments"] + jnp.where(second, room, 0),
  }
  begins = batch["cls"] + jnp.where(there, first, 0)
  return read, read | {"cls": begins}


def redrawn(examples: jax.Array, second: jax.Array) -> jax.Array:
  """Returns by what dropout is drawn of tokens, another for second texts.

  Their positions are those of the first text again, and an index is 0 or more.

  Args:
    examples: i32[B, S, 2], task and index of each token's example.
    second: `bool[B, S]`.
  """
  task, index = examples[..., 0], examples[..., 1]
  return jnp.stack([task, jnp.where(second, -2 - index, index)], axis=-1)


def features(u: jax.Array, v: jax.Array) -> jax.Array:
  """Returns [u; |u - v|; v] of two texts' vectors, [..., 3 D].

  Design 1 of Qian and Yang, "Less is More", after Sentence-BERT.
  """
  return jnp.concatenate([u, jnp.abs(u - v), v], axis=-1)
