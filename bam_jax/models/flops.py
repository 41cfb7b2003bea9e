"""Useful floating-point operations of an encoder on examples of known lengths.

A product of an m x k and a k x n matrix counts 2mkn: a multiplication and an
addition are two. Counted are the products of real tokens with weights, those
of attention between tokens that see each other, the pooler, and each example's
own head and adapters. Never counted are padding, pairs of tokens of different
examples, tables that are looked up, other tasks' heads and adapters (though a
token is multiplied with the narrow columns of all), elementwise work (norms,
gelu, softmax, dropout), the optimiser, what remat computes twice, and the
further passes of an adversary.
"""

from collections.abc import Sequence

import numpy as np

from bam_jax.models import adapter_tree, encoders
from bam_jax.models.adapted import Adapter
from bam_jax.models.encoders import EncoderConfig
from bam_jax.models.heads import HeadSpec

# The backward pass has two products for each of the forward pass: one for the
# gradient of the inputs, one for that of the weights.
TRAIN_OVER_FORWARD = 3


def forward(
  config: EncoderConfig,
  lengths: Sequence[int],
  *,
  head: HeadSpec,
  adapter: Adapter | None = None,
) -> np.ndarray:
  """Returns the FLOPs of a forward pass of each example: i64[N].

  Args:
    config: the encoder.
    lengths: i[N] tokens of each example, [CLS] and [SEP] included.
    head: of the example's task.
    adapter: which adapters tasks have; None = none.
  """
  lengths = np.asarray(lengths, np.int64)
  encoder = encoders.of(config).multiplied(config, lengths)
  return 2 * (encoder + _own(config, lengths, head, adapter))


def _own(config, lengths, head, adapter) -> np.ndarray:
  """Returns the multiplications that are of a task alone: i64[N]."""
  own = head.multiplied(config.width, lengths)
  if adapter:
    own = own + adapter_tree.multiplied(adapter, config, lengths)
  return own


def train(
  config: EncoderConfig,
  lengths: Sequence[int],
  *,
  head: HeadSpec,
  adapter: Adapter | None = None,
  frozen: bool = False,
) -> np.ndarray:
  """Returns the FLOPs of each example in a training step: i64[N].

  Args:
    config: the encoder.
    lengths: as for `forward`.
    head: as for `forward`.
    adapter: as for `forward`.
    frozen: whether the encoder's weights get no gradient. Its inputs get one
      where it has adapters, and nothing goes back through it where it has none.
  """
  whole = forward(config, lengths, head=head, adapter=adapter)
  if not frozen:
    return TRAIN_OVER_FORWARD * whole
  lengths = np.asarray(lengths, np.int64)
  own = 2 * _own(config, lengths, head, adapter)
  encoder = (2 if adapter else 1) * (whole - own)
  return encoder + TRAIN_OVER_FORWARD * own
