"""Dropout that an example takes along, wherever in a batch it lies.

What is dropped is drawn from the key, the task and index of the example and the
position in it, never from a place in a row or the shape of an array. So neither
packing nor micro-batches, hosts, devices or the trials beside it change it. An
example that is drawn twice in one step has the same dropout both times.

A hash of 64 bits serves four elements, where jax.random.bernoulli takes two:
random bits were a sixth of a training step on a CPU, and of one that a TPU's
compiler estimates (docs/performance.md, docs/tpu.md).
"""

import flax.linen as nn
import flax.struct
import jax
from jax.extend.random import threefry2x32_p
import jax.numpy as jnp
import numpy as np

# What a rate is rounded to: 0.1 becomes 6554 / 65536.
_PARTS = 1 << 16
_fold = jnp.vectorize(jax.random.fold_in)


@flax.struct.dataclass
class Draws:
  """How much is dropped from examples, and what is hashed to draw it.

  Attributes:
    key: u32[2] of the hash, the same for all examples.
    words: u32[..., 2] where each example begins to count.
    rate: share that is dropped, in [0, 1).
  """

  key: jax.Array
  words: jax.Array
  rate: float = flax.struct.field(pytree_node=False)


def draws(key: jax.Array, examples: jax.Array, rate: float) -> Draws:
  """Returns what is hashed to draw for examples; see `Draws`.

  Args:
    key: one key, of a step and of what is drawn.
    examples: i32[..., 2], task and index of each.
    rate: share that is dropped.
  """
  own = folded(key, examples)
  words = jax.random.key_data(own)[..., :2]
  return Draws(jax.random.bits(key, (2,)), words, rate)


def drop(
  x: jax.Array,
  rate: float,
  key: jax.Array,
  words: jax.Array,
  places: jax.Array | int = 0,
  *,
  axis: int = -1,
) -> jax.Array:
  """Returns x with a share of its elements 0 and the others scaled up.

  The mean stays: the scale is that of the rounded rate.

  Args:
    x: dtype[...].
    rate: in [0, 1), rounded to a multiple of 2^-16.
    key: u32[2] of the hash.
    words: u32[..., 2]; without the last axis they broadcast to x and have side
      1 along `axis`.
    places: i32[...] likewise, counted from a pair of words on; equal words and
      places drop the same elements.
    axis: along which four elements share a hash.
  """
  dropped = round(rate * _PARTS)
  if not dropped:
    return x
  kept = kept_of(x, dropped, key, words, places, axis=axis)
  return jnp.where(kept, x / (1 - dropped / _PARTS), 0).astype(x.dtype)


def kept_of(
  x: jax.Array,
  dropped: jax.Array | int,
  key: jax.Array,
  words: jax.Array,
  places: jax.Array | int = 0,
  *,
  axis: int = -1,
) -> jax.Array:
  """Returns which elements of x are kept, `bool[...]`; see `drop`.

  Args:
    x: [...].
    dropped: parts of 2^16, for all or of the rank of x, with side 1 along axis.
    key: see `drop`.
    words: see `drop`.
    places: see `drop`.
    axis: see `drop`.
  """
  size = x.shape[axis]
  hashes = -(-size // 4)
  sides = [1] * x.ndim
  sides[axis] = hashes
  count = jnp.arange(hashes, dtype=jnp.uint32).reshape(sides)
  count += jnp.asarray(places, jnp.uint32) * jnp.uint32(hashes)
  low = words[..., 1] + count
  high = jnp.broadcast_to(words[..., 0], low.shape)
  # Compared before they are joined: what the backward pass needs again is then
  # a byte an element, not a word.
  kept = [
    half >= dropped
    for word in threefry2x32_p.bind(key[0], key[1], high, low)
    for half in (word & (_PARTS - 1), word >> 16)
  ]
  keep = jnp.concatenate(kept, axis=axis)
  return jax.lax.slice_in_dim(keep, 0, size, axis=axis)


def folded(key: jax.Array, numbers: jax.Array) -> jax.Array:
  """Returns the key of each place, keys[...], made of its numbers.

  Args:
    key: one key, of a step and of what is drawn; or one of each place.
    numbers: i32[..., N], such as the task and the index of an example.
  """
  for at in range(numbers.shape[-1]):
    key = _fold(key, numbers[..., at])
  return key


def uniform(key: jax.Array, examples: jax.Array, count: int) -> jax.Array:
  """Returns some numbers of each example f32[..., count], in [0, 1).

  Args:
    key: one key, of a step and of what is drawn.
    examples: i32[..., 2], task and index of each.
    count: how many.
  """
  own = folded(key, examples)
  drawn = jax.vmap(lambda key: jax.random.uniform(key, (count,)))(own.ravel())
  return drawn.reshape(*own.shape, count)


class Dropout(nn.Module):
  """Drops elements of vectors in training; needs the rng "dropout" then.

  Attributes:
    rate: share that is dropped, in [0, 1); or that of each task.
  """

  rate: float | tuple[float, ...]

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    examples: jax.Array | None,
    places: jax.Array | int = 0,
    *,
    train: bool,
  ) -> jax.Array:
    """Returns x, dropped from in training and as it is elsewhere.

    Args:
      x: dtype[..., D].
      examples: i32[..., 2], task and index of the example of each vector; None
        where there is no training.
      places: i32[...], which of its example's vectors it is.
      train: whether anything is dropped.
    """
    rates = self.rate if isinstance(self.rate, tuple) else (self.rate,)
    if not train or not any(rates):
      return x
    own = draws(self.make_rng("dropout"), examples, rates[0])
    places = jnp.asarray(places)[..., None]
    words = own.words[..., None, :]
    if len(set(rates)) == 1:
      return drop(x, own.rate, own.key, words, places)
    # The rate alone is another for each task, what is drawn is not.
    parts = np.rint(np.array(rates) * _PARTS).astype(np.uint32)
    task = examples[..., :1]
    kept = kept_of(x, jnp.asarray(parts)[task], own.key, words, places)
    scale = jnp.asarray(1 - parts / _PARTS, x.dtype)[task]
    return jnp.where(kept, x / scale, 0)
