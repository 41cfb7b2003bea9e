"""DeBERTa-v3 in Flax Linen: token ids in, one vector per token out.

What two tokens have to do with each other is a sum of three products: of query
and key, of the query with the distance to the key, and of the key with that
distance (He et al. 2021, "Disentangled attention"). Nothing else tells where a
token stands. All other things are as in bert.py.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any, ClassVar

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models import attention, distances, hidden
from bam_jax.models.bert import ACTIVATIONS, check
from bam_jax.models.dense import Dense
from bam_jax.models.dropout import Dropout, draws
from bam_jax.models.norm import layer_norm

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class DebertaConfig:
  """The shape of an encoder, as Hugging Face's config.json says it.

  Args:
    vocab_size: V, rows of the word table.
    width: D, of every hidden state.
    layers: L.
    heads: H, must divide the width.
    mlp: F, width inside the feed-forward block.
    positions: the longest example that the encoder can read, in tokens.
    buckets: N; distances have 2N rows, N to either side. Half of them are for
      one distance each, the others for more and more distances.
    distances: how many distances to a side the buckets are made for; all that
      are farther share the last one.
    layer_norm_eps: added to the variance.
    hidden_dropout: rate on embeddings, on the rows of distances and on what
      each block adds.
    attention_dropout: rate on attention probabilities.
    init_std: standard deviation of random kernels and tables.
    pad_id: the token that fills a row; only tokenisers and files ask for it.
    family: whose files it came from; only files ask for it.

  Raises:
    ValueError: a size is not positive, a rate not in [0, 1), the heads do
      not divide the width, or the buckets do not fit the distances.
  """

  kind: ClassVar[str] = "deberta"
  # Sentences are not told apart.
  types: ClassVar[int] = 0

  vocab_size: int
  width: int
  layers: int
  heads: int
  mlp: int
  positions: int
  buckets: int
  distances: int
  layer_norm_eps: float
  hidden_dropout: float
  attention_dropout: float
  init_std: float
  pad_id: int
  family: str = "deberta-v2"

  def __post_init__(self):
    check(self)
    if self.buckets < 2:
      raise ValueError(
        f"encoder buckets is {self.buckets}; give at least 2, as in DeBERTa-v3"
      )
    near = self.buckets // 2 + 1
    if self.positions > near >= self.distances:
      raise ValueError(
        f"encoder distances is {self.distances}, and {self.buckets} buckets are"
        f" for more than {near}; give as many as positions, {self.positions}"
      )

  def keep(self, kept: Sequence[int]) -> "DebertaConfig":
    """Returns the configuration of an encoder made of some of the layers."""
    return dataclasses.replace(self, layers=len(kept))

  def rows(self, far: np.ndarray) -> np.ndarray:
    """Returns the row of the table for each distance; see `rows_of`."""
    return distances.rows_of(self.buckets, self.distances, far)

  @property
  def init(self) -> nn.initializers.Initializer:
    """How random kernels and tables are drawn."""
    return nn.initializers.truncated_normal(self.init_std)


class _Embeddings(nn.Module):
  """The rows of words and of distances, in f32 until their norms are done."""

  config: DebertaConfig
  dtype: Any

  def setup(self):
    c = self.config

    def table(size):
      # f32 also where computing is bf16, as in bert.py.
      return nn.Embed(size, c.width, dtype=jnp.float32, embedding_init=c.init)

    self.word, self.relative = table(c.vocab_size), table(2 * c.buckets)
    self.norm = layer_norm(c.layer_norm_eps)
    self.relative_norm = layer_norm(c.layer_norm_eps)
    self.dropout = Dropout(c.hidden_dropout)

  def __call__(self, tokens, positions, examples, *, train: bool):
    """Returns what the first layer reads of each token, dtype[B, S, D]."""
    x = self.norm(self.word(tokens)).astype(self.dtype)
    return self.dropout(x, examples, positions, train=train)

  def between(self, rows):
    """Returns the vectors of these rows of the table, dtype[N, D]."""
    table = self.relative.embedding
    # A product, whose gradient is one too; that of taking rows would scatter.
    chosen = rows[:, None] == jnp.arange(len(table))
    found = jnp.matmul(
      chosen.astype(jnp.float32), table, precision=jax.lax.Precision.HIGHEST
    )
    return self.relative_norm(found).astype(self.dtype)


class _Layer(nn.Module):
  """One transformer block: attention, then the feed-forward block."""

  config: DebertaConfig
  dtype: Any

  @nn.compact
  def __call__(self, x, between, segments, positions, examples, train: bool):
    c = self.config

    def dense(name, features):
      return Dense(features, dtype=self.dtype, kernel_init=c.init, name=name)

    def heads(x):
      return x.reshape(*x.shape[:-1], c.heads, c.width // c.heads)

    def attend(x):
      # One draw for all examples, as in transformers. It belongs to the rows of
      # the table, so it is the same wherever an example lies.
      rows = c.rows(distances.within(x.shape[1]))
      apart = Dropout(c.hidden_dropout)(
        between, jnp.zeros((len(rows), 2), jnp.int32), rows, train=train
      )
      # Distances are asked and known by the same weights as tokens are.
      ask, know = dense("query", c.width), dense("key", c.width)
      query, key = heads(ask(x)), heads(know(x))
      value = heads(dense("value", c.width)(x))
      # What tokens have to do with each other wherever they stand.
      hidden.show(self, query, key, value)
      logits = distances.logits(
        query, key, heads(ask(apart)), heads(know(apart))
      )
      drawn = None
      if train and c.attention_dropout:
        drawn = draws(self.make_rng("dropout"), examples, c.attention_dropout)
      context = attention.average(
        logits,
        value,
        segments,
        positions,
        reach=0,
        dropout=drawn,
      )
      return dense("out", c.width)(context.reshape(x.shape))

    def feed_forward(x):
      # The erf form, as in BERT.
      wide = ACTIVATIONS["gelu"](dense("up", c.mlp)(x))
      return dense("down", c.width)(wide)

    def add(name, x, block):
      change = Dropout(c.hidden_dropout)(
        block(x), examples, positions, train=train
      )
      norm = layer_norm(c.layer_norm_eps, name=name)
      return norm(x + change).astype(self.dtype)

    x = add("attention_norm", x, attend)
    return add("mlp_norm", x, feed_forward)


class Deberta(nn.Module):
  """An encoder without its pooler; hf/deberta.py names its parameters.

  Attributes:
    config: the encoder's shape.
    dtype: what to compute in, such as jnp.float32 or jnp.bfloat16.
    remat: recompute each layer in the backward pass, as `bert.Bert` does.
    place: sharding of hidden states [B, S, D]; None = as the compiler likes.
  """

  config: DebertaConfig
  dtype: Any
  remat: bool
  place: jax.sharding.Sharding | None = None

  def setup(self):
    """Names the parameters."""
    c = self.config
    self.embeddings = _Embeddings(c, self.dtype)
    # `train` is a Python bool, not traced: argument 6 counting self.
    layer = nn.remat(_Layer, static_argnums=(6,)) if self.remat else _Layer
    for i in range(c.layers):
      setattr(self, f"layer_{i}", layer(c, self.dtype))

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
      types: i32[B, S], not looked at: DeBERTa-v3 has no sentence types.
      positions: i32[B, S], from 0 in every example, whose tokens lie side by
        side.
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
    c = self.config
    between = self.embeddings.between(c.rows(distances.within(x.shape[1])))
    for i in range(c.layers):
      layer = getattr(self, f"layer_{i}")
      x = layer(
        hidden.hold(x, self.place),
        between,
        segments,
        positions,
        examples,
        train,
      )
    return hidden.hold(x, self.place)


def multiplied(config: DebertaConfig, lengths: np.ndarray) -> np.ndarray:
  """Counts multiplications as `EncoderKind` says.

  A token meets each bucket of the distances in its example once as a query and
  once as a key. What the rows of distances are multiplied with is the same for
  all examples of a batch, and counts for none of them.
  """
  width, layers = config.width, config.layers
  weights = 4 * width * width + 2 * width * config.mlp
  # Buckets that a token sees at most so far to one side, by that distance.
  rows = config.rows(np.arange(lengths.max(initial=1)))
  seen = np.cumsum(np.diff(rows, prepend=rows[:1]) > 0)
  met = lengths + 2 * np.append(0, np.cumsum(seen))[lengths]
  attention = 2 * width * (lengths * lengths + met)
  return layers * (lengths * weights + attention) + width * width


def scratch(
  settings: Any, vocab_size: int, pad_id: int, positions: int
) -> DebertaConfig:
  """Returns the configuration of one that starts from random weights."""
  return DebertaConfig(
    vocab_size=vocab_size,
    width=settings.width,
    layers=settings.layers,
    heads=settings.heads,
    mlp=settings.mlp,
    positions=positions,
    buckets=256,
    distances=positions,
    layer_norm_eps=1e-7,
    hidden_dropout=settings.dropout,
    attention_dropout=settings.dropout,
    init_std=settings.init_std,
    pad_id=pad_id,
  )


def configured(config: DebertaConfig, run: Any) -> DebertaConfig:
  """Returns an encoder with the dropout that a run asks for.

  Raises:
    ValueError: the run asks for a kernel that knows no distances.
  """
  if run.attention != "einsum":
    raise ValueError(
      f"attention={run.attention} does not compute the distances of DeBERTa's "
      "attention; set --config.attention=einsum"
    )
  if run.attention_dropout == -1:
    return config
  return dataclasses.replace(config, attention_dropout=run.attention_dropout)
