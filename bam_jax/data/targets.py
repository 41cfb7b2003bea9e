"""A source and its target in a row, of which the target is said.

`[CLS] source [SEP] [CLS] target [SEP]`: each is read by itself, as apart.py has
it, and every token of the second but its last one has the next one said.
"""

from collections.abc import Sequence
import dataclasses

import numpy as np

from bam_jax.data import apart, features
from bam_jax.data.features import Features
from bam_jax.data.ragged import offsets_of
from bam_jax.data.tokenizer import Tokenizer
from bam_jax.data.windows import Windows
from bam_jax.data.words import Words


def pairs(
  tokenizer: Tokenizer, texts: Sequence[Sequence[str]], *, most: int
) -> Features:
  """Returns pairs of a source and its target, in their order.

  Args:
    tokenizer: see `tokenizer.load_tokenizer`.
    texts: sources and targets.
    most: tokens of an example; what is longer is cut as any pair is.

  Raises:
    ValueError: the tokenizer does not tell two texts apart.
  """
  if not apart.able(tokenizer):
    raise ValueError(
      "a target is told from its source by token types, and the tokenizer has"
      " none; take an encoder that has, as BERT does, or encoder=scratch"
    )
  zeros = np.zeros(len(texts[0]), np.float32)
  read = features.featurise(tokenizer, texts, zeros, max_length=most)
  rows = apart.apart(read, tokenizer, most=most)
  starts, ends = rows.offsets[:-1], rows.offsets[1:]
  said = rows.types > 0
  said[ends - 1] = False
  owner = np.repeat(np.arange(len(rows)), ends - starts)[said]
  at = np.flatnonzero(said) - starts[owner]
  counts = np.bincount(owner, minlength=len(rows))
  return dataclasses.replace(
    rows,
    labels=np.ones(len(at), np.float32),
    words=Words(at.astype(np.int32), offsets_of(counts), drawn=True, sides=1),
    windows=Windows(np.arange(len(rows), dtype=np.int64)),
  )
