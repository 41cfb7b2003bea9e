"""Places that are chosen among, such as where an answer starts."""

import jax
import jax.numpy as jnp


def marks(label: jax.Array, C: int) -> jax.Array:
  """Returns f32[..., C], 1 where a column's choice is this place.

  Args:
    label: of places, the sum of 2^c over the columns c that choose it.
    C: the number of columns.
  """
  powers = 2 ** jnp.arange(C)
  chosen = jnp.asarray(label, jnp.int32)[..., None] // powers % 2
  return chosen.astype(jnp.float32)


def apart(one: jax.Array, two: jax.Array) -> jax.Array:
  """Returns what a place adds to half of both KLs of start and of end."""
  # At places of other tasks there are logits, whose exp() may be infinite.
  p, q = (jnp.minimum(x[..., :2], 0.0) for x in (one, two))
  return jnp.sum((jnp.exp(p) - jnp.exp(q)) * (p - q), axis=-1) / 2
