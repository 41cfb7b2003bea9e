"""What rows count by their class: scikit-learn's weights, in the batches."""

import numpy as np
import pytest
from sklearn.utils import class_weight

from bam_jax.data import balance
from bam_jax.data.features import Features
from bam_jax.data.pool import TaskData, join

LABELS = np.float32([0, 2, 2, np.nan, 2, 0, 2])


def test_balanced_is_scikit_learns():
  known = ~np.isnan(LABELS)
  theirs = class_weight.compute_sample_weight("balanced", LABELS[known])
  found = balance.emphasis("balanced", LABELS)
  np.testing.assert_allclose(found[known], theirs, rtol=1e-6)
  # What has no label is not of any class.
  assert found[~known].tolist() == [1.0]
  assert found[known].mean() == pytest.approx(1)


def test_numbers_are_of_the_classes_in_their_order():
  found = balance.emphasis("1/7/0.5", LABELS)
  assert found.tolist() == [1, 0.5, 0.5, 1, 0.5, 1, 0.5]


@pytest.mark.parametrize("said", ["1/0", "even", "1/-2", "1//2", "nan/1", ""])
def test_what_is_no_weight_is_refused(said):
  with pytest.raises(ValueError, match="neither balanced nor numbers"):
    balance.parse(said)


def test_the_loss_of_a_row_counts_so_much_beside_its_tasks_weight():
  count = len(LABELS)
  features = Features(
    tokens=np.ones(3 * count, np.int32),
    types=np.zeros(3 * count, np.int8),
    offsets=np.arange(0, 3 * count + 1, 3),
    index=np.arange(count),
    labels=LABELS,
  )
  teacher = np.zeros((count, 3), np.float32)
  emphasis = balance.emphasis("1/7/0.5", LABELS)
  pool = join(
    [
      TaskData("plain", features, 3, teacher),
      TaskData("rare", features, 3, teacher, emphasis),
    ],
    weights=[3.0, 2.0],
  )
  assert pool.weight[:count].tolist() == [3.0] * count
  assert pool.weight[count:].tolist() == (2 * emphasis).tolist()
