"""Adversaries: R-Drop against its formula, and what is refused of them."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from bam_jax.data import pipeline
from bam_jax.models.multitask import init_params
from bam_jax.stages import values
from bam_jax.study.workdir import NEUTRAL
from bam_jax.training import adversaries, objectives
from bam_jax.training.step import make_losses
from configs import common
from tests import tiny

WEIGHT = 0.7


def test_distances_are_those_of_the_formulas():
  rng = np.random.default_rng(0)
  one, two = rng.normal(size=(2, 3, 4)).astype(np.float32)
  # The third example owns no column, the second only two of the four.
  owned = objectives.Owners(
    jnp.array([4, 2, 0]), {"ce": jnp.array([True, True, False])}
  )
  got = objectives.distance(one, two, owned)
  for row, own in ((0, 4), (1, 2)):
    p, q = (scipy.special.softmax(x[row, :own]) for x in (one, two))
    want = scipy.stats.entropy(p, q) + scipy.stats.entropy(q, p)
    assert got[row] == pytest.approx(want, rel=1e-5)
  assert got[2] == 0
  values_ = objectives.Owners(jnp.array([1, 1, 0]), {"mse": jnp.arange(3) < 2})
  want = np.square(one[:, 0] - two[:, 0]) * [1, 1, 0]
  np.testing.assert_allclose(
    objectives.distance(one, two, values_), want, rtol=1e-5
  )
  lost = objectives.divergence(two, one, owned)
  p, q = scipy.special.softmax(one[0]), scipy.special.softmax(two[0])
  assert lost[0] == pytest.approx(scipy.stats.entropy(p, q), rel=1e-4)
  np.testing.assert_allclose(
    objectives.divergence(one, two, values_), want, rtol=1e-5
  )
  # What another head left in foreign columns is in no gradient.
  one[1, 3] = np.nan
  slope = jax.grad(lambda x: objectives.distance(x, two, owned).sum())(one)
  assert np.isfinite(slope).all() and not slope[2].any()


@pytest.mark.parametrize("name", ["ce", "mse", "span"])
def test_a_distance_is_what_is_lost_both_ways(name):
  C = {"ce": 4, "mse": 1, "span": 2}[name]
  one, two = np.random.default_rng(1).normal(size=(2, 3, 5, C)).astype("f4")
  if name == "span":
    # Over the places of an example, three of them here.
    one, two = (jax.nn.log_softmax(x, axis=1) for x in (one, two))
  owned = objectives.Owners(jnp.full((3, 5), C), {name: jnp.ones((3, 5)) > 0})
  lost = objectives.divergence(one, two, owned)
  if name != "mse":
    lost += objectives.divergence(two, one, owned)
  # Of places each for itself there is more than of a distribution.
  np.testing.assert_allclose(
    objectives.distance(one, two, owned).sum(1), lost.sum(1), rtol=1e-4
  )


def test_rdrop_is_two_passes_and_their_distance():
  net = tiny.model()
  losses, c = make_losses(net), common.base()
  c.adversary.kind, c.adversary.weight = "rdrop", WEIGHT
  passes = adversaries.Passes(
    losses, net.heads, 1.0, tiny.ENCODER.width, c.adversary
  )
  params = init_params(net, jax.random.key(0))
  batch = pipeline.Batches(tiny.batches())[0]
  key = jax.random.key(8)
  _, sums = tiny.quickly(adversaries.ADVERSARIES["rdrop"](passes))(
    params, batch, key, 0.25
  )
  said = [
    losses(params, batch, each, 0.25)
    for each in (key, jax.random.fold_in(key, 1))
  ]
  want = np.zeros(len(net.heads))
  for b, e in np.argwhere(batch["task"] >= 0):
    task = batch["task"][b, e]
    spec = net.heads[task]
    one, two = (
      np.asarray(outputs["example"], np.float64)[b, e, : spec.outputs]
      for outputs, _ in said
    )
    if spec.loss == "mse":
      apart = float((one - two)[0] ** 2) / 2
    else:
      p, q = scipy.special.softmax(one), scipy.special.softmax(two)
      apart = (scipy.stats.entropy(p, q) + scipy.stats.entropy(q, p)) / 2
    assert apart > 0
    want[task] += sum(float(x[b, e]) for _, x in said) / 2 + WEIGHT * apart
  np.testing.assert_allclose(sums["loss"], want, rtol=1e-4)


# As far from the papers' as it takes for a perturbation to be seen.
LARGE = dict(steps=2, step_size=0.3, epsilon=0.5, noise=0.2)


def large(kind: str) -> dict:
  """Returns the flat config of an adversary that perturbs much."""
  keys = adversaries.ADVERSARIES[kind].keys
  found = {key: value for key, value in LARGE.items() if key in keys}
  return {"adversary.kind": kind} | {
    f"adversary.{k}": v for k, v in found.items()
  }


@pytest.mark.parametrize("kind", ["smart", "freelb"])
def test_rows_micro_batches_and_trials_change_nothing(kind):
  """Of a step with dropout, so that of all that is drawn."""
  seeds, changes = (4, 9), large(kind) | {"optim.b1": 0.0, "optim.clip": 0.0}
  batch = tiny.batches(trials=2, multiple=4)[0]
  init, both = tiny.functions(tiny.model(), tiny.config(**changes), trials=2)
  first = tiny.start(init, seeds)
  together, sums = both(first, batch)
  half = batch["tokens"].shape[1] // 2
  for number, seed in enumerate(seeds):
    c = tiny.config(**changes, micro_rows=half if number else 0)
    init, step = tiny.functions(tiny.model(), c)
    mine = {name: x[number : number + 1, ::-1] for name, x in batch.items()}
    after, own = step(tiny.start(init, (seed,)), mine)
    cut = jax.tree.map(
      lambda x, n=number: x[n : n + 1],
      (together.opt_state[1].mu, {"loss": sums["loss"]}),
    )
    most = float(own["grad_norm"][0])
    found = after.opt_state[1].mu, {"loss": own["loss"]}
    assert tiny.difference(cut, found) < 1e-5 * max(1, most)


@pytest.mark.parametrize("kind", ["smart", "vat"])
def test_without_dropout_of_its_own_only_the_perturbation_is_apart(kind):
  """With dropout drawn anew two passes are apart without one (Less is More)."""
  net, found = tiny.model(dropout=0.3), {}
  params = init_params(net, jax.random.key(0))
  batch, key = pipeline.Batches(tiny.batches())[0], jax.random.key(8)
  _, clean = make_losses(net)(params, batch, key, 0.25)
  for shared in (True, False):
    c = common.base().adversary
    c.kind, c.shared_dropout, c.noise, c.epsilon = kind, shared, 1e-3, 1e-3
    passes = adversaries.Passes(make_losses(net), net.heads, 1.0, 16, c)
    _, sums = tiny.quickly(adversaries.ADVERSARIES[kind](passes))(
      params, batch, key, 0.25
    )
    found[shared] = float(sums["loss"].sum() - clean.sum())
  assert abs(found[True]) < 1e-3 < 1e-2 < found[False]


def test_the_average_of_the_parameters_is_held_against_them():
  c = tiny.config(
    **{"adversary.kind": "smart", "adversary.proximal": 3.0},
    **{"adversary.momentum": 0.5, "optim.bias_correction": True},
  )
  init, step = tiny.functions(tiny.model(), c)
  state, batches = tiny.start(init), tiny.batches()
  before = []
  want = jax.device_get(state.params)
  for k in range(3):
    before.append(jax.device_get(state.average))
    state, _ = step(state, batches[k])
    want = jax.tree.map(lambda a, p: 0.5 * a + 0.5 * p, want, state.params)
    assert tiny.difference(state.average, want) < 1e-6
  assert tiny.difference(before[2], state.params) > 1e-3
  # What it adds is nothing where it is the parameters themselves, and moves
  # them where it is not.
  near = state.replace(average=jax.tree.map(jnp.copy, state.params))
  sums = [step(each, batches[3])[1] for each in (near, state)]
  plain = tiny.functions(
    tiny.model(), tiny.config(**{"adversary.kind": "smart"})
  )
  _, alone = plain[1](state.replace(average=None), batches[3])
  np.testing.assert_allclose(sums[0]["loss"], alone["loss"], rtol=1e-6)
  assert (sums[1]["loss"] > alone["loss"]).all()
  assert sums[1]["grad_norm"] != alone["grad_norm"]


def test_the_momentum_is_the_papers():
  row, c = adversaries.ADVERSARIES["smart"], common.base().adversary
  assert row.momentum(c, 50) is None
  c.proximal = 1.0
  schedule = row.momentum(c, 50)
  assert [float(schedule(k)) for k in (0, 4, 5)] == pytest.approx(
    [0.99, 0.99, 0.999]
  )
  c.momentum = 0.5
  assert float(row.momentum(c, 50)(30)) == 0.5


def test_a_key_that_is_not_read_is_refused():
  c = common.base()
  values.check(c)
  c.adversary.weight = 5.0
  with pytest.raises(ValueError, match=r"kind is none, which does not read it"):
    values.check(c)
  c.adversary.kind = "rdrop"
  values.check(c)
  c.adversary.kind = "r-drop"
  with pytest.raises(ValueError, match="did you mean 'rdrop'"):
    values.check(c)
  c.adversary.kind = "freelb"
  with pytest.raises(ValueError, match="one of rdrop, smart, smart_mtdnn, vat"):
    values.check(c)
  c.adversary.weight, c.adversary.kind, c.adversary.norm = 1.0, "vat", "2"
  with pytest.raises(ValueError, match=r"norm is '2', but .* is vat, which"):
    values.check(c)
  c.adversary.norm, c.dtype = "paper", "bfloat16"
  with pytest.raises(ValueError, match="than bfloat16 tells apart"):
    values.check(c)
  c.adversary.kind = "freelb"
  values.check(c)


def test_a_momentum_of_nothing_is_refused():
  c = common.base()
  c.adversary.kind, c.adversary.momentum = "smart", 0.9
  with pytest.raises(ValueError, match="proximal is 0, so nothing is held"):
    values.check(c)
  c.adversary.proximal = 1.0
  values.check(c)


def test_what_is_not_asked_for_is_as_in_the_paper():
  c = common.base().adversary
  row = adversaries.ADVERSARIES["smart"]
  assert vars(row.settings(c)) == {
    **row.constants,
    "weight": 1.0,
    "shared_dropout": True,
    "proximal": 0.0,
  }
  c.epsilon, c.norm = 0.5, "1"
  found = row.settings(c)
  assert (found.epsilon, found.norm, found.noise) == (0.5, "1", 1e-5)
  # What can be asked for can be read, and is nothing where it is not asked for.
  keys = {key for row in adversaries.ADVERSARIES.values() for key in row.keys}
  assert keys | {"kind"} == set(c.keys())
  assert {f"adversary.{key}" for key in c} <= NEUTRAL.keys()


def test_the_page_has_the_constants_of_the_rows():
  keys = ("steps", "step_size", "epsilon", "noise", "norm")
  page = Path(__file__).parents[2] / "docs" / "adversarial.md"
  told = page.read_text("utf-8").partition("| | K | η")[2]
  for line in told.splitlines()[2:]:
    if not line.startswith("|"):
      break
    name, *cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
    constants = dict(adversaries.ADVERSARIES[name].constants)
    # Its norm is no choice.
    constants |= {"norm": "2"} if name == "vat" else {}
    for key, cell in zip(keys, cells, strict=True):
      assert str(constants.get(key, "")) in (cell, str(float(cell or 0))) or (
        float(cell) == constants[key]
      )
