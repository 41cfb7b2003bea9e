"""A teacher with other windows or other tokens: nothing it knows is lost."""

import numpy as np
import pytest
import scipy.special

from bam_jax.data.projection import project
from bam_jax.data.ragged import offsets_of
from bam_jax.data.windows import Windows
from bam_jax.data.words import Words

# "playing cards now", by words and by pieces.
COARSE = [(0, 7), (8, 13), (14, 17)]
FINE = [(0, 4), (4, 7), (8, 12), (12, 13), (14, 17)]


def made(*windows):
  """Returns the places of windows: (question, spans of tokens) each."""
  counts = [1 + len(spans) for _, spans in windows]
  chars = [span for _, spans in windows for span in [(0, 0), *spans]]
  source = np.array([number for number, _ in windows])
  words = Words(np.arange(sum(counts), dtype=np.int32), offsets_of(counts))
  return words, Windows(source, np.array(chars, np.int32))


def shares(teacher, logits, student):
  """Returns what a student's places get, in probabilities of each window."""
  words, windows = teacher
  got = project(logits, words.counts, windows, *student)
  cuts = student[0].offsets[1:-1]
  return [scipy.special.softmax(part, 0) for part in np.split(got, cuts)]


def test_the_same_windows_say_the_same():
  same = made((4, FINE), (2, COARSE))
  logits = np.random.default_rng(0).normal(size=(10, 2)).astype(np.float32)
  one, two = shares(same, logits, same)
  np.testing.assert_allclose(one, scipy.special.softmax(logits[:6], 0), 1e-5)
  np.testing.assert_allclose(two, scipy.special.softmax(logits[6:], 0), 1e-5)


def test_a_token_takes_what_begins_and_what_ends_in_it():
  logits = np.log(
    [[0.1, 0.2], [0.3, 0.05], [0.2, 0.15], [0.25, 0.1], [0.1, 0.2], [0.05, 0.3]]
  ).astype(np.float32)
  (got,) = shares(made((0, FINE)), logits, made((0, COARSE)))
  want = [[0.1, 0.2], [0.5, 0.2], [0.35, 0.3], [0.05, 0.3]]
  np.testing.assert_allclose(got, want, atol=1e-4)
  logits = np.log([[0.1, 0.2], [0.3, 0.4], [0.5, 0.1], [0.1, 0.3]])
  (got,) = shares(made((0, COARSE)), logits, made((0, FINE)))
  # It starts at the first piece and ends at the last.
  starts, ends = [0.1, 0.3, 0, 0.5, 0, 0.1], [0.2, 0, 0.4, 0, 0.1, 0.3]
  np.testing.assert_allclose(got, np.stack([starts, ends], 1), atol=1e-4)


def test_what_is_in_another_window_is_not_in_this_one():
  # The teacher's second window has the answer, at its last token.
  teacher = made((0, COARSE[:2]), (0, COARSE[1:]), (1, COARSE))
  first, second = [0.9, 0.05, 0.05], [0.02, 0.03, 0.95]
  other = [0.25, 0.25, 0.25, 0.25]
  logits = np.log(np.repeat([[p] for p in first + second + other], 2, axis=1))
  wide, left, right = shares(
    teacher, logits, made((0, COARSE), (0, COARSE[:1]), (0, COARSE[2:]))
  )
  assert wide[3] == pytest.approx([0.95 / 1.05] * 2, rel=0.1)
  assert wide[0] == pytest.approx([0, 0], abs=1e-4)
  assert left[0] == pytest.approx([0.95, 0.95], abs=1e-3)
  assert right[1] == pytest.approx([0.95, 0.95], abs=1e-3)
