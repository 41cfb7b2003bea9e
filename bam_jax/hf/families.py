"""What each family of encoders calls its settings and tensors, as data.

One `Family` holds all that tells one from another on disk; what it computes
otherwise than others becomes fields of its configuration. Every table serves
both ways, from a Hugging Face directory and back.
"""

import dataclasses
import reprlib
from typing import Any

from bam_jax.hf.bilstm import BILSTM
from bam_jax.hf.deberta import DEBERTA
from bam_jax.hf.eurobert import EUROBERT
from bam_jax.hf.family import Family, Fields, Raw, typed
from bam_jax.models.bert import BertConfig


def _defaults(fields: Fields, **others: Any) -> Fields:
  """Returns fields with other values where the key is absent."""
  return tuple((f, key, others.get(f, default)) for f, key, default in fields)


# --- BERT, and what has its tensors

_BERT_MODULES = (
  ("bert/embeddings/word", "embeddings.word_embeddings", "table"),
  ("bert/embeddings/position", "embeddings.position_embeddings", "table"),
  ("bert/embeddings/type", "embeddings.token_type_embeddings", "table"),
  ("bert/embeddings/norm", "embeddings.LayerNorm", "norm"),
  ("bert/layer_{i}/query", "encoder.layer.{i}.attention.self.query", "dense"),
  ("bert/layer_{i}/key", "encoder.layer.{i}.attention.self.key", "dense"),
  ("bert/layer_{i}/value", "encoder.layer.{i}.attention.self.value", "dense"),
  ("bert/layer_{i}/out", "encoder.layer.{i}.attention.output.dense", "dense"),
  (
    "bert/layer_{i}/attention_norm",
    "encoder.layer.{i}.attention.output.LayerNorm",
    "norm",
  ),
  ("bert/layer_{i}/up", "encoder.layer.{i}.intermediate.dense", "dense"),
  ("bert/layer_{i}/down", "encoder.layer.{i}.output.dense", "dense"),
  ("bert/layer_{i}/mlp_norm", "encoder.layer.{i}.output.LayerNorm", "norm"),
)
_BERT_FIELDS = (
  ("vocab_size", "vocab_size", 30522),
  ("width", "hidden_size", 768),
  ("layers", "num_hidden_layers", 12),
  ("heads", "num_attention_heads", 12),
  ("mlp", "intermediate_size", 3072),
  ("positions", "max_position_embeddings", 512),
  ("types", "type_vocab_size", 2),
  ("layer_norm_eps", "layer_norm_eps", 1e-12),
  ("hidden_dropout", "hidden_dropout_prob", 0.1),
  ("attention_dropout", "attention_probs_dropout_prob", 0.1),
  ("init_std", "initializer_range", 0.02),
  ("pad_id", "pad_token_id", 0),
)
_BERT_FIXED = {
  "hidden_act": ("gelu", "gelu_python"),
  "position_embedding_type": ("absolute",),
  "is_decoder": (False,),
  "add_cross_attention": (False,),
}
# 0, 1, 2 ..., written by older versions.
_POSITION_IDS = r"embeddings\.position_ids"

BERT = Family(
  name="bert",
  model="BertModel",
  prefix="bert.",
  modules=(*_BERT_MODULES, ("pooler", "pooler.dense", "dense")),
  dropped=(
    _POSITION_IDS,
    r"cls\..*",  # the masked word and next sentence heads of pre-training
    r"(classifier|qa_outputs)\..*",  # the head of a task it was fine-tuned on
  ),
  fields=_BERT_FIELDS,
  fixed=_BERT_FIXED,
  facts={},
)

# A pooler is in RoBERTa's files though no pre-training used it: it is taken
# as any start of a dense layer, and written because RobertaModel asks for it.
ROBERTA = Family(
  name="roberta",
  model="RobertaModel",
  prefix="roberta.",
  modules=(*_BERT_MODULES, ("pooler", "pooler.dense", "dense")),
  dropped=(
    _POSITION_IDS,
    r"lm_head\..*",
    r"(classifier|qa_outputs)\..*",
  ),
  fields=_defaults(_BERT_FIELDS, vocab_size=50265, pad_id=1),
  fixed=_BERT_FIXED,
  facts={},
  padded=True,
)

