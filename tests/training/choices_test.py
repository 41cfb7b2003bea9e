"""Where an answer starts and ends: half of two cross-entropies over its places.

Against NumPy, example by example; whatever stands elsewhere is of no account.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from bam_jax.models.heads import HeadSpec
from bam_jax.training import chosen, spaces

B, S, E, K = 2, 11, 3, 5
HEADS = (
  HeadSpec("tags", K, output="logits", loss="ce", head="tags"),
  HeadSpec("qa", 2, output="logits", loss="span", head="span"),
)
# Of each row, the segment and the task of its examples: (length, task).
ROWS = (((4, 1), (5, 1)), ((3, 0), (6, 1)))


def batch(rng, *, gold=True, teacher=False):
  """Returns a batch: of each example [CLS] and all but two places answer."""
  made = {
    "segments": np.zeros((B, S), np.int32),
    "task": np.full((B, E), -1, np.int32),
    "tag": np.full((B, S), -1, np.int32),
    "tag_teacher": rng.normal(size=(B, S, K)).astype(np.float32),
    "has_tag_teacher": np.zeros((B, S), np.float32),
  }
  spots = []
  for row, parts in enumerate(ROWS):
    at = 0
    for slot, (length, task) in enumerate(parts):
      made["segments"][row, at : at + length] = slot + 1
      made["task"][row, slot] = task
      places = at + np.array([0, *range(2, length - 1)])
      if task == 1:
        first, last = np.sort(rng.integers(0, len(places), 2))
        marks = np.zeros(len(places), np.int32)
        marks[first] += 1
        marks[last] += 2
        spots.append((row, slot, places, first, last))
      else:
        marks = rng.integers(0, K, len(places))
      made["tag"][row, places] = marks if gold else -1
      made["has_tag_teacher"][row, places] = teacher
      at += length
  return made, spots


def losses(logits, made, share=1.0):
  return spaces.example_losses(HEADS, {"token": logits}, made, share)


@pytest.mark.parametrize("share", [1.0, 0.25, 0.0])
def test_it_is_half_of_the_cross_entropies_of_start_and_end(share):
  rng = np.random.default_rng(1)
  made, spots = batch(rng, teacher=True)
  logits = 3 * rng.normal(size=(B, S, K)).astype(np.float32)
  got = np.asarray(losses(logits, made, share))
  assert len(spots) == 3
  for row, slot, places, *ends in spots:
    want = 0.0
    for column, end in enumerate(ends):
      said = scipy.special.log_softmax(logits[row, places, column])
      taught = made["tag_teacher"][row, places, column]
      target = (1 - share) * scipy.special.softmax(taught)
      target[end] += share
      want -= (target * said).sum() / 2
    assert got[row, slot] == pytest.approx(want, rel=1e-5)
  assert got[made["task"] < 0].max() == 0


def test_a_teacher_alone_teaches_where_there_is_no_gold():
  rng = np.random.default_rng(2)
  made, spots = batch(rng, gold=False, teacher=True)
  logits = rng.normal(size=(B, S, K)).astype(np.float32)
  got = np.asarray(losses(logits, made, 1.0))
  for row, slot, places, *_ in spots:
    said = scipy.special.log_softmax(logits[row, places, :2], axis=0)
    taught = scipy.special.softmax(made["tag_teacher"][row, places, :2], axis=0)
    assert got[row, slot] == pytest.approx(-(taught * said).sum() / 2, rel=1e-5)
  made, _ = batch(rng, gold=False)
  assert np.asarray(losses(logits, made)).max() == 0


def test_nothing_else_counts_and_nothing_else_moves():
  rng = np.random.default_rng(3)
  made, spots = batch(rng)
  logits = rng.normal(size=(B, S, K)).astype(np.float32)
  mine = np.zeros((B, S, K), bool)
  for row, _, places, *_ in spots:
    mine[row, places, :2] = True
  tags = (made["tag"] >= 0) & ~mine[..., 0]
  worst = np.where(mine | tags[..., None], logits, np.nan)
  total = jax.value_and_grad(lambda x: losses(x, made).sum())
  (one, slope), (two, same) = total(logits), total(jnp.asarray(worst))
  assert one == pytest.approx(float(two))
  np.testing.assert_allclose(slope, same)
  assert not np.asarray(slope)[~(mine | tags[..., None])].any()
  assert np.asarray(slope)[mine].all()
  # A choice moves no sum: what one place gains the others lose.
  for row, _, places, *_ in spots:
    np.testing.assert_allclose(slope[row, places, :2].sum(0), 0, atol=1e-6)


def test_the_distance_is_half_of_both_kls_of_start_and_end():
  rng = np.random.default_rng(4)
  made, spots = batch(rng)
  one, two = rng.normal(size=(2, B, S, K)).astype(np.float32)
  # Of a tag, what no exp() can hold.
  one[1, 0] = two[1, 2] = 200.0
  apart, slope = jax.value_and_grad(
    lambda x: spaces.distances(HEADS, {"token": x}, {"token": two}, made).sum()
  )(one)
  assert np.isfinite(apart) and np.isfinite(slope).all()
  got = spaces.distances(HEADS, {"token": one}, {"token": two}, made)
  for row, slot, places, *_ in spots:
    p, q = (scipy.special.softmax(x[row, places, :2], 0) for x in (one, two))
    want = (scipy.special.rel_entr(p, q) + scipy.special.rel_entr(q, p)).sum()
    assert got[row, slot] == pytest.approx(want / 2, rel=1e-4)


def test_marks_are_sums_of_powers_of_two():
  got = chosen.marks(jnp.array([0, 1, 2, 3]), 3)
  assert got.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]
