"""Losses over candidates: the same as written out question by question."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from bam_jax.data import pipeline
from bam_jax.data.fields import GROUP
from bam_jax.data.pool import TaskData, join
from bam_jax.models.heads import HeadSpec
from bam_jax.training import groups, spaces
from tests import tiny
from tests.data.units_test import plain, questions

SPECS = (
  HeadSpec("rank", 1, output="logits", loss="rank_ce"),
  HeadSpec("plain", 2, output="logits", loss="ce"),
)
# Slots [B, E] of three questions, of 3, 2 and 2, torn over rows, of an example
# of another task, and of nothing.
PLACES = np.array([[0, 0, 2, -1], [2, 5, 0, 7], [5, -1, -1, -1]], np.int32)
PLACES[0, 2], PLACES[1, 0] = 2, 2
TASK = np.array([[0, 0, 0, -1], [0, 0, 0, 1], [0, -1, -1, -1]], np.int32)
RELEVANCE = np.array(
  [[0.0, 0.25, 1.0, 0], [0.0, 1.0, 0.75, 1], [0.0, 0, 0, 0]], np.float32
)


def batch(taught=(0, 5)):
  rng = np.random.default_rng(2)
  has = np.isin(PLACES, taught) & (TASK == 0)
  return {
    "task": TASK,
    GROUP.name: PLACES,
    "label": RELEVANCE,
    "teacher": rng.normal(size=(3, 4, 2)).astype(np.float32) * has[..., None],
    "has_teacher": has.astype(np.float32),
  }


def written_out(scores, given, share):
  """Returns the losses [B, E] of the questions, by numpy alone."""
  found = np.zeros((3, 4))
  for first in (0, 2, 5):
    mine = np.argwhere((first == PLACES) & (TASK == 0))
    at = tuple(mine.T)
    lines = scipy.special.log_softmax(scores[at])
    target = RELEVANCE[at]
    if given["has_teacher"][at].all():
      teacher = scipy.special.softmax(given["teacher"][at][:, 0])
      target = share * target + (1 - share) * teacher
    found.ravel()[first] = -(target * lines).sum()
  return found


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_the_loss_is_cross_entropy_over_the_candidates(share):
  given = batch()
  out = np.random.default_rng(3).normal(size=(3, 4, 2)).astype(np.float32)
  # What is not the question's own may be anything.
  out[0, 3] = out[2, 1:] = np.nan
  out[:2, :3, 1] = np.nan

  def total(out):
    loss = spaces.example_losses(SPECS, {"example": out}, given, share)
    return loss.sum(), loss

  (_, loss), slope = jax.value_and_grad(total, has_aux=True)(jnp.asarray(out))
  want = written_out(out[..., 0], given, share)
  want[1, 3] = -scipy.special.log_softmax(out[1, 3])[1]
  np.testing.assert_allclose(loss, want, atol=1e-6)
  # By differences, of the scores of the questions.
  for place in np.argwhere(TASK == 0).tolist():
    moved = [np.array(out[..., 0], np.float64) for _ in range(2)]
    for sign, each in zip((1, -1), moved, strict=True):
      each[tuple(place)] += sign * 1e-4
    one, two = (written_out(each, given, share).sum() for each in moved)
    assert slope[(*place, 0)] == pytest.approx((one - two) / 2e-4, abs=1e-4)
  assert not np.asarray(slope)[:2, :3, 1].any()
  assert not np.asarray(slope)[TASK < 0].any()


def test_a_question_is_counted_once():
  counted = groups.counted(batch()).reshape(3, 4)
  here = np.asarray(counted) * (TASK >= 0)
  assert np.argwhere(here).tolist() == [[0, 0], [0, 2], [1, 1], [1, 3]]


def test_two_outputs_are_as_far_apart_as_their_softmax():
  given = batch()
  one, two = np.random.default_rng(5).normal(size=(2, 3, 4, 2))
  apart = spaces.distances(
    SPECS, {"example": jnp.asarray(one)}, {"example": jnp.asarray(two)}, given
  )
  for first in (0, 2, 5):
    at = tuple(np.argwhere((first == PLACES) & (TASK == 0)).T)
    p, q = (scipy.special.softmax(x[at][:, 0]) for x in (one, two))
    want = (scipy.special.rel_entr(p, q) + scipy.special.rel_entr(q, p)).sum()
    assert apart.ravel()[first] == pytest.approx(want, abs=1e-5)


def test_micro_batches_make_the_same_step():
  rng = np.random.default_rng(1)
  counts = [3, 2, 4, 2, 3, 1]
  rows = questions(counts, rng.integers(2, 12, sum(counts)))
  rows.tokens[:] = rng.integers(1, 39, len(rows.tokens))
  others = plain([4, 12, 3])
  others.tokens[:] = rng.integers(1, 39, len(others.tokens))
  pool = join(
    [TaskData("rank", rows, 1, None), TaskData("plain", others, 2, None)],
    weights=[1.0, 0.5],
  )
  order = rng.permutation(9).astype(np.int32)[None, None]
  net, found = tiny.model(heads=SPECS), []
  for micro in (0, 4):
    batches = pipeline.TrialBatches(
      [pool],
      order,
      width=tiny.WIDTH,
      packing=True,
      row_shapes=1,
      multiple=micro or 1,
      micro_rows=micro,
    )
    assert batches.sizes[0] > 4
    init, step = tiny.functions(net, tiny.config(micro_rows=micro))
    _, sums = step(tiny.start(init), batches[0])
    found.append(sums)
  assert found[0]["count"].tolist() == [[6, 3]]
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *found
  )
