"""Useful floating-point operations of an encoder on examples of known lengths.

A product of an m x k and a k x n matrix counts 2mkn: a multiplication and an
addition are two. Counted are the products of real tokens with weights, those
of attention between tokens that see each other, the pooler, and each example's
own head. Never counted are padding, pairs of tokens of different examples,
tables that are looked up, other tasks' heads, elementwise work (norms, gelu,
softmax, dropout), the optimiser, what remat computes twice, and the further
passes of an adversary.
"""

from collections.abc import Sequence

import numpy as np

from bam_jax.models import encoders
from bam_jax.models.encoders import EncoderConfig
from bam_jax.models.heads import HeadSpec

# The backward pass has two products for each of the forward pass: one for the
# gradient of the inputs, one for that of the weights.
TRAIN_OVER_FORWARD = 3


def forward(
  config: EncoderConfig, lengths: Sequence[int], *, head: HeadSpec
) -> np.ndarray:
  """Returns the FLOPs of a forward pass of each example: i64[N].

  Args:
    config: the encoder.
    lengths: i[N] tokens of each example, [CLS] and [SEP] included.
    head: of the example's task.
  """
  lengths = np.asarray(lengths, np.int64)
  encoder = encoders.of(config).multiplied(config, lengths)
  own = head.multiplied(config.width, lengths)
  return 2 * (encoder + own)


def train(
  config: EncoderConfig, lengths: Sequence[int], *, head: HeadSpec
) -> np.ndarray:
  """Returns the FLOPs of each example in a training step: i64[N].

  Args:
    config: the encoder.
    lengths: as for `forward`.
    head: as for `forward`.
  """
  return TRAIN_OVER_FORWARD * forward(config, lengths, head=head)
