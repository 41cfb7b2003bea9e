"""A dense layer whose bias gets a gradient summed in f32.

The bias of flax's layer is added in the type of the product, so the sum over
tokens, which is its gradient, is made in bf16 where that computes: over 2,176
tokens it came to 0.965 of the true value. Products sum in f32 as they are.
"""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp


class Dense(nn.Module):
  """Multiplies by `kernel` in a type and adds `bias` in f32.

  Attributes:
    features: columns of what comes out.
    dtype: of the product and of what comes out.
    kernel_init: how the kernel is drawn.
    use_bias: whether there is a bias.
    bias_init: how it is drawn.
  """

  features: int
  dtype: Any
  kernel_init: nn.initializers.Initializer
  use_bias: bool = True
  bias_init: nn.initializers.Initializer = nn.initializers.zeros

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [..., D] to dtype[..., features]."""
    product = nn.Dense(
      self.features,
      use_bias=False,
      dtype=self.dtype,
      kernel_init=self.kernel_init,
      # Not the name that flax would give to ours where it shares a scope too.
      name="product",
    )
    # The kernel is called as it is in flax's layer.
    nn.share_scope(self, product)
    y = product(x)
    if not self.use_bias:
      return y
    bias = self.param("bias", self.bias_init, (self.features,))
    bias = jnp.reshape(bias, (1,) * (y.ndim - 1) + (-1,))
    return (y.astype(jnp.float32) + bias).astype(self.dtype)
