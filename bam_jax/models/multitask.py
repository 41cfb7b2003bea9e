"""One encoder, one pooler and one head per task.

The pooler reads every packed example's [CLS], or its mean token, or all of
them; other heads read its tokens. The heads are the only parameters that tasks
do not share (Clark et al. 2019, section 3.1).
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bam_jax.models import encoders, legs, parts
from bam_jax.models.adapted import Adapter
from bam_jax.models.adapter_tree import Adapters
from bam_jax.models.decoder import Decoded
from bam_jax.models.dropout import Dropout
from bam_jax.models.encoders import EncoderConfig
from bam_jax.models.heads import HEADS, Heads, HeadSpec, apart, texts
from bam_jax.models.hidden import Watch
from bam_jax.models.masked import Sided
from bam_jax.models.mixing import MIX
from bam_jax.models.pooling import POOLS


class MultiTask(nn.Module):
  """The whole model: a batch in, the outputs of each example's own head out."""

  config: EncoderConfig
  heads: tuple[HeadSpec, ...]
  # Where a head has no rate of its own.
  head_dropout: float
  dtype: Any
  remat: bool
  # Of hidden states [B, S, D]; None = as the compiler likes.
  place: jax.sharding.Sharding | None = None
  # What tasks have of their own inside the encoder.
  adapter: Adapter | None = None

  @nn.compact
  def __call__(
    self, batch: Mapping, *, train: bool, shift: jax.Array | None = None
  ) -> dict[str, jax.Array]:
    """Returns what each example's own head says, by the space it writes into.

    "example": f32[B, E, C], "token": f32[B, S, C], "vocabulary": f32[B, P, V],
    "vector": [B, E, 2 D]; only those that the heads have. Logits come before
    the softmax, a value is the first column, vectors are those of two texts.

    Args:
      batch: `tokens`, `types`, `positions`, `segments` i32[B, S] and `cls`,
        `task` i32[B, E]; for training also `index` i32[B, E]; where a head
        says words of the vocabulary, `place` and `masked` i32[B, P].
      train: whether dropout acts; needs the rng "dropout".
      shift: f32[B, S, D], added to what the first layer reads of each token.
    """
    examples = tokens_of = None
    if train:
      examples = examples_of(batch)
      # What padding draws is of no account.
      tokens_of = to_tokens(examples, batch)
    # What the encoder reads of each text, and of those that come second.
    read = behind = batch
    alone = tuple(HEADS[spec.head].apart for spec in self.heads)
    if any(alone):
      second = legs.second_of(batch, alone)
      read, behind = legs.split(batch, second)
      if train:
        tokens_of = legs.redrawn(tokens_of, second)
    kind, watch = encoders.of(self.config), None
    if any(spec.layers == MIX for spec in self.heads):
      watch = Watch(self.place)
    encoder = kind.module(
      self.config,
      self.dtype,
      self.remat,
      watch or self.place,
      name=self.config.kind,
    )
    x = encoder.embed(
      batch["tokens"],
      read["types"],
      read["positions"],
      train=train,
      examples=tokens_of,
    )
    if shift is not None:
      x = x + shift.astype(x.dtype)
    hidden = encoder.encode(
      x,
      read["positions"],
      read["segments"],
      train=train,
      examples=tokens_of,
      **self._adapted(batch),
    )
    layers = ()
    if watch:
      layers = encoders.layers(self.config, watch.seen, hidden, read)
    read_layers = layers
    reads = {spec.reads for spec in self.heads}
    rates = tuple(spec.drops(self.head_dropout) for spec in self.heads)
    vectors, task = {}, dict.fromkeys(("example", "vector"), batch["task"])
    # There is a pooler in every tree, so that a later head finds it.
    pools = [
      row for name, row in POOLS.items() if {row.reads, apart(name)} & reads
    ]
    if self.is_initializing():
      pools = pools or [POOLS["cls"]]
    if pools:
      pooler = kind.pooler(self.config, self.dtype, name="pooler")
      vectors["own"] = parts.own_tokens(batch)
    for row in pools:
      whose = (examples,)
      if row.tokens:
        whose = (tokens_of, batch["positions"])
      pooled = pooler(row.before(hidden, read))
      vectors[row.reads] = Dropout(rates)(pooled, *whose, train=train)
    for name in POOLS:
      if apart(name) in reads:
        before = POOLS[name].before
        both = legs.features(
          pooler(before(hidden, read)), pooler(before(hidden, behind))
        )
        vectors[apart(name)] = Dropout(rates)(both, examples, train=train)
      if texts(name) in reads:
        before = POOLS[name].before
        vectors[texts(name)] = jnp.concatenate(
          [before(hidden, read), before(hidden, behind)], -1
        )
    if {"tokens", "parts", "decoded"} & reads:
      drop = Dropout(rates)
      if layers:
        # One element is dropped from all layers alike, as from their mixture.
        kept = drop(
          jnp.ones_like(hidden), tokens_of, batch["positions"], train=train
        )
        tokens, layers = hidden * kept, tuple(each * kept for each in layers)
      else:
        tokens = drop(hidden, tokens_of, batch["positions"], train=train)
      vectors["tokens"] = tokens
      vectors["parts"] = parts.told_apart(tokens, batch, examples, read, layers)
      task["token"] = task_of_tokens(batch)
    if "decoded" in reads:
      vectors["decoded"] = Decoded(
        vectors["parts"], batch["tokens"], batch["place"]
      )
    if {"drawn", "sided", "decoded"} & reads:
      task["vocabulary"] = jnp.where(
        batch["masked"] >= 0, at_places(task_of_tokens(batch), batch), -1
      )
    if "drawn" in reads:
      said, owners = at_places(hidden, batch), None
      if train:
        owners = at_places(tokens_of, batch)
      said = Dropout(rates)(
        said, owners, at_places(batch["positions"], batch), train=train
      )
      words = encoder.variables["params"]["embeddings"]["word"]["embedding"]
      vectors["drawn"] = encoders.drawn(self.config, said, words)
    if "sided" in reads:
      owners = at_places(tokens_of, batch) if train else None
      positions = at_places(batch["positions"], batch)
      one, *more = (
        at_sides(*kind.sides(self.config, each), batch)
        for each in (hidden, *read_layers)
      )
      kept = Dropout(rates)(jnp.ones_like(one), owners, positions, train=train)
      sided = Sided(one * kept, tuple(each * kept for each in more))
      vectors["sided"] = sided
    return Heads(self.heads, name="heads")(vectors, task)

  def _adapted(self, batch: Mapping) -> dict[str, Any]:
    """Returns what `encode` is given where the encoder has adapters."""
    if self.adapter is None:
      return {}
    names = tuple(spec.name for spec in self.heads)
    adapters = Adapters(
      self.adapter, self.config, names, self.dtype, name="adapters"
    )
    return {"adapted": adapters(task_of_tokens(batch))}


