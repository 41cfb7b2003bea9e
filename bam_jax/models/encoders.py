"""Encoders: all that differs from one architecture to another, one row each.

Whoever has the configuration of an encoder has its row, `of(config)`, and
need not know which one it is.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
from typing import Any, ClassVar, Protocol

import flax.linen as nn
import jax
import numpy as np

from bam_jax.models import bilstm, deberta, eurobert, pooler
from bam_jax.models.attention import pairs
from bam_jax.models.bert import Bert, BertConfig, Pooler
from bam_jax.models.masked import Drawn

# The names of a parameter's axes: "width" and "inner" of a kernel, "table" of
# a row that is looked up; None is never split. What they are split over, and
# whether, is no matter of an encoder (training/sharding.py).
Axes = tuple[str | None, ...]


class EncoderConfig(Protocol):
  """What the configuration of every encoder says.

  Attributes:
    kind: the encoder's row, which is also the name of its parameters.
    vocab_size: V.
    width: D, of what it makes of every token.
    layers: L.
    positions: the longest example that it can read, in tokens.
    types: how many types of sentences it tells apart; 0 = none.
  """

  kind: ClassVar[str]
  vocab_size: int
  width: int
  layers: int
  positions: int
  types: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderKind:
  """One architecture.

  Attributes:
    module: (config, dtype, remat, place) -> a module with `embed` and `encode`
      as `bert.Bert` has them, and both in one when it is called.
    pooler: (config, dtype) -> a module of [CLS], dtype[..., D] both ways.
    depth: (names of a parameter below the encoder's own, L) -> how deep it
      lies: 0 for embeddings, i + 1 for layer i; None = no such parameter.
    axes: the end of a parameter's path, a pattern -> the names of its axes.
    multiplied: (config, lengths i64[N]) -> multiplications of one forward pass
      over each example, pooler included: i64[N].
    config: the class of its configurations, where files are read into them.
    scratch: (config.scratch, V, pad_id, positions) -> the configuration of the
      encoder that starts from random weights; None = it cannot.
    configured: (config, the run's whole config) -> what the run trains.
    attends: whether its layers show what they attend by; see hidden.py.
    adapts: whether its `encode` takes adapters; see adapters.py.
    any_length: whether one program of it can read rows of any length.
    embedded: (config) -> E, how wide what the first layer reads is.
    between: (config, what the first layer reads, what a layer before the last
      says, batch as it is read) -> the latter as if it were the last one's.
    sides: (config, what it has made, [B, S, D]) -> what has read up to each
      token and down to it, or None where it is not known apart; see
      `bilstm.sides`.
    spelled: (config, how tokens are spelled, by their ids) -> the configuration
      of one that is to read them, which may look at their letters.
    masked: (config) -> of the head for masked tokens, what its norm adds to the
      variance, and whether its dense layer and its norm have biases; None = it
      has no such head.
  """

  module: Callable[..., nn.Module]
  pooler: Callable[..., nn.Module]
  depth: Callable[[Sequence[str], int], int | None]
  axes: Mapping[str, Axes]
  multiplied: Callable[[Any, np.ndarray], np.ndarray]
  config: type | None = None
  scratch: Callable[[Any, int, int, int], EncoderConfig] | None = None
  configured: Callable[[Any, Any], EncoderConfig] = lambda config, run: config
  attends: bool = False
  adapts: bool = False
  any_length: bool = True
  embedded: Callable[[Any], int] = lambda config: config.width
  between: Callable[[Any, jax.Array, jax.Array, Mapping], jax.Array] = (
    lambda config, words, said, batch: said
  )
  sides: Callable[[Any, Any], tuple[jax.Array, jax.Array] | None] = (
    lambda config, made: None
  )
  spelled: Callable[[Any, Sequence[str]], EncoderConfig] = (
    lambda config, pieces: config
  )
  masked: Callable[[Any], tuple[float, bool, bool]] | None = None


def bert_depth(names: Sequence[str], layers: int) -> int | None:
  """Says how deep a parameter of BERT and its kin lies; see `EncoderKind`.

  A norm behind the last layer goes with that layer.
  """
  match names:
    case ["embeddings", _, *_]:
      return 0
    case [layer, _, *_] if layer.startswith("layer_"):
      number = layer.removeprefix("layer_")
      if number.isdecimal() and int(number) < layers:
        return int(number) + 1
    case ["norm", _]:
      return layers
  return None


def bert_multiplied(config: BertConfig, lengths: np.ndarray) -> np.ndarray:
  """Counts the multiplications of BERT and its kin; see `EncoderKind`."""
  width = config.width
  projections = 4 * width * width
  feed_forward = (2 + config.gated) * width * config.mlp
  weights = config.layers * (projections + feed_forward)
  if config.embedding_width not in (0, width):
    weights += config.embedding_width * width
  reaches = config.reaches or (0,) * config.layers
  # Queries with keys, and probabilities with values.
  attention = 2 * width * sum(pairs(lengths, reach) for reach in reaches)
  return lengths * weights + attention + width * width


def bert_scratch(
  settings: Any, vocab_size: int, pad_id: int, positions: int
) -> BertConfig:
  """Returns the configuration of a BERT that starts from random weights."""
  return BertConfig(
    vocab_size=vocab_size,
    width=settings.width,
    layers=settings.layers,
    heads=settings.heads,
    mlp=settings.mlp,
    positions=positions,
    types=2,
    layer_norm_eps=1e-12,
    hidden_dropout=settings.dropout,
    attention_dropout=settings.dropout,
    init_std=settings.init_std,
    pad_id=pad_id,
  )


def bert_configured(config: Any, run: Any) -> Any:
  """Returns an encoder with the kernel and the dropout that a run asks for."""
  own = run.attention_dropout == -1
  return dataclasses.replace(
    config,
    attention=run.attention,
    attention_dropout=(config if own else run).attention_dropout,
  )


ENCODERS: dict[str, EncoderKind] = {
  # RoBERTa, ELECTRA, DistilBERT and ModernBERT are BERTs of other settings
  # (bert.py) and other files (hf/families.py).
  "bert": EncoderKind(
    module=Bert,
    pooler=Pooler,
    depth=bert_depth,
    axes={
      "embeddings/(word|position|type)/embedding": (None, "table"),
      "(query|key|value|up|gate|project)/kernel": ("width", "inner"),
      "(query|key|value|up|gate|project)/bias": ("inner",),
      "(out|down)/kernel": ("inner", "width"),
      "(out|down)/bias": (),
      "(norm|attention_norm|mlp_norm)/(scale|bias)": (),
      "pooler/kernel": ("width", "inner"),
      "pooler/bias": ("inner",),
    },
    multiplied=bert_multiplied,
    config=BertConfig,
    scratch=bert_scratch,
    configured=bert_configured,
    attends=True,
    adapts=True,
    # ModernBERT's is its pooler too.
    masked=lambda config: (
      config.layer_norm_eps,
      config.pooler_bias,
      config.norm_bias,
    ),
  ),
  "deberta": EncoderKind(
    module=deberta.Deberta,
    pooler=pooler.Pooler,
    depth=bert_depth,
    axes={
      "embeddings/(word|relative)/embedding": (None, "table"),
      "(query|key|value|up)/kernel": ("width", "inner"),
      "(query|key|value|up)/bias": ("inner",),
      "(out|down)/kernel": ("inner", "width"),
      "(out|down)/bias": (),
      "(norm|relative_norm|attention_norm|mlp_norm)/(scale|bias)": (),
      "pooler/kernel": ("width", "inner"),
      "pooler/bias": ("inner",),
    },
    multiplied=deberta.multiplied,
    config=deberta.DebertaConfig,
    scratch=deberta.scratch,
    configured=deberta.configured,
    attends=True,
    # Which distances there are is known before any number is.
    any_length=False,
    masked=lambda config: (config.layer_norm_eps, True, True),
  ),
  "bilstm": EncoderKind(
    module=bilstm.Bilstm,
    pooler=functools.partial(pooler.Pooler, activation="tanh"),
    depth=bert_depth,
    axes={
      "embeddings/word/embedding": (None, "table"),
      # Letters are few, and so are the numbers of a filter.
      "embeddings/letter/embedding": (),
      "embeddings/filters_[0-9]/kernel": (None, None, "inner"),
      "embeddings/filters_[0-9]/bias": ("inner",),
      "gates/kernel": ("width", "inner"),
      "gates/bias": ("inner",),
      "project/kernel": ("inner", "width"),
      "project/bias": (),
      "input/kernel": ("width", "inner"),
      "input/bias": ("inner",),
      "recurrent/kernel": (None, "inner"),
      "pooler/kernel": ("width", "inner"),
      "pooler/bias": ("inner",),
    },
    multiplied=bilstm.multiplied,
    config=bilstm.BilstmConfig,
    scratch=bilstm.scratch,
    configured=bilstm.configured,
    embedded=lambda config: config.read,
    between=bilstm.between,
    sides=bilstm.sides,
    spelled=bilstm.spelled,
  ),
  "eurobert": EncoderKind(
    module=eurobert.EuroBert,
    pooler=pooler.Pooler,
    depth=bert_depth,
    axes={
      "embeddings/word/embedding": (None, "table"),
      "(query|key|value|up|gate)/kernel": ("width", "inner"),
      "(query|key|value|up|gate)/bias": ("inner",),
      "(out|down)/kernel": ("inner", "width"),
      "(out|down)/bias": (),
      "(norm|attention_norm|mlp_norm)/scale": (),
      "pooler/kernel": ("width", "inner"),
      "pooler/bias": ("inner",),
    },
    multiplied=eurobert.multiplied,
    config=eurobert.EuroBertConfig,
    scratch=eurobert.scratch,
    configured=bert_configured,
    attends=True,
  ),
}


def of(config: EncoderConfig) -> EncoderKind:
  """Returns the row of an encoder."""
  return ENCODERS[config.kind]


def side(config: EncoderConfig) -> int:
  """Returns how wide what has read one side of a token is; 0 = nothing has."""
  found = of(config).sides(config, np.zeros((1, 1, config.width)))
  return 0 if found is None else found[0].shape[-1]


def mixed(config: EncoderConfig) -> int:
  """Returns how many layers a mixture is of; see `layers`."""
  return config.layers + (of(config).embedded(config) == config.width)


def layers(
  config: EncoderConfig,
  seen: Sequence[jax.Array],
  last: jax.Array,
  batch: Mapping,
) -> tuple[jax.Array, ...]:
  """Returns the layers of an encoder, [B, S, D] each, the last one last.

  What the first layer reads is one of them where it is as wide as they are.

  Args:
    config: of the encoder.
    seen: what went from layer to layer, see `hidden.Watch`.
    last: what the encoder has made.
    batch: as it was read.
  """
  kind, words = of(config), seen[0]
  between = (
    kind.between(config, words, said, batch) for said in seen[1 : config.layers]
  )
  first = (words,) * (mixed(config) - config.layers)
  return (*first, *between, last)


def drawn(config: Any, vectors: Any, table: Any) -> Drawn:
  """Returns what the head for masked tokens reads of an encoder.

  Args:
    config: of the encoder.
    vectors: [B, P, D] of the masked tokens.
    table: f32[V, E] of words.
  """
  epsilon, dense_bias, norm_bias = of(config).masked(config)
  return Drawn(
    vectors,
    table,
    epsilon,
    dense_bias=dense_bias,
    norm_bias=norm_bias,
    init_std=config.init_std,
  )
