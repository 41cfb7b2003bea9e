"""Dropout from 16 random bits an element, where jax.random.bernoulli takes 64.

Random bits were a sixth of a training step on a CPU, and of one that a TPU's
compiler estimates (docs/performance.md, docs/tpu.md).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

# What a rate is rounded to: 0.1 becomes 6554 / 65536.
_PARTS = 1 << 16


def drop(x: jax.Array, rate: float, key: jax.Array) -> jax.Array:
  """Returns x with a share of its elements 0 and the others scaled up.

  The mean stays: the scale is that of the rounded rate.

  Args:
    x: dtype[..., N].
    rate: in [0, 1), rounded to a multiple of 2^-16.
    key: of this call alone.
  """
  dropped = round(rate * _PARTS)
  if not dropped:
    return x
  *outer, size = x.shape
  # A split gives every word of the hash, of which jax.random.bits makes one.
  keys = jax.random.split(key, (*outer, -(-size // 4)))
  words = jnp.moveaxis(jax.random.key_data(keys), -1, 0)
  # Compared before they are joined: what the backward pass needs again is then
  # a byte an element, not a word.
  kept = [
    half >= dropped
    for word in words
    for half in (word & (_PARTS - 1), word >> 16)
  ]
  keep = jnp.concatenate(kept, axis=-1)[..., :size]
  return jnp.where(keep, x / (1 - dropped / _PARTS), 0).astype(x.dtype)


class Dropout(nn.Module):
  """Drops elements in training; needs the rng "dropout" then.

  Attributes:
    rate: share that is dropped, in [0, 1).
  """

  rate: float

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    """Returns x, dropped from in training and as it is elsewhere."""
    if not train or not self.rate:
      return x
    return drop(x, self.rate, self.make_rng("dropout"))
