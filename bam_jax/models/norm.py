"""Norms, computed in f32 whatever an encoder computes in."""

from flax import linen as nn
import jax.numpy as jnp


def layer_norm(
  epsilon: float, use_bias: bool = True, name: str | None = None
) -> nn.LayerNorm:
  """Returns a layer norm of f32; the caller casts what comes out.

  Args:
    epsilon: added to the variance.
    use_bias: whether it has a bias.
    name: of its parameters, where it is made in the middle of a module.
  """
  return nn.LayerNorm(
    epsilon=epsilon,
    use_bias=use_bias,
    dtype=jnp.float32,
    # E[x^2] - E[x]^2 loses digits where the mean is large, as BERT's can be.
    use_fast_variance=False,
    name=name,
  )


def rms_norm(epsilon: float, name: str | None = None) -> nn.RMSNorm:
  """Returns a division by the root of the mean square, as `layer_norm` is one.

  Args:
    epsilon: added to the mean square.
    name: of its parameters, where it is made in the middle of a module.
  """
  return nn.RMSNorm(epsilon=epsilon, dtype=jnp.float32, name=name)
