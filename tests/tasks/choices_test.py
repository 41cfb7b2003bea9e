"""What is said of candidates, question by question."""

import numpy as np
import scipy.special

from bam_jax.tasks import choices
from bam_jax.tasks.answers import Read


def test_teachers_are_averaged_in_the_probabilities_of_each_question():
  words = np.array([3, 2])
  scores = np.random.default_rng(0).normal(size=(4, 5, 1), scale=3)
  found = choices.mean(scores.astype(np.float32), words)
  assert found.shape == (5, 1) and found.dtype == np.float32
  for mine in (slice(0, 3), slice(3, 5)):
    want = scipy.special.softmax(scores[:, mine, 0], axis=1).mean(0)
    np.testing.assert_allclose(
      scipy.special.softmax(found[mine, 0]), want, rtol=1e-5
    )


def test_equal_scores_keep_the_order_that_was_given():
  read = [
    Read("a bb c", np.array([[0, 1], [2, 4], [5, 6]])),
    Read("d", np.array([[0, 1]])),
  ]
  scores = np.array([[1.0], [2.0], [2.0], [-9.0]])
  first, second = choices.chosen(None, scores, read)
  assert [each.text for each in first.candidates] == ["bb", "c", "a"]
  assert [each.index for each in first.candidates] == [1, 2, 0]
  assert first.label == "bb" and second.label == "d"
  assert second.candidates[0].probability == 1
  assert second.record() == {
    "label": "d",
    "candidates": [
      {"text": "d", "rank": 1, "index": 0, "score": -9.0, "probability": 1.0}
    ],
  }
