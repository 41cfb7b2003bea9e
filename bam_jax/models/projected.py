"""Heads above an encoder of words: the largest of each projected column.

Those of Wang et al. 2019 (section 5 and appendix A), as their toolkit jiant has
them: tokens are projected, or read by an LSTM that knows of the other text;
over a text the largest value of each column is its vector, and two texts are
[u; v; |u - v|; u * v]. The paper writes u - v there, its code |u - v|. A
response v to u may be scored by u^T W v instead.
"""

from collections.abc import Callable, Mapping
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models.directions import Directions, open_cells
from bam_jax.models.dropout import Dropout
from bam_jax.models.mixing import MIX, Mixture
from bam_jax.models.parts import Parts

# Of large tasks (table 5 of the paper); small ones have 128 and 0.4.
OPTIONS: Mapping[str, float] = {"width": 512, "answer_dropout": 0.2}


class Answer(nn.Module):
  """A hidden layer with tanh and a norm, and dropout on either side of it.

  Attributes:
    width: of the hidden layer.
    outputs: columns, C.
    dropout: share that is dropped in training.
  """

  width: int
  outputs: int
  dropout: float

  @nn.compact
  def __call__(
    self, vectors: jax.Array, examples: jax.Array | None
  ) -> jax.Array:
    """Returns f32[B, E, C] of vectors f32[B, E, K].

    Args:
      vectors: one an example.
      examples: i32[B, E, 2], see `Parts`.
    """
    init, train = nn.initializers.glorot_uniform(), examples is not None
    x = Dropout(self.dropout)(vectors, examples, train=train)
    x = nn.Dense(self.width, kernel_init=init, name="hidden")(x)
    x = nn.LayerNorm(epsilon=1e-5, name="norm")(jnp.tanh(x))
    x = Dropout(self.dropout)(x, examples, train=train)
    return nn.Dense(self.outputs, kernel_init=init, name="out")(x)


class Bilinear(nn.Module):
  """A bilinear form of two vectors for each column, u^T W v + b.

  Attributes:
    outputs: columns, C.
    dropout: share of the vectors that is dropped in training.
  """

  outputs: int
  dropout: float

  @nn.compact
  def __call__(
    self, vectors: jax.Array, examples: jax.Array | None
  ) -> jax.Array:
    """Returns f32[B, E, C] of vectors f32[B, E, 2 K], u and behind it v.

    Args:
      vectors: two an example.
      examples: i32[B, E, 2], see `Parts`.
    """
    train = examples is not None
    x = Dropout(self.dropout)(vectors, examples, train=train)
    u, v = jnp.split(x, 2, axis=-1)
    init = nn.initializers.glorot_uniform(batch_axis=0)
    shape = (self.outputs, u.shape[-1], v.shape[-1])
    form = self.param("kernel", init, shape)
    bias = self.param("bias", nn.initializers.zeros, (self.outputs,))
    return jnp.einsum("bek,ckl,bel->bec", u, form, v) + bias


class Projected(nn.Module):
  """Reads the tokens, takes the largest of each column, and answers.

  Attributes:
    answer: (its name) -> what answers.
    reading: (its name) -> what makes of the tokens f32[B, S, D] those f32[B, S,
      K] of which the largest are taken.
    joined: (u, v) -> what is answered of the vectors of two texts; None = all
      tokens have one vector.
    mixes: whether it reads a mixture of the layers.
  """

  answer: Callable[..., nn.Module]
  reading: Callable[..., nn.Module]
  joined: Callable[[jax.Array, jax.Array], jax.Array] | None
  mixes: bool

  @nn.compact
  def __call__(self, parts: Parts) -> jax.Array:
    """Returns f32[B, E, C]."""
    x = parts.tokens.astype(jnp.float32)
    if self.mixes:
      x = Mixture(name="layers")(parts.layers)
    x = self.reading(name="reading")(x, parts)
    if self.joined:
      u, v = largest(x, parts.first), largest(x, parts.second)
      vectors = self.joined(u, v)
    else:
      vectors = largest(x, parts.first | parts.second)
    return self.answer(name="answer")(vectors, parts.examples)


class Project(nn.Module):
  """A linear projection of every token."""

  width: int

  @nn.compact
  def __call__(self, x: jax.Array, parts: Parts) -> jax.Array:
    """Maps f32[B, S, D] to f32[B, S, width]."""
    del parts
    init = nn.initializers.glorot_uniform()
    return nn.Dense(self.width, kernel_init=init, name="tokens")(x)


