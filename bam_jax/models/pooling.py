"""What a head for whole examples reads: of which tokens, and when they meet."""

from collections.abc import Callable, Mapping
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models.parts import own_tokens


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pool:
  """A way from the tokens of an example to its output.

  Attributes:
    reads: what its vectors are called among those that heads are given.
    before: (hidden [B, S, D], batch) -> what the pooler reads, and the head
      after it: [B, E, D], or [B, S, D] where they read each token.
    after: (what the head has made of that, `bool[B, E, S]` of which tokens are
      of each example) -> [B, E, C].
    tokens: whether they read each token.
  """

  reads: str
  before: Callable[[jax.Array, Mapping], jax.Array]
  after: Callable[[jax.Array, jax.Array], jax.Array] = lambda made, own: made
  tokens: bool = False

  def multiplied(
    self, head: np.ndarray, width: int, lengths: np.ndarray
  ) -> np.ndarray:
    """Counts the multiplications of a head, i64[N], from those of its one read.

    Args:
      head: of reading one vector, i64[N].
      width: D; the pooler's are counted once with the encoder's.
      lengths: tokens of each example, i64[N].
    """
    if not self.tokens:
      return head
    return lengths * head + (lengths - 1) * width * width


def first(hidden: jax.Array, batch: Mapping) -> jax.Array:
  """Returns the first token of each example, [B, E, D]."""
  return jnp.take_along_axis(hidden, batch["cls"][..., None], axis=1)


def mean(vectors: jax.Array, own: jax.Array) -> jax.Array:
  """Returns means over the tokens of each example, [B, E, K].

  Args:
    vectors: [B, S, K].
    own: `bool[B, E, S]`, which tokens are of each example.
  """
  shares = own / jnp.maximum(own.sum(-1, keepdims=True), 1)
  found = jnp.einsum(
    "bes,bsk->bek",
    shares.astype(jnp.float32),
    vectors.astype(jnp.float32),
    precision=jax.lax.Precision.HIGHEST,
  )
  return found.astype(vectors.dtype)


POOLS: Mapping[str, Pool] = {
  "cls": Pool(reads="pooled", before=first),
  # All of its tokens, special ones too, as ModernBERT and EuroBERT have it.
  "mean": Pool(
    reads="mean",
    before=lambda hidden, batch: mean(hidden, own_tokens(batch)),
  ),
  "late": Pool(
    reads="late",
    before=lambda hidden, batch: hidden,
    after=mean,
    tokens=True,
  ),
}
