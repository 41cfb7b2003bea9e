"""A mixture of an encoder's layers, as ELMo's tasks each have one."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

# Of a task that has one; what else it may read is LAST alone.
LAST, MIX = "last", "mix"
CHOICES = (LAST, MIX)


class Mixture(nn.Module):
  """gamma * sum_l softmax(w)_l h_l (Peters et al. 2018, equation 1)."""

  @nn.compact
  def __call__(self, layers: Sequence[jax.Array]) -> jax.Array:
    """Returns f32[B, S, D] of layers [B, S, D] each; their mean at first."""
    weights = self.param("weights", nn.initializers.zeros, (len(layers),))
    gamma = self.param("scale", nn.initializers.ones, (1,))
    shares = gamma * jax.nn.softmax(weights)
    each = zip(shares, layers, strict=True)
    return sum(share * layer.astype(jnp.float32) for share, layer in each)
