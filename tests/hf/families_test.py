"""Every family of encoders against transformers' own, there and back.

What is computed, packed or not, and what is written.
"""

import functools

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers

from bam_jax.hf import directory as hf
from bam_jax.hf import weights
from bam_jax.models import encoders, multitask
from bam_jax.tasks.table import get_tasks
from bam_jax.training import optim, sharding
from bam_jax.training.heads import specs
from tests.models import bert_test as rows_of

SHAPE = dict(vocab_size=61, num_hidden_layers=3, num_attention_heads=3)
SHAPE |= dict(hidden_size=24, intermediate_size=20)
# What makes a DeBERTa one of version 3.
V3 = dict(relative_attention=True, position_biased_input=False)
V3 |= dict(share_att_key=True, norm_rel_ebd="layer_norm")
V3 |= dict(pos_att_type="p2c|c2p")
# Every size differs from its neighbours, and from what is left out.
CONFIGS = {
  "bert": transformers.BertConfig(**SHAPE, max_position_embeddings=17),
  "roberta": transformers.RobertaConfig(
    **SHAPE | dict(pad_token_id=3, type_vocab_size=1, layer_norm_eps=1e-5),
    max_position_embeddings=20,
  ),
  "xlm-roberta": transformers.XLMRobertaConfig(
    **SHAPE | dict(pad_token_id=1, type_vocab_size=1, num_hidden_layers=2),
    max_position_embeddings=21,
  ),
  "camembert": transformers.CamembertConfig(
    **SHAPE | dict(pad_token_id=2, type_vocab_size=1, num_hidden_layers=1),
    max_position_embeddings=22,
  ),
  "electra": transformers.ElectraConfig(
    **SHAPE, embedding_size=10, max_position_embeddings=18
  ),
  "electra-square": transformers.ElectraConfig(
    **SHAPE | dict(num_hidden_layers=1), embedding_size=24
  ),
  "distilbert": transformers.DistilBertConfig(
    vocab_size=61, dim=24, n_layers=3, n_heads=3, hidden_dim=20
  ),
  "modernbert": transformers.ModernBertConfig(
    **SHAPE | dict(num_hidden_layers=4, pad_token_id=0),
    local_attention=6,
    global_attn_every_n_layers=2,
    rope_parameters={
      "full_attention": {"rope_type": "default", "rope_theta": 500.0},
      "sliding_attention": {"rope_type": "default", "rope_theta": 30.0},
    },
    max_position_embeddings=19,
  ),
  "modernbert-biased": transformers.ModernBertConfig(
    **SHAPE | dict(pad_token_id=0, cls_token_id=1, sep_token_id=2),
    local_attention=5,
    layer_types=["full_attention", *["sliding_attention"] * 2],
    norm_bias=True,
    attention_bias=True,
    mlp_bias=True,
    classifier_bias=True,
  ),
  "deberta": transformers.DebertaV2Config(
    **SHAPE | V3, position_buckets=8, max_position_embeddings=23
  ),
  # Distances beyond those that the buckets are for, and buckets of odd number.
  "deberta-far": transformers.DebertaV2Config(
    **SHAPE | V3 | dict(pad_token_id=2, num_hidden_layers=2),
    position_buckets=7,
    max_relative_positions=8,
    max_position_embeddings=24,
  ),
  "eurobert": transformers.EuroBertConfig(
    **SHAPE | dict(pad_token_id=1, bos_token_id=0, eos_token_id=1),
    rope_parameters={"rope_type": "default", "rope_theta": 70.0},
    max_position_embeddings=25,
  ),
  # Several queries to a key, heads that are wider than the width over them.
  "eurobert-grouped": transformers.EuroBertConfig(
    **SHAPE | dict(num_attention_heads=6, num_hidden_layers=2),
    **dict(pad_token_id=1, bos_token_id=0, eos_token_id=1),
    num_key_value_heads=2,
    head_dim=10,
    attention_bias=True,
    mlp_bias=True,
    rms_norm_eps=1e-3,
  ),
}
# Longer than twice the windows above.
LENGTHS = (5, 3, 13, 7)
# Those whose queries know where keys stand.
POSITIONED = ("modernbert", "modernbert-biased", "deberta", "deberta-far")
POSITIONED += ("eurobert", "eurobert-grouped")
POOLED = ("bert", "roberta", "xlm-roberta", "camembert")
every_family = pytest.mark.parametrize("name", CONFIGS)


@pytest.fixture(scope="module", autouse=True)
def quiet():
  """Keeps transformers from printing what a test looks at anyway."""
  before = transformers.logging.get_verbosity()
  transformers.logging.set_verbosity_error()
  yield
  transformers.logging.set_verbosity(before)


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
  """A directory of each family with random weights, biases and norms too."""

  @functools.cache
  def directory(name):
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(CONFIGS[name])
    with torch.no_grad():
      for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.1)
    folder = tmp_path_factory.mktemp(name)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("[PAD]\n")
    return folder

  return directory


