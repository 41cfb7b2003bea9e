"""Adversaries: R-Drop against its formula, and what is refused of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from bam_jax.data import pipeline
from bam_jax.models.multitask import init_params
from bam_jax.stages import values
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
    want = (scipy.stats.entropy(p, q) + scipy.stats.entropy(q, p)) / 2
    assert got[row] == pytest.approx(want, rel=1e-5)
  assert got[2] == 0
  values_ = objectives.Owners(jnp.array([1, 1, 0]), {"mse": jnp.arange(3) < 2})
  want = np.square(one[:, 0] - two[:, 0]) * [1, 1, 0]
  np.testing.assert_allclose(
    objectives.distance(one, two, values_), want, rtol=1e-5
  )
  # What another head left in foreign columns is in no gradient.
  one[1, 3] = np.nan
  slope = jax.grad(lambda x: objectives.distance(x, two, owned).sum())(one)
  assert np.isfinite(slope).all() and not slope[2].any()


def test_rdrop_is_two_passes_and_their_distance():
  net = tiny.model()
  losses, c = make_losses(net), common.base()
  c.adversary.kind, c.adversary.weight = "rdrop", WEIGHT
  passes = adversaries.Passes(losses, net.heads, 1.0, c.adversary)
  params = init_params(net, jax.random.key(0))
  batch = pipeline.Batches(tiny.batches())[0]
  key = jax.random.key(8)
  _, sums = jax.jit(adversaries.ADVERSARIES["rdrop"](passes))(
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
      apart = float((one - two)[0] ** 2)
    else:
      p, q = scipy.special.softmax(one), scipy.special.softmax(two)
      apart = (scipy.stats.entropy(p, q) + scipy.stats.entropy(q, p)) / 2
    assert apart > 0
    want[task] += sum(float(x[b, e]) for _, x in said) / 2 + WEIGHT * apart
  np.testing.assert_allclose(sums["loss"], want, rtol=1e-4)


def test_a_weight_of_nothing_is_refused():
  c = common.base()
  values.check(c)
  c.adversary.weight = 5.0
  with pytest.raises(ValueError, match=r"kind is none, which has noth"):
    values.check(c)
  c.adversary.kind = "rdrop"
  values.check(c)
  c.adversary.kind = "r-drop"
  with pytest.raises(ValueError, match="did you mean 'rdrop'"):
    values.check(c)
