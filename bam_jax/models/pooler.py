"""The first part of a head for whole sentences, where it is as in most."""

from typing import Any

from flax import linen as nn
import jax

from bam_jax.models.bert import ACTIVATIONS
from bam_jax.models.dense import Dense


class Pooler(nn.Module):
  """A dense layer and an activation; gelu as DeBERTa-v3 and EuroBERT have it.

  Attributes:
    config: of an encoder, with its `width` and `init`.
    dtype: what to compute in.
    activation: one of `bert.ACTIVATIONS`.
  """

  config: Any
  dtype: Any
  activation: str = "gelu"

  @nn.compact
  def __call__(self, first: jax.Array) -> jax.Array:
    """Maps dtype[..., D] to dtype[..., D]."""
    c = self.config
    dense = Dense(c.width, dtype=self.dtype, kernel_init=c.init)
    # The kernel is called pooler/kernel, as everywhere.
    nn.share_scope(self, dense)
    return ACTIVATIONS[self.activation](dense(first))
