"""A stochastic answer network: turns of reading, whose answers are averaged.

Liu et al. 2018, "Stochastic Answer Networks for Natural Language Inference", as
MT-DNN has it above an encoder.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models.dropout import uniform
from bam_jax.models.parts import Parts, attended


class San(nn.Module):
  """Reads the first text again and again with a question from the second.

  The question h is a weighted sum of the second text's tokens. A turn attends
  from it to the tokens of the first, x = sum softmax(h W x_s) x_s, answers from
  [h; x; |h - x|; h * x], and a GRU that reads x makes the next question of h.

  Attributes:
    outputs: columns, C.
    turns: how many.
    dropout: share of the turns whose answers are left out in training; one is
      always kept.
  """

  outputs: int
  turns: int
  dropout: float

  @nn.compact
  def __call__(self, parts: Parts) -> jax.Array:
    """Returns f32[B, E, C]: of classes the log of the mean probability."""
    x = parts.tokens.astype(jnp.float32)
    width = x.shape[-1]
    weight = nn.Dense(1, name="question")(x)[..., 0]
    h = parts.sum(attended(weight[:, None], parts.second))
    ask = nn.Dense(width, name="attention")
    update = nn.GRUCell(width, name="memory")
    answer = nn.Dense(
      self.outputs, kernel_init=nn.initializers.glorot_uniform(), name="answer"
    )
    said = []
    for turn in range(self.turns):
      scores = jnp.einsum("bed,bsd->bes", ask(h), x)
      read = parts.sum(attended(scores, parts.first))
      said.append(
        answer(jnp.concatenate([h, read, jnp.abs(h - read), h * read], -1))
      )
      if turn + 1 < self.turns:
        h, _ = update(h, read)
    return averaged(jnp.stack(said), self._kept(parts))

  def _kept(self, parts: Parts) -> jax.Array:
    """Returns whose answers count, `bool[turns, B, E]`."""
    if parts.examples is None or not self.dropout:
      return jnp.ones((self.turns, *parts.first.shape[:2]), bool)
    drawn = uniform(self.make_rng("dropout"), parts.examples, self.turns)
    # The largest is kept whatever it is, so that one always is.
    kept = (drawn >= self.dropout) | (drawn == drawn.max(-1, keepdims=True))
    return jnp.moveaxis(kept, -1, 0)


def averaged(said: jax.Array, kept: jax.Array) -> jax.Array:
  """Returns the mean answer f32[..., C]: of several columns as log-probability.

  Args:
    said: f32[T, ..., C].
    kept: `bool[T, ...]`, those that count, one or more of the T.
  """
  kept = kept[..., None]
  # A float, as what it divides: ONNX has no logarithm of whole numbers.
  count = kept.sum(0, dtype=jnp.float32)
  # One column is a number and no class.
  if said.shape[-1] == 1:
    return jnp.where(kept, said, 0.0).sum(0) / count
  log = jnp.where(kept, jax.nn.log_softmax(said, axis=-1), -1e30)
  return jax.nn.logsumexp(log, axis=0) - jnp.log(count)


def san(spec: Any, parts: Parts) -> jax.Array:
  """Returns f32[B, E, C] of a stochastic answer network."""
  turns, dropout = spec.option("turns"), spec.option("answer_dropout")
  return San(spec.outputs, turns, dropout, name=spec.parameters)(parts)


def multiplied(spec: Any, width: int, lengths: np.ndarray) -> np.ndarray:
  """Counts the multiplications of `san`, as if both texts were as long."""
  turn = width * width + width * lengths + 4 * width * spec.outputs
  gates = 6 * width * width
  turns = spec.option("turns")
  return width * lengths + turns * turn + (turns - 1) * gates
