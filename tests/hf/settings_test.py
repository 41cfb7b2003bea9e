"""What config.json says of each family: read, defaulted, refused."""

import json

import pytest
import transformers

from bam_jax.hf import directory as hf
from bam_jax.hf import families
from bam_jax.models import encoders
from tests.hf.families_test import V3


@pytest.mark.parametrize("name", families.PUBLISHED)
def test_absent_config_keys_mean_what_they_mean_to_transformers(name):
  theirs = transformers.AutoConfig.for_model(name)
  family = families.FAMILIES[name]
  own = {key for _, key, _ in family.fields if not hasattr(theirs, key)}
  assert own == ({"hidden_dropout"} if name == "eurobert" else set())
  for _, key, default in family.fields:
    assert getattr(theirs, key, default) == default, key
  # Left out, version 3's switches mean version 2, which is refused.
  values = hf._parse({"model_type": name} | V3 | {"position_buckets": 256})
  config = encoders.ENCODERS[family.encoder].config(**values)
  if name == "modernbert":
    rope = theirs.rope_parameters
    assert config.thetas == tuple(
      rope[kind]["rope_theta"] for kind in theirs.layer_types
    )
    assert [bool(reach) for reach in config.reaches] == [
      kind == "sliding_attention" for kind in theirs.layer_types
    ]
    assert max(config.reaches) == theirs.sliding_window
  elif family.encoder == "bert":
    assert (config.thetas, config.reaches) == ((), ())
  elif family.encoder == "eurobert":
    assert config.groups == theirs.num_key_value_heads
    assert config.head_width == theirs.head_dim
    assert config.theta == theirs.rope_parameters["rope_theta"]
    assert config.hidden_dropout == 0
  else:
    assert (config.buckets, config.distances) == (256, config.positions)


# The least that says an encoder of each family.
LEAST = {
  "modernbert": dict(num_hidden_layers=3),
  "deberta-v2": V3 | {"position_buckets": 256},
  "eurobert": {},
}


def written(path, family="modernbert", **changes):
  raw = dict(model_type=family) | LEAST[family] | changes
  (path / "config.json").write_text(json.dumps(raw))
  return path / "config.json"


def test_modernberts_older_keys_mean_the_same(tmp_path):
  old = dict(
    global_attn_every_n_layers=2, global_rope_theta=7.0, local_rope_theta=3
  )
  config = hf.read_config(written(tmp_path, **old, local_attention=10))
  theirs = transformers.ModernBertConfig.from_pretrained(tmp_path)
  assert config.thetas == (7.0, 3.0, 7.0)
  assert config.reaches == (0, 5, 0)
  rope = theirs.rope_parameters
  assert [rope[kind]["rope_theta"] for kind in theirs.layer_types] == [7, 3, 7]
  assert families.MODERNBERT.write_layers(config).items() >= old.items()


@pytest.mark.parametrize(
  ("changes", "sentence"),
  [
    (dict(layer_types=["full_attention"]), "layer_types .*; give 3 words"),
    (dict(layer_types=[[], 1, "x"]), "layer_types .*; give 3 words"),
    (dict(layer_types=3), "layer_types 3; give 3 words"),
    (dict(rope_parameters=[1]), r"rope_parameters \[1\]; mend it"),
    (dict(rope_scaling={"type": "linear"}), "positions are scaled"),
    (
      dict(rope_parameters={"full_attention": {"rope_type": "yarn"}}),
      r"positions are scaled \('yarn'\)",
    ),
    (dict(global_rope_theta="x"), "global_rope_theta 'x'; it has to be a n"),
    (dict(local_rope_theta=0), "rope_theta 0; it has to be above"),
    (dict(local_attention=1), "local_attention 1; give at least 1 and 2"),
    (dict(num_hidden_layers=10**6), "1000000; that is too many"),
    (
      dict(embedding_dropout=0.1),
      r"mlp_dropout 0.0, but 0.1 for another hidden",
    ),
    (dict(norm_bias=1), "norm_bias 1; it has to be true or false"),
    (dict(hidden_size=36), "an odd number of columns.*try width 48"),
    (dict(classifier_activation="relu"), "classifier_activation 'relu'"),
  ],
)
def test_what_the_encoder_does_not_compute_is_refused(
  tmp_path, changes, sentence
):
  with pytest.raises(ValueError, match=rf"config\.json:? .*{sentence}"):
    hf.read_config(written(tmp_path, **changes))


