"""The encoder against transformers' own, and what packing must not change."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers

from bam_jax.hf import directory as hf
from bam_jax.models import attention, bert, encoders
from bam_jax.models.dropout import draws

F32 = jnp.float32
CONFIG = bert.BertConfig(
  vocab_size=53,
  width=12,
  layers=2,
  heads=3,
  mlp=20,
  positions=16,
  types=2,
  layer_norm_eps=1e-12,
  hidden_dropout=0.1,
  attention_dropout=0.2,
  init_std=0.02,
  pad_id=0,
)
# One layer for what compiles slowly: dropout does.
THIN = dataclasses.replace(CONFIG, layers=1)
LENGTHS = (5, 3, 7)


def random_params(config, seed=0):
  """Every parameter random, biases and norms too, so that each one counts."""
  ids = jax.ShapeDtypeStruct((1, 1), jnp.int32)
  shapes = jax.eval_shape(
    lambda *inputs: bert.Bert(config, F32, False).init(
      jax.random.key(0), *inputs, train=False
    ),
    *[ids] * 4,
  )
  assert shapes.keys() == {"params"}  # no mutable collection
  rng = np.random.default_rng(seed)
  return jax.tree_util.tree_map_with_path(
    lambda path, x: (
      (path[-1].key == "scale") + rng.normal(size=x.shape) * 0.3
    ).astype(np.float32),
    shapes["params"],
  )


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def apply(params, inputs, config=CONFIG, dtype=F32, remat=False, key=None):
  """Encodes; with a key as in training, each segment an example."""
  return (
    encoders.of(config)
    .module(config, dtype, remat)
    .apply(
      {"params": params},
      *inputs,
      examples=jnp.stack([0 * inputs[3], inputs[3]], axis=-1),
      train=key is not None,
      rngs=None if key is None else {"dropout": key},
    )
  )


def examples(config=CONFIG, lengths=LENGTHS, seed=0):
  """Random (tokens, types) pairs, sentence B starting somewhere inside."""
  rng = np.random.default_rng(seed)
  return [
    (
      rng.integers(1, config.vocab_size, n),
      (np.arange(n) >= rng.integers(1, n)) % max(config.types, 1),
    )
    for n in lengths
  ]


def lay_out(rows, width):
  """Rows of examples -> tokens, types, positions, segments i32[B, S]."""
  out = np.zeros((4, len(rows), width), np.int32)
  for b, row in enumerate(rows):
    start = 0
    for segment, (tokens, types) in enumerate(row, start=1):
      n = len(tokens)
      piece = (tokens, types, np.arange(n), np.full(n, segment))
      out[:, b, start : start + n] = piece
      start += n
  return tuple(out)


# Two rows, the second with padding; alone: one example a row, all padded.
PACKED = lay_out([examples()[:2], examples()[2:]], 9)
ALONE = lay_out([[example] for example in examples()], 8)
# Where each example stands in either layout.
IN_PACKED = ((0, 0), (0, 5), (1, 0))
IN_ALONE = ((0, 0), (1, 0), (2, 0))


def pieces(hidden, places):
  """Cuts the examples out of encoded rows."""
  return [
    np.asarray(hidden[b, s : s + n], np.float32)
    for (b, s), n in zip(places, LENGTHS, strict=True)
  ]


def peer(directory):
  """The encoder of transformers, in its plain f32 form."""
  return transformers.BertModel.from_pretrained(
    directory, attn_implementation="eager"
  ).eval()


def largest_difference(directory):
  """Ours, padded and packed, against the peer on each example alone."""
  config, params, _ = hf.load_encoder(directory)
  model = peer(directory)
  lengths = (5, 3, 7, 11)
  rows = examples(config, lengths)
  padded = apply(params["bert"], lay_out([[r] for r in rows], 13), config)
  packed = apply(params["bert"], lay_out([rows[:3], rows[3:]], 16), config)
  places = ((0, 0), (0, 5), (0, 8), (1, 0))
  worst = 0.0
  for i, ((tokens, types), (b, s)) in enumerate(zip(rows, places, strict=True)):
    with torch.no_grad():
      want = model(
        input_ids=torch.tensor(tokens[None]),
        token_type_ids=torch.tensor(types[None]),
      )
    hidden, n = want.last_hidden_state[0].numpy(), lengths[i]
    pooler = params["pooler"]
    for got in (padded[i, :n], packed[b, s : s + n]):
      pooled = np.tanh(got[0] @ pooler["kernel"] + pooler["bias"])
      worst = max(worst, np.abs(got - hidden).max())
      worst = max(worst, np.abs(pooled - want.pooler_output[0].numpy()).max())
  return worst


@pytest.mark.parametrize(
  "shape",
  [
    dict(hidden_size=12, num_attention_heads=3, intermediate_size=20),
    dict(
      hidden_size=32,
      num_attention_heads=2,
      num_hidden_layers=3,
      layer_norm_eps=1e-5,
      type_vocab_size=1,
    ),
    dict(hidden_size=24, num_attention_heads=24, type_vocab_size=4),
  ],
)
def test_equals_transformers_for_random_configurations(tmp_path, shape):
  torch.manual_seed(0)
  small = dict(num_hidden_layers=2, intermediate_size=40, vocab_size=61)
  model = transformers.BertModel(
    transformers.BertConfig(**small | dict(max_position_embeddings=17) | shape)
  )
  with torch.no_grad():
    for parameter in model.parameters():
      parameter.add_(torch.randn_like(parameter) * 0.1)
  model.save_pretrained(tmp_path)
  assert largest_difference(tmp_path) < 1e-5


def test_equals_transformers_for_minilm(minilm):
  assert largest_difference(minilm) < 1e-5


def test_padding_attended_to_as_the_peers_mask_leaves_it_out(minilm):
  config, params, _ = hf.load_encoder(minilm)
  tokens, types, positions, segments = lay_out([[r] for r in examples()], 8)
  got = apply(params["bert"], (tokens, types, positions, segments), config)
  with torch.no_grad():
    want = peer(minilm)(
      input_ids=torch.tensor(tokens),
      token_type_ids=torch.tensor(types),
      attention_mask=torch.tensor((segments > 0).astype(np.int64)),
    ).last_hidden_state.numpy()
  assert np.abs(got - want)[segments > 0].max() < 1e-5


def test_packed_outputs_equal_each_example_alone():
  params = random_params(CONFIG)
  packed = pieces(apply(params, PACKED), IN_PACKED)
  alone = pieces(apply(params, ALONE), IN_ALONE)
  for a, b in zip(packed, alone, strict=True):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_packed_gradient_equals_unpacked():
  params = random_params(CONFIG)
  rng = np.random.default_rng(1)
  targets = [rng.normal(size=(n, CONFIG.width)) for n in LENGTHS]

  def gradient(inputs, places):
    def loss(params):
      hidden = apply(params, inputs)
      return sum(
        jnp.square(hidden[b, s : s + len(t)] - t).mean()
        for (b, s), t in zip(places, targets, strict=True)
      )

    return jax.jit(jax.grad(loss))(params)

  a, b = gradient(PACKED, IN_PACKED), gradient(ALONE, IN_ALONE)
  assert all(
    np.abs(x).max() > 1e-3 for x in jax.tree.leaves(a["layer_1"]["up"])
  )
  difference = jax.tree.map(lambda x, y: np.abs(x - y).max(), a, b)
  assert max(jax.tree.leaves(difference)) < 1e-5


def test_changing_an_example_leaves_its_neighbours_bit_for_bit():
  params = random_params(CONFIG)
  tokens, types, positions, segments = PACKED
  other = tokens.copy()
  other[0, 5:8] = 1 + other[0, 5:8] % 50
  other[1, 7:] = 9  # what stands in the padding must not matter either
  before = pieces(apply(params, PACKED), IN_PACKED)
  after = pieces(apply(params, (other, types, positions, segments)), IN_PACKED)
  np.testing.assert_array_equal(before[0], after[0])
  np.testing.assert_array_equal(before[2], after[2])
  assert np.abs(before[1] - after[1]).max() > 1e-2


def test_rows_of_padding_are_finite_and_give_no_gradient():
  params = random_params(THIN)
  nothing = np.zeros((1, 9), np.int32)
  rows = zip(PACKED, (nothing + 52, nothing, nothing, nothing), strict=True)
  inputs = tuple(np.concatenate(row) for row in rows)

  def loss(params):
    hidden = apply(params, inputs, THIN)
    return jnp.where(inputs[3][..., None] > 0, hidden, 0).sum(), hidden

  gradient, hidden = jax.jit(jax.grad(loss, has_aux=True))(params)
  assert np.isfinite(hidden).all()
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradient))
  words = gradient["embeddings"]["word"]["embedding"]
  assert not (PACKED[0] == 52).any()
  assert not words[52].any()
  assert words[PACKED[0][0, :8]].any(axis=-1).all()


@pytest.mark.parametrize("kind", ["hidden_dropout", "attention_dropout"])
def test_each_dropout_acts_in_training_only_and_by_its_key(kind):
  off = dict(hidden_dropout=0.0, attention_dropout=0.0)
  none = dataclasses.replace(THIN, **off)
  config = dataclasses.replace(THIN, **off | {kind: 0.3})
  params = random_params(THIN)
  calm = apply(params, PACKED, config)
  first, again, second = (
    apply(params, PACKED, config, key=jax.random.key(k)) for k in (1, 1, 2)
  )
  np.testing.assert_array_equal(calm, apply(params, PACKED, none))
  np.testing.assert_array_equal(first, again)
  assert np.abs(first - calm).max() > 1e-2
  assert np.abs(first - second).max() > 1e-2


def test_attention_dropout_keeps_the_mean():
  shape = (2, 4, 3, 2)
  key, dropped = jax.random.split(jax.random.key(0))
  query, keys, value = jax.random.normal(key, (3, *shape))
  rows = jnp.ones(shape[:2], jnp.int32)
  places = jnp.arange(shape[1])[None].repeat(shape[0], 0)

  def attend(rng):
    own = None
    if rng is not None:
      examples = jnp.stack([rows, jnp.arange(2)[:, None] + rows], -1)
      own = draws(rng, examples, 0.4)
    return attention.einsum(
      query, keys, value, rows, places, reach=0, dropout=own
    )

  many = jax.jit(jax.vmap(attend))(jax.random.split(dropped, 16000))
  assert many.std(0).min() > 0.05
  # Five standard errors of the mean of as many independent draws.
  bound = 5 * many.std(0) / len(many) ** 0.5
  assert bound.max() < 0.08
  assert (abs(many.mean(0) - attend(None)) < bound).all()


def test_bf16_is_finite_near_and_leaves_parameters_f32(minilm):
  config, params, _ = hf.load_encoder(minilm, layers=2)
  inputs = lay_out([[r] for r in examples(config)], 8)
  want = apply(params["bert"], inputs, config)
  got = apply(params["bert"], inputs, config, dtype=jnp.bfloat16)
  assert got.dtype == jnp.bfloat16
  real = inputs[3] > 0
  error = np.abs(np.asarray(got, np.float32) - want)[real]
  assert 1e-4 < error.max() < 0.1  # hidden states go up to about 10
  gradient = jax.jit(
    jax.grad(lambda p: apply(p, inputs, config, jnp.bfloat16)[0, 0].mean())
  )(params["bert"])
  for leaf in jax.tree.leaves(gradient):
    assert leaf.dtype == F32
    assert np.isfinite(leaf).all()


def equations(jaxpr):
  """Every equation of a program, those of its inner programs too."""
  for equation in jaxpr.eqns:
    yield equation
    for value in jax.tree.leaves(
      list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")
    ):
      inner = getattr(value, "jaxpr", value)
      if hasattr(inner, "eqns"):
        yield from equations(inner)


def program(*args):
  """The equations of one call on the packed rows."""
  traced = jax.make_jaxpr(lambda p: apply(p, PACKED, CONFIG, *args))
  return list(equations(traced(random_params(CONFIG)).jaxpr))


def test_norms_and_softmax_are_f32_in_bf16():
  run = program(jnp.bfloat16)
  sensitive = [e for e in run if e.primitive.name in ("exp", "rsqrt", "sqrt")]
  names = [e.primitive.name for e in sensitive]
  assert names.count("exp") == CONFIG.layers
  assert names.count("rsqrt") == 1 + 2 * CONFIG.layers
  assert {e.invars[0].aval.dtype for e in sensitive} == {np.dtype("float32")}
  products = [e for e in run if e.primitive.name == "dot_general"]
  assert len(products) == 8 * CONFIG.layers
  assert {e.invars[0].aval.dtype for e in products} == {jnp.dtype("bfloat16")}


def test_remat_changes_the_program_but_neither_outputs_nor_gradients():
  # What jax.checkpoint is called in a program depends on the version.
  marks = [
    sum(e.primitive.name in ("checkpoint", "remat", "remat2") for e in run)
    for run in (program(), program(F32, True))
  ]
  assert marks == [0, CONFIG.layers]
  params, key = random_params(THIN), jax.random.key(3, impl="rbg")

  def loss(params, remat):
    hidden = apply(params, PACKED, THIN, F32, remat, key)
    return jnp.sin(hidden).sum(), hidden

  step = jax.jit(jax.grad(loss, has_aux=True), static_argnums=1)
  plain, recomputed = step(params, False), step(params, True)
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5),
    plain,
    recomputed,
  )


def test_vmap_over_trials_equals_each_trial():
  config = dataclasses.replace(THIN, hidden_dropout=0.0)
  trials = [random_params(config, seed) for seed in range(4)]
  stacked = jax.tree.map(lambda *x: np.stack(x), *trials)
  keys = jax.random.split(jax.random.key(0), 4)

  def one(params, key):
    return apply(params, PACKED, config, F32, False, key)

  together = jax.jit(jax.vmap(one))(stacked, keys)
  for trial, params in enumerate(trials):
    alone = one(params, keys[trial])
    np.testing.assert_allclose(together[trial], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    (dict(width=14), "width 14 is not a multiple of its 3 heads; try width 15"),
    (dict(layers=0), "layers is 0; give at least 1"),
    (dict(hidden_dropout=1.0), "hidden_dropout is 1.0; give 0 or more"),
  ],
)
def test_impossible_configurations_are_refused(change, sentence):
  with pytest.raises(ValueError, match=sentence):
    dataclasses.replace(CONFIG, **change)
