"""Cross-entropies of classes, of which some may be rare or carelessly said."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from bam_jax.training.bernoulli import MASKED

Loss = Callable[[jax.Array, jax.Array], jax.Array]


def cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
  """Returns f32[...] of logits and a distribution, f32[..., C]."""
  return -jnp.sum(targets * jax.nn.log_softmax(logits, axis=-1), axis=-1)


def smoothed(smoothing: float) -> Loss:
  """Returns the cross-entropy against a target with a share of all classes.

  Of an example's C own classes each gets smoothing / C, and what the target
  said counts 1 - smoothing (Szegedy et al. 2016, section 7).

  Args:
    smoothing: that share, in [0, 1).
  """

  def loss(logits: jax.Array, targets: jax.Array) -> jax.Array:
    own = logits != MASKED
    logs = jax.nn.log_softmax(logits, axis=-1)
    even = own / jnp.maximum(own.sum(-1, keepdims=True), 1)
    mixed = (1 - smoothing) * targets + smoothing * even
    return -jnp.sum(mixed * jnp.where(own, logs, 0.0), axis=-1)

  return loss


def focal(gamma: float) -> Loss:
  """Returns the cross-entropy that counts sure answers less.

  Of each class (1 - p)^gamma times its own term, p what the model gives it (Lin
  et al. 2017, equation 4).

  Args:
    gamma: 0 is the cross-entropy itself.
  """

  def loss(logits: jax.Array, targets: jax.Array) -> jax.Array:
    logs = jax.nn.log_softmax(logits, axis=-1)
    # As exp(gamma log(1 - p)) its slope at p = 1 would be none.
    unsure = jnp.maximum(-jnp.expm1(logs), 1e-7)
    return -jnp.sum(targets * unsure**gamma * logs, axis=-1)

  return loss
