"""How far apart two distributions over classes are, from their logits.

Each is of `one` from `two`, f32[..., C] both, and f32[...]: where one of them
is meant to move it is `one`, as a student does from its teacher and a perturbed
pass from the clean one. In columns that no class has both are -1e30, which add
nothing, neither to the value nor to the gradient.
"""

import jax
import jax.numpy as jnp

from bam_jax.training.bernoulli import MASKED

# Of MT-DNN's forms.
EPSILON = 1e-6


def logits_of(targets: jax.Array) -> jax.Array:
  """Returns logits of a distribution f32[..., C], of which some may be 0."""
  some = targets > 0
  return jnp.where(some, jnp.log(jnp.where(some, targets, 1.0)), -1e30)


def _log(logits: jax.Array) -> jax.Array:
  return jax.nn.log_softmax(logits, axis=-1)


def kl(one: jax.Array, two: jax.Array) -> jax.Array:
  """Returns KL(q, p), of p from `one` and q from `two`."""
  p, q = _log(one), _log(two)
  return jnp.sum(jnp.exp(q) * (q - p), axis=-1)


def symmetric_kl(one: jax.Array, two: jax.Array) -> jax.Array:
  """Returns KL(p, q) and KL(q, p) added (Jiang et al. 2020, equation 3)."""
  p, q = _log(one), _log(two)
  return jnp.sum((jnp.exp(p) - jnp.exp(q)) * (p - q), axis=-1)


def _bent(p: jax.Array) -> jax.Array:
  """Returns MT-DNN's r, about the log-odds of p."""
  # At p = 1 it is epsilon^2, which rounding might turn into less than 0.
  odds = 1 / (p + EPSILON) - 1 + EPSILON
  return -jnp.log(jnp.maximum(odds, EPSILON**2))


def stable_kl(one: jax.Array, two: jax.Array) -> jax.Array:
  """Returns 2 sum p (r(p) - r(q)), which MT-DNN calls a stable KL.

  It is none, but 0 where both are the same; r(p) = -log(1/(p + e) - 1 + e).
  """
  p, q = jnp.exp(_log(one)), jnp.exp(_log(two))
  return 2 * jnp.sum(p * (_bent(p) - _bent(q)), axis=-1)


def stable_symmetric_kl(one: jax.Array, two: jax.Array) -> jax.Array:
  """Returns `stable_kl` both ways added."""
  return stable_kl(one, two) + stable_kl(two, one)


def jensen_shannon(one: jax.Array, two: jax.Array) -> jax.Array:
  """Returns the mean of KL(p, m) and KL(q, m), m the mean of p and q."""
  p, q = _log(one), _log(two)
  m = jnp.logaddexp(p, q) - jnp.log(2.0)
  both = jnp.exp(p) * (p - m) + jnp.exp(q) * (q - m)
  return jnp.sum(both, axis=-1) / 2


def _root(logits: jax.Array) -> jax.Array:
  return jnp.exp(_log(logits) / 2)


def hellinger(one: jax.Array, two: jax.Array) -> jax.Array:
  """Returns half the squared distance of the roots of p and of q."""
  return jnp.sum(jnp.square(_root(one) - _root(two)), axis=-1) / 2


def squared_logits(one: jax.Array, two: jax.Array) -> jax.Array:
  """Returns the mean squared difference of own logits, f32[...]."""
  # Not "above": NaN in an own column would be none of them.
  own = one != MASKED
  return jnp.square(one - two).sum(-1) / jnp.maximum(own.sum(-1), 1)