def peer(directory):
  return transformers.AutoModel.from_pretrained(
    directory, attn_implementation="eager"
  ).eval()


def random_examples(config):
  """Random (tokens, types) pairs without the token that fills rows."""
  return [
    (np.maximum(tokens, config.pad_id + 1), types)
    for tokens, types in rows_of.examples(config, LENGTHS)
  ]


def theirs_on(model, config, tokens, types):
  kinds = {"token_type_ids": torch.tensor(types[None])} if config.types else {}
  with torch.no_grad():
    found = model(input_ids=torch.tensor(tokens[None]), **kinds)
  return found.last_hidden_state[0].numpy()


def with_pooler(config, params):
  """The parameters, with a random pooler where the file had none."""
  rng = np.random.default_rng(1)
  shapes = weights.shapes(config)
  flat = traverse_util.flatten_dict(params, sep="/")
  for path in shapes.keys() - flat.keys():
    assert path.startswith("pooler/")
    flat[path] = rng.normal(size=shapes[path]).astype(np.float32)
  return traverse_util.unflatten_dict(flat, sep="/")


def saved(directory, folder, **cut):
  """Loads an encoder, perhaps cut, and writes it to a folder."""
  config, params, _ = hf.load_encoder(directory, **cut)
  params = with_pooler(config, params)
  hf.save_encoder(folder, config, params, tokenizer=directory)
  return config, params


@every_family
def test_equals_transformers_alone_and_packed(directories, name):
  config, params, directory = hf.load_encoder(directories(name))
  model, examples = peer(directory), random_examples(config)
  layout = [[each] for each in examples] + [examples[:2], examples[2:]]
  places = {0: ((0, 0), (4, 0)), 1: ((1, 0), (4, 5))}
  places |= {2: ((2, 0), (5, 0)), 3: ((3, 0), (5, 13))}
  hidden = rows_of.apply(
    params[config.kind], rows_of.lay_out(layout, 21), config
  )
  for i, (tokens, types) in enumerate(examples):
    want, n = theirs_on(model, config, tokens, types), len(tokens)
    assert np.abs(want).max() > 1
    for row, start in places[i]:
      got = hidden[row, start : start + n]
      assert np.abs(got - want).max() < 1e-5


@every_family
def test_every_parameter_has_a_finite_gradient_a_depth_and_a_place(
  directories, name
):
  two = min(2, CONFIGS[name].num_hidden_layers)
  config, params, _ = hf.load_encoder(directories(name), layers=two)
  params = with_pooler(config, params)
  examples = random_examples(config)
  inputs = rows_of.lay_out([examples[:2], examples[2:]], 21)
  pooler = encoders.of(config).pooler(config, jnp.float32)

  def loss(params):
    encoder = encoders.of(config).module(config, jnp.float32, False)
    hidden = encoder.apply(
      {"params": params[config.kind]}, *inputs, train=False
    )
    first = hidden[(0, 1), (0, 13)]
    # The sum alone would be a constant behind a last norm.
    seen = jnp.where(inputs[3][..., None] > 0, jnp.sin(hidden), 0).sum()
    return (
      seen + jnp.sin(pooler.apply({"params": params["pooler"]}, first)).sum()
    )

  cheap = {"xla_backend_optimization_level": 0}
  gradient = jax.jit(jax.grad(loss), compiler_options=cheap)(params)
  for path, leaf in traverse_util.flatten_dict(gradient, sep="/").items():
    assert np.isfinite(leaf).all(), path
    # A bias of all keys alike moves no softmax, unless it meets positions.
    still = path.endswith("key/bias") and name not in POSITIONED
    assert still or np.abs(leaf).max() > 1e-6, path
    optim.depth_of(path, config.layers)
    spec = sharding.spec(path)
    assert len(spec) <= leaf.ndim
  depths = {
    optim.depth_of(path, config.layers) for path in weights.shapes(config)
  }
  assert depths == set(range(config.layers + 2))


@every_family
def test_the_model_has_the_parameters_that_files_have(directories, name):
  config, params, _ = hf.load_encoder(directories(name))
  model = multitask.MultiTask(
    config,
    specs(get_tasks(["rte"]), regression_output="linear"),
    head_dropout=0.0,
    dtype=jnp.float32,
    remat=False,
  )
  shapes = jax.eval_shape(
    lambda: multitask.init_params(model, jax.random.key(0))
  )
  del shapes["heads"]
  flat = traverse_util.flatten_dict(shapes, sep="/")
  assert {k: v.shape for k, v in flat.items()} == weights.shapes(config)
  assert ("pooler" in params) == (config.family in POOLED)


