"""What a token is by its letters: filters over them, the largest of each.

ELMo's (Peters et al. 2018, after Kim et al. 2016): filters of 1 to 7 letters,
half of them of the longest kind and of each shorter one half as many; of each
the largest value along the token, a relu, two highway layers and a projection.
Letters are the bytes of what the vocabulary writes for a token, marks such as
## included: so a token is a piece of a word where the tokenizer cuts words into
pieces, and there is no word that has no letters.
"""

import functools
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models.dense import Dense
from bam_jax.models.dropout import Dropout

Array = jax.Array
# Letters that filters see at once.
WIDTHS = range(1, 8)
# ELMo's: of a letter's row, and of the highway.
LETTER_WIDTH, HIGHWAYS = 16, 2
# No token has more letters; what is longer ends here.
LONGEST = 50
# Before the 256 bytes: nothing, and where a token begins and ends.
_NOTHING, _BEGIN, _END, _BYTES = 0, 1, 2, 3


def counts(filters: int) -> tuple[int, ...]:
  """Returns how many filters there are of each of `WIDTHS`, one at least.

  Of 2048 these are ELMo's: 32, 32, 64, 128, 256, 512 and 1024.
  """
  halves = [max(1, filters >> (8 - width)) for width in WIDTHS]
  return (max(1, filters - sum(halves[1:])), *halves[1:])


@functools.lru_cache(maxsize=8)
def spelling(pieces: str, vocab_size: int) -> np.ndarray:
  """Returns the letters of every token, i32[V, W].

  Args:
    pieces: how tokens are spelled, in the order of their ids, one a line; ""
      = it is not known yet, and nothing but sizes is asked.
    vocab_size: V.

  Raises:
    ValueError: there are more of them than tokens.
  """
  lines = [each.encode()[: LONGEST - 2] for each in pieces.split("\n")]
  if len(lines) > vocab_size:
    raise ValueError(
      f"encoder pieces are {len(lines)} lines, and its vocab_size is"
      f" {vocab_size}; take a whole copy of its config.json"
    )
  longest = max(max(map(len, lines)) + 2, WIDTHS[-1])
  found = np.full((vocab_size, longest), _NOTHING, np.int32)
  for row, line in enumerate(lines):
    letters = np.frombuffer(line, np.uint8).astype(np.int32) + _BYTES
    found[row, : len(line) + 2] = [_BEGIN, *letters, _END]
  return found


class LetterEmbeddings(nn.Module):
  """The vectors of tokens by their letters, and no norm behind them.

  Attributes:
    config: of an encoder, with its `vocab_size`, `pieces`, `filters`, `read`,
      `init` and `hidden_dropout`.
    dtype: what to compute in.
  """

  config: Any
  dtype: Any

  @nn.compact
  def __call__(
    self,
    tokens: Array,
    positions: Array,
    examples: Array | None,
    *,
    train: bool,
  ) -> Array:
    """Returns dtype[B, S, E] of tokens i32[B, S]; the rest is for dropout."""
    c = self.config
    table = nn.Embed(
      _BYTES + 256,
      LETTER_WIDTH,
      dtype=jnp.float32,
      embedding_init=nn.initializers.normal(1.0),
      name="letter",
    )
    spelled = jnp.asarray(spelling(c.pieces, c.vocab_size))[tokens]
    letters = table(spelled).astype(self.dtype)
    found = [
      Filters(count, width, self.dtype, name=f"filters_{width}")(letters)
      for width, count in zip(WIDTHS, counts(c.filters), strict=True)
    ]
    x = nn.relu(jnp.concatenate(found, axis=-1))
    for number in range(HIGHWAYS):
      x = Highway(self.dtype, name=f"highway_{number}")(x)
    x = Dense(c.read, dtype=self.dtype, kernel_init=c.init, name="project")(x)
    return Dropout(c.hidden_dropout)(x, examples, positions, train=train)


class Filters(nn.Module):
  """Filters of one width: of each the largest value along a token's letters."""

  count: int
  width: int
  dtype: Any

  @nn.compact
  def __call__(self, letters: Array) -> Array:
    """Maps the letters' rows dtype[..., W, K] to dtype[..., count]."""
    K = letters.shape[-1]
    # So that what comes out is about as large as what goes in.
    init = nn.initializers.lecun_normal(in_axis=(0, 1))
    kernel = self.param("kernel", init, (self.width, K, self.count))
    bias = self.param("bias", nn.initializers.zeros, (self.count,))
    # Windows side by side, so that there is one product.
    last = letters.shape[-2] - self.width + 1
    seen = jnp.concatenate(
      [letters[..., at : at + last, :] for at in range(self.width)], axis=-1
    )
    kernel = kernel.astype(self.dtype).reshape(self.width * K, self.count)
    most = (seen @ kernel).max(-2).astype(jnp.float32)
    return (most + bias).astype(self.dtype)


class Highway(nn.Module):
  """A layer that lets through a share of what it reads (Srivastava 2015)."""

  dtype: Any

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps dtype[..., F] to dtype[..., F]."""
    made = Dense(
      2 * x.shape[-1],
      dtype=self.dtype,
      kernel_init=nn.initializers.lecun_normal(),
      bias_init=_carries,
      name="gates",
    )(x)
    new, share = jnp.split(made, 2, axis=-1)
    share = nn.sigmoid(share)
    return share * x + (1 - share) * nn.relu(new)


def _carries(key: Array, shape: tuple[int], dtype=jnp.float32) -> Array:
  """Biases that let most of what is read through at first, as ELMo's do."""
  del key
  half = shape[0] // 2
  return jnp.concatenate([jnp.zeros(half, dtype), jnp.ones(half, dtype)])


def multiplied(config: Any) -> int:
  """Counts the multiplications of one token's letters; 0 without filters."""
  if not config.filters:
    return 0
  there = spelling(config.pieces, config.vocab_size).shape[1]
  each = counts(config.filters)
  filters = sum(
    (there - width + 1) * width * LETTER_WIDTH * count
    for width, count in zip(WIDTHS, each, strict=True)
  )
  F = sum(each)
  return filters + HIGHWAYS * F * 2 * F + F * config.read
