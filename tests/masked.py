"""A model with the head for masked words alone, and what it is given."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from bam_jax.models.heads import HeadSpec
from bam_jax.models.multitask import MultiTask


def net(config: Any, name: str = "mlm") -> MultiTask:
  """Returns the model of an encoder, its head called as told."""
  spec = HeadSpec(
    name, config.vocab_size, output="logits", loss="ce", head="mlm"
  )
  return MultiTask(
    config, (spec,), head_dropout=0.0, dtype=jnp.float32, remat=False
  )


def batch(ids: Any, there: Any) -> dict[str, np.ndarray]:
  """Returns a batch in which every token is said.

  Args:
    ids: i[B, S] of one text each.
    there: i[B, S], 1 where a token is.
  """
  ids, there = (np.asarray(each, np.int32) for each in (ids, there))
  rows, width = ids.shape
  place = np.tile(np.arange(width, dtype=np.int32), (rows, 1))
  slots = np.zeros((rows, 1), np.int32)
  return {
    "tokens": ids,
    "types": np.zeros_like(ids),
    "positions": place,
    "segments": there,
    "cls": slots,
    "task": slots,
    "place": place,
    "masked": np.where(there > 0, ids, -1),
  }
