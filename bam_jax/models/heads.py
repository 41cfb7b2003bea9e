"""Heads: what is made of an encoder's vectors for each task.

A head writes its columns into a space: of an example, or of every token. What
they mean, its task's kind says.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

# What a head's columns go through.
OUTPUTS: Mapping[str, Callable[[jax.Array], jax.Array]] = {
  "logits": lambda x: x,
  "linear": lambda x: x,
  "sigmoid": jax.nn.sigmoid,
}


@dataclasses.dataclass(frozen=True)
class HeadSpec:
  """One head of a model.

  Attributes:
    name: of its task.
    outputs: its columns, C.
    output: what they go through, one of `OUTPUTS`.
    loss: its objective, a name of `objectives.OBJECTIVES`.
    head: how it is built, one of `HEADS`.
    kd_loss: the objective of a teacher's term that has a loss of its own; "" =
      `loss`.
    adv_loss: the one by which two of its outputs are compared; "" = `loss`.
    dropout: share of what it reads that is dropped in training; None = as the
      model says.
  """

  name: str
  outputs: int
  output: str
  loss: str
  head: str = "linear"
  kd_loss: str = ""
  adv_loss: str = ""
  dropout: float | None = None

  def objective(self, role: str) -> str:
    """Returns the name of an objective: "loss", "kd_loss" or "adv_loss"."""
    return getattr(self, role) or self.loss

  @property
  def space(self) -> str:
    """Where it writes."""
    return HEADS[self.head].space

  @property
  def reads(self) -> str:
    """Which vectors it reads."""
    return HEADS[self.head].reads


@dataclasses.dataclass(frozen=True)
class HeadKind:
  """A way to build a head.

  Attributes:
    space: where it writes: "example", [B, E, C], or "token", [B, S, C].
    reads: which vectors, an entry of what `Heads` is given.
    build: (spec, those vectors [B, ..., D]) -> f32[B, ..., C].
  """

  space: str
  reads: str
  build: Callable[[HeadSpec, jax.Array], jax.Array]


def linear(spec: HeadSpec, vectors: jax.Array) -> jax.Array:
  """Returns f32[..., C] of one dense layer on vectors [..., D]."""
  dense = nn.Dense(
    spec.outputs,
    kernel_init=nn.initializers.glorot_uniform(),
    name=spec.name,
  )
  return dense(vectors.astype(jnp.float32))


HEADS: Mapping[str, HeadKind] = {
  "linear": HeadKind(space="example", reads="pooled", build=linear),
  "tags": HeadKind(space="token", reads="tokens", build=linear),
  # Start and end of an answer.
  "span": HeadKind(space="token", reads="tokens", build=linear),
}


class Heads(nn.Module):
  """All heads of a model; every example gets its own task's output."""

  heads: tuple[HeadSpec, ...]

  @nn.compact
  def __call__(
    self, vectors: Mapping[str, jax.Array], task: Mapping[str, jax.Array]
  ) -> dict[str, jax.Array]:
    """Returns space -> f32[B, ..., C]; columns past a task's own are zero.

    Args:
      vectors: what heads read -> [B, ..., D]: "pooled" [B, E, D] of examples,
        "tokens" [B, S, D].
      task: space -> i32[B, ...], the position in `heads` of the task of each
        example or token; -1 where there is none (its output is zero).
    """
    columns = columns_of(self.heads)
    found = {
      space: jnp.zeros((*task[space].shape, C)) for space, C in columns.items()
    }
    for number, spec in enumerate(self.heads):
      kind = HEADS[spec.head]
      owner, room = task[kind.space], columns[kind.space] - spec.outputs
      made = OUTPUTS[spec.output](kind.build(spec, vectors[kind.reads]))
      made = jnp.pad(made, [(0, 0)] * owner.ndim + [(0, room)])
      # Not gathered: a TPU would scatter the gradients one by one.
      found[kind.space] = jnp.where(
        (owner == number)[..., None], made, found[kind.space]
      )
    return found


def columns_of(heads: Sequence[HeadSpec]) -> dict[str, int]:
  """Returns space -> C of its widest head, of the spaces that heads have."""
  columns: dict[str, int] = {}
  for spec in heads:
    columns[spec.space] = max(spec.outputs, columns.get(spec.space, 0))
  return columns
