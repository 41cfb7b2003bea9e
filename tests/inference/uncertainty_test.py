"""What trials say together, and how far they disagree."""

import dataclasses

import numpy as np
import pytest

from bam_jax.inference import uncertainty
from bam_jax.tasks.description import Head
from bam_jax.tasks.table import TASKS

MNLI, STSB = (Head.of(TASKS[name]) for name in ("mnli", "stsb"))


def log(*rows):
  return np.log(np.array(rows))


def test_trials_that_are_unsure_together_do_not_disagree():
  unsure = log([[0.4, 0.4, 0.2], [0.9, 0.05, 0.05]])
  found = uncertainty.of(MNLI, np.repeat(unsure, 5, axis=0))
  np.testing.assert_allclose(found.disagreement, 0, atol=1e-12)
  np.testing.assert_allclose(found.margin, [0.0, 0.85], atol=1e-12)
  np.testing.assert_allclose(np.exp(found.outputs), np.exp(unsure[0]))


def test_disagreement_is_the_entropy_of_the_mean_less_the_mean_entropy():
  outputs = log([[0.98, 0.01, 0.01]], [[0.01, 0.98, 0.01]])
  found = uncertainty.of(MNLI, outputs)

  def entropy(p):
    return -sum(x * np.log(x) for x in p)

  want = entropy([0.495, 0.495, 0.01]) - entropy([0.98, 0.01, 0.01])
  np.testing.assert_allclose(found.disagreement, [want])
  np.testing.assert_allclose(found.margin, [0.0], atol=1e-12)


def test_a_number_has_a_spread_and_no_margin():
  found = uncertainty.of(STSB, np.array([[[0.2], [0.5]], [[0.4], [0.5]]]))
  np.testing.assert_allclose(found.disagreement, [0.1, 0.0])
  assert np.isnan(found.margin).all()
  np.testing.assert_allclose(found.outputs, [[0.3], [0.5]])


def test_of_several_labels_the_one_in_doubt_counts():
  head = dataclasses.replace(MNLI, kind="multilabel")
  chances = np.array([[[0.9, 0.5, 0.99]], [[0.9, 0.5, 0.99]]])
  found = uncertainty.of(head, np.log(chances / (1 - chances)))
  np.testing.assert_allclose(found.margin, [0.0], atol=1e-12)
  np.testing.assert_allclose(found.disagreement, [0.0], atol=1e-12)
  other = chances.copy()
  other[1, 0, 0] = 0.1
  found = uncertainty.of(head, np.log(other / (1 - other)))
  one = -0.9 * np.log(0.9) - 0.1 * np.log(0.1)
  np.testing.assert_allclose(found.disagreement, [np.log(2) - one])


def test_what_says_many_things_of_a_text_is_refused():
  tags = dataclasses.replace(MNLI, kind="tagging")
  with pytest.raises(ValueError, match="kind tagging, which says more than"):
    uncertainty.of(tags, np.zeros((2, 1, 3)))
