"""LSTMs along packed rows, one in each direction."""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

Array = jax.Array


def orthogonal(key: Array, shape: tuple[int, int], dtype=jnp.float32) -> Array:
  """Draws the square block of each gate, so that no state grows or fades."""
  size, columns = shape
  draw = jax.vmap(lambda key: nn.initializers.orthogonal()(key, (size, size)))
  blocks = draw(jax.random.split(key, columns // size))
  return jnp.concatenate(blocks, axis=-1).astype(dtype)


def open_cells(key: Array, shape: tuple[int], dtype=jnp.float32) -> Array:
  """Biases that let cells forget little at first (Jozefowicz et al. 2015)."""
  del key
  gates = jnp.zeros((2, 4, shape[0] // 8), dtype)
  return gates.at[:, 1].set(1.0).reshape(shape)


class Directions(nn.Module):
  """Two LSTMs along a row, one in each direction, and what they carry.

  Gates stand in the order of PyTorch: input, forget, cell and output, of the
  forward direction and then of the backward one.

  Attributes:
    size: H, of the state of each.
    dtype: what to compute in; cells are f32.
  """

  size: int
  dtype: Any

  @nn.compact
  def __call__(self, read: Array, segments: Array) -> tuple[Array, Array]:
    """Returns the states of both, dtype[B, S, H] each.

    Args:
      read: dtype[B, S, 8H], what either reads of each token.
      segments: i32[B, S], whose each token is; the state is 0 where one's
        tokens begin, in the direction of reading.
    """
    H, (B, S, _) = self.size, read.shape
    # The kernel of what is carried, as the gates stand in it.
    kernel = self.param("kernel", orthogonal, (H, 8 * H)).astype(self.dtype)
    kernel = jnp.moveaxis(kernel.reshape(H, 2, 4 * H), 1, 0)
    gates = both_ways(read.reshape(B, S, 2, 4 * H))
    # A text begins where another's token, or none, was before it.
    own = both_ways(jnp.stack([segments, segments], axis=-1)[..., None])
    begins = jnp.concatenate([own[:1] >= 0, own[1:] != own[:-1]])

    def step(state, now):
      gate, begin = now
      h, cell = (jnp.where(begin, 0, each) for each in state)
      carried = jnp.einsum(
        "nbh,nhg->nbg", h, kernel, preferred_element_type=jnp.float32
      )
      i, f, g, o = jnp.split(gate.astype(jnp.float32) + carried, 4, axis=-1)
      cell = nn.sigmoid(f) * cell + nn.sigmoid(i) * nn.tanh(g)
      h = (nn.sigmoid(o) * nn.tanh(cell)).astype(self.dtype)
      return (h, cell), h

    # The cell is a sum over all of a text, so in f32.
    start = jnp.zeros((2, B, H), self.dtype), jnp.zeros((2, B, H))
    _, states = jax.lax.scan(step, start, (gates, begins))
    forward, backward = states[:, 0], jnp.flip(states[:, 1], axis=0)
    return forward.swapaxes(0, 1), backward.swapaxes(0, 1)


def both_ways(x: Array) -> Array:
  """Returns [S, 2, B, ...] of [B, S, 2, ...], the second one read backward."""
  x = jnp.moveaxis(x, 0, 2)
  return jnp.stack([x[:, 0], jnp.flip(x[:, 1], axis=0)], axis=1)


def read_whole(forward: Array, segments: Array, positions: Array) -> Array:
  """Returns states whose first one in each text is that of its last token.

  Args:
    forward: [B, S, H].
    segments: i32[B, S].
    positions: i32[B, S], from 0 in every text.
  """
  S = segments.shape[1]
  ends = (
    segments != jnp.pad(segments, ((0, 0), (0, 1)), constant_values=-1)[:, 1:]
  )
  # The nearest end from each token on is its own text's.
  end = jax.lax.cummin(jnp.where(ends, jnp.arange(S), S), axis=1, reverse=True)
  there = jnp.take_along_axis(forward, end[..., None], axis=1)
  return jnp.where(positions[..., None] == 0, there, forward)
