"""What a student matches inside its teacher, against PyTorch on texts alone."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from bam_jax.data import pipeline
from bam_jax.models import encoders, hidden
from bam_jax.models.bilstm import BilstmConfig
from bam_jax.models.multitask import init_params
from bam_jax.training import matching
from bam_jax.training import state as states
from bam_jax.training.matching import Matching
from bam_jax.training.settings import Settings
from bam_jax.training.step import make_losses, make_run
from tests import tiny

TEACHER = dataclasses.replace(
  tiny.ENCODER, width=20, layers=4, heads=2, mlp=28, init_std=0.3
)
STUDENT = dataclasses.replace(
  tiny.ENCODER, width=12, layers=2, heads=6, init_std=0.3
)
PAIRS = ((0, 0), (1, 3), (2, 4))
A = 4


def drawn(config, seed):
  """Returns random parameters of an encoder."""
  ids = [jnp.zeros((1, 1), jnp.int32)] * 4
  module = encoders.of(config).module(config, jnp.float32, False)
  return module.init(jax.random.key(seed), *ids, train=False)["params"]


def matched(**changes) -> Matching:
  """Returns what matches hidden states and relations."""
  given = dict(
    student=STUDENT,
    teacher=TEACHER,
    params=drawn(TEACHER, 1),
    pairs=PAIRS,
    hidden=0.7,
    relations=1.3,
    heads=A,
  )
  return Matching(**given | changes)


def net(config=STUDENT, **changes):
  return tiny.model(dropout=0.0, **changes).clone(
    config=dataclasses.replace(config, hidden_dropout=0.0)
    if config.kind == "bilstm"
    else dataclasses.replace(config, hidden_dropout=0.0, attention_dropout=0.0)
  )


def student_of(model, how):
  """Returns the student's parameters, with what widens its vectors."""
  params = init_params(model, jax.random.key(3))
  return params | how.projection(jax.random.key(4))


def inside(config, params, batch):
  """Returns hidden states and what is attended by, each [B, S, D], of torch."""
  module = encoders.of(config).module(config, jnp.float32, False)
  names = ("tokens", "types", "positions", "segments")
  ids = [batch[name] for name in names]

  @tiny.quickly
  def read(params):
    _, kept = module.apply(
      {"params": params}, *ids, train=False, **hidden.asked(config)
    )
    return hidden.found(kept, config)

  found = read(params)
  flat = [x.reshape(*x.shape[:2], -1) for x in found.attended]
  return [
    [torch.tensor(np.array(x)) for x in each] for each in (found.layers, flat)
  ]


def expected(params, how, batch):
  """Returns {(task, index): distance} of texts in rows of their own."""
  kernel = torch.tensor(np.array(params["projection"]["kernel"]))
  own, asked = inside(STUDENT, params["bert"], batch)
  their, told = inside(TEACHER, how.params, batch)
  found = {}
  for b in np.flatnonzero(batch["task"][:, 0] >= 0):
    n = int((batch["segments"][b] == 1).sum())
    far = 0.7 * sum(
      torch.nn.functional.mse_loss(own[s][b, :n] @ kernel, their[t][b, :n])
      for s, t in PAIRS
    )
    for one, two in ((0, 1), (2, 2)):
      logs = []
      for parts in (asked, told):
        x, y = (parts[i][b, :n].reshape(n, A, -1) for i in (one, two))
        products = torch.einsum("qhk,shk->hqs", x, y) / x.shape[-1] ** 0.5
        logs.append(products.log_softmax(-1))
      each = torch.nn.functional.kl_div(
        *logs, log_target=True, reduction="none"
      )
      far += 1.3 * each.sum(-1).mean()
    found[batch["task"][b, 0], batch["index"][b, 0]] = float(far)
  return found