@every_family
def test_what_is_written_loads_in_transformers(directories, name, tmp_path):
  directory = directories(name)
  config, params = saved(directory, tmp_path / "out")
  model, info = transformers.AutoModel.from_pretrained(
    tmp_path / "out", output_loading_info=True
  )
  # A pooler has a place only where the family's own encoder ends in one.
  extra = info.pop("unexpected_keys")
  assert not any(info.values()), info
  pooler = [k for k, v in weights.names(config).items() if "pooler/" in v[0]]
  assert sorted(extra) == sorted([] if config.family in POOLED else pooler)
  before = peer(directory)
  for key, tensor in before.state_dict().items():
    assert torch.equal(tensor, model.state_dict()[key]), key
  for key in before.config.to_dict().keys() - {
    "_name_or_path", "dtype", "architectures", "transformers_version",
    "cls_token_id", "sep_token_id", "local_attention", "eos_token_id",
    "bos_token_id",
  }:  # fmt: skip
    assert getattr(model.config, key) == getattr(before.config, key), key
  again, params_again, _ = hf.load_encoder(tmp_path / "out")
  assert again == config
  assert jax.tree.structure(params_again) == jax.tree.structure(params)
  jax.tree.map(np.testing.assert_array_equal, params_again, params)


@pytest.mark.parametrize(
  "name",
  [
    "bert",
    "electra",
    "distilbert",
    "modernbert",
    "modernbert-biased",
    "deberta",
  ],
)
def test_the_pooler_starts_the_familys_own_head(name, tmp_path):
  torch.manual_seed(0)
  theirs = transformers.AutoModelForSequenceClassification.from_config(
    CONFIGS[name], attn_implementation="eager"
  ).eval()
  with torch.no_grad():
    for parameter in theirs.parameters():
      parameter.add_(torch.randn_like(parameter) * 0.1)
  theirs.save_pretrained(tmp_path)
  config, params, _ = hf.load_encoder(tmp_path)
  tokens = np.random.default_rng(0).integers(4, 61, (1, 6))
  places = np.arange(6)[None]
  inputs = (tokens, 0 * tokens, places, 0 * tokens + 1)
  first = rows_of.apply(params[config.kind], inputs, config)[:, 0]
  pooler = encoders.of(config).pooler(config, jnp.float32)
  pooled = pooler.apply({"params": params["pooler"]}, first)
  last = getattr(theirs.classifier, "out_proj", theirs.classifier)
  with torch.no_grad():
    got = last(torch.tensor(np.asarray(pooled))).numpy()
    want = theirs(input_ids=torch.tensor(tokens)).logits.numpy()
  assert np.abs(got - want).max() < 1e-5


@pytest.mark.parametrize(
  ("name", "cut", "kept"),
  [
    ("bert", dict(every=2), (0, 2)),
    ("roberta", dict(every=2, layers=1), (0,)),
    ("modernbert", dict(every=3), (0, 3)),
    ("modernbert-biased", dict(every=2), (0, 2)),
    ("deberta", dict(every=2), (0, 2)),
    ("deberta-far", dict(layers=1), (0,)),
    ("eurobert", dict(every=2), (0, 2)),
  ],
)
def test_a_student_has_the_layers_asked_for(
  directories, name, cut, kept, tmp_path
):
  whole, before, directory = hf.load_encoder(directories(name))
  config, params = saved(directory, tmp_path / "out", **cut)
  assert config.layers == len(kept)
  for new, old in enumerate(kept):
    one, other = (
      params[config.kind][f"layer_{new}"],
      before[config.kind][f"layer_{old}"],
    )
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, one, other)
    for field in ("thetas", "reaches"):
      if getattr(whole, field, ()):
        assert getattr(config, field)[new] == getattr(whole, field)[old]
  assert f"layer_{len(kept)}" not in params[config.kind]
  # And transformers computes the same with what is written of it.
  tokens, types = random_examples(config)[2]
  inputs = rows_of.lay_out([[(tokens, types)]], 13)
  got = rows_of.apply(params[config.kind], inputs, config)[0]
  want = theirs_on(peer(tmp_path / "out"), config, tokens, types)
  assert np.abs(got - want).max() < 1e-5


@pytest.mark.parametrize("every", [0, 4])
def test_steps_over_more_layers_than_there_are_are_refused(directories, every):
  with pytest.raises(ValueError, match=f"every is {every}.*give 1 to 3"):
    hf.load_encoder(directories("bert"), every=every)
  with pytest.raises(ValueError, match="has 2 when one in 2 is kept; give 1"):
    hf.load_encoder(directories("bert"), every=2, layers=3)


@pytest.mark.parametrize("name", ["roberta", "distilbert"])
def test_an_encoder_of_one_type_reads_all_as_the_first_sentence(
  directories, name
):
  config, params, _ = hf.load_encoder(directories(name), layers=1)
  tokens, types, *places = rows_of.lay_out([random_examples(config)[:1]], 6)
  one, other = (
    rows_of.apply(params[config.kind], (tokens, each, *places), config)
    for each in (types, types + 1)
  )
  np.testing.assert_array_equal(one, other)
  assert np.isfinite(one).all()
