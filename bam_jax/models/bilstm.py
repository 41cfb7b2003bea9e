"""A bidirectional LSTM in Flax Linen: token ids in, one vector per token out.

Texts of one row know nothing of each other: where one begins, in the direction
in which it is read, the state is 0. What a layer reads of all tokens is one
product, for both directions and all gates; what it carries from token to token
is one product a step for both directions.

Its first layer reads a row of a table for each token, or what is made of the
token's letters (letters.py). With `apart`, no layer reads what the other
direction has made, as in ELMo; with `skip`, what the first layer reads stands
behind what the last one says (Wang et al. 2019, section 5).
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, ClassVar

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models import letters
from bam_jax.models.dense import Dense
from bam_jax.models.directions import Directions, open_cells, read_whole
from bam_jax.models.dropout import Dropout
from bam_jax.models.hidden import hold
from bam_jax.models.letters import LetterEmbeddings
from bam_jax.models.words import WordEmbeddings

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class BilstmConfig:
  """The shape of a bidirectional LSTM.

  Args:
    vocab_size: V, rows of the word table.
    width: D, of what it makes of a token: both directions together, and with
      `skip` what the first layer reads.
    layers: L.
    positions: the longest example that it is asked to read, in tokens; it has
      no table of them.
    hidden_dropout: rate on what each layer reads.
    init_std: standard deviation of the random table and of what layers read by.
    pad_id: the token that fills a row; only tokenisers and files ask for it.
    words_width: of what the first layer reads of a token; 0 = as both
      directions together.
    filters: over a token's letters; 0 = a token has a row of a table.
    pieces: what tokens are spelled, in the order of their ids, one a line;
      nobody but filters over letters asks for it.
    apart: whether no layer reads what the other direction has made.
    skip: whether what the first layer reads is a part of what comes out.
    family: whose files it came from; only files ask for it.

  Raises:
    ValueError: a size is not positive, both directions together are odd, or the
      rate is not in [0, 1).
  """

  kind: ClassVar[str] = "bilstm"
  # Sentences are not told apart but by what stands between them.
  types: ClassVar[int] = 0

  vocab_size: int
  width: int
  layers: int
  positions: int
  hidden_dropout: float
  init_std: float
  pad_id: int
  words_width: int = 0
  filters: int = 0
  pieces: str = ""
  apart: bool = False
  skip: bool = False
  family: str = "bilstm"

  def __post_init__(self):
    for name in ("vocab_size", "width", "layers", "positions"):
      if getattr(self, name) < 1:
        raise ValueError(
          f"encoder {name} is {getattr(self, name)}; give at least 1"
        )
    if not 0 <= self.hidden_dropout < 1:
      raise ValueError(
        f"encoder hidden_dropout is {self.hidden_dropout}; give 0 or more, "
        "below 1"
      )
    if self.skip and not 0 < self.words_width < self.width:
      raise ValueError(
        f"encoder words_width is {self.words_width}, and with skip it is a part"
        f" of the width {self.width}; give 1 to {self.width - 1}"
      )
    if self.both % 2:
      raise ValueError(
        f"encoder width {self.both} is not even, and a bilstm has two "
        f"directions of half of it each; try width {self.both + 1}"
      )

  def keep(self, kept: Sequence[int]) -> "BilstmConfig":
    """Returns the configuration of an encoder made of some of the layers."""
    return dataclasses.replace(self, layers=len(kept))

  @property
  def both(self) -> int:
    """What a layer makes of a token, in both directions together, 2H."""
    return self.width - (self.words_width if self.skip else 0)

  @property
  def read(self) -> int:
    """What the first layer reads of a token."""
    return self.words_width or self.both

  @property
  def init(self) -> nn.initializers.Initializer:
    """How the table and what layers read by are drawn."""
    return nn.initializers.truncated_normal(self.init_std)


class _Apart(nn.Module):
  """A dense layer for each direction, on what that direction has made."""

  config: BilstmConfig
  dtype: Any

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps dtype[..., 2H] to dtype[..., 8H], as the gates stand in it."""
    H = self.config.both // 2
    kernel = self.param("kernel", self.config.init, (H, 8 * H))
    bias = self.param("bias", open_cells, (8 * H,))
    ways = jnp.einsum(
      "...nh,hng->...ng",
      x.reshape(*x.shape[:-1], 2, H),
      kernel.astype(self.dtype).reshape(H, 2, 4 * H),
    )
    made = ways.reshape(*x.shape[:-1], 8 * H).astype(jnp.float32)
    return (made + bias).astype(self.dtype)


class _Layer(nn.Module):
  """One layer: both directions, each with an LSTM of its own.

  Attributes:
    number: of the layer. The first reads what is dropped from already; the
      last one gives the first token of a text the state in which the forward
      direction has read all of it, as the backward one has there.
  """

  config: BilstmConfig
  dtype: Any
  number: int

  @nn.compact
  def __call__(self, x, segments, positions, examples, train: bool):
    c, H = self.config, self.config.both // 2
    if self.number:
      x = Dropout(c.hidden_dropout)(x, examples, positions, train=train)
    if self.number and c.apart:
      read = _Apart(c, self.dtype, name="input")(x)
    else:
      read = Dense(
        8 * H,
        dtype=self.dtype,
        kernel_init=c.init,
        bias_init=open_cells,
        name="input",
      )(x)
    forward, backward = Directions(H, self.dtype, name="recurrent")(
      read, segments
    )
    if self.number + 1 == c.layers:
      forward = read_whole(forward, segments, positions)
    return jnp.concatenate([forward, backward], axis=-1)


