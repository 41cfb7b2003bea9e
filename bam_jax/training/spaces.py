"""The loss of every example, from what heads write into each of the spaces.

Whatever the space, what comes out is one loss an example: the mean over the
places where it has something to learn.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses

import jax
import jax.numpy as jnp

from bam_jax.data.fields import (
  EXAMPLE,
  HAS_GOLD,
  SPACES,
  VECTOR,
  VOCABULARY,
  WORDS,
)
from bam_jax.models.heads import HeadSpec, columns_of
from bam_jax.models.multitask import at_places, task_of_tokens
from bam_jax.training import (
  choices,
  contrastive,
  distillation,
  groups,
  objectives,
)
from bam_jax.training.distillation import TARGETS, Mix


@dataclasses.dataclass(frozen=True)
class Reading:
  """How a batch is read where the heads of a space write.

  Attributes:
    task: batch -> i32[...], whose each place is; -1 where nothing is learned.
    has_gold: batch -> f32[...], 0 where the teacher alone teaches; None where
      no place of the run lacks gold.
    within: (outputs f32[..., C], which columns of places are chosen or None,
      batch) -> what objectives are given: of these log-probabilities.
    gather: (losses of all places f32[...], batch, which places are chosen among
      or None) -> f32[B, E] of examples.
    kept: (outputs f32[..., C], batch) -> what leaves the device of them.
  """

  task: Callable[[Mapping], jax.Array]
  has_gold: Callable[[Mapping], jax.Array | None]
  within: Callable[[jax.Array, jax.Array | None, Mapping], jax.Array]
  gather: Callable[[jax.Array, Mapping, jax.Array | None], jax.Array]
  kept: Callable[[jax.Array, Mapping], jax.Array] = lambda outputs, batch: (
    outputs
  )


@dataclasses.dataclass(frozen=True)
class Together:
  """The same of a space whose examples have no target by themselves.

  Attributes:
    losses: (heads, outputs, batch) -> f32[B, E] of examples.
    kept: (heads, outputs, batch) -> f32[B, E, C], what leaves the device, as
      that of heads for whole examples does.
  """

  losses: Callable[..., jax.Array]
  kept: Callable[..., jax.Array]


def word_task(batch: Mapping) -> jax.Array:
  """Returns whose each labelled or taught word is, i32[B, S]; else -1."""
  tag = SPACES[WORDS]
  learned = (batch[tag.label.name] >= 0) | (batch[tag.has_teacher.name] > 0)
  return jnp.where(learned, task_of_tokens(batch), -1)


def of_words(
  loss: jax.Array, batch: Mapping, chosen: jax.Array | None
) -> jax.Array:
  """Returns the mean loss of each example's words f32[B, E], 0 without any.

  Where words are chosen among they make one loss together, which is their sum.

  Args:
    loss: f32[B, S], 0 where there is no word.
    batch: what it was made of.
    chosen: bool[B, S, C], see `choices.choosing`.
  """
  E = batch["task"].shape[1]
  here = batch["segments"][..., None] == jnp.arange(1, E + 1)
  words = (word_task(batch) >= 0)[..., None] & here
  total = jnp.where(words, loss[..., None], 0.0).sum(1)
  count = words.sum(1)
  if chosen is not None:
    count = jnp.where((chosen.any(-1)[..., None] & here).any(1), 1, count)
  return total / jnp.maximum(count, 1)


def place_task(batch: Mapping) -> jax.Array:
  """Returns whose the masked token at each place is, i32[B, P]; else -1."""
  task = at_places(task_of_tokens(batch), batch)
  return jnp.where(batch[SPACES[VOCABULARY].label.name] >= 0, task, -1)


def summed(of_places: jax.Array, batch: Mapping) -> jax.Array:
  """Returns the sums over each example's masked tokens, f32[B, E, ...].

  Args:
    of_places: f32[B, P, ...].
    batch: what it was made of.
  """
  E = batch["task"].shape[1]
  segment = at_places(batch["segments"], batch)
  there = batch[SPACES[VOCABULARY].label.name] >= 0
  here = there[..., None] & (segment[..., None] == jnp.arange(1, E + 1))
  # Not multiplied: where nothing is masked there may be anything.
  more = (1,) * (of_places.ndim - 2)
  parts = jnp.where(
    here.reshape(*here.shape, *more), of_places[:, :, None], 0.0
  )
  return parts.sum(1)


def of_places(
  loss: jax.Array, batch: Mapping, chosen: jax.Array | None
) -> jax.Array:
  """Returns the mean loss of each example's masked tokens f32[B, E], or 0.

  Args:
    loss: f32[B, P], 0 where there is none.
    batch: what it was made of.
    chosen: None, as no place is chosen.
  """
  del chosen
  count = summed(jnp.ones_like(loss), batch)
  return summed(loss, batch) / jnp.maximum(count, 1)


def told(logits: jax.Array, batch: Mapping) -> jax.Array:
  """Returns what is kept of each example's masked tokens f32[B, E, 3].

  How many nats the true ones cost, how many are the likeliest, how many there
  are: `stats.masked` reads them.

  Args:
    logits: f32[B, P, V].
    batch: what they were made of.
  """
  label = batch[SPACES[VOCABULARY].label.name]
  # Every token is in the vocabulary, so every row is owned whole.
  own = jnp.arange(logits.shape[-1]) == label[..., None]
  true = jnp.where(own, logits, 0.0).sum(-1)
  nats = jax.nn.logsumexp(logits, axis=-1) - true
  right = logits.argmax(-1) == label
  columns = [nats, right.astype(jnp.float32), jnp.ones_like(nats)]
  return summed(jnp.stack(columns, -1), batch)


READINGS: Mapping[str, Reading] = {
  EXAMPLE: Reading(
    task=lambda batch: batch["task"],
    has_gold=lambda batch: batch.get(HAS_GOLD.name),
    within=groups.log_softmax,
    gather=groups.gathered,
  ),
  WORDS: Reading(
    task=word_task,
    has_gold=lambda batch: (batch[SPACES[WORDS].label.name] >= 0).astype(
      jnp.float32
    ),
    within=choices.log_softmax,
    gather=of_words,
  ),
  VOCABULARY: Reading(
    task=place_task,
    has_gold=lambda batch: None,
    within=lambda logits, chosen, batch: logits,
    gather=of_places,
    kept=told,
  ),
}


TOGETHER: Mapping[str, Together] = {
  VECTOR: Together(losses=contrastive.losses, kept=contrastive.told),
}


def kept(
  heads: Sequence[HeadSpec], outputs: Mapping[str, jax.Array], batch: Mapping
) -> dict[str, jax.Array]:
  """Returns what leaves the device of a model's outputs, by space."""
  found = {}
  for name, x in outputs.items():
    if row := TOGETHER.get(name):
      found[EXAMPLE] = row.kept(heads, x, batch)
    else:
      found[name] = READINGS[name].kept(x, batch)
  return found