def examples_of(batch: Mapping) -> jax.Array:
  """Returns the task and the index of each example, i32[B, E, 2]."""
  return jnp.stack([batch["task"], batch["index"]], axis=-1)


def to_tokens(of_slots: jax.Array, batch: Mapping) -> jax.Array:
  """Returns what slots have for each token, [B, S, K]; padding has the first's.

  Of several slots in one segment it is the first one's.

  Args:
    of_slots: [B, E, K].
    batch: `segments` i32[B, S].
  """
  # Segment n is slot n - 1.
  slot = jnp.maximum(batch["segments"] - 1, 0)
  return jnp.take_along_axis(of_slots, slot[..., None], axis=1)


def at_places(of_tokens: jax.Array, batch: Mapping) -> jax.Array:
  """Returns what tokens have at a row's places: [B, P, ...] of [B, S, ...]."""
  place = batch["place"].reshape(
    *batch["place"].shape, *(1,) * (of_tokens.ndim - 2)
  )
  return jnp.take_along_axis(of_tokens, place, axis=1)


def at_sides(up: jax.Array, down: jax.Array, batch: Mapping) -> jax.Array:
  """Returns what has read to a row's places from their own side, [B, P, K].

  Args:
    up: [B, S, K], what has read up to each token.
    down: [B, S, K], what has read down to each.
    batch: `place` and `side` i32[B, P].
  """
  before = batch["side"][..., None] > 0
  return jnp.where(before, at_places(down, batch), at_places(up, batch))


def task_of_tokens(batch: Mapping) -> jax.Array:
  """Returns whose each token is, i32[B, S]: -1 where nothing lies.

  Of several tasks in one segment it is the first slot's.

  Args:
    batch: `segments` i32[B, S] and `task` i32[B, E].
  """
  slot = jnp.maximum(batch["segments"] - 1, 0)
  task = jnp.take_along_axis(batch["task"], slot, axis=1)
  return jnp.where(batch["segments"] > 0, task, -1)


def init_params(model: MultiTask, key: jax.Array) -> dict:
  """Returns random parameters: the encoder's kind, `pooler`, `heads`."""
  one = {
    name: jnp.zeros((1, 1), jnp.int32)
    for name in (
      *("tokens", "types", "positions", "segments", "cls", "task"),
      *("place", "masked", "side"),
    )
  }
  # One row cannot be split.
  return model.clone(place=None).init(key, one, train=False)["params"]
