"""The heads that say tokens: those that were masked, or those beside others.

BERT's: a dense layer with gelu and a norm, and then the product with the table
of words that the encoder itself looks up, and a bias of each (Devlin et al.
2019, appendix A). It reads the masked tokens alone: logits of the vocabulary
for all tokens would take seven times the memory.
"""

import dataclasses
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models.mixing import MIX, Mixture
from bam_jax.models.norm import layer_norm


@dataclasses.dataclass(frozen=True)
class Drawn:
  """What an encoder made of the masked tokens, and its table of words.

  Attributes:
    vectors: [B, P, D].
    table: f32[V, E].
    layer_norm_eps: of the encoder's norms.
    dense_bias: whether the dense layer has a bias.
    norm_bias: whether the norm has one.
    init_std: of random kernels.
  """

  vectors: jax.Array
  table: jax.Array
  layer_norm_eps: float
  dense_bias: bool
  norm_bias: bool
  init_std: float


@dataclasses.dataclass(frozen=True)
class Sided:
  """What has read up to some tokens, or down to them.

  Attributes:
    vectors: [B, P, K].
    layers: the same of each layer of the encoder, [B, P, K]; () = no head asks.
  """

  vectors: jax.Array
  layers: tuple[jax.Array, ...] = ()


class Said(nn.Module):
  """Says the next token, and the one before, by one layer (Wang et al. 2019).

  Attributes:
    outputs: V, tokens of the vocabulary.
    mixes: whether it reads a mixture of the layers.
  """

  outputs: int
  mixes: bool

  @nn.compact
  def __call__(self, sided: Sided) -> jax.Array:
    """Returns logits f32[B, P, V]."""
    x = sided.vectors.astype(jnp.float32)
    if self.mixes:
      x = Mixture(name="layers")(sided.layers)
    init = nn.initializers.glorot_uniform()
    return nn.Dense(self.outputs, kernel_init=init, name="words")(x)


class Masked(nn.Module):
  """The head, without the table."""

  @nn.compact
  def __call__(self, drawn: Drawn) -> jax.Array:
    """Returns logits f32[B, P, V]."""
    V, E = drawn.table.shape
    dense = nn.Dense(
      E,
      use_bias=drawn.dense_bias,
      kernel_init=nn.initializers.truncated_normal(drawn.init_std),
      name="dense",
    )
    norm = layer_norm(drawn.layer_norm_eps, drawn.norm_bias, "norm")
    x = dense(drawn.vectors.astype(jnp.float32))
    x = norm(nn.gelu(x, approximate=False))
    bias = self.param("bias", nn.initializers.zeros, (V,))
    return jnp.einsum("bpe,ve->bpv", x, drawn.table) + bias


def mlm(spec: Any, drawn: Drawn) -> jax.Array:
  """Returns f32[B, P, V], the head that BERT is pre-trained under."""
  return Masked(name=spec.parameters)(drawn)


def lm(spec: Any, sided: Sided) -> jax.Array:
  """Returns f32[B, P, V] of what stands behind tokens, or before them."""
  made = Said(spec.outputs, spec.layers == MIX, name=spec.parameters)
  return made(sided)


def of_masked(spec: Any, width: int, lengths: np.ndarray) -> np.ndarray:
  """Counts the multiplications of `mlm`, as if 15 % of the tokens were."""
  drawn = np.rint(0.15 * lengths).astype(np.int64)
  return drawn * width * (width + spec.outputs)
