"""Useful floating-point operations of an encoder on examples of known lengths.

A product of an m x k and a k x n matrix counts 2mkn: a multiplication and an
addition are two. Counted are the products of real tokens with weights, those
of attention between tokens that see each other, the pooler, and each example's
own head. Never counted are padding, pairs of tokens of different examples,
tables that are looked up, other tasks' heads, elementwise work (norms, gelu,
softmax, dropout), the optimiser, and what remat computes twice.
"""

from collections.abc import Sequence

import numpy as np

from bam_jax.models.bert import BertConfig

# The backward pass has two products for each of the forward pass: one for the
# gradient of the inputs, one for that of the weights.
TRAIN_OVER_FORWARD = 3


def forward(
  config: BertConfig, lengths: Sequence[int], *, classes: int
) -> np.ndarray:
  """Returns the FLOPs of a forward pass of each example: i64[N].

  Args:
    config: the encoder.
    lengths: i[N] tokens of each example, [CLS] and [SEP] included.
    classes: outputs of the example's head, 1 for regression.
  """
  n, width = np.asarray(lengths, np.int64), config.width
  projections = 4 * width * width
  feed_forward = (2 + config.gated) * width * config.mlp
  weights = config.layers * (projections + feed_forward)
  if config.embedding_width not in (0, width):
    weights += config.embedding_width * width
  reaches = config.reaches or (0,) * config.layers
  # Queries with keys, and probabilities with values.
  attention = 2 * width * sum(pairs(n, reach) for reach in reaches)
  ends = width * width + width * classes
  return 2 * (n * weights + attention + ends)


def train(
  config: BertConfig, lengths: Sequence[int], *, classes: int
) -> np.ndarray:
  """Returns the FLOPs of each example in a training step: i64[N].

  Args:
    config: the encoder.
    lengths: as for `forward`.
    classes: as for `forward`.
  """
  return TRAIN_OVER_FORWARD * forward(config, lengths, classes=classes)


def pairs(lengths: np.ndarray, reach: int) -> np.ndarray:
  """Returns how many (query, key) pairs attention has in each example: i64[N].

  Args:
    lengths: i64[N].
    reach: tokens seen to either side; 0 = all of the example.
  """
  if not reach:
    return lengths * lengths
  # A band about the diagonal: n pairs on it, n - d on both sides at distance d.
  far = np.minimum(reach, lengths - 1)
  return lengths + 2 * far * lengths - far * (far + 1)
