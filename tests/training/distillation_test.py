"""Gold and teacher in one loss, or each with its own; a task's own choices."""

import dataclasses

import jax
import numpy as np
import pytest

from bam_jax.data import pipeline
from bam_jax.models.multitask import init_params
from bam_jax.training import objectives, spaces
from bam_jax.training.distillation import TARGETS, Mix
from bam_jax.training.step import make_losses
from tests import tiny

BATCH = pipeline.Batches(tiny.batches())[0]
HERE = BATCH["task"] >= 0


def changed(name: str, **changes):
  """Returns the heads, one of them with other choices."""
  return tuple(
    dataclasses.replace(spec, **changes) if spec.name == name else spec
    for spec in tiny.HEADS
  )


def said(heads=tiny.HEADS, mix=TARGETS, *, batch=BATCH, share=0.3, **model):
  """Returns outputs f32[B, E, C] and losses f32[B, E]."""
  net = tiny.model(heads=heads, **model)
  params = init_params(tiny.model(), jax.random.key(0))
  losses = tiny.quickly(make_losses(net, mix))
  outputs, loss = losses(params, batch, jax.random.key(1), share)
  return np.asarray(outputs["example"]), np.asarray(loss)


def of(name: str) -> np.ndarray:
  return BATCH["task"] == [spec.name for spec in tiny.HEADS].index(name)


@pytest.mark.parametrize("changes", [{"dropout": 0.5}, {"dropout": 0.0}])
def test_a_tasks_dropout_changes_its_outputs_alone(changes):
  usual, _ = said()
  found, _ = said(changed("rte", **changes))
  rte = of("rte")
  assert (found[rte] != usual[rte]).any(axis=-1).all()
  np.testing.assert_array_equal(found[~rte], usual[~rte])


def test_a_tasks_dropout_drops_its_share():
  heads = changed("mnli", dropout=0.75)
  net = tiny.model(heads=heads, dropout=0.0, head_dropout=0.25)
  params = init_params(net, jax.random.key(0))
  # So that what a head says is the mean of what is kept of a vector of ones.
  params["pooler"] = jax.tree.map(np.zeros_like, params["pooler"])
  params["pooler"]["bias"] += 9.0
  for head in params["heads"].values():
    head["kernel"] = np.full_like(head["kernel"], 1 / tiny.ENCODER.width)
  shares = []
  for seed in range(200):
    out = net.apply(
      {"params": params},
      BATCH,
      train=True,
      rngs={"dropout": jax.random.key(seed)},
    )["example"][..., 0]
    shares.append(
      [
        np.mean(out[of("mnli")]),
        np.mean(jax.scipy.special.logit(out[of("stsb")])),
      ]
    )
  # What is kept is scaled, so that the mean stays.
  np.testing.assert_allclose(np.mean(shares, axis=0), 1.0, atol=0.05)
  assert np.std(shares, axis=0)[0] > 1.5 * np.std(shares, axis=0)[1]


@pytest.mark.parametrize(
  ("changes", "mix"),
  [({"loss": "js"}, TARGETS), ({"kd_loss": "symkl"}, Mix("losses", 2.0))],
)
def test_a_tasks_loss_changes_its_loss_alone(changes, mix):
  outputs, usual = said(mix=mix)
  same, found = said(changed("rte", **changes), mix)
  np.testing.assert_array_equal(outputs, same)
  rte = of("rte")
  assert (np.abs(found - usual)[rte] > 1e-4).all()
  np.testing.assert_array_equal(found[~rte], usual[~rte])


def test_a_loss_of_its_own_is_added_to_that_against_the_label():
  heads, share, heat = changed("rte", kd_loss="js"), 0.3, 2.0
  outputs, found = said(heads, Mix("losses", heat), share=share)
  _, gold = said(share=1.0)
  own = objectives.owners(heads, BATCH["task"], role="kd_loss")
  taught = objectives.taught_loss(outputs, BATCH["teacher"], own, heat)
  want = share * gold + (1 - share) * np.asarray(taught)
  np.testing.assert_allclose(found[HERE], want[HERE], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("mix", [TARGETS, Mix("losses", 2.0)])
def test_who_has_no_teacher_learns_the_label_and_who_has_no_label_the_teacher(
  mix,
):
  none = np.zeros_like(BATCH["has_teacher"])
  _, gold = said(mix=mix, batch=BATCH | {"has_teacher": none})
  np.testing.assert_allclose(gold, said(share=1.0)[1], rtol=1e-6)
  _, taught = said(mix=mix, share=0.0)
  unlabelled = BATCH | {"has_gold": np.zeros_like(BATCH["weight"])}
  _, found = said(mix=mix, batch=unlabelled, share=0.7)
  np.testing.assert_allclose(found, taught, rtol=1e-5, atol=1e-6)


def test_without_an_own_loss_ce_of_the_teacher_is_that_of_its_target():
  """At temperature 1 the mean of two cross-entropies is that of the mean."""
  _, one = said()
  _, two = said(mix=Mix("losses", 1.0))
  classes = HERE & ~of("stsb")
  np.testing.assert_allclose(one[classes], two[classes], rtol=1e-5)


def test_passes_are_compared_as_a_task_has_chosen():
  def distance(heads):
    net = tiny.model(heads=heads)
    params = init_params(net, jax.random.key(0))
    one, two = (
      net.apply(
        {"params": params},
        BATCH,
        train=True,
        rngs={"dropout": jax.random.key(seed)},
      )
      for seed in (1, 2)
    )
    return np.asarray(spaces.distances(heads, one, two, BATCH))

  usual, found = distance(tiny.HEADS), distance(changed("rte", adv_loss="kl"))
  rte = of("rte")
  assert (found != usual)[rte].all()
  np.testing.assert_array_equal(found[~rte], usual[~rte])