# RoBERTa's tensors; only the vocabulary and the default sizes are others.
XLM_ROBERTA = dataclasses.replace(
  ROBERTA,
  name="xlm-roberta",
  model="XLMRobertaModel",
  fields=_defaults(_BERT_FIELDS, pad_id=1),
)
CAMEMBERT = dataclasses.replace(
  ROBERTA,
  name="camembert",
  model="CamembertModel",
  fields=_defaults(_BERT_FIELDS, pad_id=1),
)

ELECTRA = Family(
  name="electra",
  model="ElectraModel",
  prefix="electra.",
  modules=(
    *_BERT_MODULES,
    ("bert/embeddings/project", "embeddings_project", "dense"),
    # Only in files of models fine-tuned on whole sentences.
    ("pooler", "classifier.dense", "dense"),
  ),
  dropped=(
    _POSITION_IDS,
    r"(discriminator|generator)_(predictions|lm_head)\..*",
    r"classifier\.(out_proj\.)?(weight|bias)",
    r"(qa_outputs|sequence_summary)\..*",
  ),
  fields=(
    ("embedding_width", "embedding_size", 128),
    *_defaults(_BERT_FIELDS, width=256, heads=4, mlp=1024),
  ),
  fixed=_BERT_FIXED,
  facts={"pooler_activation": "gelu"},
)

# --- DistilBERT: BERT without sentence types, under other names

DISTILBERT = Family(
  name="distilbert",
  model="DistilBertModel",
  prefix="distilbert.",
  modules=(
    ("bert/embeddings/word", "embeddings.word_embeddings", "table"),
    ("bert/embeddings/position", "embeddings.position_embeddings", "table"),
    ("bert/embeddings/norm", "embeddings.LayerNorm", "norm"),
    *(
      (f"bert/layer_{{i}}/{ours}", f"transformer.layer.{{i}}.{theirs}", kind)
      for ours, theirs, kind in (
        ("query", "attention.q_lin", "dense"),
        ("key", "attention.k_lin", "dense"),
        ("value", "attention.v_lin", "dense"),
        ("out", "attention.out_lin", "dense"),
        ("attention_norm", "sa_layer_norm", "norm"),
        ("up", "ffn.lin1", "dense"),
        ("down", "ffn.lin2", "dense"),
        ("mlp_norm", "output_layer_norm", "norm"),
      )
    ),
    ("pooler", "pre_classifier", "dense"),
  ),
  dropped=(
    _POSITION_IDS,
    r"vocab_(transform|layer_norm|projector)\..*",
    r"(classifier|qa_outputs)\..*",
  ),
  fields=(
    ("vocab_size", "vocab_size", 30522),
    ("width", "dim", 768),
    ("layers", "n_layers", 6),
    ("heads", "n_heads", 12),
    ("mlp", "hidden_dim", 3072),
    ("positions", "max_position_embeddings", 512),
    ("hidden_dropout", "dropout", 0.1),
    ("attention_dropout", "attention_dropout", 0.1),
    ("init_std", "initializer_range", 0.02),
    ("pad_id", "pad_token_id", 0),
  ),
  # Sinusoids lie in the file like any other table.
  fixed={"activation": ("gelu",), "sinusoidal_pos_embds": (False, True)},
  facts={"types": 0, "layer_norm_eps": 1e-12, "pooler_activation": "relu"},
)

# --- ModernBERT: norms first, gated, rotary positions, most layers local

_GLOBAL, _LOCAL = "full_attention", "sliding_attention"
_THETAS = {
  _GLOBAL: ("global_rope_theta", 160_000.0),
  _LOCAL: ("local_rope_theta", 10_000.0),
}


