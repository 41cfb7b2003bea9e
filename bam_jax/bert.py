"""The BERT encoder in Flax Linen: token ids in, one vector per token out.

It knows neither tasks nor meshes nor seeds and keeps no state besides its
parameters, so it goes under `jax.vmap`, `jax.jit` on any mesh and `jax.grad`
unchanged. Parameters are f32; `dtype` is what is computed in. Layer norms and
the softmax are f32 whatever `dtype` says.
"""

import dataclasses
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

Array = jax.Array

# What BERT's own code starts every matrix and table from.


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertConfig:
  """The shape of an encoder, as Hugging Face's config.json says it.

  Args:
    vocab_size: V, rows of the word table.
    width: D, of every hidden state.
    layers: L.
    heads: H, must divide the width.
    mlp: F, width inside the feed-forward block.
    positions: the longest example that the encoder can read, in tokens.
    types: number of sentence types (A and B: 2).
    layer_norm_eps: added to the variance.
    hidden_dropout: rate on embeddings and on what each block adds.
    attention_dropout: rate on attention probabilities.
    init_std: standard deviation of random kernels and tables.
    pad_id: the token that fills a row; only tokenisers and files ask for it.

  Raises:
    ValueError: a size is not positive, a rate not in [0, 1), or the heads do
      not divide the width.
  """

  vocab_size: int
  width: int
  layers: int
  heads: int
  mlp: int
  positions: int
  types: int
  layer_norm_eps: float
  hidden_dropout: float
  attention_dropout: float
  init_std: float
  pad_id: int

  def __post_init__(self):
    sizes = ("vocab_size", "width", "layers", "heads", "mlp")
    for name in (*sizes, "positions", "types"):
      if getattr(self, name) < 1:
        raise ValueError(
          f"encoder {name} is {getattr(self, name)}; give at least 1"
        )
    for name in ("hidden_dropout", "attention_dropout"):
      if not 0 <= getattr(self, name) < 1:
        raise ValueError(
          f"encoder {name} is {getattr(self, name)}; give 0 or more, below 1"
        )
    if self.width % self.heads:
      raise ValueError(
        f"encoder width {self.width} is not a multiple of its {self.heads} "
        f"heads; try width {-(-self.width // self.heads) * self.heads}"
      )

  @property
  def init(self) -> nn.initializers.Initializer:
    """How random kernels and tables are drawn."""
    return nn.initializers.truncated_normal(self.init_std)


def attention(
  query: Array,
  key: Array,
  value: Array,
  segments: Array,
  *,
  dropout: float,
  dropout_rng: Array | None,
) -> Array:
  """Attends within segments; the one place where another kernel would go.

  Padding is a segment like any other, so a padded query sees padding only:
  its row of the softmax is never empty and never NaN.

  Args:
    query: dtype[B, S, H, K].
    key: dtype[B, S, H, K].
    value: dtype[B, S, H, K].
    segments: i32[B, S], 0 for padding.
    dropout: rate on the probabilities.
    dropout_rng: key for it, None to leave it out.

  Returns:
    dtype[B, S, H, K].
  """
  logits = jnp.einsum(
    "bqhk,bshk->bhqs",
    query * query.shape[-1] ** -0.5,
    key,
    preferred_element_type=jnp.float32,
  )
  same = segments[:, None, :, None] == segments[:, None, None, :]
  logits = jnp.where(same, logits, jnp.finfo(jnp.float32).min)
  weights = jax.nn.softmax(logits, axis=-1).astype(value.dtype)
  if dropout_rng is not None and dropout > 0:
    keep = jax.random.bernoulli(dropout_rng, 1 - dropout, weights.shape)
    weights = jnp.where(keep, weights / (1 - dropout), 0)
  return jnp.einsum("bhqs,bshk->bqhk", weights, value)


class _Norm(nn.LayerNorm):
  """Layer norm computed in f32; the caller casts what comes out."""

  dtype: Any = jnp.float32
  # E[x^2] - E[x]^2 loses digits where the mean is large, as BERT's can be.
  use_fast_variance: bool = False


class _Embeddings(nn.Module):
  """Sums word, position and type rows, in f32 until the norm is done."""

  config: BertConfig
  dtype: Any

  @nn.compact
  def __call__(self, tokens, types, positions, *, train: bool):
    c = self.config

    def rows(name, size, ids):
      # f32 also where computing is bf16: the gradient of a common word is a
      # sum of thousands of terms.
      table = nn.Embed(
        size, c.width, dtype=jnp.float32, embedding_init=c.init, name=name
      )
      return table(ids)

    x = rows("word", c.vocab_size, tokens)
    x = x + rows("position", c.positions, positions)
    x = x + rows("type", c.types, types)
    x = _Norm(epsilon=c.layer_norm_eps, name="norm")(x).astype(self.dtype)
    return nn.Dropout(c.hidden_dropout)(x, deterministic=not train)


class _Layer(nn.Module):
  """One transformer block, norms after the residual sums as in BERT."""

  config: BertConfig
  dtype: Any

  @nn.compact
  def __call__(self, x, segments, train: bool):
    c = self.config

    def dense(name, features, inputs):
      layer = nn.Dense(
        features, dtype=self.dtype, kernel_init=c.init, name=name
      )
      return layer(inputs)

    def add_and_norm(name, x, change):
      change = nn.Dropout(c.hidden_dropout)(change, deterministic=not train)
      norm = _Norm(epsilon=c.layer_norm_eps, name=name)
      return norm(x + change).astype(self.dtype)

    def heads(name):
      return dense(name, c.width, x).reshape(
        *x.shape[:2], c.heads, c.width // c.heads
      )

    drop = train and c.attention_dropout > 0
    context = attention(
      heads("query"),
      heads("key"),
      heads("value"),
      segments,
      dropout=c.attention_dropout,
      dropout_rng=self.make_rng("dropout") if drop else None,
    )
    context = dense("out", c.width, context.reshape(x.shape))
    x = add_and_norm("attention_norm", x, context)
    # The erf form: BERT's weights were trained with it, tanh is 3e-3 away.
    hidden = nn.gelu(dense("up", c.mlp, x), approximate=False)
    return add_and_norm("mlp_norm", x, dense("down", c.width, hidden))


class Bert(nn.Module):
  """BERT without its pooler; parameter names are what hf.py's table lists.

  Args:
    config: the encoder's shape.
    dtype: what to compute in, such as jnp.float32 or jnp.bfloat16.
    remat: recompute each layer in the backward pass instead of keeping its
      activations: about a third more time, a fraction of the memory.
  """

  config: BertConfig
  dtype: Any
  remat: bool

  @nn.compact
  def __call__(
    self,
    tokens: Array,
    types: Array,
    positions: Array,
    segments: Array,
    *,
    train: bool,
  ) -> Array:
    """Encodes rows of packed examples, none of which sees another.

    Args:
      tokens: i32[B, S].
      types: i32[B, S], sentence A (0) or B (1).
      positions: i32[B, S], from 0 in every example.
      segments: i32[B, S], 1 and up by example, 0 for padding.
      train: apply dropout; needs the rng "dropout" then.

    Returns:
      dtype[B, S, D]; finite but meaningless where segments is 0.
    """
    x = _Embeddings(self.config, self.dtype, name="embeddings")(
      tokens, types, positions, train=train
    )
    # `train` is a Python bool, not traced: argument 3 counting self.
    layer = nn.remat(_Layer, static_argnums=(3,)) if self.remat else _Layer
    for i in range(self.config.layers):
      x = layer(self.config, self.dtype, name=f"layer_{i}")(x, segments, train)
    return x
