"""Noise, norms and balls of examples that share rows, against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.training import perturbation

D = 4
# Examples of 3 and 2 tokens, and padding; one of 5.
SEGMENTS = np.array([[1, 1, 1, 2, 2, 0], [1, 1, 1, 1, 1, 0]])
BATCH = {
  "segments": SEGMENTS,
  "positions": np.array([[0, 1, 2, 0, 1, 0], [0, 1, 2, 3, 4, 0]]),
  "task": np.array([[1, 0, -1], [1, -1, -1]]),
  "index": np.array([[7, 7, -1], [8, -1, -1]]),
}
EXAMPLES = ((0, 1), (0, 2), (1, 1))
KEY = jax.random.key(3)
# Norms of p over the numbers of one example.
ORDERS = {"inf": np.inf, "2": 2, "1": 1}


def pieces(x):
  """Returns the numbers of each example, f32[tokens, D]."""
  return [np.asarray(x)[row][SEGMENTS[row] == n] for row, n in EXAMPLES]


def into(x, radius, norm):
  """Returns the nearest of the ball, by sorting where p is 1."""
  flat = np.abs(x.ravel()).astype(np.float64)
  if norm == "inf":
    return np.clip(x, -radius, radius)
  if norm == "2":
    return x * min(1, radius / np.sqrt(np.square(flat).sum()))
  if flat.sum() <= radius:
    return x
  down = np.sort(flat)[::-1]
  over = (np.cumsum(down) - radius) / np.arange(1, len(down) + 1)
  threshold = over[np.flatnonzero(down > over)[-1]]
  return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)


@pytest.mark.parametrize("norm", perturbation.NORMS)
def test_examples_have_norms_and_balls_of_their_own(norm):
  # The second example lies within its ball, the others far without.
  scale = np.where(SEGMENTS == 2, 0.01, 1.0)[..., None]
  x = (np.random.default_rng(1).normal(size=(2, 6, D)) * scale).astype("f4")
  x[0, 5] = 100.0  # padding
  radius = 0.9
  sizes = pieces(perturbation.size(x, norm, BATCH))
  near = pieces(jax.jit(perturbation.BALLS[norm])(x, radius, BATCH))
  along = pieces(perturbation.direction(x * 1e-25, norm, BATCH))
  for one, size, found, unit in zip(pieces(x), sizes, near, along, strict=True):
    want = np.linalg.norm(one.ravel(), ORDERS[norm])
    np.testing.assert_allclose(size, want, rtol=1e-5)
    np.testing.assert_allclose(unit, one / want, rtol=1e-5)
    np.testing.assert_allclose(found, into(one, radius, norm), atol=1e-6)
    assert np.linalg.norm(found.ravel(), ORDERS[norm]) <= radius * (1 + 1e-6)
  np.testing.assert_array_equal(near[1], pieces(x)[1])
  nothing = perturbation.direction(np.zeros_like(x), norm, BATCH)
  assert not np.asarray(nothing).any()


def test_the_norms_of_mtdnn_are_of_tokens():
  x = np.random.default_rng(2).normal(size=(2, 6, D)).astype(np.float32)
  for norm, order in ORDERS.items():
    want = x / (np.linalg.norm(x, order, axis=-1, keepdims=True) + 0.3)
    want = np.sign(x) if norm == "1" else want
    found = perturbation.NORMALISED[norm](x, 0.3)
    np.testing.assert_allclose(found, want, rtol=1e-5)


@pytest.mark.parametrize("norm", perturbation.NORMS)
def test_the_start_is_anywhere_in_the_ball(norm):
  found = perturbation.start_in_ball(KEY, norm, 0.7, BATCH, D)
  assert not np.asarray(found)[SEGMENTS == 0].any()
  for one in pieces(found):
    size = np.linalg.norm(one.ravel(), ORDERS[norm])
    # As the number of uniform numbers in it makes likely.
    assert 0.2 < size <= 0.7


def test_noise_is_of_the_example_wherever_it_lies():
  found = perturbation.noise(KEY, BATCH, D)
  assert not np.asarray(found)[SEGMENTS == 0].any()
  # Alone, behind others, and in another order.
  moved = {
    "segments": np.array([[1, 1, 2, 2, 2], [1, 1, 1, 1, 1]]),
    "positions": np.array([[0, 1, 0, 1, 2], [0, 1, 2, 3, 4]]),
    "task": np.array([[0, 1], [1, -1]]),
    "index": np.array([[7, 7], [8, -1]]),
  }
  other = np.asarray(perturbation.noise(KEY, moved, D))
  for one, two in zip(
    pieces(found), (other[0, 2:], other[0, :2], other[1]), strict=True
  ):
    np.testing.assert_array_equal(one, two)
  # Every number is another, and another key has others.
  assert len(np.unique(found)) == 1 + 10 * D
  again = perturbation.noise(jax.random.key(4), BATCH, D)
  assert not np.isin(np.asarray(again)[SEGMENTS > 0], found).any()


def test_noise_is_normal():
  batch = {
    "segments": jnp.ones((3, 50), jnp.int32),
    "positions": jnp.tile(jnp.arange(50), (3, 1)),
    "task": jnp.zeros((3, 1), jnp.int32),
    "index": jnp.arange(3)[:, None],
  }
  drawn = np.asarray(perturbation.noise(KEY, batch, 60))
  assert abs(drawn.mean()) < 0.04 and abs(drawn.std() - 1) < 0.04
  assert abs((drawn[0] * drawn[1]).mean()) < 0.06
