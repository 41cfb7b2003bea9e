"""A number for every array of a tree, by which changed bytes are found."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@jax.jit
def _words(tree: Any) -> dict[str, jax.Array]:
  """Returns one u32 per array, which any changed word changes.

  The sum of all words, each times an odd number of its own place: exact in any
  order, so the same however the array is split over devices.
  """

  def one(x):
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
      x = jax.random.key_data(x)
    kind = jnp.dtype(f"uint{8 * x.dtype.itemsize}")
    words = jax.lax.bitcast_convert_type(x, kind).astype(jnp.uint32)
    place, stride = jnp.zeros(x.shape, jnp.uint32), 1
    for axis in reversed(range(x.ndim)):
      place += jax.lax.broadcasted_iota(jnp.uint32, x.shape, axis) * np.uint32(
        stride & 0xFFFFFFFF
      )
      stride *= x.shape[axis]
    mixed = words * (2 * place + 1)
    return (mixed ^ (mixed >> 15)).sum(dtype=jnp.uint32)

  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): one(leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def fingerprint(tree: Any) -> dict[str, int]:
  """Returns a number per array of a tree, by the array's path."""
  return {k: int(v) for k, v in jax.device_get(_words(tree)).items()}
