"""What two vectors lose: apart where texts are alike, near where they are not.

All functions take the pairs of a step as they come, K = B * E slots, of which
some hold nothing. Their vectors are replaced before any arithmetic, so that
neither a value nor a gradient sees what lies there.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.data.contrasts import ALIKE, ALL, TWICE
from bam_jax.data.fields import SPACES, VECTOR
from bam_jax.models.heads import HeadSpec

_UNSEEN = -1e30


def _safe(vectors: jax.Array, there: jax.Array) -> jax.Array:
  """Returns f32[K, D], a vector of length 1 where there is none."""
  one = jnp.zeros(vectors.shape[-1]).at[0].set(1.0)
  return jnp.where(there[:, None], vectors.astype(jnp.float32), one)


def cosine(u: jax.Array, v: jax.Array) -> jax.Array:
  """Returns the cosines of two vectors, f32[...] of f32[..., D]."""
  norms = jnp.sum(u * u, -1) * jnp.sum(v * v, -1)
  return jnp.sum(u * v, -1) * jax.lax.rsqrt(jnp.maximum(norms, 1e-24))


def euclidean(u: jax.Array, v: jax.Array) -> jax.Array:
  """Returns how far two vectors are apart, with gradient 0 where they meet."""
  square = jnp.sum(jnp.square(u - v), -1)
  apart = square > 0
  return jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), 0.0)


# "Less is More" has the one in its section 4.5 and names the other in 5.3.
DISTANCES: Mapping[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
  "euclidean": euclidean,
  "cosine": lambda u, v: 1.0 - cosine(u, v),
}


def margin(
  u: jax.Array,
  v: jax.Array,
  alike: jax.Array,
  there: jax.Array,
  *,
  least: float,
  distance: str,
) -> jax.Array:
  """Returns 1/2 [y d^2 + (1 - y) max(0, m - d)^2] of each pair, f32[K].

  Section 4.5 of Qian and Yang, "Less is More".

  Args:
    u: [K, D] of first texts.
    v: [K, D] of second texts.
    alike: f32[K], y, from 0 to 1.
    there: bool[K], where a pair lies.
    least: m, beyond which what is not alike costs nothing.
    distance: d, a name of `DISTANCES`.
  """
  d = DISTANCES[distance](_safe(u, there), _safe(v, there))
  y = jnp.where(there, alike, 0.0)
  loss = y * d**2 + (1 - y) * jnp.maximum(0.0, least - d) ** 2
  return jnp.where(there, loss / 2, 0.0)


def info_nce(
  u: jax.Array, v: jax.Array, there: jax.Array, *, temperature: float
) -> jax.Array:
  """Returns the cross-entropy of each second text among the step's, f32[K].

  Equation 1 of Gao et al. 2021, SimCSE.

  Args:
    u: [K, D] of first texts.
    v: [K, D] of second texts, or of the first ones with other dropout.
    there: bool[K], where a pair lies.
    temperature: that cosines are divided by.
  """
  u, v = _safe(u, there), _safe(v, there)
  u, v = (
    x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, -1, keepdims=True), 1e-24))
    for x in (u, v)
  )
  # In full precision: a cosine is divided by a twentieth.
  near = jnp.matmul(u, v.T, precision=jax.lax.Precision.HIGHEST) / temperature
  near = jnp.where(there[None], near, _UNSEEN)
  loss = jax.nn.logsumexp(near, -1) - jnp.diagonal(near)
  return jnp.where(there, loss, 0.0)


@dataclasses.dataclass(frozen=True)
class Contrast:
  """A loss of pairs, a row of `LOSSES`.

  Attributes:
    key: of the config's `contrast`, the number that it takes.
    rows: which pairs of a task it learns from: ALL, those that are ALIKE, or
      TWICE, each text with itself under another dropout.
    loss: (u, v, y, there, number) -> f32[K], see `margin`.
    kept: (u, v, there, number) -> f32[K], what of a pair its loss is made of
      where no label is at hand.
    lost: (that f32[N], y f32[N], number) -> losses f32[N], and bool[N] which of
      them count.
    whole: whether the pairs of a step are held against each other.
  """

  key: str
  rows: str
  loss: Callable[..., jax.Array]
  kept: Callable[..., jax.Array]
  lost: Callable[..., tuple[np.ndarray, np.ndarray]]
  whole: bool = False


def _margin(distance: str) -> Contrast:
  """Returns the row of the margin loss by a distance."""

  def lost(d, y, least):
    loss = y * d**2 + (1 - y) * np.maximum(0, least - d) ** 2
    return loss / 2, np.ones(len(d), bool)

  return Contrast(
    key="margin",
    rows=ALL,
    loss=lambda u, v, y, there, least: margin(
      u, v, y, there, least=least, distance=distance
    ),
    kept=lambda u, v, there, least: jnp.where(
      there, DISTANCES[distance](_safe(u, there), _safe(v, there)), 0.0
    ),
    lost=lost,
  )


def _in_step(rows: str) -> Contrast:
  """Returns the row of InfoNCE over the pairs of a step.

  On dev the pairs of a batch take a step's place, and those that are alike
  count.
  """
  return Contrast(
    key="temperature",
    rows=rows,
    loss=lambda u, v, y, there, temperature: info_nce(
      u, v, there, temperature=temperature
    ),
    kept=lambda u, v, there, temperature: info_nce(
      u, v, there, temperature=temperature
    ),
    lost=lambda nats, y, temperature: (nats, y == 1),
    whole=True,
  )


LOSSES: Mapping[str, Contrast] = {
  "margin": _margin("euclidean"),
  "margin_cosine": _margin("cosine"),
  "simcse": _in_step(ALIKE),
  "simcse_unsupervised": _in_step(TWICE),
}


def named(text: str) -> tuple[Contrast, float]:
  """Returns the loss and the number that "margin=0.5" means."""
  name, _, number = text.partition("=")
  return LOSSES[name], float(number)


def _pairs(
  heads: Sequence[HeadSpec], vectors: jax.Array, batch: Mapping
) -> tuple[Contrast, float, jax.Array, jax.Array, jax.Array]:
  """Returns a batch's loss, its number, u, v [K, D] and bool[K], which are."""
  (number,) = (i for i, spec in enumerate(heads) if spec.space == VECTOR)
  row, value = named(heads[number].loss)
  u, v = jnp.split(vectors.reshape(-1, vectors.shape[-1]), 2, axis=-1)
  return row, value, u, v, (batch["task"] == number).ravel()


def losses(
  heads: Sequence[HeadSpec], vectors: jax.Array, batch: Mapping
) -> jax.Array:
  """Returns the loss of each pair of a step, f32[B, E]; 0 where none lies.

  Args:
    heads: of the model, one of which gives vectors.
    vectors: [B, E, 2 D], of first and second texts.
    batch: what they were made of.
  """
  row, value, u, v, there = _pairs(heads, vectors, batch)
  y = batch[SPACES[VECTOR].label.name]
  return row.loss(u, v, y.ravel(), there, value).reshape(y.shape)


def told(
  heads: Sequence[HeadSpec], vectors: jax.Array, batch: Mapping
) -> jax.Array:
  """Returns what is kept of each pair, f32[B, E, 2].

  Their cosine, and what their loss is made of, see `Contrast.kept`.

  Args:
    heads: of the model, one of which gives vectors.
    vectors: [B, E, 2 D], of first and second texts.
    batch: what they were made of.
  """
  row, value, u, v, there = _pairs(heads, vectors, batch)
  near = jnp.where(there, cosine(_safe(u, there), _safe(v, there)), 0.0)
  both = jnp.stack([near, row.kept(u, v, there, value)], axis=-1)
  return both.reshape(*batch["task"].shape, 2)
