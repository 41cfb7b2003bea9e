"""A student that matches the inside of a frozen teacher, token by token.

The teacher reads the same tokens in every step. Matched are hidden states,
layer by layer (TinyBERT, Jiao et al. 2020), and what the tokens of the last
layer have to do with each other (MiniLM, Wang et al. 2020). All that is said of
an example is a mean over its own tokens, so rows may be packed.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import re
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from bam_jax.models import encoders, hidden
from bam_jax.models.encoders import EncoderConfig
from bam_jax.models.hidden import Hidden
from bam_jax.training import groups

# What widens a student's vectors to its teacher's; trained, and then left.
PROJECTION = "projection"
# No product of two tokens is so low.
_UNSEEN = -1e30


@dataclasses.dataclass(frozen=True, eq=False)
class Matching:
  """What of a teacher a student matches, and how much it counts.

  Attributes:
    student: the student's configuration.
    teacher: the teacher's.
    params: the teacher's encoder, f32.
    pairs: (a layer of the student, the teacher's that it matches); 0 = the
      embeddings.
    hidden: what the distance of hidden states counts; 0 = off.
    relations: what that of relations counts; 0 = off.
    heads: A, into so many the vectors are cut whose relations are matched.
  """

  student: EncoderConfig
  teacher: EncoderConfig
  params: Mapping[str, Any]
  pairs: tuple[tuple[int, int], ...]
  hidden: float
  relations: float
  heads: int

  @classmethod
  def of(
    cls,
    asked: ConfigDict,
    student: EncoderConfig,
    teacher: EncoderConfig,
    params: Mapping[str, Any],
  ) -> "Matching":
    """Returns what `config.teacher` says.

    Raises:
      ValueError: the layers or the heads do not fit.
    """
    pairs: tuple[tuple[int, int], ...] = ()
    if asked.hidden_weight:
      pairs = pairs_of(asked.layer_map, student.layers, teacher.layers)
    heads = asked.relation_heads
    if asked.relations_weight:
      heads = heads_of(heads, student, teacher)
    return cls(
      student,
      teacher,
      params,
      pairs,
      asked.hidden_weight,
      asked.relations_weight,
      heads,
    )

  def projection(self, key: jax.Array) -> dict[str, Any]:
    """Draws the parameters that matching has besides the student's own.

    One kernel for all layers, as in TinyBERT's code; none of equal widths.
    """
    shape = self.student.width, self.teacher.width
    if not self.hidden or shape[0] == shape[1]:
      return {}
    kernel = nn.initializers.lecun_normal()(key, shape)
    return {PROJECTION: {"kernel": kernel}}

  def inside(self, params: Any, batch: Mapping, dtype: Any) -> Hidden:
    """Returns the inside of the teacher.

    Args:
      params: its own, on the devices.
      batch: what it reads.
      dtype: what to compute in.
    """
    module = encoders.of(self.teacher).module(self.teacher, dtype, False, None)
    _, kept = module.apply(
      {"params": params},
      batch["tokens"],
      batch["types"],
      batch["positions"],
      batch["segments"],
      train=False,
      **hidden.asked(self.teacher),
    )
    return hidden.found(kept, self.teacher)

  def loss(
    self, params: Any, own: Hidden, their: Hidden, batch: Mapping
  ) -> jax.Array:
    """Returns how far each example is from its teacher, f32[B, E].

    Args:
      params: the student's, with the projection.
      own: the inside of the student.
      their: that of the teacher.
      batch: what both read.
    """
    total = jnp.zeros(batch["tokens"].shape)
    if self.hidden:
      kernel = params.get(PROJECTION, {}).get("kernel")
      pairs = [(own.layers[s], their.layers[t]) for s, t in self.pairs]
      total += self.hidden * states_apart(pairs, kernel)
    if self.relations:
      total += self.relations * relations_apart(
        own.attended, their.attended, self.heads, batch["segments"]
      )
    return of_examples(total, batch)

  def bound(self, params: Any, dtype: Any) -> Callable[..., jax.Array]:
    """Returns (student's params, its inside, batch) -> f32[B, E].

    Args:
      params: the teacher's, on the devices.
      dtype: what to compute in.
    """

    def loss(own, inside, batch):
      return self.loss(own, inside, self.inside(params, batch, dtype), batch)

    return loss


def states_apart(
  pairs: Sequence[tuple[jax.Array, jax.Array]], kernel: jax.Array | None
) -> jax.Array:
  """Returns the mean square between hidden states, summed over layers.

  Args:
    pairs: the student's [B, S, D] and the teacher's [B, S, D'].
    kernel: f32[D, D'] from the first to the second; None = both are one width.

  Returns:
    f32[B, S].
  """

  def apart(own, their):
    own = own.astype(jnp.float32)
    own = own if kernel is None else own @ kernel
    return jnp.square(own - their.astype(jnp.float32)).mean(-1)

  return sum(apart(*pair) for pair in pairs)


def relations_apart(
  own: Sequence[jax.Array],
  their: Sequence[jax.Array],
  heads: int,
  segments: jax.Array,
) -> jax.Array:
  """Returns KL(teacher || student) of the relations of each token.

  Of queries with keys and of values with values, the mean over the heads of
  each, both added.

  Args:
    own: the student's queries, keys and values, [B, S, H, K] each.
    their: the teacher's.
    heads: A, into which the columns of all heads together are cut.
    segments: i32[B, S]; tokens are related to those of their own.

  Returns:
    f32[B, S].
  """

  def related(one, two):
    one, two = (
      x.reshape(*x.shape[:2], heads, -1).astype(jnp.float32) for x in (one, two)
    )
    products = jnp.einsum("bqhk,bshk->bhqs", one, two) * one.shape[-1] ** -0.5
    seen = segments[:, None, :, None] == segments[:, None, None]
    return jax.nn.log_softmax(jnp.where(seen, products, _UNSEEN), axis=-1)

  def apart(student, teacher):
    return (jnp.exp(teacher) * (teacher - student)).sum(-1).mean(1)

  (q, k, v), (tq, tk, tv) = own, their
  return apart(related(q, k), related(tq, tk)) + apart(
    related(v, v), related(tv, tv)
  )


def of_examples(of_tokens: jax.Array, batch: Mapping) -> jax.Array:
  """Returns the means over the tokens of each example, f32[B, E].

  Of a question with candidates it is the mean over these, at the first of them.

  Args:
    of_tokens: f32[B, S].
    batch: `segments` i32[B, S], `cls` and `task` i32[B, E].
  """
  # Not the slot's number: several slots may read one segment.
  segment = jnp.take_along_axis(batch["segments"], batch["cls"], axis=1)
  here = batch["segments"][:, None] == segment[..., None]
  total = jnp.where(here, of_tokens[:, None], 0.0).sum(-1)
  mean = jnp.where(batch["task"] >= 0, total / here.sum(-1), 0.0)
  one = (batch["task"] >= 0).astype(jnp.float32)
  count = groups.gathered(one, batch, None)
  return groups.gathered(mean, batch, None) / jnp.maximum(count, 1.0)


def pairs_of(
  asked: str, student: int, teacher: int
) -> tuple[tuple[int, int], ...]:
  """Returns which layers match, the student's and the teacher's.

  Args:
    asked: "0=0,1=4,2=8"; "" = evenly, the embeddings and the last ones too.
    student: L of the student.
    teacher: L of the teacher.

  Raises:
    ValueError: a layer is not there, or nothing is said where it must be.
  """
  if not asked.strip():
    times, left = divmod(teacher, student)
    if left or not times:
      raise ValueError(
        f"teacher.layer_map is empty, and the teacher's {teacher} layers are no"
        f" multiple of the student's {student}; say which match, as in "
        f"--config.teacher.layer_map=0=0,{student}={teacher}"
      )
    return tuple((i, i * times) for i in range(student + 1))
  found: dict[int, int] = {}
  for entry in asked.split(","):
    said = re.fullmatch(r"\s*(\d{1,6})\s*=\s*(\d{1,6})\s*", entry, re.ASCII)
    if not said:
      raise ValueError(
        f"teacher.layer_map has {entry!r}; it is STUDENT=TEACHER by the numbers"
        " of layers, 0 for the embeddings, with commas between, as in "
        f"0=0,{student}={teacher}"
      )
    own, their = map(int, said.groups())
    for whose, layer, last in (
      ("student", own, student),
      ("teacher", their, teacher),
    ):
      if layer > last:
        raise ValueError(
          f"teacher.layer_map has {entry.strip()}, but the {whose} has {last} "
          f"layers; give 0 to {last}"
        )
    if own in found:
      raise ValueError(
        f"teacher.layer_map names layer {own} of the student twice; it matches "
        "one of the teacher's"
      )
    found[own] = their
  return tuple(found.items())


def heads_of(asked: int, student: EncoderConfig, teacher: EncoderConfig) -> int:
  """Returns A, into how many heads both sides are cut.

  Args:
    asked: 0 = as many as the teacher has.
    student: its configuration.
    teacher: its configuration.

  Raises:
    ValueError: one of both has no attention, or A does not divide a width.
  """
  for whose, config in (("student", student), ("teacher", teacher)):
    if not encoders.of(config).attends:
      raise ValueError(
        "teacher.relations_weight is set, but relations of the attention of "
        f"the {whose}, a {config.kind}, are not known; match its hidden states:"
        " --config.teacher.hidden_weight=1.0"
      )
  heads = asked or teacher.heads
  for whose, config in (("student", student), ("teacher", teacher)):
    if columns_of(config) % heads:
      raise ValueError(
        f"teacher.relation_heads is {heads}, which does not divide the width "
        f"{columns_of(config)} of the {whose}'s attention; give one that "
        f"divides {columns_of(student)} and {columns_of(teacher)}"
      )
  return heads


def columns_of(config: EncoderConfig) -> int:
  """Returns how wide the queries of all heads together are."""
  head = getattr(config, "head_width", 0)
  return config.heads * head if head else config.width
