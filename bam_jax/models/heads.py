"""Heads: what is made of an encoder's vectors for each task.

A head writes its columns into a space: of an example, of every token, or of the
masked ones. What they mean, its task's kind says.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models import decoder, masked, projected, san
from bam_jax.models.mixing import LAST
from bam_jax.models.parts import Parts
from bam_jax.models.pooling import POOLS

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
    options: of how it is built, those that differ from the row's.
    shared: the task whose parameters it has; "" = its own.
    pool: what of an example it reads, one of `pooling.POOLS`, where it reads
      pooled vectors.
    layers: of the encoder that it reads, one of `mixing.CHOICES`.
  """

  name: str
  outputs: int
  output: str
  loss: str
  head: str = "linear"
  kd_loss: str = ""
  adv_loss: str = ""
  dropout: float | None = None
  options: tuple[tuple[str, float], ...] = ()
  shared: str = ""
  pool: str = "cls"
  layers: str = LAST

  def objective(self, role: str) -> str:
    """Returns the name of an objective: "loss", "kd_loss" or "adv_loss"."""
    return getattr(self, role) or self.loss

  def drops(self, usual: float) -> float:
    """Returns the share that is dropped where `usual` is the model's own."""
    if self.dropout is not None:
      return self.dropout
    return usual if HEADS[self.head].drops else 0.0

  def option(self, name: str) -> float:
    """Returns an option of how it is built."""
    return dict(self.options).get(name, HEADS[self.head].options[name])

  @property
  def parameters(self) -> str:
    """What its parameters are called."""
    return self.shared or self.name

  @property
  def space(self) -> str:
    """Where it writes."""
    return HEADS[self.head].space

  @property
  def reads(self) -> str:
    """Which vectors it reads, an entry of what `Heads` is given."""
    kind = HEADS[self.head]
    if kind.reads == "texts":
      return texts(self.pool)
    if kind.reads != "pooled":
      return kind.reads
    return apart(self.pool) if kind.apart else POOLS[self.pool].reads

  def multiplied(self, width: int, lengths: np.ndarray) -> np.ndarray:
    """Returns its multiplications for each example, i64[N]; see `HeadKind`."""
    one = HEADS[self.head].multiplied(self, width, lengths)
    return POOLS[self.pool].multiplied(one, width, lengths)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadKind:
  """A way to build a head.

  Attributes:
    space: where it writes: "example", [B, E, C], "token", [B, S, C],
      "vocabulary", [B, P, V], or "vector", [B, E, 2 D].
    reads: which vectors, an entry of what `Heads` is given; "pooled" = what
      the spec's pool makes of an example, "texts" = of both of its texts.
    build: (spec, those vectors) -> f32[B, ..., C]; parameters are called
      `spec.parameters`. None = it has none, and writes what it reads.
    multiplied: (spec, D, lengths i64[N]) -> multiplications for each example.
    options: what a task may say of it -> what it is otherwise: a whole number,
      or a share.
    texts: how many it has to be given at least.
    chosen: whether tasks may choose it that another head is usual for.
    drops: whether what it reads is dropped from where no task says so.
    dense: whether it is one dense layer.
    apart: whether two texts are encoded each by itself for it; if it reads
      pooled vectors, then those of both, see `legs.features`.
    mixes: whether it can read a mixture of the encoder's layers.
  """

  space: str
  reads: str
  build: Callable[[HeadSpec, Any], jax.Array] | None
  multiplied: Callable[[HeadSpec, int, np.ndarray], np.ndarray] = (
    lambda spec, width, lengths: width * spec.outputs + 0 * lengths
  )
  options: Mapping[str, float] = dataclasses.field(default_factory=dict)
  texts: int = 1
  chosen: bool = True
  drops: bool = True
  dense: bool = False
  apart: bool = False
  mixes: bool = False


def apart(pool: str) -> str:
  """Returns what both texts' pooled vectors are called among those given."""
  return f"{POOLS[pool].reads} apart"


def texts(pool: str) -> str:
  """Returns what the vectors of both texts, before any pooler, are called."""
  return f"{POOLS[pool].reads} texts"


def linear(spec: HeadSpec, vectors: jax.Array) -> jax.Array:
  """Returns f32[..., C] of one dense layer on vectors [..., D]."""
  dense = nn.Dense(
    spec.outputs,
    kernel_init=nn.initializers.glorot_uniform(),
    name=spec.parameters,
  )
  return dense(vectors.astype(jnp.float32))


class Mlp(nn.Module):
  """Two dense layers."""

  width: int
  outputs: int

  @nn.compact
  def __call__(self, vectors: jax.Array) -> jax.Array:
    """Returns f32[..., C] of vectors [..., D]."""
    init = nn.initializers.glorot_uniform()
    hidden = nn.Dense(self.width, kernel_init=init, name="hidden")
    out = nn.Dense(self.outputs, kernel_init=init, name="out")
    x = hidden(vectors.astype(jnp.float32))
    return out(nn.gelu(x, approximate=False))


def mlp(spec: HeadSpec, vectors: jax.Array) -> jax.Array:
  """Returns f32[B, E, C], the head of "Less is More"."""
  made = Mlp(spec.option("width"), spec.outputs, name=spec.parameters)
  return made(vectors)


