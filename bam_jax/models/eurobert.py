"""EuroBERT in Flax Linen: token ids in, one vector per token out.

Llama's block, read in both directions (Boizard et al. 2025): RMS norms before
each part, rotary positions, several queries to a key, a feed-forward block
whose activations gate a second dense layer. All other things are as in bert.py.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any, ClassVar

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models import hidden
from bam_jax.models.attention import KERNELS, pairs
from bam_jax.models.bert import check
from bam_jax.models.dense import Dense
from bam_jax.models.dropout import Dropout, draws
from bam_jax.models.norm import rms_norm
from bam_jax.models.rotary import rotary
from bam_jax.models.words import WordEmbeddings

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class EuroBertConfig:
  """The shape of an encoder, as Hugging Face's config.json says it.

  Args:
    vocab_size: V, rows of the word table.
    width: D, of every hidden state.
    layers: L.
    heads: H, of queries; must divide the width.
    groups: heads of keys and values; must divide H, and each serves as many
      heads of queries.
    head_width: K, of each head.
    mlp: F, width inside the feed-forward block.
    positions: the longest example that the encoder can read, in tokens.
    theta: base of the rotary positions.
    norm_eps: added to the mean square.
    attention_bias: whether the dense layers of attention have a bias.
    mlp_bias: whether those of the feed-forward block have one.
    hidden_dropout: rate on embeddings and on what each block adds.
    attention_dropout: rate on attention probabilities.
    init_std: standard deviation of random kernels and tables.
    pad_id: the token that fills a row; only tokenisers and files ask for it.
    family: whose files it came from; only files ask for it.
    attention: the kernel, one of `attention.KERNELS`; no file asks for it.

  Raises:
    ValueError: a size is not positive, a rate not in [0, 1), the heads do
      not divide the width, the groups not the heads, or rotary positions cannot
      pair the columns of a head.
  """

  kind: ClassVar[str] = "eurobert"
  # Sentences are not told apart.
  types: ClassVar[int] = 0

  vocab_size: int
  width: int
  layers: int
  heads: int
  groups: int
  head_width: int
  mlp: int
  positions: int
  theta: float
  norm_eps: float
  attention_bias: bool
  mlp_bias: bool
  hidden_dropout: float
  attention_dropout: float
  init_std: float
  pad_id: int
  family: str = "eurobert"
  attention: str = "einsum"

  def __post_init__(self):
    check(self)
    if self.groups < 1 or self.heads % self.groups:
      raise ValueError(
        f"encoder has {self.heads} heads of queries and {self.groups} of keys; "
        "give a number of keys' that divides that of queries'"
      )
    if self.head_width < 2 or self.head_width % 2:
      raise ValueError(
        f"encoder head width is {self.head_width}; give an even number, 2 or "
        "more: rotary positions pair its columns"
      )

  def keep(self, kept: Sequence[int]) -> "EuroBertConfig":
    """Returns the configuration of an encoder made of some of the layers."""
    return dataclasses.replace(self, layers=len(kept))

  @property
  def init(self) -> nn.initializers.Initializer:
    """How random kernels and tables are drawn."""
    return nn.initializers.truncated_normal(self.init_std)


class _Layer(nn.Module):
  """One transformer block: attention, then the feed-forward block."""

  config: EuroBertConfig
  dtype: Any

  @nn.compact
  def __call__(self, x, segments, positions, examples, train: bool):
    c = self.config

    def dense(name, features, inputs, bias):
      layer = Dense(
        features,
        use_bias=bias,
        dtype=self.dtype,
        kernel_init=c.init,
        name=name,
      )
      return layer(inputs)

    def attend(x):
      def heads(name, number):
        one = dense(name, number * c.head_width, x, c.attention_bias)
        return one.reshape(*x.shape[:2], number, c.head_width)

      def shared(x):
        # Not taken by number, which a TPU would scatter back.
        return jnp.repeat(x, c.heads // c.groups, axis=2)

      query, key = heads("query", c.heads), heads("key", c.groups)
      query, key = (rotary(x, positions, c.theta) for x in (query, key))
      key, value = shared(key), shared(heads("value", c.groups))
      hidden.show(self, query, key, value)
      drawn = None
      if train and c.attention_dropout:
        drawn = draws(self.make_rng("dropout"), examples, c.attention_dropout)
      context = KERNELS[c.attention](
        query,
        key,
        value,
        segments,
        positions,
        reach=0,
        dropout=drawn,
      )
      flat = context.reshape(*x.shape[:2], c.heads * c.head_width)
      return dense("out", c.width, flat, c.attention_bias)

    def feed_forward(x):
      wide = nn.silu(dense("up", c.mlp, x, c.mlp_bias))
      wide = wide * dense("gate", c.mlp, x, c.mlp_bias)
      return dense("down", c.width, wide, c.mlp_bias)

    def add(name, x, block):
      norm = rms_norm(c.norm_eps, name)
      change = block(norm(x).astype(self.dtype))
      return x + Dropout(c.hidden_dropout)(
        change, examples, positions, train=train
      )

    x = add("attention_norm", x, attend)
    return add("mlp_norm", x, feed_forward)


class EuroBert(nn.Module):
  """An encoder without its pooler; hf/eurobert.py names its parameters.

  Attributes:
    config: the encoder's shape.
    dtype: what to compute in, such as jnp.float32 or jnp.bfloat16.
    remat: recompute each layer in the backward pass, as `bert.Bert` does.
    place: sharding of hidden states [B, S, D]; None = as the compiler likes.
  """

  config: EuroBertConfig
  dtype: Any
  remat: bool
  place: jax.sharding.Sharding | None = None

  def setup(self):
    """Names the parameters."""
    c = self.config
    self.embeddings = WordEmbeddings(c, self.dtype)
    # `train` is a Python bool, not traced: argument 5 counting self.
    layer = nn.remat(_Layer, static_argnums=(5,)) if self.remat else _Layer
    for i in range(c.layers):
      setattr(self, f"layer_{i}", layer(c, self.dtype))
    self.norm = rms_norm(c.norm_eps)

  def __call__(
    self,
    tokens: Array,
    types: Array,
    positions: Array,
    segments: Array,
    *,
    train: bool,
    examples: Array | None = None,
  ) -> Array:
    """Encodes rows of packed examples, none of which sees another.

    Args:
      tokens: i32[B, S].
      types: i32[B, S], not looked at: EuroBERT has no sentence types.
      positions: i32[B, S], from 0 in every example.
      segments: i32[B, S], 1 and up by example, 0 for padding.
      train: apply dropout; needs the rng "dropout" and `examples` then.
      examples: i32[B, S, 2], task and index of the example of each token.

    Returns:
      dtype[B, S, D]; finite but meaningless where segments is 0.
    """
    x = self.embed(tokens, types, positions, train=train, examples=examples)
    return self.encode(x, positions, segments, train=train, examples=examples)

  def embed(
    self,
    tokens: Array,
    types: Array,
    positions: Array,
    *,
    train: bool,
    examples: Array | None = None,
  ) -> Array:
    """Returns what the first layer reads of each token, dtype[B, S, D]."""
    del types
    return self.embeddings(tokens, positions, examples, train=train)

  def encode(
    self,
    x: Array,
    positions: Array,
    segments: Array,
    *,
    train: bool,
    examples: Array | None = None,
  ) -> Array:
    """Returns what the layers make of `embed`'s vectors, dtype[B, S, D]."""
    for i in range(self.config.layers):
      layer = getattr(self, f"layer_{i}")
      x = layer(
        hidden.hold(x, self.place), segments, positions, examples, train
      )
    return self.norm(hidden.hold(x, self.place)).astype(self.dtype)


def multiplied(config: EuroBertConfig, lengths: np.ndarray) -> np.ndarray:
  """Counts multiplications as `EncoderKind` says."""
  width, inner = config.width, config.heads * config.head_width
  keys = config.groups * config.head_width
  weights = width * (2 * inner + 2 * keys + 3 * config.mlp)
  attention = 2 * inner * pairs(lengths, 0)
  return config.layers * (lengths * weights + attention) + width * width


def scratch(
  settings: Any, vocab_size: int, pad_id: int, positions: int
) -> EuroBertConfig:
  """Returns the configuration of one that starts from random weights."""
  return EuroBertConfig(
    vocab_size=vocab_size,
    width=settings.width,
    layers=settings.layers,
    heads=settings.heads,
    groups=settings.heads,
    head_width=settings.width // settings.heads,
    mlp=settings.mlp,
    positions=positions,
    theta=250_000.0,
    norm_eps=1e-5,
    attention_bias=False,
    mlp_bias=False,
    hidden_dropout=settings.dropout,
    attention_dropout=settings.dropout,
    init_std=settings.init_std,
    pad_id=pad_id,
  )