def _read_alternation(raw: Raw, layers: int) -> dict[str, Any]:
  """Returns each layer's base and reach, from the old keys or the new ones."""
  if layers > 10_000:  # before lists of so many are made
    raise ValueError(f"says num_hidden_layers {layers}; that is too many")
  every = typed(raw, "global_attn_every_n_layers", 3)
  window = typed(raw, "local_attention", 128)
  if every < 1 or window < 2:
    raise ValueError(
      f"says global_attn_every_n_layers {every} and local_attention {window}; "
      "give at least 1 and 2"
    )
  kinds = raw.get("layer_types") or [
    _LOCAL if i % every else _GLOBAL for i in range(layers)
  ]
  known = isinstance(kinds, list) and all(k in tuple(_THETAS) for k in kinds)
  if not known or len(kinds) != layers:
    raise ValueError(
      f"says layer_types {reprlib.repr(kinds)}; give {layers} words, each "
      f"{_GLOBAL} or {_LOCAL}"
    )
  rope = raw.get("rope_parameters") or {}
  thetas = {}
  for kind, (key, default) in _THETAS.items():
    own = isinstance(rope, dict) and (rope.get(kind) or {})
    if not isinstance(own, dict):
      raise ValueError(f"says rope_parameters {reprlib.repr(rope)}; mend it")
    scaled = raw.get("rope_scaling") or own.get("rope_type", "default")
    if scaled != "default":
      raise ValueError(
        f"says that rotary positions are scaled ({reprlib.repr(scaled)}); only "
        "plain ones can be read"
      )
    theta = float(typed(raw, key, default))
    thetas[kind] = float(typed(own, "rope_theta", theta))
    if not thetas[kind]:
      raise ValueError("says rope_theta 0; it has to be above")
  return {
    "thetas": tuple(thetas[kind] for kind in kinds),
    "reaches": tuple(window // 2 if kind == _LOCAL else 0 for kind in kinds),
  }


def _write_alternation(config: BertConfig) -> dict[str, Any]:
  """Returns the new keys, and the old ones for readers that know no others."""
  kinds = [_LOCAL if reach else _GLOBAL for reach in config.reaches]
  thetas = {kind: default for kind, (_, default) in _THETAS.items()}
  thetas |= dict(zip(kinds, config.thetas, strict=True))
  reach = max(config.reaches)
  return {
    "layer_types": kinds,
    "rope_parameters": {
      kind: {"rope_type": "default", "rope_theta": theta}
      for kind, theta in thetas.items()
    },
    **{key: thetas[kind] for kind, (key, _) in _THETAS.items()},
    "global_attn_every_n_layers": [*kinds[1:], _GLOBAL].index(_GLOBAL) + 1,
    **({"local_attention": 2 * reach} if reach else {}),
  }


MODERNBERT = Family(
  name="modernbert",
  model="ModernBertModel",
  prefix="model.",
  modules=(
    ("bert/embeddings/word", "embeddings.tok_embeddings", "table"),
    ("bert/embeddings/norm", "embeddings.norm", "norm"),
    *(
      (f"bert/layer_{{i}}/{ours}", f"layers.{{i}}.{theirs}", kind)
      for ours, theirs, kind in (
        ("attention_norm", "attn_norm", "norm"),
        ("query+key+value", "attn.Wqkv", "dense"),
        ("out", "attn.Wo", "dense"),
        ("mlp_norm", "mlp_norm", "norm"),
        ("up+gate", "mlp.Wi", "dense"),
        ("down", "mlp.Wo", "dense"),
      )
    ),
    ("bert/norm", "final_norm", "norm"),
    # Pre-trained under the head for masked words, as its authors use it.
    ("pooler", "head.dense", "dense"),
    ("pooler/norm", "head.norm", "norm"),
  ),
  dropped=(r"(decoder|classifier)\..*",),
  fields=(
    ("vocab_size", "vocab_size", 50368),
    ("width", "hidden_size", 768),
    ("layers", "num_hidden_layers", 22),
    ("heads", "num_attention_heads", 12),
    ("mlp", "intermediate_size", 1152),
    ("positions", "max_position_embeddings", 8192),
    ("layer_norm_eps", "norm_eps", 1e-5),
    ("hidden_dropout", "embedding_dropout", 0.0),
    ("hidden_dropout", "mlp_dropout", 0.0),
    ("attention_dropout", "attention_dropout", 0.0),
    ("init_std", "initializer_range", 0.02),
    ("pad_id", "pad_token_id", 50283),
    ("norm_bias", "norm_bias", False),
    ("attention_bias", "attention_bias", False),
    ("mlp_bias", "mlp_bias", False),
    ("pooler_bias", "classifier_bias", False),
  ),
  fixed={"hidden_activation": ("gelu",), "classifier_activation": ("gelu",)},
  facts={
    "types": 0,
    "pre_norm": True,
    "gated": True,
    "pooler_activation": "gelu",
    "pooler_norm": True,
  },
  read_layers=_read_alternation,
  write_layers=_write_alternation,
)

FAMILIES = {
  family.name: family
  for family in (
    BERT,
    ROBERTA,
    XLM_ROBERTA,
    CAMEMBERT,
    ELECTRA,
    DISTILBERT,
    MODERNBERT,
    DEBERTA,
    BILSTM,
    EUROBERT,
  )
}
# Those that transformers reads.
PUBLISHED = tuple(name for name, each in FAMILIES.items() if each.model)