@pytest.mark.parametrize(
  ("changes", "sentence"),
  [
    (dict(position_biased_input=None), "position_biased_input None; of this"),
    (dict(share_att_key=False), "share_att_key False; of this.*is True: give"),
    (dict(norm_rel_ebd="none"), "norm_rel_ebd 'none'; of this.*'layer_norm'"),
    (dict(pos_att_type="c2p"), r"pos_att_type 'c2p', and only 'p2c\|c2p' is"),
    (dict(pos_att_type=["c2p", 1]), r"pos_att_type \['c2p', 1\], and only"),
    (dict(position_buckets=-1), "position_buckets -1; it is a whole number fr"),
    (dict(position_buckets=True), "position_buckets True; it is a whole"),
    (dict(max_relative_positions="x"), "max_relative_positions 'x'; it is"),
    (dict(max_relative_positions=100), "distances is 100, and 256 buckets .*"),
    (
      dict(conv_kernel_size=3),
      "conv_kernel_size 3; .* with conv_kernel_size 0",
    ),
    (dict(type_vocab_size=2), "type_vocab_size 2; .* with type_vocab_size 0"),
    (dict(pooler_dropout=0.1), "pooler_dropout 0.1; .* with pooler_dropout 0"),
    (dict(embedding_size=9), "embedding_size 9; only 1536 is computed"),
    (dict(attention_head_size=9), "attention_head_size 9; only 64 is computed"),
    (dict(num_attention_heads=7), "width 1536 is not a multiple of its 7 head"),
  ],
)
def test_of_deberta_only_version_3_is_computed(tmp_path, changes, sentence):
  with pytest.raises(ValueError, match=rf"config\.json:? .*{sentence}"):
    hf.read_config(written(tmp_path, "deberta-v2", **changes))


def test_debertas_switches_say_version_2_where_they_are_left_out(tmp_path):
  for key in V3.keys() - {"pos_att_type"}:
    path = written(tmp_path, "deberta-v2")
    raw = json.loads(path.read_text())
    del raw[key]
    path.write_text(json.dumps(raw))
    with pytest.raises(ValueError, match=f"lacks {key}; of this family only"):
      hf.read_config(path)


@pytest.mark.parametrize(
  ("changes", "sentence"),
  [
    (dict(hidden_act="gelu"), "hidden_act 'gelu'; .* with hidden_act 'silu' "),
    (dict(is_decoder=True), "is_decoder True; .* with is_decoder False"),
    (dict(rope_parameters=[1]), r"rope_parameters \[1\]; mend it"),
    (dict(rope_scaling={"factor": 8.0}), "positions are scaled"),
    (
      dict(rope_parameters={"rope_type": "llama3"}),
      r"positions are scaled \('llama3'\)",
    ),
    (dict(rope_theta=0), "rope_theta 0; it has to be above"),
    (dict(num_key_value_heads=5), "12 heads of queries and 5 of keys; give"),
    (dict(num_key_value_heads=0), "12 heads of queries and 0 of keys; give"),
    (dict(head_dim=33), "head width is 33; give an even number"),
    (dict(hidden_size=770), "width 770 is not a multiple of its 12 heads"),
    (dict(num_attention_heads=0), "heads is 0; give at least 1"),
    (dict(attention_bias="yes"), "attention_bias 'yes'; it has to be true or"),
  ],
)
def test_of_eurobert_what_is_not_computed_is_refused(
  tmp_path, changes, sentence
):
  with pytest.raises(ValueError, match=rf"config\.json:? .*{sentence}"):
    hf.read_config(written(tmp_path, "eurobert", **changes))


def test_euroberts_published_keys_are_read(tmp_path):
  path = written(
    tmp_path,
    "eurobert",
    rope_theta=250000,
    rope_scaling=None,
    num_key_value_heads=None,
    hidden_dropout=0.0,
    tie_word_embeddings=False,
    pretraining_tp=1,
  )
  config = hf.read_config(path)
  theirs = transformers.EuroBertConfig.from_pretrained(tmp_path)
  assert config.theta == theirs.rope_parameters["rope_theta"] == 250000
  assert config.groups == theirs.num_key_value_heads == 12
