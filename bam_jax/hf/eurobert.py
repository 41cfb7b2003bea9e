"""What EuroBERT calls its settings and tensors."""

import reprlib
from typing import Any

from bam_jax.hf.family import Family, Raw, typed
from bam_jax.models.eurobert import EuroBertConfig


def _read_heads(raw: Raw, layers: int) -> dict[str, Any]:
  """Returns the heads of keys, the width of one and the base of positions."""
  del layers
  heads = typed(raw, "num_attention_heads", 12)
  width = typed(raw, "hidden_size", 768)
  rope = raw.get("rope_parameters") or {}
  if not isinstance(rope, dict):
    raise ValueError(f"says rope_parameters {reprlib.repr(rope)}; mend it")
  scaled = raw.get("rope_scaling") or rope.get("rope_type", "default")
  if scaled != "default":
    raise ValueError(
      f"says that rotary positions are scaled ({reprlib.repr(scaled)}); only "
      "plain ones can be read"
    )
  theta = float(typed(raw, "rope_theta", 10_000.0))
  theta = float(typed(rope, "rope_theta", theta))
  if not theta:
    raise ValueError("says rope_theta 0; it has to be above")
  return {
    "groups": typed(raw, "num_key_value_heads", heads),
    "head_width": typed(raw, "head_dim", width // max(heads, 1)),
    "theta": theta,
  }


def _write_heads(config: EuroBertConfig) -> dict[str, Any]:
  """Returns the keys that `_read_heads` reads, in the old way too."""
  return {
    "num_key_value_heads": config.groups,
    "head_dim": config.head_width,
    "rope_parameters": {"rope_type": "default", "rope_theta": config.theta},
    "rope_theta": config.theta,
  }


EUROBERT = Family(
  name="eurobert",
  model="EuroBertModel",
  prefix="model.",
  encoder="eurobert",
  modules=(
    ("eurobert/embeddings/word", "embed_tokens", "table"),
    *(
      (f"eurobert/layer_{{i}}/{ours}", f"layers.{{i}}.{theirs}", kind)
      for ours, theirs, kind in (
        ("attention_norm", "input_layernorm", "norm"),
        ("query", "self_attn.q_proj", "dense"),
        ("key", "self_attn.k_proj", "dense"),
        ("value", "self_attn.v_proj", "dense"),
        ("out", "self_attn.o_proj", "dense"),
        ("mlp_norm", "post_attention_layernorm", "norm"),
        # What goes through the activation, and what it is multiplied by.
        ("up", "mlp.gate_proj", "dense"),
        ("gate", "mlp.up_proj", "dense"),
        ("down", "mlp.down_proj", "dense"),
      )
    ),
    ("eurobert/norm", "norm", "norm"),
    # Only in files of models fine-tuned on whole sentences.
    ("pooler", "dense", "dense"),
  ),
  dropped=(
    r"(.*\.)?rotary_emb\.inv_freq",
    r"(lm_head|classifier)\..*",
  ),
  fields=(
    ("vocab_size", "vocab_size", 128256),
    ("width", "hidden_size", 768),
    ("layers", "num_hidden_layers", 12),
    ("heads", "num_attention_heads", 12),
    ("mlp", "intermediate_size", 3072),
    ("positions", "max_position_embeddings", 8192),
    ("norm_eps", "rms_norm_eps", 1e-5),
    ("attention_bias", "attention_bias", False),
    ("mlp_bias", "mlp_bias", False),
    # The published files have it; transformers' class has none.
    ("hidden_dropout", "hidden_dropout", 0.0),
    ("attention_dropout", "attention_dropout", 0.0),
    ("init_std", "initializer_range", 0.02),
    ("pad_id", "pad_token_id", 128001),
  ),
  fixed={"hidden_act": ("silu", "swish"), "is_decoder": (False,)},
  facts={},
  read_layers=_read_heads,
  write_layers=_write_heads,
)
