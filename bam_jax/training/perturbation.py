"""Perturbations of examples: their noise, their norms and their balls.

A perturbation is f32[B, S, D], added to what an encoder's first layer reads of
each token. All that is said of an example (how large, in which ball) is said of
the tokens of its segment, so rows may be packed; and its noise is drawn from
its task, its index and the position in it, never from a place in a row.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from bam_jax.models.dropout import folded
from bam_jax.models.multitask import examples_of, to_tokens

# What would be divided by 0 is 0.
_TINY = 1e-30


def noise(
  key: jax.Array,
  batch: Mapping,
  width: int,
  draw: Callable[..., jax.Array] = jax.random.normal,
) -> jax.Array:
  """Returns f32[B, S, D] of every token, 0 where nothing lies.

  Args:
    key: of the step and of what is drawn.
    batch: `segments` and `positions` i32[B, S], `task` and `index` i32[B, E].
    width: D.
    draw: (key, shape) -> f32[shape] of independent numbers.
  """
  examples = to_tokens(examples_of(batch), batch)
  keys = folded(folded(key, examples), batch["positions"][..., None])
  drawn = jax.vmap(jax.vmap(lambda own: draw(own, (width,))))(keys)
  return jnp.where(batch["segments"][..., None] > 0, drawn, 0.0)


def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Returns f32[shape], uniform from -1 to 1."""
  return jax.random.uniform(key, shape, minval=-1.0)


def over_examples(
  reduce: Callable[..., jax.Array], of_tokens: jax.Array, batch: Mapping
) -> jax.Array:
  """Returns what numbers of tokens make over each token's example, f32[B, S].

  Args:
    reduce: (f32[B, S, E], axis) -> f32[B, E]; such as jnp.sum.
    of_tokens: f32[B, S], 0 or more.
    batch: `segments` i32[B, S] and `task` i32[B, E].
  """
  E = batch["task"].shape[1]
  here = batch["segments"][..., None] == jnp.arange(1, E + 1)
  found = reduce(jnp.where(here, of_tokens[..., None], 0.0), axis=1)
  return to_tokens(found[..., None], batch)[..., 0]


# Norm of p -> (f32[B, S, D], what reduces over more than a token) -> f32[B, S].
NORMS: Mapping[str, Callable[..., jax.Array]] = {
  "inf": lambda x, over: over(jnp.max, jnp.abs(x).max(-1)),
  "2": lambda x, over: jnp.sqrt(over(jnp.sum, jnp.square(x).sum(-1))),
  "1": lambda x, over: over(jnp.sum, jnp.abs(x).sum(-1)),
}


def size(x: jax.Array, norm: str, batch: Mapping) -> jax.Array:
  """Returns the norm of each token's example, f32[B, S, 1]."""

  def over(reduce, of_tokens):
    return over_examples(reduce, of_tokens, batch)

  return NORMS[norm](x, over)[..., None]


def size_of_tokens(x: jax.Array, norm: str) -> jax.Array:
  """Returns the norm of each token by itself, f32[B, S, 1]."""
  return NORMS[norm](x, lambda _, of_tokens: of_tokens)[..., None]


def elements(x: jax.Array, batch: Mapping) -> jax.Array:
  """Returns how many numbers each token's example has, f32[B, S, 1]."""
  return over_examples(jnp.sum, jnp.full(x.shape[:2], x.shape[-1]), batch)[
    ..., None
  ].astype(jnp.float32)


def direction(x: jax.Array, norm: str, batch: Mapping) -> jax.Array:
  """Returns each example over its norm, f32[B, S, D]; 0 stays 0."""
  # First over its largest number: squares of gradients are too small for f32.
  x = x / jnp.maximum(size(x, "inf", batch), _TINY)
  return x / jnp.maximum(size(x, norm, batch), _TINY)


def into_inf(x: jax.Array, radius: float, batch: Mapping) -> jax.Array:
  """Returns what is nearest to x where no number is beyond the radius."""
  del batch
  return jnp.clip(x, -radius, radius)


def into_2(x: jax.Array, radius: float, batch: Mapping) -> jax.Array:
  """Returns what is nearest to x where no example is longer than the radius."""
  far = jnp.maximum(size(x, "2", batch), _TINY)
  return x * jnp.minimum(1.0, radius / far)


def into_1(x: jax.Array, radius: float, batch: Mapping) -> jax.Array:
  """Returns what is nearest to x where each example's numbers add to radius.

  All of an example's numbers shrink by one threshold; it is found by Michelot's
  steps from below, of which there are few, and which end.
  """
  much = jnp.abs(x)

  def total(of_numbers):
    return over_examples(jnp.sum, of_numbers.sum(-1), batch)[..., None]

  def raised(state):
    threshold, _ = state
    above = much > threshold
    sums, counts = total(jnp.where(above, much, 0.0)), total(above * 1.0)
    # Of what lies in its ball the threshold would be negative.
    new = jnp.maximum((sums - radius) / jnp.maximum(counts, 1.0), threshold)
    return new, (new > threshold).any()

  none = jnp.zeros((*x.shape[:2], 1), x.dtype)
  threshold, _ = jax.lax.while_loop(
    lambda state: state[1], raised, (none, jnp.array(True))
  )
  return jnp.sign(x) * jnp.maximum(much - threshold, 0.0)


# Norm of p -> (x f32[B, S, D], radius, batch) -> what is nearest in the ball.
BALLS: Mapping[str, Callable[[jax.Array, float, Mapping], jax.Array]] = {
  "inf": into_inf,
  "2": into_2,
  "1": into_1,
}


def start_in_ball(
  key: jax.Array, norm: str, radius: float, batch: Mapping, width: int
) -> jax.Array:
  """Returns uniform noise that lies in each example's ball, f32[B, S, D].

  Args:
    key: of the step and of what is drawn.
    norm: of p.
    radius: of the ball.
    batch: as for `noise`.
    width: D.
  """
  drawn = noise(key, batch, width, uniform)
  power = {"inf": 0.0, "2": 0.5, "1": 1.0}[norm]
  return drawn * (radius / jnp.maximum(elements(drawn, batch), 1.0) ** power)


# The normalisation of MT-DNN: of each token, and into no ball.
NORMALISED: Mapping[str, Callable[[jax.Array, float], jax.Array]] = {
  "inf": lambda x, small: x / (size_of_tokens(x, "inf") + small),
  "2": lambda x, small: x / (size_of_tokens(x, "2") + small),
  "1": lambda x, small: jnp.sign(x),
}
