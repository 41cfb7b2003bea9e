"""Losses over the candidates of a question, in whatever rows they lie.

`group` i32[B, E] says of each slot where in all slots of its batch, [B * E],
the first candidate of its question lies; -1 where nothing does. So only scalars
leave a row, and what they sum to comes out at the first candidate.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from bam_jax.data.fields import GROUP


def places(batch: Mapping) -> jax.Array:
  """Returns where the first of each slot's group lies, i32[B, E].

  What is in no group is one by itself.
  """
  group = batch[GROUP.name]
  return jnp.where(group < 0, _own(group), group)


def log_softmax(
  scores: jax.Array, mine: jax.Array | None, batch: Mapping
) -> jax.Array:
  """Returns log-probabilities over the candidates of each, f32[B, E, C].

  What is chosen among none stays as it is.

  Args:
    scores: f32[B, E, C].
    mine: bool[B, E, C], in which columns an example is chosen; None = in none.
    batch: which examples are together.
  """
  if mine is None:
    return scores
  # Of other tasks there may be anything, NaN too.
  safe = jnp.where(mine, scores.astype(jnp.float32), 0.0)
  each = places(batch).ravel()
  flat = safe.reshape(each.size, -1)
  most = jax.ops.segment_max(
    jax.lax.stop_gradient(flat), each, num_segments=each.size
  )
  less = flat - most[each]
  total = jax.ops.segment_sum(jnp.exp(less), each, num_segments=each.size)
  # Where no group begins there is no sum, and nobody reads it.
  norm = jnp.log(jnp.where(total > 0, total, 1.0))
  return jnp.where(mine, (less - norm[each]).reshape(safe.shape), scores)


def gathered(
  loss: jax.Array, batch: Mapping, chosen: jax.Array | None
) -> jax.Array:
  """Returns the losses f32[B, E] of groups at the first of each, 0 elsewhere.

  Args:
    loss: f32[B, E], what each candidate adds to its group's.
    batch: which examples are together.
    chosen: of no account: what is by itself is a group of one.
  """
  if GROUP.name not in batch:
    return loss
  each = places(batch).ravel()
  total = jax.ops.segment_sum(loss.ravel(), each, num_segments=each.size)
  return total.reshape(loss.shape)


def counted(batch: Mapping) -> jax.Array:
  """Returns 1 where a loss is counted, f32[B * E]: once a group."""
  if GROUP.name not in batch:
    return jnp.ones(batch["task"].size)
  first = places(batch) == _own(batch[GROUP.name])
  return first.astype(jnp.float32).ravel()


def divided(batch: Mapping, parts: int) -> dict[str, jax.Array]:
  """Returns a batch [B, ...] whose groups are told by places in micro-batches.

  Args:
    batch: of a step.
    parts: micro-batches, of which row `r` is in number `r % parts`; a group
      lies in one.
  """
  if GROUP.name not in batch:
    return dict(batch)
  group = batch[GROUP.name]
  row, slot = jnp.divmod(group, group.shape[1])
  here = row // parts * group.shape[1] + slot
  return {**batch, GROUP.name: jnp.where(group < 0, -1, here)}


def _own(group: jax.Array) -> jax.Array:
  return jnp.arange(group.size, dtype=group.dtype).reshape(group.shape)
