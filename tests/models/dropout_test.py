"""Dropout: which elements, how many, and how many random bits it takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.models.dropout import Dropout, drop

KEY = jax.random.key(3)
# An odd last axis: the last hash of each row serves one element.
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
  # The quarters of a row come out of the same hashes.
  seen = np.corrcoef(dropped.T) - np.eye(41)
  assert abs(seen).max() < 5 / len(dropped) ** 0.5
  quarters = [dropped[:, i : i + 8] for i in (0, 11, 22, 33)]
  for i, one in enumerate(quarters):
    assert not any(np.array_equal(one, other) for other in quarters[:i])
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


@pytest.mark.parametrize("size", [1, 4, 6, 8])
def test_it_hashes_once_for_four_elements(size):
  drawn = jax.make_jaxpr(lambda x: drop(x, 0.1, KEY))(jnp.ones((3, size)))
  shapes = [
    x.params["shape"] for x in drawn.eqns if x.primitive.name == "random_split"
  ]
  assert shapes == [(3, -(-size // 4))]
  assert "random_bits" not in str(drawn)


@pytest.mark.parametrize("name", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_any_generator_of_jax_will_do(name):
  found = np.asarray(drop(ONES, 0.25, jax.random.key(3, impl=name)))
  assert abs((found == 0).mean() - 0.25) < 5 * (0.1875 / found.size) ** 0.5


def test_nothing_is_dropped_out_of_training_or_at_rate_0():
  for rate, train in ((0.1, False), (0.0, True)):
    # No key is needed, so none is drawn.
    found = Dropout(rate).apply({}, ONES, train=train)
    np.testing.assert_array_equal(found, ONES)
