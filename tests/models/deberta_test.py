"""Distances of DeBERTa's attention: their rows, their scores, their dropout."""

import dataclasses

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import pytest
import torch
from transformers.models.deberta_v2 import modeling_deberta_v2 as theirs

from bam_jax.models import deberta, distances, flops
from bam_jax.models.heads import HeadSpec
from tests.models import bert_test as rows_of

CONFIG = deberta.DebertaConfig(
  vocab_size=53,
  width=12,
  layers=1,
  heads=3,
  mlp=20,
  positions=16,
  buckets=4,
  distances=16,
  layer_norm_eps=1e-7,
  hidden_dropout=0.0,
  attention_dropout=0.0,
  init_std=0.02,
  pad_id=0,
)
LENGTHS = (5, 3, 13)
EXAMPLES = rows_of.examples(CONFIG, LENGTHS)
# Two rows, the first with room; alone: one example a row, the first moved on.
PACKED = rows_of.lay_out([EXAMPLES[:2], EXAMPLES[2:]], 14)
ALONE = rows_of.lay_out([[each] for each in EXAMPLES], 15)
IN_PACKED, IN_ALONE = ((0, 0), (0, 5), (1, 0)), ((0, 0), (1, 0), (2, 0))


@pytest.mark.parametrize(
  ("buckets", "most", "longest"),
  [(256, 512, 512), (256, 4096, 900), (8, 30, 30), (7, 17, 40), (2, 12, 12)],
)
def test_distances_have_the_rows_that_transformers_gives_them(
  buckets, most, longest
):
  apart = np.arange(1 - longest, longest)
  found = theirs.make_log_bucket_position(torch.tensor(apart), buckets, most)
  wanted = torch.clamp(found.long() + buckets, 0, 2 * buckets - 1)
  got = distances.rows_of(buckets, most, apart)
  np.testing.assert_array_equal(got, wanted.numpy())


def test_scores_are_those_of_every_pair_by_itself():
  B, S, H, K = 2, 5, 3, 4
  rng = np.random.default_rng(0)
  query, key = rng.normal(size=(2, B, S, H, K)).astype(np.float32)
  asked, known = rng.normal(size=(2, 2 * S - 1, H, K)).astype(np.float32)
  got = distances.logits(query, key, asked, known)
  at = list(distances.within(S)).index
  for b, h, q, k in np.ndindex(B, H, S, S):
    far = at(q - k)
    want = query[b, q, h] @ (key[b, k, h] + known[far, h])
    want += key[b, k, h] @ asked[far, h]
    assert got[b, h, q, k] == pytest.approx(want / (3 * K) ** 0.5, abs=1e-5)


def params_of(config):
  rng = np.random.default_rng(0)
  net = deberta.Deberta(config, jnp.float32, False)
  shapes = jax.eval_shape(
    lambda key: net.init(key, *PACKED, train=False)["params"],
    jax.random.key(0),
  )
  return jax.tree.map(
    lambda x: rng.normal(size=x.shape).astype(np.float32) * 0.4, shapes
  )


def test_packed_vectors_and_gradients_are_those_of_each_alone():
  targets = [
    np.random.default_rng(n).normal(size=(n, CONFIG.width)) for n in LENGTHS
  ]

  def loss(params, inputs, places):
    hidden = rows_of.apply(params, inputs, CONFIG)
    found = [
      hidden[b, s : s + n] for (b, s), n in zip(places, LENGTHS, strict=True)
    ]
    pairs = zip(found, targets, strict=True)
    return sum(jnp.square(a - b).mean() for a, b in pairs), found

  step = jax.jit(jax.grad(loss, has_aux=True), static_argnums=2)
  packed, alone = (
    step(params_of(CONFIG), *each)
    for each in ((PACKED, IN_PACKED), (ALONE, IN_ALONE))
  )
  table = packed[0]["embeddings"]["relative"]["embedding"]
  # All rows but those beyond the last bucket.
  assert (np.abs(table).max(-1) > 1e-4).tolist() == [False] + [True] * 7
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    packed,
    alone,
  )


def test_only_words_are_scattered_in_the_backward_pass():
  def loss(params):
    return rows_of.apply(params, PACKED, CONFIG).sum()

  run = jax.make_jaxpr(jax.grad(loss))(params_of(CONFIG))
  names = [e.primitive.name for e in rows_of.equations(run.jaxpr)]
  assert sum("scatter" in name for name in names) == 1
  assert sum(name == "gather" for name in names) == 1


def test_dropout_of_distances_is_the_same_wherever_an_example_lies():
  config = dataclasses.replace(CONFIG, hidden_dropout=0.4)
  params, key = params_of(config), jax.random.key(3)

  def found(inputs, places, key):
    # An example's own number, not its segment's, in both layouts.
    hidden = jax.jit(
      lambda p, numbers: deberta.Deberta(config, jnp.float32, False).apply(
        {"params": p},
        *inputs,
        examples=jnp.stack([0 * numbers, numbers], axis=-1),
        train=True,
        rngs={"dropout": key},
      )
    )(params, numbers_of(inputs, places))
    return [
      np.asarray(hidden[b, s : s + n])
      for (b, s), n in zip(places, LENGTHS, strict=True)
    ]

  packed, alone = found(PACKED, IN_PACKED, key), found(ALONE, IN_ALONE, key)
  other = found(PACKED, IN_PACKED, jax.random.key(4))
  for one, two, three in zip(packed, alone, other, strict=True):
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)
    assert np.abs(one - three).max() > 1e-2


def numbers_of(inputs, places):
  """Returns i32[B, S], which example each token is of."""
  numbers = np.zeros_like(inputs[3])
  for example, ((b, s), n) in enumerate(zip(places, LENGTHS, strict=True)):
    numbers[b, s : s + n] = example
  return numbers


def test_products_are_counted_by_hand():
  # Of 4 buckets to a side, 0, 1 and 2 away have their own; 3 and 4 share one.
  c = dataclasses.replace(CONFIG, layers=2, positions=5, distances=5)
  rows = distances.rows_of(4, 5, np.arange(5))
  assert rows.tolist() == [4, 5, 6, 7, 7]
  length, classes = 5, 3
  # Each of five tokens and the buckets of the distances that it sees.
  met = 4 + 5 + 5 + 5 + 4
  layer = length * (4 * 12 * 12 + 2 * 12 * 20) + 2 * 12 * (length**2 + met)
  ends = 12 * 12 + 12 * classes
  head = HeadSpec("mnli", classes, output="logits", loss="ce")
  found = flops.forward(c, [length, 1], head=head)
  assert found[0] == 2 * (2 * layer + ends)
  alone = 4 * 12 * 12 + 2 * 12 * 20 + 2 * 12 * 2
  assert found[1] == 2 * (2 * alone + ends)


def test_another_kernel_is_refused_and_dropout_is_the_runs():
  run = ConfigDict({"attention": "splash", "attention_dropout": 0.25})
  with pytest.raises(ValueError, match=r"--config\.attention=einsum"):
    deberta.configured(CONFIG, run)
  run.attention = "einsum"
  assert deberta.configured(CONFIG, run).attention_dropout == 0.25
  run.attention_dropout = -1.0
  assert deberta.configured(CONFIG, run) == CONFIG
