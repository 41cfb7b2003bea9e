"""Rotary positions: queries and keys turned by where they stand."""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def rotary(x: Array, positions: Array, theta: float) -> Array:
  """Turns queries or keys by angles that grow with their position (RoPE).

  Column i is paired with column i + K/2, and the pair turned by position *
  theta^(-2i/K), so that the product of two depends on their distance alone.

  Args:
    x: dtype[B, S, H, K].
    positions: i32[B, S].
    theta: the base.

  Returns:
    dtype[B, S, H, K].
  """
  half = x.shape[-1] // 2
  # In numpy, because XLA's power rounds otherwise than everybody else's.
  rates = 1 / np.float32(theta) ** (np.arange(half, dtype=np.float32) / half)
  angles = (positions[..., None] * rates)[:, :, None]
  cos, sin = jnp.cos(angles), jnp.sin(angles)
  a, b = x[..., :half].astype(jnp.float32), x[..., half:].astype(jnp.float32)
  turned = jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
  return turned.astype(x.dtype)
