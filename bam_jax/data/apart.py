"""Pairs whose texts are read each by itself, in the rows of those together.

`[CLS] a [SEP] b [SEP]` becomes `[CLS] a [SEP] [CLS] b [SEP]`, where the second
text is still told by its types; what that means, models/legs.py says.
"""

import dataclasses

import numpy as np

from bam_jax.data.features import Features, together
from bam_jax.data.ragged import offsets_of, spans
from bam_jax.data.tokenizer import Tokenizer
from bam_jax.tasks.description import Head
from bam_jax.tasks.kinds import KINDS, SAID
from bam_jax.tasks.learn import APART
from bam_jax.tasks.table import Task


def asked(task: Task | Head) -> bool:
  """Tells whether a task's head reads its texts apart."""
  kind = KINDS[task.kind]
  # A source and its target always lie so.
  return task.learn.built(kind)[0] in APART and kind.reads not in SAID


def able(tokenizer: Tokenizer) -> bool:
  """Tells whether rows of two texts can be told apart and marked anew.

  It needs types, and around each text of two what stands around one alone.
  """
  (before, after), (front, between, end) = tokenizer.single, tokenizer.pair
  cut = len(between) - tokenizer.begun
  return (
    bool(tokenizer.second)
    and (front, between[:cut], end) == (before, after, after)
    and between[cut:] in ((), before)
  )


def apart(
  rows: Features, tokenizer: Tokenizer, *, most: int, each: bool = False
) -> Features:
  """Returns pairs as two texts of which each is marked as one alone is.

  Args:
    rows: pairs of texts read together, or questions with their candidates.
    tokenizer: theirs, `able`.
    most: tokens of an example; where the marks make it longer, the longer text
      ends earlier.
    each: each text has half of these to itself, as if it were read alone.
  """
  if rows.words is not None:
    # Of a question each pair with a candidate has two texts of its own.
    pairs = apart(rows.examples, tokenizer, most=most, each=each)
    made = together(pairs, rows.words.counts)
    return dataclasses.replace(
      rows,
      tokens=made.tokens,
      types=made.types,
      offsets=made.offsets,
      words=made.words,
    )
  marks = tokenizer.single[0][: len(tokenizer.single[0]) - tokenizer.begun]
  before, after = map(len, tokenizer.single)
  starts, ends = rows.offsets[:-1], rows.offsets[1:]
  counted = np.concatenate([[0], np.cumsum(rows.types > 0)])
  second = counted[ends] - counted[starts]
  first = ends - starts - second
  over = np.maximum(first + second + len(marks) - most, 0)
  # What is left of the marks is the text's own.
  texts = first - before - after, second - after - tokenizer.begun
  longer = texts[0] > texts[1]
  gone = np.where(longer, over, 0), np.where(longer, 0, over)
  if each:
    room = most // 2 - before - after
    gone = tuple(np.maximum(text - room, 0) for text in texts)
  kept = np.ones(len(rows.tokens), bool)
  for end, count in zip((starts + first, ends), gone, strict=True):
    kept[spans(end - after - count, count)] = False
  at = np.repeat(starts + first, len(marks))
  said = np.tile(np.array(marks, np.int32), len(rows))
  return dataclasses.replace(
    rows,
    tokens=np.insert(rows.tokens, at, said)[np.insert(kept, at, True)],
    types=np.insert(rows.types, at, 1)[np.insert(kept, at, True)],
    offsets=offsets_of(first + second + len(marks) - sum(gone)),
  )
