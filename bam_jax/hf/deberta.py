"""What DeBERTa-v3 calls its settings and tensors; its `model_type` is v2's.

Versions 2 and 3 are one class in transformers with switches between them. Where
a switch is left out it means version 2, which is not computed here.
"""

from collections.abc import Mapping
import reprlib
from typing import Any

from bam_jax.hf.family import Family, Raw, typed
from bam_jax.models.deberta import DebertaConfig

# The switches of version 3, and what it means to leave them out.
_SWITCHES: Mapping[str, tuple[Any, Any]] = {
  "relative_attention": (True, False),
  "position_biased_input": (False, True),
  "share_att_key": (True, False),
  "norm_rel_ebd": ("layer_norm", "none"),
}
_ATTENTION = "p2c|c2p"
# No table of distances is longer.
_MOST = 1 << 15


def _read_distances(raw: Raw, layers: int) -> dict[str, Any]:
  """Returns the buckets and their distances, where all else is version 3's."""
  del layers
  for key, (wanted, absent) in _SWITCHES.items():
    if (got := raw.get(key, absent)) != wanted:
      there = f"says {key} {reprlib.repr(got)}"
      raise ValueError(
        f"{there if key in raw else f'lacks {key}'}; of this family only "
        f"DeBERTa-v3 is computed, whose {key} is {wanted!r}: give a directory "
        "of one"
      )
  kinds = raw.get("pos_att_type")
  parts = kinds.lower().split("|") if isinstance(kinds, str) else kinds
  known = isinstance(parts, list) and all(isinstance(x, str) for x in parts)
  if not known or sorted(x.strip() for x in parts) != ["c2p", "p2c"]:
    raise ValueError(
      f"says pos_att_type {reprlib.repr(kinds)}, and only {_ATTENTION!r} is "
      "computed, as in DeBERTa-v3; give a directory of one"
    )
  buckets = raw.get("position_buckets", -1)
  if type(buckets) is not int or not 2 <= buckets <= _MOST:
    raise ValueError(
      f"says position_buckets {reprlib.repr(buckets)}; it is a whole number "
      f"from 2 to {_MOST}, 256 in DeBERTa-v3"
    )
  width = typed(raw, "hidden_size", 1536)
  heads = typed(raw, "num_attention_heads", 24) or 1
  for key, usual in (
    ("embedding_size", width),
    ("pooler_hidden_size", width),
    ("attention_head_size", width // heads),
  ):
    if (got := typed(raw, key, usual)) != usual:
      raise ValueError(
        f"says {key} {got}; only {usual} is computed, as hidden_size says"
      )
  distances = raw.get("max_relative_positions", -1)
  if type(distances) is not int or not -1 <= distances <= _MOST:
    raise ValueError(
      f"says max_relative_positions {reprlib.repr(distances)}; it is a whole "
      f"number up to {_MOST}, or -1 for max_position_embeddings"
    )
  positions = typed(raw, "max_position_embeddings", 512)
  return {
    "buckets": buckets,
    "distances": distances if distances > 0 else positions,
  }


def _write_distances(config: DebertaConfig) -> dict[str, Any]:
  """Returns the keys that `_read_distances` reads."""
  usual = config.distances == config.positions
  return {
    **{key: wanted for key, (wanted, _) in _SWITCHES.items()},
    "pos_att_type": _ATTENTION,
    "position_buckets": config.buckets,
    "max_relative_positions": -1 if usual else config.distances,
  }


DEBERTA = Family(
  name="deberta-v2",
  model="DebertaV2Model",
  prefix="deberta.",
  encoder="deberta",
  modules=(
    ("deberta/embeddings/word", "embeddings.word_embeddings", "table"),
    ("deberta/embeddings/norm", "embeddings.LayerNorm", "norm"),
    ("deberta/embeddings/relative", "encoder.rel_embeddings", "table"),
    ("deberta/embeddings/relative_norm", "encoder.LayerNorm", "norm"),
    *(
      (f"deberta/layer_{{i}}/{ours}", f"encoder.layer.{{i}}.{theirs}", kind)
      for ours, theirs, kind in (
        ("query", "attention.self.query_proj", "dense"),
        ("key", "attention.self.key_proj", "dense"),
        ("value", "attention.self.value_proj", "dense"),
        ("out", "attention.output.dense", "dense"),
        ("attention_norm", "attention.output.LayerNorm", "norm"),
        ("up", "intermediate.dense", "dense"),
        ("down", "output.dense", "dense"),
        ("mlp_norm", "output.LayerNorm", "norm"),
      )
    ),
    # Only in files of models fine-tuned on whole sentences.
    ("pooler", "pooler.dense", "dense"),
  ),
  dropped=(
    r"embeddings\.position_ids",
    # For the heads of pre-training alone, which are left out too.
    r"embeddings\.position_embeddings\.weight",
    r"(cls|lm_predictions|mask_predictions)\..*",
    r"(classifier|qa_outputs)\..*",
  ),
  fields=(
    ("vocab_size", "vocab_size", 128100),
    ("width", "hidden_size", 1536),
    ("layers", "num_hidden_layers", 24),
    ("heads", "num_attention_heads", 24),
    ("mlp", "intermediate_size", 6144),
    ("positions", "max_position_embeddings", 512),
    ("layer_norm_eps", "layer_norm_eps", 1e-7),
    ("hidden_dropout", "hidden_dropout_prob", 0.1),
    ("attention_dropout", "attention_probs_dropout_prob", 0.1),
    ("init_std", "initializer_range", 0.02),
    ("pad_id", "pad_token_id", 0),
  ),
  fixed={
    "hidden_act": ("gelu", "gelu_python"),
    "type_vocab_size": (0,),
    "conv_kernel_size": (0,),
    "pooler_hidden_act": ("gelu", "gelu_python"),
    "pooler_dropout": (0,),
  },
  facts={},
  read_layers=_read_distances,
  write_layers=_write_distances,
)
