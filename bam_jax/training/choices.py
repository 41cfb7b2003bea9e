"""Choices among the places of an example: which token an answer starts at.

Several examples lie in a row, so a softmax over places is one over those of an
example's own segment.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from bam_jax.models.heads import HeadSpec
from bam_jax.training.objectives import named


def choosing(
  heads: Sequence[HeadSpec], task: jax.Array, *, space: str, columns: int
) -> jax.Array | None:
  """Tells in which columns each place is chosen, bool[..., C]; None = in none.

  Args:
    heads: of the model.
    task: i32[...], the position in `heads` of each place's task; -1 = none.
    space: of the places.
    columns: C of the widest head there.
  """
  able = [s.space == space and named(s.loss).chooses for s in heads]
  if not any(able):
    return None
  own = [
    spec.outputs if mine else 0 for spec, mine in zip(heads, able, strict=True)
  ]
  return jnp.arange(columns) < jnp.asarray([*own, 0])[task][..., None]


def log_softmax(
  logits: jax.Array, mine: jax.Array | None, batch: Mapping
) -> jax.Array:
  """Returns log-probabilities over the places of each example, f32[B, S, C].

  What is chosen among no places stays as it is.

  Args:
    logits: f32[B, S, C].
    mine: bool[B, S, C], in which columns a place is chosen; None = in none.
    batch: whose segments tell the examples apart.
  """
  if mine is None:
    return logits
  E = batch["task"].shape[1]
  here = batch["segments"][..., None] == jnp.arange(1, E + 1)
  here = here[..., None] & mine[:, :, None]
  logits = logits.astype(jnp.float32)
  # Of other tasks there may be anything, NaN too.
  safe = jnp.where(mine, logits, 0.0)
  each = safe[:, :, None]
  most = jnp.where(here, each, -jnp.inf).max(1, keepdims=True)
  most = jax.lax.stop_gradient(jnp.where(jnp.isfinite(most), most, 0.0))
  there = jnp.where(here, each - most, -jnp.inf)
  total = jnp.exp(there).sum(1, keepdims=True)
  norm = most + jnp.log(jnp.where(total > 0, total, 1.0))
  # Back to the places, without a gather.
  norm = jnp.where(here, norm, 0.0).sum(2)
  return jnp.where(mine, safe - norm, logits)
