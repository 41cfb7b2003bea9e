"""What a step's gradient is made of: one pass, or several held together.

An adversary is a gradient and not a loss, because it may take several of them.
A row of `ADVERSARIES` is named by the config's `adversary.kind`.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from bam_jax.models.heads import HeadSpec
from bam_jax.training import groups, spaces

# (params, batch, key, share) -> (gradients, sums of the batch).
Gradient = Callable[[Any, Mapping, jax.Array, jax.Array], tuple[Any, dict]]


@dataclasses.dataclass(frozen=True)
class Passes:
  """What a gradient is made from.

  Attributes:
    losses: (params, batch, key of dropout, share of the gold label) -> (outputs
      by space, loss f32[B, E] before weights); one pass forward.
    heads: of the model; their order is that of the tasks.
    normaliser: what the summed loss is divided by: 1, or the batch size.
    settings: the config's `adversary`.
  """

  losses: Callable[..., tuple[Mapping[str, jax.Array], jax.Array]]
  heads: Sequence[HeadSpec]
  normaliser: float
  settings: ConfigDict


def plain(passes: Passes) -> Gradient:
  """Returns the gradient of the summed weighted loss of a batch."""
  tasks = len(passes.heads)

  def loss_fn(params, batch, key, share):
    _, loss = passes.losses(params, batch, key, share)
    task = jnp.where(batch["task"] < 0, tasks, batch["task"])
    per_task = functools.partial(
      jax.ops.segment_sum, segment_ids=task.ravel(), num_segments=tasks + 1
    )
    sums = {
      "loss": per_task(loss.ravel())[:-1],
      "count": per_task(groups.counted(batch))[:-1],
    }
    return (loss * batch["weight"]).sum() / passes.normaliser, sums

  return jax.grad(loss_fn, has_aux=True)


def rdrop(passes: Passes) -> Gradient:
  """Returns the gradient of R-Drop (Liang et al. 2021, equation 4).

  Two passes differ in their dropout alone; an example's loss is the mean of the
  two and, `adversary.weight` times, how far their outputs are apart, both ways.
  """

  def both(params, batch, key, share):
    outputs, one = passes.losses(params, batch, key, share)
    others, two = passes.losses(
      params, batch, jax.random.fold_in(key, 1), share
    )
    apart = spaces.distances(passes.heads, outputs, others, batch)
    return outputs, (one + two) / 2 + passes.settings.weight * apart

  return plain(dataclasses.replace(passes, losses=both))


ADVERSARIES: Mapping[str, Callable[[Passes], Gradient]] = {
  "none": plain,
  "rdrop": rdrop,
}
