"""What is told of each class, counted by hand."""

import numpy as np
import pytest
import scipy

from bam_jax.stats import classes

NAMES = ("low", "mid", "high")


def logits_of(said, width, sure=4.0):
  return np.float32(sure * np.eye(width)[said])


def test_counts_are_those_by_hand():
  gold = np.array([0, 0, 0, 1, 1])
  trials = np.stack(
    [logits_of([0, 0, 1, 1, 2], 3), logits_of([0, 0, 0, 0, 0], 3)]
  )
  found = classes.summary(trials, gold, NAMES)
  assert found["labels"] == [*NAMES] and found["support"] == [3, 2, 0]
  np.testing.assert_allclose(
    found["precision"], [[1, 3 / 5], [1 / 2, 0], [0, 0]]
  )
  np.testing.assert_allclose(found["recall"], [[2 / 3, 1], [1 / 2, 0], [0, 0]])
  np.testing.assert_allclose(found["f1"], [[0.8, 0.75], [0.5, 0], [0, 0]])
  # Gold by said, both trials together.
  assert found["confusion"] == [[5, 1, 0], [2, 1, 1], [0, 0, 0]]
  # A class that no row has.
  assert found["auroc"][2] == [None, None] == found["average_precision"][2]
  # Whoever is always said has no order.
  assert found["auroc"][0][1] == pytest.approx(0.5)


def test_areas_are_of_the_chance_of_a_class_and_not_of_its_logit():
  rng = np.random.default_rng(3)
  gold = rng.integers(0, 3, 41)
  # What is added to all logits of a row changes no chance.
  trial = rng.normal(size=(41, 3)) + 30 * rng.normal(size=(41, 1))
  found = classes.summary(np.float32(trial)[None], gold, NAMES)
  chance = scipy.special.softmax(np.float64(np.float32(trial)), -1)
  for c in range(3):
    mine, others = chance[gold == c, c], chance[gold != c, c]
    pairs = mine[:, None] - others
    want = (pairs > 0).mean() + (pairs == 0).mean() / 2
    assert found["auroc"][c] == [pytest.approx(want)]


def test_of_several_labels_each_is_told_by_itself():
  gold = np.array([[1, 0], [1, 1], [0, 0], [1, 0]])
  said = np.float32([[2, -1], [-1, 3], [-2, -2], [0.5, 1]])
  found = classes.summary(said[None], gold, ("rude", "urgent"))
  assert found["support"] == [3, 1] and found["confusion"] == []
  np.testing.assert_allclose(found["precision"], [[1], [1 / 2]])
  np.testing.assert_allclose(found["recall"], [[2 / 3], [1]])
  np.testing.assert_allclose(found["auroc"], [[1], [1]])
