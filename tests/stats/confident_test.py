"""Suspected labels are those that confident learning counts elsewhere."""

import numpy as np
import pytest

from bam_jax.stats import confident

# Labels of 12 rows, and what 2 trials give each of 3 classes.
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])


@pytest.fixture
def chances():
  rng = np.random.default_rng(0)
  logits = 2 * rng.normal(size=(2, 12, 3))
  logits[:, np.arange(12), LABELS] += 2
  # Rows 3 and 8 are of other classes than their labels say.
  logits[:, 3] = [0.0, 0.0, 6.0]
  logits[:, 8] = [5.0, 0.0, 0.0]
  shares = np.exp(logits)
  return shares / shares.sum(-1, keepdims=True)


def test_the_joint_is_counted_as_the_paper_writes_it(chances):
  p = chances.mean(0)
  t = [p[j == LABELS, j].mean() for j in range(3)]
  expected = np.zeros((3, 3), int)
  for i in range(12):
    sure = [j for j in range(3) if p[i, j] >= t[j]]
    if sure:
      expected[LABELS[i], max(sure, key=lambda j: p[i, j])] += 1
  assert 0 < expected.trace() < expected.sum() < 12
  np.testing.assert_array_equal(confident.joint(p, LABELS), expected)


def test_planted_labels_come_first_the_surest_before_the_others(chances):
  found = confident.suspects(chances, LABELS)
  assert found.rows[:2].tolist() == [3, 8]
  assert (np.diff(found.margin) >= 0).all() and found.margin.max() < 0
  assert found.agree[:2].tolist() == [1, 1]


def test_trials_that_do_not_agree_are_told(chances):
  other = chances.copy()
  other[1, 8] = [0.3, 0.0, 0.7]
  found = confident.suspects(other, LABELS)
  assert dict(zip(found.rows.tolist(), found.agree, strict=True))[8] == 0.5


def test_the_likeliest_label_is_never_suspected():
  # Class 1 is given little by all, so that 0.3 of it is much; 0 is likelier.
  p = np.array([[0.9, 0.1], [0.95, 0.05], [0.6, 0.4], [0.9, 0.1], [0.7, 0.3]])
  labels = np.array([0, 0, 0, 1, 1])
  assert confident.joint(p, labels)[0, 1] == 1
  assert confident.suspects(p[None], labels).rows.tolist() == [3]


def test_a_class_without_rows_is_never_meant():
  p = np.array([[[0.1, 0.2, 0.7], [0.3, 0.4, 0.3], [0.8, 0.1, 0.1]]])
  assert confident.suspects(p, np.array([0, 1, 0])).rows.tolist() == []


def test_it_finds_what_cleanlab_finds(chances):
  filters = pytest.importorskip("cleanlab.filter")
  mine = filters.find_label_issues(
    LABELS,
    chances.mean(0),
    filter_by="confident_learning",
    return_indices_ranked_by="normalized_margin",
    n_jobs=1,
  )
  found = confident.suspects(chances, LABELS).rows
  assert found.tolist() == mine.tolist()
