"""Kernels of attention: what a token sees is its own example, in all of them.

Padding is a segment like any other, so a padded query sees padding only: its
row of the softmax is never empty and never NaN.
"""

import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models.dropout import Draws, drop

Array = jax.Array
# Tokens of an example, at most: it numbers pairs of them.
_LONGEST = 1 << 15
# The splash kernel works in blocks of so many tokens; the sides of all of them.
_BLOCK = 128
_SIDES = ("q", "kv", "kv_compute", "q_dkv", "kv_dkv", "kv_dkv_compute")
_SIDES += ("q_dq", "kv_dq")
# Runs that kernel without a TPU, slowly; for tests.
INTERPRET = False


def einsum(
  query: Array,
  key: Array,
  value: Array,
  segments: Array,
  positions: Array,
  *,
  reach: int,
  dropout: Draws | None,
) -> Array:
  """Attends within segments by two products and a softmax between them.

  Args:
    query: dtype[B, S, H, K].
    key: dtype[B, S, H, K].
    value: dtype[B, S, H, K].
    segments: i32[B, S], 0 for padding.
    positions: i32[B, S], from 0 in every example.
    reach: tokens of the same segment seen to either side; 0 = all of them.
    dropout: on the probabilities, of each token's example, [B, S]; None to
      leave it out.

  Returns:
    dtype[B, S, H, K].
  """
  logits = jnp.einsum(
    "bqhk,bshk->bhqs",
    query * query.shape[-1] ** -0.5,
    key,
    preferred_element_type=jnp.float32,
  )
  return average(
    logits, value, segments, positions, reach=reach, dropout=dropout
  )


def average(
  logits: Array,
  value: Array,
  segments: Array,
  positions: Array,
  *,
  reach: int,
  dropout: Draws | None,
) -> Array:
  """Averages values by the softmax of logits within segments.

  Args:
    logits: f32[B, H, S, S], of each query with each key.
    value: dtype[B, S, H, K].
    segments: as for `einsum`, and so are all others.
    positions: i32[B, S].
    reach: in tokens.
    dropout: on the probabilities.

  Returns:
    dtype[B, S, H, K].
  """
  seen = _seen(segments, positions, reach)
  logits = jnp.where(seen, logits, jnp.finfo(jnp.float32).min)
  weights = jax.nn.softmax(logits, axis=-1).astype(value.dtype)
  if dropout is not None:
    # Heads share a hash: unlike keys, they are as many wherever it lies.
    weights = drop(
      weights,
      dropout.rate,
      dropout.key,
      dropout.words[:, None, :, None],
      _LONGEST * positions[:, None, :, None] + positions[:, None, None, :],
      axis=1,
    )
  return jnp.einsum("bhqs,bshk->bqhk", weights, value)


def splash(
  query: Array,
  key: Array,
  value: Array,
  segments: Array,
  positions: Array,
  *,
  reach: int,
  dropout: Draws | None,
) -> Array:
  """Does what `einsum` does by jax's Pallas kernel for TPUs, without dropout.

  No array [B, H, S, S] is ever there. Rows are padded to a multiple of 128.
  The arguments are those of `einsum`. The compiler cannot split it over
  devices.
  """
  # Slow to import, and needed by those alone who ask for it.
  from jax.experimental.pallas.ops.tpu import splash_attention as pallas

  del positions  # an example's tokens lie side by side, so rows tell as much
  assert dropout is None, "splash has no dropout"
  length, heads = query.shape[1:3]
  room = -length % _BLOCK
  side = length + room
  mask = (
    pallas.LocalMask((side, side), (reach, reach), 0)
    if reach
    else pallas.FullMask((side, side))
  )
  block = {f"block_{name}": _BLOCK for name in _SIDES}
  kernel = pallas.make_splash_mha_single_device(
    pallas.MultiHeadMask([mask] * heads),
    block_sizes=pallas.BlockSizes(**block),
    interpret=INTERPRET,
  )

  def padded(x: Array, fill: int) -> Array:
    widths = [(0, 0), (0, room), *[(0, 0)] * (x.ndim - 2)]
    return jnp.pad(x, widths, constant_values=fill)

  def by_heads(x: Array) -> Array:
    return padded(x, 0).swapaxes(1, 2)

  own = padded(segments, -1)
  found = jax.vmap(kernel)(
    by_heads(query * query.shape[-1] ** -0.5),
    by_heads(key),
    by_heads(value),
    pallas.SegmentIds(own, own),
  )
  return found.swapaxes(1, 2)[:, :length]


KERNELS = {"einsum": einsum, "splash": splash}


def pairs(lengths: np.ndarray, reach: int) -> np.ndarray:
  """Returns how many (query, key) pairs attention has in each example: i64[N].

  Args:
    lengths: i64[N].
    reach: tokens seen to either side; 0 = all of the example.
  """
  if not reach:
    return lengths * lengths
  # A band about the diagonal: n pairs on it, n - d on both sides at distance d.
  far = np.minimum(reach, lengths - 1)
  return lengths + 2 * far * lengths - far * (far + 1)


def _seen(segments: Array, positions: Array, reach: int) -> Array:
  """Returns which key each query sees: bool[B, 1, S, S]."""
  seen = segments[:, None, :, None] == segments[:, None, None, :]
  if reach:
    apart = positions[:, None, :, None] - positions[:, None, None, :]
    seen &= jnp.abs(apart) <= reach
  return seen
