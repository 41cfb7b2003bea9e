"""How a gold label and a teacher's answer make one loss together.

A way is a row of `MIXES`, named by the config's `teacher.mix`.
"""

from collections.abc import Callable, Mapping
import dataclasses

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from bam_jax.training import objectives
from bam_jax.training.objectives import Owners


@dataclasses.dataclass(frozen=True)
class Told:
  """What a model says in one of the spaces, and what it is told there.

  Attributes:
    outputs: [..., C] of the model.
    label: [...], the class number or the value in [0, 1].
    teacher: f32[..., C], the teacher's outputs.
    has_teacher: f32[...], 1 where there are any.
    has_gold: f32[...], 0 where a label is only a placeholder; None = nowhere.
    owned: whose the columns are, with each task's loss.
    taught: the same with each task's loss against a teacher.
  """

  outputs: jax.Array
  label: jax.Array
  teacher: jax.Array
  has_teacher: jax.Array
  has_gold: jax.Array | None
  owned: Owners
  taught: Owners


@dataclasses.dataclass(frozen=True)
class Mix:
  """How gold and teacher come together in a run.

  Attributes:
    way: a name of `MIXES`.
    temperature: that a teacher's logits and the student's are divided by, where
      the teacher's term has a loss of its own.
  """

  way: str
  temperature: float

  @classmethod
  def of(cls, teacher: ConfigDict) -> "Mix":
    """Returns what `config.teacher` says."""
    return cls(teacher.mix, teacher.temperature)

  def loss(self, told: Told, share: jax.Array | float) -> jax.Array:
    """Returns the loss of every place f32[...], 0 where nothing is learned.

    Args:
      told: what is there.
      share: of the gold label, lambda.
    """
    return MIXES[self.way](told, share, self.temperature)


def targets(
  told: Told, share: jax.Array | float, temperature: float
) -> jax.Array:
  """Returns the loss against lambda * gold + (1 - lambda) * teacher.

  Clark et al. 2019, section 3.2; without a temperature.
  """
  del temperature
  gold = objectives.gold_targets(told.label, told.owned, told.outputs.shape[-1])
  teacher = objectives.teacher_targets(told.teacher, told.owned)
  if told.has_gold is not None:
    gold = objectives.or_teacher(gold, teacher, told.has_gold)
  mixed = objectives.soft_targets(gold, teacher, told.has_teacher, share)
  return objectives.example_loss(told.outputs, mixed, told.owned)


def losses(
  told: Told, share: jax.Array | float, temperature: float
) -> jax.Array:
  """Returns lambda * loss(gold) + (1 - lambda) * kd_loss(teacher).

  The average of the two in figure 2 of Liu et al. 2020.
  """
  label = objectives.gold_targets(
    told.label, told.owned, told.outputs.shape[-1]
  )
  gold = objectives.example_loss(told.outputs, label, told.owned)
  teacher = objectives.taught_loss(
    told.outputs, told.teacher, told.taught, temperature
  )
  if told.has_gold is not None:
    share = jnp.where(told.has_gold > 0, share, 0.0)
  mixed = share * gold + (1.0 - share) * teacher
  return jnp.where(told.has_teacher > 0, mixed, gold)


MIXES: Mapping[str, Callable[..., jax.Array]] = {
  "targets": targets,
  "losses": losses,
}
TARGETS = Mix("targets", 1.0)
