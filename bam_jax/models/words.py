"""What encoders that add nothing to their words read of them."""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from bam_jax.models.dropout import Dropout


class WordEmbeddings(nn.Module):
  """The rows of words, and no norm behind them.

  Attributes:
    config: of an encoder, with its `vocab_size`, `width` or, where that is
      another, `read`, `init` and `hidden_dropout`.
    dtype: what to compute in.
  """

  config: Any
  dtype: Any

  @nn.compact
  def __call__(
    self,
    tokens: jax.Array,
    positions: jax.Array,
    examples: jax.Array | None,
    *,
    train: bool,
  ) -> jax.Array:
    """Returns dtype[B, S, E] of tokens i32[B, S]; the rest is for dropout."""
    c = self.config
    # f32 also where computing is bf16, as in bert.py.
    table = nn.Embed(
      c.vocab_size,
      getattr(c, "read", c.width),
      dtype=jnp.float32,
      embedding_init=c.init,
      name="word",
    )
    x = table(tokens).astype(self.dtype)
    return Dropout(c.hidden_dropout)(x, examples, positions, train=train)
