"""Dropout: which elements, how many, and how many random bits it takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.dropout import Dropout, drop

KEY = jax.random.key(3)
# An odd last axis: the last word of each row serves one element.
ONES = jnp.ones((40, 50, 41))


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.9])
def test_as_many_are_dropped_as_asked_and_the_mean_stays(rate):
  found = np.asarray(drop(ONES, rate, KEY))
  dropped = found == 0
  # Five standard deviations of a share of independent draws.
  bound = 5 * (rate * (1 - rate) / dropped.size) ** 0.5
  assert abs(dropped.mean() - rate) < bound
  assert abs(found.mean() - 1) < bound / (1 - rate)
  # What is left is scaled by the rate that 16 bits can hold.
  kept = 1 - round(rate * 65536) / 65536
  np.testing.assert_allclose(found[~dropped], 1 / kept, rtol=1e-6)


def test_elements_are_dropped_independently_of_each_other():
  dropped = np.asarray(drop(ONES, 0.5, KEY)).reshape(-1, 41) == 0
  # Both halves of a row come out of the same words.
  seen = np.corrcoef(dropped.T) - np.eye(41)
  assert abs(seen).max() < 5 / len(dropped) ** 0.5
  assert not np.array_equal(dropped[:, :20], dropped[:, 21:])
  assert not np.array_equal(dropped[:1000], dropped[1000:])


def test_a_key_says_which():
  same, other = drop(ONES, 0.1, KEY), drop(ONES, 0.1, jax.random.key(4))
  np.testing.assert_array_equal(same, drop(ONES, 0.1, KEY))
  assert (np.asarray(same) != np.asarray(other)).mean() > 0.1


def test_gradients_go_where_values_went():
  found = drop(ONES, 0.3, KEY)
  gradient = jax.grad(lambda x: drop(x, 0.3, KEY).sum())(ONES)
  np.testing.assert_array_equal(gradient, found)


def test_the_type_stays():
  assert drop(ONES.astype(jnp.bfloat16), 0.1, KEY).dtype == jnp.bfloat16


def test_it_draws_a_word_for_two_elements():
  drawn = jax.make_jaxpr(lambda x: drop(x, 0.1, KEY))(jnp.ones((3, 8)))
  assert "shape=(3, 4)" in str(drawn) and "shape=(3, 8)" not in str(drawn)


def test_nothing_is_dropped_out_of_training_or_at_rate_0():
  for rate, train in ((0.1, False), (0.0, True)):
    # No key is needed, so none is drawn.
    found = Dropout(rate).apply({}, ONES, train=train)
    np.testing.assert_array_equal(found, ONES)
