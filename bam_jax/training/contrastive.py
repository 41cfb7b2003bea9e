"""What two vectors lose: apart where texts are alike, near where they are not.

All functions take the pairs of a step as they come, K = B * E slots, of which
some hold nothing. Their vectors are replaced before any arithmetic, so that
neither a value nor a gradient sees what lies there.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

_UNSEEN = -1e30


def _safe(vectors: jax.Array, there: jax.Array) -> jax.Array:
  """Returns f32[K, D], a vector of length 1 where there is none."""
  one = jnp.zeros(vectors.shape[-1]).at[0].set(1.0)
  return jnp.where(there[:, None], vectors.astype(jnp.float32), one)


def cosine(u: jax.Array, v: jax.Array) -> jax.Array:
  """Returns the cosines of two vectors, f32[...] of f32[..., D]."""
  norms = jnp.sum(u * u, -1) * jnp.sum(v * v, -1)
  return jnp.sum(u * v, -1) * jax.lax.rsqrt(jnp.maximum(norms, 1e-24))


def euclidean(u: jax.Array, v: jax.Array) -> jax.Array:
  """Returns how far two vectors are apart, with gradient 0 where they meet."""
  square = jnp.sum(jnp.square(u - v), -1)
  apart = square > 0
  return jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), 0.0)


# "Less is More" has the one in its section 4.5 and names the other in 5.3.
DISTANCES: Mapping[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
  "euclidean": euclidean,
  "cosine": lambda u, v: 1.0 - cosine(u, v),
}


def margin(
  u: jax.Array,
  v: jax.Array,
  alike: jax.Array,
  there: jax.Array,
  *,
  least: float,
  distance: str,
) -> jax.Array:
  """Returns 1/2 [y d^2 + (1 - y) max(0, m - d)^2] of each pair, f32[K].

  Section 4.5 of Qian and Yang, "Less is More".

  Args:
    u: [K, D] of first texts.
    v: [K, D] of second texts.
    alike: f32[K], y, from 0 to 1.
    there: bool[K], where a pair lies.
    least: m, beyond which what is not alike costs nothing.
    distance: d, a name of `DISTANCES`.
  """
  d = DISTANCES[distance](_safe(u, there), _safe(v, there))
  y = jnp.where(there, alike, 0.0)
  loss = y * d**2 + (1 - y) * jnp.maximum(0.0, least - d) ** 2
  return jnp.where(there, loss / 2, 0.0)


def info_nce(
  u: jax.Array, v: jax.Array, there: jax.Array, *, temperature: float
) -> jax.Array:
  """Returns the cross-entropy of each second text among the step's, f32[K].

  Equation 1 of Gao et al. 2021, SimCSE.

  Args:
    u: [K, D] of first texts.
    v: [K, D] of second texts, or of the first ones with other dropout.
    there: bool[K], where a pair lies.
    temperature: that cosines are divided by.
  """
  u, v = _safe(u, there), _safe(v, there)
  u, v = (
    x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, -1, keepdims=True), 1e-24))
    for x in (u, v)
  )
  # In full precision: a cosine is divided by a twentieth.
  near = jnp.matmul(u, v.T, precision=jax.lax.Precision.HIGHEST) / temperature
  near = jnp.where(there[None], near, _UNSEEN)
  loss = jax.nn.logsumexp(near, -1) - jnp.diagonal(near)
  return jnp.where(there, loss, 0.0)
