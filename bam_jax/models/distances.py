"""Scores of attention by how far a key is from a query (He et al. 2021).

Near distances have a row each in a table, far ones share them. Which row it is
depends on two places alone, so all of this is known before any number is.
"""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def rows_of(buckets: int, most: int, distances: np.ndarray) -> np.ndarray:
  """Returns the row of the table for each distance, i32[N].

  Up to half of the buckets away every distance has its own; beyond, the
  buckets' widths grow as the distances do.

  Args:
    buckets: N, to either side; the table has 2N rows.
    most: how many distances to a side the buckets are made for.
    distances: i[N], of a query from a key: 1 = the key is the token before.
  """
  middle, apart = buckets // 2, np.abs(distances)
  # In f32, as everybody else's: a ceiling hangs on the last bit.
  far = np.float32(np.maximum(apart, middle) / middle)
  # Where all is near, nothing is seen of what this makes of more.
  with np.errstate(divide="ignore", invalid="ignore"):
    last = np.log(np.float32((most - 1) / middle))
    logs = np.log(far) / last * np.float32(middle - 1)
  logs = middle + np.ceil(np.nan_to_num(logs, posinf=0.0, neginf=0.0))
  found = np.where(apart <= middle, distances, np.sign(distances) * logs)
  found = found.astype(np.int32) + buckets
  return np.clip(found, 0, 2 * buckets - 1)


def within(length: int) -> np.ndarray:
  """Returns all distances in a row of some tokens, from the least on."""
  return np.arange(1 - length, length)


def logits(query: Array, key: Array, asked: Array, known: Array) -> Array:
  """Returns f32[B, H, S, S], what each query has to do with each key.

  Args:
    query: dtype[B, S, H, K].
    key: dtype[B, S, H, K].
    asked: dtype[2S - 1, H, K], of the distances of a query from a key, as
      `within` counts them; what keys meet.
    known: dtype[2S - 1, H, K], what queries meet.
  """
  scale = (3 * query.shape[-1]) ** -0.5

  def product(axes, x, y):
    return jnp.einsum(axes, x * scale, y, preferred_element_type=jnp.float32)

  # Along a query's row of keys the distances fall.
  from_query = product("bqhk,nhk->bhqn", query, known[::-1])
  from_key = product("bshk,nhk->bhsn", key, asked)
  content = product("bqhk,bshk->bhqs", query, key)
  return content + _skew(from_query) + _skew(from_key).swapaxes(-1, -2)


def _skew(x: Array) -> Array:
  """Moves what belongs to a place so far away to that place.

  The tokens of an example lie side by side, so two of them are as far from each
  other as their places in the row. Row i of what is asked for begins one column
  earlier than row i - 1: laid end to end, the numbers are cut into rows that
  are shorter by one. Gathered by their distances instead, they would cost a
  scatter on the way back, one number after the other.

  Args:
    x: f32[..., S, 2S - 1], of token i and the places i + 1 - S to i + S - 1.

  Returns:
    f32[..., S, S], of token i and the places 0 to S - 1.
  """
  *outer, length, columns = x.shape
  x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, 1)])
  x = x.reshape(*outer, length * (columns + 1))
  x = x[..., length - 1 : length - 1 + length * columns]
  return x.reshape(*outer, length, columns)[..., :length]
