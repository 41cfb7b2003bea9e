"""Adapters: their start, their number of weights, whose tokens meet them.

D=16, F=32, L=3, T=3, r=6.
"""

import dataclasses
import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.models import adapter_tree, flops
from bam_jax.models.adapted import ALL, Adapter
from bam_jax.models.adapters import ADAPTERS, PLACES, heads_of
from bam_jax.models.multitask import init_params
from bam_jax.training import adapting, optim, sharding
from bam_jax.training.step import make_losses
from tests import tiny

D, L, T, R = 16, 3, 3, 6
# Parameters of one task's, and those that all tasks have together.
BY_HAND = {
  "pal": ((2 * D * R + R + D) + L * 3 * (R * R + R), 0),
  "pal_concat": (
    (2 * D * R + R + D) + L * 3 * (R * R + R),
    L * (2 * D * D + D),
  ),
  "low_rank": (L * (2 * D * R + R + D), 0),
  "houlsby": (L * 2 * (2 * D * R + R + D), 0),
  "lora": (L * 2 * (2 * D * R), 0),
  "lhuc": (L * D, 0),
}
# How far the start may be from the encoder without them.
APART = {"pal_concat": 1e-6, "lora": 1e-6, "lhuc": 1e-6, "houlsby": 1e-4}


def adapter_of(kind: str, *, shared: bool = False) -> Adapter:
  return Adapter(
    kind, R if ADAPTERS[kind].rank else 0, shared, ADAPTERS[kind].alpha
  )


def model(adapter, *, layers=L):
  net = tiny.model(dropout=0.0, adapter=adapter)
  return net.clone(config=dataclasses.replace(net.config, layers=layers))


def stirred(net):
  """Returns parameters with which every adapter does something."""
  params = init_params(net, jax.random.key(3))
  rng = np.random.default_rng(5)
  params["adapters"] = jax.tree.map(
    lambda x: x + rng.normal(size=x.shape, scale=0.2).astype(np.float32),
    params["adapters"],
  )
  return params


def batch_of(**changes):
  return {k: v[0] for k, v in tiny.batches(**changes)[0].items()}


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("kind", ADAPTERS)
def test_parameters_and_products_are_those_counted_by_hand(kind, shared):
  adapter, net = adapter_of(kind, shared=shared), model(None)
  own, together = BY_HAND[kind]
  there = jax.eval_shape(
    lambda: init_params(net.clone(adapter=adapter), jax.random.key(0))
  )["adapters"]
  count = sum(x.size for x in jax.tree.leaves(there))
  assert count == (1 if shared else T) * own + together
  assert count == adapter_tree.count(adapter, net.config, tiny.TASKS)
  owners = {name for place in there.values() for name in place}
  assert owners - {ALL} == (set() if shared else set(tiny.TASKS))
  # Of one task's: a token with each of its kernels, and r columns of pairs.
  length = 7
  kernels = {
    "pal": L * (2 * D * R + 3 * R * R),
    "pal_concat": L * (2 * D * R + 3 * R * R + 2 * D * D),
    "low_rank": L * 2 * D * R,
    "houlsby": L * 4 * D * R,
    "lora": L * 4 * D * R,
    "lhuc": 0,
  }[kind]
  pairs = L * 2 * R * length**2 if "pal" in kind else 0
  head = net.heads[0]
  count = functools.partial(flops.forward, net.config, [length], head=head)
  more = count(adapter=adapter)[0] - count()[0]
  assert more == 2 * (length * kernels + pairs)
  # Frozen, the encoder's weights get no gradient; nor do its inputs, if nobody
  # asks for it.
  encoder = count()[0] - 2 * D * head.outputs
  train = functools.partial(flops.train, net.config, [length], head=head)
  assert train()[0] == 3 * count()[0]
  assert train(frozen=True)[0] == encoder + 3 * 2 * D * head.outputs
  assert (
    train(frozen=True, adapter=adapter)[0]
    == train(adapter=adapter)[0] - encoder
  )


@pytest.mark.parametrize("kind", ADAPTERS)
def test_a_mixed_packed_batch_is_each_task_alone_in_rows_of_its_own(kind):
  net = model(adapter_of(kind), layers=1)
  params = stirred(net)

  def measured(net):
    losses = make_losses(net)

    def total(params, batch):
      _, loss = losses(params, batch, jax.random.key(0), 0.3)
      return (loss * batch["weight"]).sum(), loss

    return tiny.quickly(jax.value_and_grad(total, has_aux=True))

  mixed = batch_of()
  # What is computed again in the backward pass says the same.
  remat = net.clone(remat=kind == "pal")
  (_, loss), gradient = measured(remat)(params, mixed)
  whole = batch_of(packing=False)
  assert len(mixed["tokens"]) < len(whole["tokens"])
  sums = jax.tree.map(np.zeros_like, gradient)
  for number, spec in enumerate(net.heads):
    here = (whole["task"] == number).any(1)
    rows = {name: array[here] for name, array in whole.items()}
    rows["task"] = np.where(rows["task"] == number, 0, -1)
    rows["teacher"] = rows["teacher"][..., : spec.outputs]
    own = {
      **params,
      "heads": {spec.name: params["heads"][spec.name]},
      "adapters": adapter_tree.kept(params["adapters"], [spec.name]),
    }
    (_, alone), slope = measured(net.clone(heads=(spec,)))(own, rows)

    def sorted_by(batch, loss, task):
      which = batch["task"] == task
      return np.asarray(loss)[which][np.argsort(batch["index"][which])]

    np.testing.assert_allclose(
      sorted_by(mixed, loss, number),
      sorted_by(rows, alone, 0),
      rtol=1e-5,
      atol=1e-5,
    )
    flat = dict(jax.tree_util.tree_leaves_with_path(slope))
    sums = jax.tree_util.tree_map_with_path(
      lambda path, x, flat=flat: x + flat.get(path, 0), sums
    )
  # Of what the tasks share it is the sum, of their own each one's.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    gradient,
    sums,
  )
  moved = jax.tree.map(lambda x: float(np.abs(x).max()), gradient["adapters"])
  still = [
    jax.tree_util.keystr(path)
    for path, most in jax.tree_util.tree_leaves_with_path(moved)
    # What is added to all keys alike changes no attention.
    if most < 1e-8 and "'key']['bias" not in jax.tree_util.keystr(path)
  ]
  assert not still