def distances(
  heads: Sequence[HeadSpec],
  one: Mapping[str, jax.Array],
  two: Mapping[str, jax.Array],
  batch: Mapping,
  *,
  apart: Callable[..., jax.Array] = objectives.distance,
) -> jax.Array:
  """Returns how far two outputs of each example are apart, f32[B, E].

  By the objective of its task; 0 where there is no example.

  Args:
    heads: of the model.
    one: outputs of the model, space -> f32[B, ..., C].
    two: others.
    batch: what both were made of.
    apart: `objectives.distance` or `objectives.divergence`.
  """
  total = None
  for name, C in columns_of(heads).items():
    reading, task = READINGS[name], READINGS[name].task(batch)
    own = objectives.owners(heads, task, space=name, role="adv_loss")
    chosen = choices.choosing(heads, task, space=name, columns=C)
    far = apart(
      *(reading.within(x[name], chosen, batch) for x in (one, two)), own
    )
    mine = reading.gather(far, batch, chosen)
    total = mine if total is None else total + mine
  return total


def example_losses(
  heads: Sequence[HeadSpec],
  outputs: Mapping[str, jax.Array],
  batch: Mapping,
  share: jax.Array | float,
  mix: Mix = TARGETS,
) -> jax.Array:
  """Returns each example's loss f32[B, E] before weights, 0 where none is.

  Args:
    heads: of the model.
    outputs: of the model, space -> f32[B, ..., C].
    batch: what they were made of, with what is learned in each space.
    share: of the gold label, lambda.
    mix: how gold and teacher come together.
  """
  total = None
  for name, C in columns_of(heads).items():
    if row := TOGETHER.get(name):
      mine = row.losses(heads, outputs[name], batch)
      total = mine if total is None else total + mine
      continue
    reading, fields = READINGS[name], SPACES[name]
    task = reading.task(batch)
    chosen = choices.choosing(heads, task, space=name, columns=C)
    said = reading.within(outputs[name], chosen, batch)
    label, own = (
      batch[fields.label.name],
      objectives.owners(heads, task, space=name),
    )
    if fields.teacher is None:
      gold = objectives.gold_targets(label, own, C)
      loss = objectives.example_loss(said, gold, own)
    else:
      lesson = distillation.Told(
        said,
        label,
        reading.within(batch[fields.teacher.name], chosen, batch),
        batch[fields.has_teacher.name],
        reading.has_gold(batch),
        own,
        objectives.owners(heads, task, space=name, role="kd_loss"),
      )
      loss = mix.loss(lesson, share)
    mine = reading.gather(loss, batch, chosen)
    total = mine if total is None else total + mine
  return total
