"""One encoder, one pooler and one head per task.

The pooler reads every packed example's [CLS]; the heads are the only
parameters that tasks do not share (Clark et al. 2019, section 3.1).
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bam_jax.models.bert import Bert, BertConfig, Pooler
from bam_jax.models.dropout import Dropout

# What turns a head's one output into the prediction of a regression task.
REGRESSION_OUTPUTS = {"sigmoid": jax.nn.sigmoid, "linear": lambda x: x}


class Heads(nn.Module):
  """A dense layer per task; every example gets its own task's output."""

  heads: tuple[tuple[str, int], ...]
  regression_output: str

  @nn.compact
  def __call__(self, pooled: jax.Array, task: jax.Array) -> jax.Array:
    """Returns f32[B, E, C]; columns past a task's own classes are zero.

    Args:
      pooled: [B, E, D].
      task: i32[B, E], the position of each example's task in `heads`; -1 where
        there is no example (its output is zero).
    """
    widest = max(classes for _, classes in self.heads)
    own = jnp.zeros((*task.shape, widest))
    for number, (name, classes) in enumerate(self.heads):
      dense = nn.Dense(classes, kernel_init=nn.initializers.glorot_uniform(),
                       name=name)  # fmt: skip
      logits = dense(pooled.astype(jnp.float32))
      if classes == 1:
        logits = REGRESSION_OUTPUTS[self.regression_output](logits)
      logits = jnp.pad(logits, ((0, 0), (0, 0), (0, widest - classes)))
      # Not gathered: a TPU would scatter the gradients one by one.
      own = jnp.where((task == number)[..., None], logits, own)
    return own


class MultiTask(nn.Module):
  """The whole model: a batch in, each example's own logits out."""

  config: BertConfig
  # (task, classes); one class means regression.
  heads: tuple[tuple[str, int], ...]
  head_dropout: float
  regression_output: str
  dtype: Any
  remat: bool
  # Of hidden states [B, S, D]; None = as the compiler likes.
  place: jax.sharding.Sharding | None = None

  @nn.compact
  def __call__(self, batch: Mapping, *, train: bool) -> jax.Array:
    """Returns logits f32[B, E, C] before the softmax.

    For a regression task the first column is the prediction in [0, 1] (or any
    number, with the linear output).

    Args:
      batch: `tokens`, `types`, `positions`, `segments` i32[B, S] and `cls`,
        `task` i32[B, E]; for training also `index` i32[B, E].
      train: whether dropout acts; needs the rng "dropout".
    """
    examples = tokens_of = None
    if train:
      examples = jnp.stack([batch["task"], batch["index"]], axis=-1)
      # Segment n is slot n - 1; what padding draws is of no account.
      slot = jnp.maximum(batch["segments"] - 1, 0)
      tokens_of = jnp.take_along_axis(examples, slot[..., None], axis=1)
    encoder = Bert(self.config, self.dtype, self.remat, self.place, name="bert")
    hidden = encoder(
      batch["tokens"],
      batch["types"],
      batch["positions"],
      batch["segments"],
      examples=tokens_of,
      train=train,
    )
    first = jnp.take_along_axis(hidden, batch["cls"][..., None], axis=1)
    pooled = Pooler(self.config, self.dtype, name="pooler")(first)
    pooled = Dropout(self.head_dropout)(pooled, examples, train=train)
    heads = Heads(self.heads, self.regression_output, name="heads")
    return heads(pooled, batch["task"])


def init_params(model: MultiTask, key: jax.Array) -> dict:
  """Returns random parameters: `bert`, `pooler` and `heads`."""
  one = {
    name: jnp.zeros((1, 1), jnp.int32)
    for name in ("tokens", "types", "positions", "segments", "cls", "task")
  }
  # One row cannot be split.
  return model.clone(place=None).init(key, one, train=False)["params"]
