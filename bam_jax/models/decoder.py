"""A decoder: an LSTM that says a text token by token, from another one.

Wang et al. 2019 (appendix B): its first state is the largest of each column of
what the encoder has made of the source; before each token it attends to the
source by a bilinear form, and reads what it sees beside the token's own vector;
what it says goes through half of its width.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models.directions import orthogonal
from bam_jax.models.parts import Parts
from bam_jax.models.projected import largest

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Decoded:
  """What a decoder reads.

  Attributes:
    parts: what the encoder made of the tokens; first texts are sources.
    words: i32[B, S], ids of all tokens.
    place: i32[B, P], after which tokens one is said.
  """

  parts: Parts
  words: Array
  place: Array


class Decoder(nn.Module):
  """Says the next token behind each token of the second texts.

  Attributes:
    outputs: V, tokens of the vocabulary.
    width: of the vectors of its own tokens.
  """

  outputs: int
  width: int

  @nn.compact
  def __call__(self, decoded: Decoded) -> Array:
    """Returns logits f32[B, P, V]."""
    parts = decoded.parts
    x = parts.tokens.astype(jnp.float32)
    B, _, D = x.shape
    source, target = parts.first, parts.second
    # Of each token the source that its example has; the rest reads none.
    mine = target.astype(jnp.float32)
    seen = jnp.einsum("bes,bet->bst", mine, source.astype(jnp.float32)) > 0
    # Slots of one text, as empty ones are too, have the same.
    share = mine / jnp.maximum(mine.sum(1, keepdims=True), 1)
    start = jnp.einsum("bes,bed->bsd", share, largest(x, source))
    whose = parts.segments
    begins = (
      jnp.pad(whose, ((0, 0), (1, 0)), constant_values=-1)[:, :-1] != whose
    )
    init = nn.initializers.normal(0.1)
    own = nn.Embed(self.outputs, self.width, embedding_init=init, name="words")
    read = nn.Dense(4 * D, name="input")(own(decoded.words))
    keys = nn.Dense(D, use_bias=False, name="attention")(x)
    carried = self.param("recurrent", orthogonal, (D, 4 * D))
    shown = self.param("seen", nn.initializers.glorot_uniform(), (D, 4 * D))

    def step(state, now):
      gates, begin, first, there = now
      h, cell = state
      h = jnp.where(begin[:, None], first, h)
      cell = jnp.where(begin[:, None], 0.0, cell)
      scores = jnp.einsum("bd,btd->bt", h, keys)
      shares = jax.nn.softmax(jnp.where(there, scores, -1e30), axis=-1)
      gates += jnp.einsum("bt,btd->bd", shares, x) @ shown + h @ carried
      i, f, g, o = jnp.split(gates, 4, axis=-1)
      cell = nn.sigmoid(f + 1) * cell + nn.sigmoid(i) * jnp.tanh(g)
      h = nn.sigmoid(o) * jnp.tanh(cell)
      return (h, cell), h

    none = (jnp.zeros((B, D)), jnp.zeros((B, D)))
    along = (read, begins, start, seen)
    _, states = jax.lax.scan(
      step, none, jax.tree.map(lambda each: each.swapaxes(0, 1), along)
    )
    said = jnp.take_along_axis(
      states.swapaxes(0, 1), decoded.place[..., None], axis=1
    )
    said = nn.Dense(max(1, D // 2), use_bias=False, name="half")(said)
    return nn.Dense(self.outputs, name="out")(said)


def decoder(spec: Any, decoded: Decoded) -> Array:
  """Returns f32[B, P, V] of what stands behind tokens of second texts."""
  made = Decoder(spec.outputs, spec.option("width"), name=spec.parameters)
  return made(decoded)


def multiplied(spec: Any, width: int, lengths: np.ndarray) -> np.ndarray:
  """Counts the multiplications of `decoder`, as if both texts were as long."""
  half = lengths // 2
  gates = 4 * width * (spec.option("width") + 2 * width)
  said = (width // 2) * (width + spec.outputs)
  return half * (gates + said + width * width) + 2 * half * half * width