class Bilstm(nn.Module):
  """An encoder without its pooler; hf/bilstm.py names its parameters.

  Attributes:
    config: the encoder's shape.
    dtype: what to compute in, such as jnp.float32 or jnp.bfloat16.
    remat: recompute each layer in the backward pass, as `bert.Bert` does.
    place: sharding of hidden states [B, S, D]; None = as the compiler likes.
  """

  config: BilstmConfig
  dtype: Any
  remat: bool
  place: jax.sharding.Sharding | None = None

  def setup(self):
    """Names the parameters."""
    c = self.config
    kind = LetterEmbeddings if c.filters else WordEmbeddings
    self.embeddings = kind(c, self.dtype)
    # `train` is a Python bool, not traced: argument 5 counting self.
    layer = nn.remat(_Layer, static_argnums=(5,)) if self.remat else _Layer
    for i in range(c.layers):
      setattr(self, f"layer_{i}", layer(c, self.dtype, i))

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
    """Encodes rows of packed examples, none of which knows of another.

    Args:
      tokens: i32[B, S].
      types: i32[B, S], not looked at.
      positions: i32[B, S], from 0 in every example, whose tokens lie side by
        side.
      segments: i32[B, S], 1 and up by example, 0 for padding.
      train: apply dropout; needs the rng "dropout" and `examples` then.
      examples: i32[B, S, 2], task and index of the example of each token.

    Returns:
      dtype[B, S, D], of the first token of an example what both directions
      made of all of it; finite but meaningless where segments is 0.
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
    """Returns what the first layer reads of each token, dtype[B, S, E]."""
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
    words = x
    for i in range(self.config.layers):
      layer = getattr(self, f"layer_{i}")
      x = layer(hold(x, self.place), segments, positions, examples, train)
    if self.config.skip:
      x = jnp.concatenate([x, words], axis=-1)
    return hold(x, self.place)


def between(
  config: BilstmConfig, words: Array, said: Array, batch: Mapping
) -> Array:
  """Returns what a layer before the last has said as if it were the last one.

  Args:
    config: of the encoder.
    words: [B, S, E], what the first layer reads.
    said: [B, S, 2H].
    batch: `segments` and `positions` i32[B, S], as the encoder reads them.
  """
  forward, backward = jnp.split(said, 2, axis=-1)
  whole = read_whole(forward, batch["segments"], batch["positions"])
  parts = [whole, backward, *[words] * config.skip]
  return jnp.concatenate(parts, axis=-1)


def sides(config: BilstmConfig, made: Array) -> tuple[Array, Array] | None:
  """Returns what has read up to each token, and down to it, [B, S, H + E] each.

  Not so of the first token of a text, which has all of it. Of a text's token
  itself either knows, so what the first layer reads, if it is a part of what
  comes out, is a part of both. None where layers read both directions.

  Args:
    config: of the encoder.
    made: [B, S, D] by it, or by a layer before its last; see `between`.
  """
  if config.layers > 1 and not config.apart:
    return None
  half = config.both // 2
  words = [made[..., config.both :]] * config.skip
  forward, backward = made[..., :half], made[..., half : config.both]
  both = ([forward, *words], [backward, *words])
  return tuple(jnp.concatenate(each, axis=-1) for each in both)


def multiplied(config: BilstmConfig, lengths: np.ndarray) -> np.ndarray:
  """Counts multiplications as `EncoderKind` says.

  Of each token and layer, with H of one direction: what it reads x 8H, which
  of layers apart are H, and H x 8H of what it carries; what is made of its
  letters; once an example the pooler's D x D.
  """
  half = config.both // 2
  later = half if config.apart else 2 * half
  layers = (config.read + (config.layers - 1) * later) * 8 * half
  carried = config.layers * 8 * half * half
  each = layers + carried + letters.multiplied(config)
  return lengths * each + config.width * config.width


def scratch(
  settings: Any, vocab_size: int, pad_id: int, positions: int
) -> BilstmConfig:
  """Returns the configuration of one that starts from random weights."""
  # What the first layer reads is as wide as the layers, unless it is said.
  words_width = settings.words_width
  if settings.skip and not words_width:
    words_width = settings.width
  return BilstmConfig(
    vocab_size=vocab_size,
    width=settings.width + (words_width if settings.skip else 0),
    layers=settings.layers,
    positions=positions,
    hidden_dropout=settings.dropout,
    init_std=settings.init_std,
    pad_id=pad_id,
    words_width=words_width,
    filters=settings.filters,
    apart=settings.directions == "apart",
    skip=settings.skip,
  )


def spelled(config: BilstmConfig, pieces: Sequence[str]) -> BilstmConfig:
  """Returns one that knows how its tokens are spelled, if it asks for it."""
  if not config.filters:
    return config
  # No line breaks but those between pieces.
  lines = "\n".join(" ".join(piece.split("\n")) for piece in pieces)
  return dataclasses.replace(config, pieces=lines)


def configured(config: BilstmConfig, run: Any) -> BilstmConfig:
  """Returns the encoder as a run asks for it.

  Raises:
    ValueError: the run says something of attention, of which it has none, or
      matches hidden states that are not all of one width.
  """
  for key, none in (("attention", "einsum"), ("attention_dropout", -1)):
    if (got := run[key]) != none:
      raise ValueError(
        f"{key} is {got!r}, and a bilstm has no attention; leave it out: "
        f"--config.{key}={none}"
      )
  if run.teacher.hidden_weight and config.read != config.width:
    raise ValueError(
      f"teacher.hidden_weight is {run.teacher.hidden_weight:g}, which matches"
      f" layers of one width, and those of this bilstm are {config.read} and"
      f" {config.width} wide; leave it out: --config.teacher.hidden_weight=0.0"
    )
  return config
