"""Turns documents into examples: `[CLS] part [SEP]`, each as long as may be.

A part ends where a word does, so that no word is torn; nothing is cut away. Of
each token it is noted whether a word begins there, as the tokenizer's own
division into words has it.
"""

from collections.abc import Sequence

import numpy as np

from bam_jax.data.features import Features
from bam_jax.data.ragged import offsets_of, spans
from bam_jax.data.tokenizer import Tokenizer
from bam_jax.data.windows import Windows
from bam_jax.data.words import Words

# What a tokenizer that knows words takes for two.
_TWO = "a b"


def knows_words(tokenizer: Tokenizer) -> bool:
  """Tells whether a tokenizer divides text into words before it cuts pieces."""
  found = tokenizer.backend.encode(_TWO, add_special_tokens=False)
  return len({*found.word_ids}) > 1


def parts(
  tokenizer: Tokenizer, documents: Sequence[str], *, most: int
) -> Features:
  """Returns the parts of documents, one document after the other.

  Args:
    tokenizer: see `tokenizer.load_tokenizer`.
    documents: texts of any length.
    most: tokens of a part, special ones counted.

  Returns:
    Features whose words are all tokens of the text, labelled 1 where a word
    begins and 0 elsewhere; a document without a token is one part without any.

  Raises:
    ValueError: `most` leaves no room for text.
  """
  before, after = map(len, tokenizer.single)
  room = most - before - after
  if room < 1:
    raise ValueError(
      f"max_length is {most}; a part of a document needs at least"
      f" {before + after + 1}, {before + after} of them special tokens"
    )
  found = tokenizer.backend.encode_batch(
    list(documents), add_special_tokens=False
  )
  source, lengths = [], []
  ids, begins = [np.zeros(0, np.int32)], [np.zeros(0, np.float32)]
  for number, each in enumerate(found):
    words = np.array([-1 if w is None else w for w in each.word_ids], np.int32)
    starts = np.diff(words, prepend=-2) != 0
    sizes = _sizes(np.flatnonzero(starts), len(starts), room)
    # Of a word longer than a part, what is left begins one.
    starts[offsets_of(sizes)[:-1][sizes > 0]] = True
    ids.append(np.array(each.ids, np.int32))
    begins.append(starts.astype(np.float32))
    lengths.append(sizes)
    source += [number] * len(sizes)
  lengths = np.concatenate([np.zeros(0, np.int64), *lengths])
  offsets = offsets_of(lengths + before + after)
  tokens = np.empty(offsets[-1], np.int32)
  for shift, mark in enumerate(tokenizer.single[0]):
    tokens[offsets[:-1] + shift] = mark
  for shift, mark in enumerate(tokenizer.single[1]):
    tokens[offsets[:-1] + before + lengths + shift] = mark
  at = spans(np.full_like(lengths, before), lengths)
  tokens[np.repeat(offsets[:-1], lengths) + at] = np.concatenate(ids)
  return Features(
    tokens=tokens,
    types=np.zeros(len(tokens), np.int8),
    offsets=offsets,
    index=np.arange(len(lengths), dtype=np.int64),
    labels=np.concatenate(begins),
    words=Words(at.astype(np.int32), offsets_of(lengths), drawn=True),
    windows=Windows(np.array(source, np.int64)),
    cut=0,
  )


def _sizes(starts: np.ndarray, tokens: int, room: int) -> np.ndarray:
  """Returns how many tokens each part of a document has, i64[1 or more].

  Args:
    starts: i64[W], where words begin.
    tokens: of the document.
    room: tokens of a part.
  """
  sizes, done = [], 0
  while tokens - done > room:
    last = starts[np.searchsorted(starts, done + room, side="right") - 1]
    size = int(last) - done
    sizes.append(size if size > 0 else room)
    done += sizes[-1]
  return np.array([*sizes, tokens - done], np.int64)


def counts(
  tokenizer: Tokenizer, documents: Sequence[str], *, most: int
) -> np.ndarray:
  """Returns how many parts each document has, i64[N]."""
  found = parts(tokenizer, documents, most=most)
  return np.bincount(found.source, minlength=len(documents))
