"""Passes of a batch, and the gradient of what they say."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from bam_jax.models.heads import HeadSpec
from bam_jax.training import groups

# (params, batch, key, share[, average of params]) -> (gradients, sums of the
# batch over each task: `loss`, `count` and, where passes are held together,
# their `distance`).
Gradient = Callable[[Any, Mapping, jax.Array, jax.Array], tuple[Any, dict]]


# What the key of a second pass's dropout is made of.
OTHER_DROPOUT = 1


@dataclasses.dataclass(frozen=True)
class Passes:
  """What a gradient is made from.

  Attributes:
    losses: (params, batch, key of dropout, share of the gold label[, shift
      f32[B, S, D]]) -> (outputs by space, loss f32[B, E] before weights); one
      pass forward.
    heads: of the model; their order is that of the tasks.
    normaliser: what the summed loss is divided by: 1, or the batch size.
    width: D of what a shift is added to.
    settings: the config's `adversary`; in a row's function those that it reads.
  """

  losses: Callable[..., tuple[Mapping[str, jax.Array], jax.Array]]
  heads: Sequence[HeadSpec]
  normaliser: float
  width: int
  settings: Any

  def dropout(self, key: jax.Array) -> jax.Array:
    """Returns the key of a second pass's dropout: the same, or another."""
    if self.settings.shared_dropout:
      return key
    return jax.random.fold_in(key, OTHER_DROPOUT)


def alone(passes: Passes) -> Callable[..., tuple[jax.Array, dict]]:
  """Returns the loss of one pass, as `summed` takes it."""

  def one(*given):
    _, loss = passes.losses(*given)
    return loss, {}

  return one


def summed(
  passes: Passes, held: Callable[..., tuple[jax.Array, dict]]
) -> Callable[..., tuple[jax.Array, dict]]:
  """Returns the weighted loss of a batch, as a gradient is taken of it.

  (params, batch, key, share[, what else it is of]) -> (loss, what it sums over
  each task).

  Args:
    passes: what it is made from.
    held: the same arguments -> each example's loss f32[B, E] before weights,
      and further figures of it, name -> f32[B, E].
  """
  tasks = len(passes.heads)

  def loss_fn(params, batch, key, share, *others):
    loss, more = held(params, batch, key, share, *others)
    task = jnp.where(batch["task"] < 0, tasks, batch["task"])
    per_task = functools.partial(
      jax.ops.segment_sum, segment_ids=task.ravel(), num_segments=tasks + 1
    )
    sums = {
      "loss": per_task(loss.ravel())[:-1],
      "count": per_task(groups.counted(batch))[:-1],
      **{name: per_task(x.ravel())[:-1] for name, x in more.items()},
    }
    return (loss * batch["weight"]).sum() / passes.normaliser, sums

  return loss_fn


def plain(passes: Passes) -> Gradient:
  """Returns the gradient of the summed weighted loss of a batch."""
  return jax.grad(summed(passes, alone(passes)), has_aux=True)


def mean_over(
  step: Callable[[Any, jax.Array], tuple[Any, Any]], carry: Any, count: int
) -> Any:
  """Returns the mean of what steps return, of which one is kept at a time.

  Args:
    step: (carry, number of the step) -> (carry, a tree).
    carry: of the first step.
    count: of steps.
  """
  shapes = jax.eval_shape(step, carry, 0)[1]
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

  def added(state, number):
    carry, total = state
    carry, found = step(carry, number)
    return (carry, jax.tree.map(jnp.add, total, found)), None

  (_, total), _ = jax.lax.scan(added, (carry, zeros), jnp.arange(count))
  return jax.tree.map(lambda x: x / count, total)