def test_of_packed_texts_it_is_what_pytorch_says_of_each_alone():
  how, model = matched(), net()
  params = student_of(model, how)
  assert params["projection"]["kernel"].shape == (12, 20)
  packed, alone = (
    pipeline.Batches(tiny.batches(packing=packing))[0]
    for packing in (True, False)
  )
  assert (packed["segments"].max(1) > 1).any()
  key = jax.random.key(0)
  losses = make_losses(model, matched=how.bound(how.params, jnp.float32))

  @tiny.quickly
  def more(params):
    _, without = make_losses(model)(params, packed, key, 0.3)
    return losses(params, packed, key, 0.3)[1] - without

  want = expected(params, how, alone)
  assert len(want) == tiny.BATCH and min(want.values()) > 0.01
  found, here = more(params), packed["task"] >= 0
  assert not found[~here].any()
  places = zip(packed["task"][here], packed["index"][here], strict=True)
  np.testing.assert_allclose(
    found[here], [want[place] for place in places], rtol=1e-4, atol=1e-5
  )


def test_packing_changes_neither_it_nor_its_gradient():
  how, model = matched(), net(remat=True)
  params = student_of(model, how)
  losses = make_losses(model, matched=how.bound(how.params, jnp.float32))

  @tiny.quickly
  def slope(params, batch):
    def total(params):
      _, loss = losses(params, batch, jax.random.key(0), 0.3)
      return (loss * batch["weight"]).sum()

    return jax.value_and_grad(total)(params)

  one, two = (
    slope(params, pipeline.Batches(tiny.batches(packing=packing))[0])
    for packing in (True, False)
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5),
    one,
    two,
  )
  assert np.abs(one[1]["projection"]["kernel"]).max() > 0.1


@pytest.mark.parametrize("trials", [1, 2])
def test_a_step_brings_a_student_nearer_and_leaves_its_teacher(trials):
  how = matched(relations=0.0, hidden=50.0)
  c = tiny.config(**{"multi.rate": 0.02, "multi.layer_decay": 1.0})
  c.optim.bias_correction = True
  init, one = make_run(
    net(), steps=tiny.STEPS, settings=Settings.of(c, "multi"), matching=how
  )
  state = tiny.quickly(states.over_trials(init, trials))(
    np.arange(trials, dtype=np.uint32), {}
  )
  before = state.params["projection"]["kernel"]
  assert before.shape == (trials, 12, 20)

  @tiny.quickly
  def step(state, batch, fixed):
    each = functools.partial(lambda fixed, *own: one(*own, fixed), fixed)
    return states.over_trials(each, trials)(state, batch)

  batch = tiny.batches(trials=trials)[0]
  losses = []
  for _ in range(tiny.STEPS):
    state, sums = step(state, batch, how.params)
    losses.append(sums["loss"].sum(1))
  assert (losses[-1] < 0.9 * losses[0]).all()
  assert np.abs(state.params["projection"]["kernel"] - before).max() > 1e-3


def test_equal_widths_need_no_projection():
  teacher = dataclasses.replace(TEACHER, width=12, heads=3)
  how = matched(teacher=teacher, params=drawn(teacher, 1))
  assert how.projection(jax.random.key(0)) == {}
  assert matched(hidden=0.0).projection(jax.random.key(0)) == {}


def test_a_bilstm_matches_hidden_states():
  student = BilstmConfig(
    vocab_size=40,
    width=14,
    layers=2,
    positions=tiny.WIDTH,
    hidden_dropout=0.0,
    init_std=0.2,
    pad_id=0,
  )
  how, model = matched(student=student, relations=0.0), net(student)
  params = student_of(model, how)
  losses = make_losses(model, matched=how.bound(how.params, jnp.float32))
  batch = pipeline.Batches(tiny.batches())[0]
  _, loss = tiny.quickly(losses)(params, batch, jax.random.key(0), 0.3)
  assert np.isfinite(loss).all()
  with pytest.raises(ValueError, match="of the student, a bilstm, are not kn"):
    matching.heads_of(0, student, TEACHER)