def tower(spec: HeadSpec, parts: Parts) -> jax.Array:
  """Returns f32[B, E, C] of [u; |u - v|; u * v], the mean tokens of two texts.

  The texts are read together; each is not encoded by itself.
  """
  u, v = parts.mean(parts.first), parts.mean(parts.second)
  return linear(spec, jnp.concatenate([u, jnp.abs(u - v), u * v], -1))


def of_tokens(spec: HeadSpec, width: int, lengths: np.ndarray) -> np.ndarray:
  """Counts the multiplications of one dense layer on every token."""
  return lengths * width * spec.outputs


HEADS: Mapping[str, HeadKind] = {
  "linear": HeadKind(space="example", reads="pooled", build=linear, dense=True),
  "mlp": HeadKind(
    space="example",
    reads="pooled",
    build=mlp,
    multiplied=lambda spec, width, lengths: (
      spec.option("width") * (width + spec.outputs) + 0 * lengths
    ),
    options={"width": 512},
  ),
  "siamese": HeadKind(
    space="example",
    reads="pooled",
    build=mlp,
    multiplied=lambda spec, width, lengths: (
      spec.option("width") * (3 * width + spec.outputs) + 0 * lengths
    ),
    options={"width": 512},
    texts=2,
    apart=True,
  ),
  "tower": HeadKind(
    space="example",
    reads="parts",
    build=tower,
    multiplied=lambda spec, width, lengths: (
      3 * width * spec.outputs + 0 * lengths
    ),
    texts=2,
  ),
  "san": HeadKind(
    space="example",
    reads="parts",
    build=san.san,
    multiplied=san.multiplied,
    options={"turns": 5, "answer_dropout": 0.1},
    texts=2,
  ),
  "project": HeadKind(
    space="example",
    reads="parts",
    build=projected.project,
    multiplied=projected.project_multiplied,
    options=projected.OPTIONS,
    mixes=True,
  ),
  "pair": HeadKind(
    space="example",
    reads="parts",
    build=projected.pair,
    multiplied=projected.pair_multiplied,
    options=projected.OPTIONS,
    texts=2,
    apart=True,
    mixes=True,
  ),
  "bilinear": HeadKind(
    space="example",
    reads="parts",
    build=projected.bilinear,
    multiplied=projected.bilinear_multiplied,
    options=projected.OPTIONS,
    texts=2,
    apart=True,
    mixes=True,
  ),
  "attention": HeadKind(
    space="example",
    reads="parts",
    build=projected.attention,
    multiplied=projected.attention_multiplied,
    options=projected.OPTIONS | {"states": 512},
    texts=2,
    apart=True,
    mixes=True,
  ),
  "tags": HeadKind(
    space="token",
    reads="tokens",
    build=linear,
    multiplied=of_tokens,
    chosen=False,
    dense=True,
  ),
  # Start and end of an answer.
  "span": HeadKind(
    space="token",
    reads="tokens",
    build=linear,
    multiplied=of_tokens,
    chosen=False,
    dense=True,
  ),
  "mlm": HeadKind(
    space="vocabulary",
    reads="drawn",
    build=masked.mlm,
    multiplied=masked.of_masked,
    chosen=False,
    drops=False,
  ),
  # Both neighbours of every token, by half of what is made of it.
  "lm": HeadKind(
    space="vocabulary",
    reads="sided",
    build=masked.lm,
    multiplied=of_tokens,
    chosen=False,
    mixes=True,
  ),
  # The encoder alone.
  "vectors": HeadKind(
    space="vector",
    reads="texts",
    build=None,
    multiplied=lambda spec, width, lengths: 0 * lengths,
    chosen=False,
    drops=False,
    apart=True,
  ),
  "decoder": HeadKind(
    space="vocabulary",
    reads="decoded",
    build=decoder.decoder,
    multiplied=decoder.multiplied,
    options={"width": 512},
    texts=2,
    chosen=False,
    apart=True,
  ),
}


class Heads(nn.Module):
  """All heads of a model; every example gets its own task's output."""

  heads: tuple[HeadSpec, ...]

  @nn.compact
  def __call__(
    self, vectors: Mapping[str, Any], task: Mapping[str, jax.Array]
  ) -> dict[str, jax.Array]:
    """Returns space -> f32[B, ..., C]; columns past a task's own are zero.

    Args:
      vectors: what heads read: "pooled" [B, E, D] of examples, "tokens" [B, S,
        D], "parts" the tokens as `Parts`, "drawn" the masked ones as `Drawn`,
        "sided" one side of tokens as `Sided`, "decoded" as `Decoded`;
        of other pools than [CLS] what they read; what `apart` names, [B, E, 3
        D] of both texts, and what `texts` names, [B, E, 2 D]; and "own"
        `bool[B, E, S]`, which tokens are of each example.
      task: space -> i32[B, ...], the position in `heads` of the task of each
        example or token; -1 where there is none (its output is zero).
    """
    columns = columns_of(self.heads)
    found = {
      space: jnp.zeros((*task[space].shape, C)) for space, C in columns.items()
    }
    built: dict[str, jax.Array] = {}
    for number, spec in enumerate(self.heads):
      kind = HEADS[spec.head]
      if kind.build is None:
        found[kind.space] = vectors[spec.reads]
        continue
      owner, room = task[kind.space], columns[kind.space] - spec.outputs
      if spec.parameters not in built:
        one = kind.build(spec, vectors[spec.reads])
        built[spec.parameters] = POOLS[spec.pool].after(one, vectors.get("own"))
      made = OUTPUTS[spec.output](built[spec.parameters])
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
