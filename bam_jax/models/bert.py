"""BERT and its kin in Flax Linen: token ids in, one vector per token out.

Where RoBERTa, ELECTRA, DistilBERT and ModernBERT differ from BERT, the
configuration says so (hf/families.py fills it in); no code asks for a name. The
encoder knows neither tasks nor meshes nor seeds and keeps no state besides its
parameters, so it goes under `jax.vmap`, `jax.jit` on any mesh and `jax.grad`
unchanged. Parameters are f32; `dtype` is what is computed in. Layer norms and
the softmax are f32 whatever `dtype` says.
"""

from collections.abc import Sequence
import dataclasses
import functools
from typing import Any, ClassVar

from flax import linen as nn
import jax
import jax.numpy as jnp

from bam_jax.models import adapters, hidden
from bam_jax.models.adapted import Adapted
from bam_jax.models.attention import KERNELS
from bam_jax.models.dense import Dense
from bam_jax.models.dropout import Dropout, draws
from bam_jax.models.norm import layer_norm
from bam_jax.models.rotary import rotary

Array = jax.Array

# What the pooler's vector goes through; the erf form of gelu, as below.
ACTIVATIONS = {
  "tanh": nn.tanh,
  "relu": nn.relu,
  "gelu": functools.partial(nn.gelu, approximate=False),
}


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
    types: number of sentence types (A and B: 2); 0 = no table. With fewer than
      two, all of an example is sentence A.
    layer_norm_eps: added to the variance.
    hidden_dropout: rate on embeddings and on what each block adds.
    attention_dropout: rate on attention probabilities.
    init_std: standard deviation of random kernels and tables.
    pad_id: the token that fills a row; only tokenisers and files ask for it.
    family: whose files it came from; only files ask for it. Where the fields
      below are left out, they are BERT's.
    position_offset: row of the position table where examples start.
    embedding_width: of the tables, where a dense layer leads from there to the
      width; 0 = the width, without that layer.
    pre_norm: norms before each block (before the first one the embeddings' own
      does) and after the last layer, not after each sum.
    gated: the feed-forward block multiplies its activations by a second dense
      layer of the same inputs (GeGLU).
    norm_bias: whether norms have a bias.
    attention_bias: whether the dense layers of attention have one.
    mlp_bias: whether those of the feed-forward block have one.
    thetas: base of each layer's rotary positions, L of them; () = a table of
      learned positions.
    reaches: how many tokens each layer sees to either side, 0 = all of the
      example, L of them; () = 0 everywhere.
    pooler_activation: one of `ACTIVATIONS`.
    pooler_bias: whether the pooler's dense layer has a bias.
    pooler_norm: whether a norm ends the pooler.
    attention: the kernel, one of `attention.KERNELS`; no file asks for it.

  Raises:
    ValueError: a size is not positive, a rate not in [0, 1), the heads do
      not divide the width, or rotary positions cannot pair its columns.
  """

  kind: ClassVar[str] = "bert"

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
  family: str = "bert"
  position_offset: int = 0
  embedding_width: int = 0
  pre_norm: bool = False
  gated: bool = False
  norm_bias: bool = True
  attention_bias: bool = True
  mlp_bias: bool = True
  thetas: tuple[float, ...] = ()
  reaches: tuple[int, ...] = ()
  pooler_activation: str = "tanh"
  pooler_bias: bool = True
  pooler_norm: bool = False
  attention: str = "einsum"

  def __post_init__(self):
    check(self)
    if self.thetas and self.width // self.heads % 2:
      raise ValueError(
        f"encoder width {self.width} over {self.heads} heads gives each an odd "
        "number of columns, which rotary positions cannot pair; try width "
        f"{self.width + self.heads}"
      )
    for name in ("thetas", "reaches"):
      assert len(getattr(self, name)) in (0, self.layers), name

  def keep(self, kept: Sequence[int]) -> "BertConfig":
    """Returns the configuration of an encoder made of some of the layers."""
    return dataclasses.replace(
      self,
      layers=len(kept),
      thetas=tuple(self.thetas[i] for i in kept if self.thetas),
      reaches=tuple(self.reaches[i] for i in kept if self.reaches),
    )

  @property
  def init(self) -> nn.initializers.Initializer:
    """How random kernels and tables are drawn."""
    return nn.initializers.truncated_normal(self.init_std)


def check(config: Any) -> None:
  """Refuses what no transformer of attention heads and dropout can be.

  Args:
    config: an encoder's.

  Raises:
    ValueError: a size is not positive, a rate not in [0, 1), or the heads do
      not divide the width.
  """
  sizes = ("vocab_size", "width", "layers", "heads", "mlp", "positions")
  for name in sizes:
    if getattr(config, name) < 1:
      raise ValueError(
        f"encoder {name} is {getattr(config, name)}; give at least 1"
      )
  for name in ("hidden_dropout", "attention_dropout"):
    if not 0 <= getattr(config, name) < 1:
      raise ValueError(
        f"encoder {name} is {getattr(config, name)}; give 0 or more, below 1"
      )
  if config.width % config.heads:
    raise ValueError(
      f"encoder width {config.width} is not a multiple of its {config.heads} "
      f"heads; try width {-(-config.width // config.heads) * config.heads}"
    )


def _norm(config: BertConfig, name: str | None = None) -> nn.LayerNorm:
  """The norm of an encoder; see `layer_norm`."""
  return layer_norm(config.layer_norm_eps, config.norm_bias, name)


class _Embeddings(nn.Module):
  """Sums word, position and type rows, in f32 until the norm is done."""

  config: BertConfig
  dtype: Any

  @nn.compact
  def __call__(self, tokens, types, positions, examples, *, train: bool):
    c = self.config

    def rows(name, size, ids):
      # f32 also where computing is bf16: the gradient of a common word is a
      # sum of thousands of terms.
      table = nn.Embed(
        size,
        c.embedding_width or c.width,
        dtype=jnp.float32,
        embedding_init=c.init,
        name=name,
      )
      return table(ids)

    x = rows("word", c.vocab_size, tokens)
    if not c.thetas:
      start = c.position_offset
      x = x + rows("position", c.positions + start, positions + start)
    if c.types:
      # A table of one row is added everywhere, whatever the types say.
      x = x + rows("type", c.types, types)
    x = _norm(c, "norm")(x).astype(self.dtype)
    x = Dropout(c.hidden_dropout)(x, examples, positions, train=train)
    if c.embedding_width not in (0, c.width):
      project = Dense(
        c.width, dtype=self.dtype, kernel_init=c.init, name="project"
      )
      x = project(x)
    return x


class _Layer(nn.Module):
  """One transformer block: attention, then the feed-forward block."""

  config: BertConfig
  dtype: Any
  number: int

  @nn.compact
  def __call__(self, x, segments, positions, examples, train: bool, own=None):
    c = self.config
    theta = c.thetas[self.number] if c.thetas else 0
    reach = c.reaches[self.number] if c.reaches else 0

    def dense(name, features, inputs, bias):
      layer = Dense(
        features,
        use_bias=bias,
        dtype=self.dtype,
        kernel_init=c.init,
        name=name,
      )
      return layer(inputs)

    def norm(name, x):
      return _norm(c, name)(x).astype(self.dtype)

    def at(place, y, x=x):
      return y if own is None else adapters.at(own, place, y, x, average)

    def average(query, key, value, reach=0):
      drawn = None
      if train and c.attention_dropout:
        drawn = draws(self.make_rng("dropout"), examples, c.attention_dropout)
      return KERNELS[c.attention](
        query,
        key,
        value,
        segments,
        positions,
        reach=reach,
        dropout=drawn,
      )

    def attend(x):
      def heads(name):
        one = at(name, dense(name, c.width, x, c.attention_bias), x)
        return one.reshape(*x.shape[:2], c.heads, c.width // c.heads)

      query, key, value = heads("query"), heads("key"), heads("value")
      if theta:
        query, key = (rotary(x, positions, theta) for x in (query, key))
      hidden.show(self, query, key, value)
      context = average(query, key, value, reach).reshape(x.shape)
      return dense("out", c.width, at("context", context), c.attention_bias)

    def feed_forward(x):
      # The erf form: BERT's weights were trained with it, tanh is 3e-3 away.
      wide = nn.gelu(dense("up", c.mlp, x, c.mlp_bias), approximate=False)
      if c.gated:
        wide = wide * dense("gate", c.mlp, x, c.mlp_bias)
      return dense("down", c.width, wide, c.mlp_bias)

    def add(name, x, block, normed=False):
      before = c.pre_norm and not normed
      change = Dropout(c.hidden_dropout)(
        block(norm(name, x) if before else x), examples, positions, train=train
      )
      x = x + at(name.removesuffix("_norm"), change)
      return x if c.pre_norm else norm(name, x)

    # The embeddings have just been normed.
    x = add("attention_norm", x, attend, normed=self.number == 0)
    return at("layer", add("mlp_norm", x, feed_forward))


class Bert(nn.Module):
  """An encoder without its pooler; hf/families.py names its parameters.

  Attributes:
    config: the encoder's shape.
    dtype: what to compute in, such as jnp.float32 or jnp.bfloat16.
    remat: recompute each layer in the backward pass instead of keeping its
      activations: about a third more time, a fraction of the memory.
    place: sharding of hidden states [B, S, D]; None = as the compiler likes.
  """

  config: BertConfig
  dtype: Any
  remat: bool
  place: jax.sharding.Sharding | None = None

  def setup(self):
    """Names the parameters."""
    c = self.config
    self.embeddings = _Embeddings(c, self.dtype)
    # `train` is a Python bool, not traced: argument 5 counting self.
    layer = nn.remat(_Layer, static_argnums=(5,)) if self.remat else _Layer
    for i in range(c.layers):
      setattr(self, f"layer_{i}", layer(c, self.dtype, i))
    if c.pre_norm:
      self.norm = _norm(c)

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
      types: i32[B, S], sentence A (0) or B (1).
      positions: i32[B, S], from 0 in every example.
      segments: i32[B, S], 1 and up by example, 0 for padding.
      train: apply dropout; needs the rng "dropout" and `examples` then.
      examples: i32[B, S, 2], task and index of the example of each token; what
        is dropped from it is drawn from them and its position.

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
    return self.embeddings(tokens, types, positions, examples, train=train)

  def encode(
    self,
    x: Array,
    positions: Array,
    segments: Array,
    *,
    train: bool,
    examples: Array | None = None,
    adapted: Sequence[Adapted] = (),
  ) -> Array:
    """Returns what the layers make of `embed`'s vectors, dtype[B, S, D]."""
    c = self.config
    for i in range(c.layers):
      x = hidden.hold(x, self.place)
      layer = getattr(self, f"layer_{i}")
      x = layer(x, segments, positions, examples, train, *adapted[i : i + 1])
    x = hidden.hold(x, self.place)
    return self.norm(x).astype(self.dtype) if c.pre_norm else x


class Pooler(nn.Module):
  """What becomes of the vector of [CLS] before a head reads it.

  The first part of the family's published head for whole sentences: a dense
  layer, its activation and, in ModernBERT, a norm.
  """

  config: BertConfig
  dtype: Any

  @nn.compact
  def __call__(self, first: Array) -> Array:
    """Maps dtype[..., D] to dtype[..., D]."""
    c = self.config
    dense = Dense(
      c.width, use_bias=c.pooler_bias, dtype=self.dtype, kernel_init=c.init
    )
    # The kernel is called pooler/kernel, as everywhere.
    nn.share_scope(self, dense)
    x = ACTIVATIONS[c.pooler_activation](dense(first))
    return _norm(c, "norm")(x).astype(self.dtype) if c.pooler_norm else x