def test_of_several_slots_in_one_text_each_has_its_loss():
  batch = {
    "segments": jnp.array([[1, 1, 2, 2, 2, 0], [1, 0, 0, 0, 0, 0]]),
    "cls": jnp.array([[0, 2, 2], [0, 0, 0]]),
    "task": jnp.array([[0, 1, 2], [1, -1, -1]]),
  }
  of_tokens = jnp.array([[1.0, 3, 4, 5, 9, 70], [8.0, 7, 7, 7, 7, 7]])
  found = matching.of_examples(of_tokens, batch)
  assert found.tolist() == [[2, 6, 6], [8, 0, 0]]
  # The last two are candidates of one question.
  group = jnp.array([[-1, 1, 1], [3, -1, -1]])
  found = matching.of_examples(
    of_tokens.at[0, 2].set(1), batch | {"group": group}
  )
  assert found.tolist() == [[2, 5, 0], [8, 0, 0]]


@pytest.mark.parametrize(
  ("asked", "layers", "pairs"),
  [
    ("", (2, 6), ((0, 0), (1, 3), (2, 6))),
    ("", (3, 3), ((0, 0), (1, 1), (2, 2), (3, 3))),
    ("2=5", (4, 6), ((2, 5),)),
    (" 0=0, 4 = 6", (4, 6), ((0, 0), (4, 6))),
  ],
)
def test_layers_are_mapped(asked, layers, pairs):
  assert matching.pairs_of(asked, *layers) == pairs


@pytest.mark.parametrize(
  ("asked", "layers", "said"),
  [
    ("", (4, 6), "6 layers are no multiple of the student's 4; .*0=0,4=6"),
    ("", (6, 3), "3 layers are no multiple of the student's 6"),
    ("1:2", (4, 6), "has '1:2'; it is STUDENT=TEACHER"),
    ("1=2,", (4, 6), "has ''; it is STUDENT=TEACHER"),
    ("-1=6", (4, 6), "has '-1=6'; it is STUDENT"),
    ("5=6", (4, 6), "5=6, but the student has 4 layers; give 0 to 4"),
    ("4=7", (4, 6), "4=7, but the teacher has 6 layers; give 0 to 6"),
    ("1=2,1=3", (4, 6), "names layer 1 of the student twice"),
  ],
)
def test_a_layer_map_that_does_not_fit_is_a_sentence(asked, layers, said):
  with pytest.raises(ValueError, match=said):
    matching.pairs_of(asked, *layers)


def test_heads_divide_both_widths():
  assert matching.heads_of(0, STUDENT, TEACHER) == 2
  assert matching.heads_of(4, STUDENT, TEACHER) == 4
  for heads, whose in ((3, "20 of the teacher"), (5, "12 of the student")):
    with pytest.raises(ValueError, match=f"is {heads}, .* the width {whose}"):
      matching.heads_of(heads, STUDENT, TEACHER)


@pytest.mark.parametrize("kind", sorted(encoders.ENCODERS))
def test_an_encoder_says_whether_it_shows_what_it_attends_by(kind):
  config = tiny.ENCODERS[kind]
  row = encoders.ENCODERS[kind]
  ids = [jnp.zeros((1, 3), jnp.int32)] * 4
  module = row.module(config, jnp.float32, False)

  def shown():
    params = module.init(jax.random.key(0), *ids, train=False)["params"]
    _, kept = module.apply(
      {"params": params}, *ids, train=False, **hidden.asked(config)
    )
    return hidden.found(kept, config)

  found = jax.eval_shape(shown)
  assert len(found.layers) == config.layers + 1
  assert {x.shape for x in found.layers} == {(1, 3, config.width)}
  assert len(found.attended) == (3 if row.attends else 0)
  for x in found.attended:
    assert x.shape[2] * x.shape[3] == matching.columns_of(config)
