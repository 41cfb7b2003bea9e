"""Several teachers as one: weighted means, sureness, votes."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from bam_jax.tasks import together
from bam_jax.tasks.kinds import KINDS

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(scale=3, size=(3, 5, 4)).astype(np.float32)  # K, N, C
WEIGHTS = RNG.uniform(0.5, 2, size=(3, 5))


@pytest.mark.parametrize(
  ("mean", "chance"),
  [
    (together.mean_probability, scipy.special.softmax),
    (together.mean_chance, lambda x, axis: scipy.special.expit(x)),
    (together.mean_value, lambda x, axis: x),
  ],
)
def test_judges_are_averaged_by_weight_and_the_silent_left_out(mean, chance):
  said, weights = LOGITS.copy(), WEIGHTS.copy()
  said[1, 2], weights[1, 2] = np.nan, 0
  said[:, 4], weights[:, 4] = np.nan, 0
  found = mean(said, None, weights)
  assert found.dtype == np.float32 and found.shape == (5, 4)
  by_hand = np.ma.average(
    np.ma.masked_invalid(chance(said, axis=-1)),
    axis=0,
    weights=np.broadcast_to(weights[..., None], said.shape),
  )
  np.testing.assert_allclose(chance(found, axis=-1)[:4], by_hand[:4], rtol=1e-5)
  assert np.isnan(found[4]).all()
  # The weights and the hole tell.
  assert abs(mean(LOGITS) - found)[:4].max() > 0.05


def test_equal_weights_are_the_plain_mean():
  for kind in ("classification", "multilabel", "regression"):
    mean = KINDS[kind].mean
    np.testing.assert_allclose(
      mean(LOGITS, None, np.full((3, 5), 7.0)), mean(LOGITS, None), rtol=1e-5
    )


def test_votes_are_counted_of_those_who_vote():
  said = np.full((5, 3, 4), -1.0)
  for k, label in enumerate([2, 2, 0, 2, 1]):
    said[k, 0, label] = 3
  said[:, 1, 3] = 1
  said[2:, 1] = np.nan
  said[:, 2] = np.nan
  assert together.agreed(said).tolist() == [3 / 5, 1, 0]
  modes = scipy.stats.mode(said[:, 0].argmax(-1))
  assert modes.count / 5 == together.agreed(said)[0]


def test_of_several_labels_the_least_agreed_and_least_sure_counts():
  said = np.array([[[4.0, -4.0]], [[4.0, 0.1]], [[4.0, -9.0]]])
  np.testing.assert_allclose(together.agreed_by_label(said), [2 / 3])
  np.testing.assert_allclose(
    together.least_sure(np.array([[4.0, -0.5]])), [scipy.special.expit(0.5)]
  )


def test_only_kinds_that_vote_say_how_sure_they_are():
  for kind in KINDS.values():
    assert (kind.sure is None) == (kind.agreed is None)
    # Judges are averaged where a tasks file may name them.
    assert "judges" not in kind.takes or kind.mean is not None
  assert KINDS["regression"].sure is None
