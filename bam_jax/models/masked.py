"""The head that says which tokens were masked.

BERT's: a dense layer with gelu and a norm, and then the product with the table
of words that the encoder itself looks up, and a bias of each (Devlin et al.
2019, appendix A). It reads the masked tokens alone: logits of the vocabulary
for all tokens would take seven times the memory.
"""

import dataclasses

from flax import linen as nn
import jax
import jax.numpy as jnp

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