class Attend(nn.Module):
  """A bidirectional LSTM on each token beside what it sees of the other text.

  After BiDAF (Seo et al. 2017): each token attends to all of the other text's
  by their inner products.

  Attributes:
    width: of one direction.
  """

  width: int

  @nn.compact
  def __call__(self, x: jax.Array, parts: Parts) -> jax.Array:
    """Maps f32[B, S, D] to f32[B, S, 2 width]."""
    scores = jnp.einsum("bsd,btd->bst", x, x)
    shares = jax.nn.softmax(jnp.where(others(parts), scores, -1e30), axis=-1)
    seen = jnp.einsum("bst,btd->bsd", shares, x)
    read = nn.Dense(
      8 * self.width,
      kernel_init=nn.initializers.glorot_uniform(),
      bias_init=open_cells,
      name="input",
    )(jnp.concatenate([x, seen], axis=-1))
    ways = Directions(self.width, jnp.float32, name="recurrent")
    return jnp.concatenate(ways(read, parts.segments), axis=-1)


def others(parts: Parts) -> jax.Array:
  """Returns which tokens are of the other text of one's example, [B, S, S]."""
  first, second = (
    each.astype(jnp.float32) for each in (parts.first, parts.second)
  )
  across = jnp.einsum("bes,bet->bst", first, second)
  return (across + across.swapaxes(1, 2)) > 0


def largest(x: jax.Array, part: jax.Array) -> jax.Array:
  """Returns the largest of each column over a part's tokens, 0 of none.

  Args:
    x: f32[B, S, K].
    part: `bool[B, E, S]`.
  """
  there = jnp.where(part[..., None], x[:, None], -jnp.inf)
  # Not the largest of nothing: its gradient would be NaN.
  empty = ~part.any(-1, keepdims=True)
  safe = jnp.where(empty[..., None], 0.0, there)
  return safe.max(axis=2)


def together(u: jax.Array, v: jax.Array) -> jax.Array:
  """Returns [u; v; |u - v|; u * v] of two texts' vectors, [..., 4 K]."""
  return jnp.concatenate([u, v, jnp.abs(u - v), u * v], axis=-1)


def beside(u: jax.Array, v: jax.Array) -> jax.Array:
  """Returns [u; v] of two texts' vectors, [..., 2 K]."""
  return jnp.concatenate([u, v], axis=-1)


def _head(
  spec: Any,
  parts: Parts,
  reading: Callable,
  joined: Callable | None,
  answer: Callable | None = None,
) -> jax.Array:
  """Returns f32[B, E, C] of a head; see `heads.HeadSpec` and `Projected`."""
  width, dropout = spec.option("width"), spec.option("answer_dropout")
  usual = functools.partial(Answer, width, spec.outputs, dropout)
  made = Projected(
    answer=answer or usual,
    reading=reading,
    joined=joined,
    mixes=spec.layers == MIX,
    name=spec.parameters,
  )
  return made(parts)


def project(spec: Any, parts: Parts) -> jax.Array:
  """Returns f32[B, E, C] of all projected tokens of an example."""
  reading = functools.partial(Project, spec.option("width"))
  return _head(spec, parts, reading, None)


def pair(spec: Any, parts: Parts) -> jax.Array:
  """Returns f32[B, E, C] of the projected tokens of two texts."""
  reading = functools.partial(Project, spec.option("width"))
  return _head(spec, parts, reading, together)


def bilinear(spec: Any, parts: Parts) -> jax.Array:
  """Returns f32[B, E, C] of the same vectors, by a bilinear form."""
  reading = functools.partial(Project, spec.option("width"))
  form = functools.partial(
    Bilinear, spec.outputs, spec.option("answer_dropout")
  )
  return _head(spec, parts, reading, beside, form)


def attention(spec: Any, parts: Parts) -> jax.Array:
  """Returns f32[B, E, C] of two texts whose tokens attend to each other."""
  reading = functools.partial(Attend, spec.option("states"))
  return _head(spec, parts, reading, together)


def project_multiplied(
  spec: Any, width: int, lengths: np.ndarray
) -> np.ndarray:
  """Counts the multiplications of `project`; see `heads.HeadKind`."""
  size = spec.option("width")
  return lengths * width * size + size * (size + spec.outputs)


def pair_multiplied(spec: Any, width: int, lengths: np.ndarray) -> np.ndarray:
  """Counts the multiplications of `pair`."""
  size = spec.option("width")
  return lengths * width * size + size * (4 * size + spec.outputs)


def bilinear_multiplied(
  spec: Any, width: int, lengths: np.ndarray
) -> np.ndarray:
  """Counts the multiplications of `bilinear`."""
  size = spec.option("width")
  return lengths * width * size + spec.outputs * size * (size + 1)


def attention_multiplied(
  spec: Any, width: int, lengths: np.ndarray
) -> np.ndarray:
  """Counts the multiplications of `attention`, as if texts were as long."""
  size, states = spec.option("width"), spec.option("states")
  # Inner products and weighted sums, of each text's tokens with the other's.
  across = 2 * width * (lengths * lengths // 2)
  read = lengths * 8 * states * (2 * width + states)
  return across + read + size * (8 * states + spec.outputs)