@pytest.mark.parametrize("kind", ADAPTERS)
def test_the_start_is_the_plain_encoder_where_its_paper_lets_it(kind):
  net, batch = model(adapter_of(kind)), batch_of()
  params = init_params(net, jax.random.key(1))
  plain = {k: v for k, v in params.items() if k != "adapters"}

  def said(net, params):
    out = net.apply({"params": params}, batch, train=False)["example"]
    return np.asarray(out)[batch["task"] >= 0]

  apart = np.abs(said(net, params) - said(net.clone(adapter=None), plain)).max()
  if kind in APART:
    assert apart < APART[kind]
  else:
    assert 0 < apart < 1e-2
  # And what is drawn for a task does not ask who is beside it.
  fewer = init_params(net.clone(heads=net.heads[1:2]), jax.random.key(1))
  kept = adapter_tree.kept(params["adapters"], tiny.TASKS[1:2])
  jax.tree.map(np.testing.assert_array_equal, kept, fewer["adapters"])


def test_a_layers_adapters_learn_as_it_does_and_lie_whole_on_each_device():
  last = {"layer_0": 1, "layer_2": 3, adapter_tree.EVERY: L}
  for place, depth in last.items():
    path = f"adapters/{place}/norm/down/kernel"
    assert optim.depth_of(path, L) == depth
    assert sharding.spec(f"opt_state/1/mu/{path}") == sharding.P()
  with pytest.raises(ValueError, match="no depth"):
    optim.depth_of("adapters/layer_3/rte/down/kernel", L)


def test_kinds_act_where_layers_ask_them_and_heads_divide_columns():
  for kind, row in ADAPTERS.items():
    assert row.places.keys() <= set(PLACES), kind
  assert [heads_of(n) for n in (204, 8, 7, 25)] == [6, 4, 1, 5]


@pytest.mark.parametrize("adapter", [None, adapter_of("lora")])
def test_a_frozen_encoder_keeps_its_bits_and_no_moments(adapter):
  net = tiny.model(adapter=adapter)
  texts, found = {}, {}
  for frozen in (False, True):
    c = tiny.config(encoder_frozen=frozen)
    c.optim.clip, c.optim.average = 0.0, "swa"
    init, step = tiny.functions(net, c)
    state = tiny.start(init)
    batch = tiny.batches()[0]
    texts[frozen] = step.lower(state, batch).as_text().count("dot_general")
    for _ in range(3):
      before, (state, _) = state, step(state, batch)
    found[frozen] = state
    paths = [
      sharding.path_name(path)
      for path, _ in jax.tree_util.tree_leaves_with_path(state.opt_state)
    ]
    assert any("/bert/" in path for path in paths) != frozen
    same = tiny.difference(state.params["bert"], before.params["bert"]) == 0
    assert same == frozen
    assert tiny.difference(state.params["heads"], before.params["heads"]) > 0
    if adapter:
      trees = (state.params["adapters"], before.params["adapters"])
      assert tiny.difference(*trees) > 0
  # Neither products for its weights nor, without adapters, for its inputs.
  assert texts[True] < texts[False]
  assert found[True].mean.keys() == found[False].mean.keys()
  assert jnp.isfinite(found[True].params["pooler"]["kernel"]).all()


@pytest.mark.parametrize(("said", "alpha"), [(0.0, 8.0), (3.0, 3.0)])
def test_alpha_is_what_is_said_or_as_published(said, alpha):
  asked = types.SimpleNamespace(kind="lora", rank=R, shared=False, alpha=said)
  adapter = adapting.adapter_of(asked)
  assert adapter.alpha == alpha
  rng = np.random.default_rng(0)
  layer, own, want = {}, {}, {}
  for name in ("query", "value"):
    layer[name] = {"kernel": rng.normal(size=(D, D))}
    down, up = rng.normal(size=(D, R)), rng.normal(size=(R, D))
    own[name] = {"down": {"kernel": down}, "up": {"kernel": up}}
    want[name] = layer[name]["kernel"] + alpha / R * down @ up
  made = ADAPTERS["lora"].merged(None, layer, own, adapter)
  for name, kernel in want.items():
    np.testing.assert_allclose(made[name]["kernel"], kernel, rtol=1e-5)
