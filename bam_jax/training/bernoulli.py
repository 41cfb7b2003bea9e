"""Losses and distances of labels that hold or not, each by itself.

A mean over labels, so that a task of many labels counts as one of few.
"""

import jax
import jax.numpy as jnp

# What stands in columns that are not owned: exp() of it is 0 in every float
# type, and sums of it stay finite in float32.
MASKED = -1e30


def cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
  """Returns the mean of the cross-entropies of each own label, f32[...].

  Args:
    logits: f32[..., C], in columns that are not owned `MASKED`.
    targets: f32[..., C], the chance that each label holds.
  """
  own = logits != MASKED
  logits = jnp.where(own, logits, 0.0)
  apart = jax.nn.softplus(logits) - targets * logits
  return _mean_own(apart, own)


def symmetric_kl(one: jax.Array, two: jax.Array) -> jax.Array:
  """Returns the mean over own labels of half of both KLs, f32[...].

  Args:
    one: f32[..., C], logits; in columns that are not owned `MASKED`.
    two: f32[..., C] likewise.
  """
  own = one != MASKED
  one, two = (jnp.where(own, x, 0.0) for x in (one, two))
  gap = (jax.nn.sigmoid(one) - jax.nn.sigmoid(two)) * (one - two) / 2
  return _mean_own(gap, own)


def _mean_own(values: jax.Array, own: jax.Array) -> jax.Array:
  total = jnp.where(own, values, 0.0).sum(-1)
  return total / jnp.maximum(own.sum(-1), 1)
