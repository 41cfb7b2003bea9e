"""Dropout: which elements, how many, whose, and how many bits it takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.models.dropout import Dropout, draws, drop

KEY = jax.random.key(3)
# An odd last axis: the last hash of each row serves one element.
ONES = jnp.ones((40, 50, 41))
# Forty examples of two tasks, fifty positions of each.
EXAMPLES = jnp.stack([jnp.arange(40) % 2, jnp.arange(40) // 2], axis=-1)
PLACES = jnp.arange(50)[:, None]


def dropped(x, rate, key=KEY, examples=EXAMPLES, places=PLACES):
  """Returns x [N, P, C], of N examples, after dropout."""
  own = draws(key, examples, rate)
  return drop(x, own.rate, own.key, own.words[:, None, None], places)


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.9])
def test_as_many_are_dropped_as_asked_and_the_mean_stays(rate):
  found = np.asarray(dropped(ONES, rate))
  gone = found == 0
  # Five standard deviations of a share of independent draws.
  bound = 5 * (rate * (1 - rate) / gone.size) ** 0.5
  assert abs(gone.mean() - rate) < bound
  assert abs(found.mean() - 1) < bound / (1 - rate)
  # What is left is scaled by the rate that 16 bits can hold.
  kept = 1 - round(rate * 65536) / 65536
  np.testing.assert_allclose(found[~gone], 1 / kept, rtol=1e-6)


def test_elements_are_dropped_independently_of_each_other():
  gone = np.asarray(dropped(ONES, 0.5)) == 0
  # Columns come out of the same hashes; rows are positions, then examples.
  for view in (gone, gone.swapaxes(1, 2), gone.transpose(1, 2, 0)):
    flat = view.reshape(-1, view.shape[-1])
    seen = np.corrcoef(flat.T) - np.eye(flat.shape[1])
    assert abs(seen).max() < 5 / len(flat) ** 0.5
  flat = gone.reshape(-1, 41)
  quarters = [flat[:, i : i + 8] for i in (0, 11, 22, 33)]
  for i, one in enumerate(quarters):
    assert not any(np.array_equal(one, other) for other in quarters[:i])
  assert len({row.tobytes() for row in flat}) == len(flat)


def test_an_example_takes_its_own_along():
  found = np.asarray(dropped(ONES, 0.5))
  # Another place, a longer array, another order and other company.
  some = np.array([7, 3, 30])
  positions = np.array([[9], [4], [9], [0]])
  apart = dropped(ONES[:3, :4], 0.5, KEY, EXAMPLES[some], positions)
  want = found[some][:, positions[:, 0]]
  np.testing.assert_array_equal(apart, want)
  # The task and the index count, each by itself.
  swapped = dropped(ONES, 0.5, KEY, EXAMPLES[:, ::-1])
  other = np.asarray(EXAMPLES[:, 0] != EXAMPLES[:, 1])
  assert other.sum() == 38
  assert (np.asarray(swapped) != found).mean(axis=(1, 2))[other].min() > 0.4


def test_a_key_says_which():
  same, other = dropped(ONES, 0.1), dropped(ONES, 0.1, jax.random.key(4))
  np.testing.assert_array_equal(same, dropped(ONES, 0.1))
  assert (np.asarray(same) != np.asarray(other)).mean() > 0.1


def test_gradients_go_where_values_went():
  found = dropped(ONES, 0.3)
  gradient = jax.grad(lambda x: dropped(x, 0.3).sum())(ONES)
  np.testing.assert_array_equal(gradient, found)


def test_the_type_stays():
  assert dropped(ONES.astype(jnp.bfloat16), 0.1).dtype == jnp.bfloat16


@pytest.mark.parametrize("axis", [1, 3])
@pytest.mark.parametrize("size", [1, 4, 6, 8])
def test_it_hashes_once_for_four_elements(size, axis):
  sides = [2, 5, 3, 7]
  sides[axis] = 1
  words = jnp.ones((*sides, 2), jnp.uint32)
  sides[axis] = size
  drawn = jax.make_jaxpr(
    lambda x: drop(x, 0.1, words[0, 0, 0, 0], words, axis=axis)
  )(jnp.ones(sides))
  hashed = [
    value.aval.shape
    for x in drawn.eqns
    if "threefry" in x.primitive.name
    for value in x.outvars
  ]
  sides[axis] = -(-size // 4)
  assert hashed == [tuple(sides)] * 2
  assert "random" not in str(drawn)


# Not unsafe_rbg, whose keys are no hashes.
@pytest.mark.parametrize("name", ["threefry2x32", "rbg"])
def test_any_sound_generator_of_jax_will_do(name):
  found = np.asarray(dropped(ONES, 0.25, jax.random.key(3, impl=name)))
  assert abs((found == 0).mean() - 0.25) < 5 * (0.1875 / found.size) ** 0.5


def test_nothing_is_dropped_out_of_training_or_at_rate_0():
  for rate, train in ((0.1, False), (0.0, True)):
    # No key is needed and no example, so none is drawn.
    found = Dropout(rate).apply({}, ONES, None, train=train)
    np.testing.assert_array_equal(found, ONES)
