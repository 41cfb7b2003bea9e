"""Turns text into token ids and sentence types, as its encoder reads them.

Rows have very different lengths, so features are flat arrays with offsets:
nothing is padded before `packing` has decided where every example travels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import dataclasses
import itertools

import numpy as np

from bam_jax.data.ragged import offsets_of, spans
from bam_jax.data.sources import candidates
from bam_jax.data.sources.examples import has_gold
from bam_jax.data.tokenizer import Tokenizer
from bam_jax.data.windows import Windows
from bam_jax.data.words import Words, first_tokens

# Enough for every core to stay busy, few enough that the library's own records
# of a chunk (about 1 kB a sentence) stay small.
_CHUNK = 16_384


@dataclasses.dataclass(frozen=True)
class Features:
  """Examples of one split as token ids, row after row in flat arrays.

  Attributes:
    tokens: i32[sum of lengths], with [CLS] and [SEP].
    types: i8[sum of lengths], 0 for the first sentence and 1 for the second
      (0 too where the tokenizer knows one type only).
    offsets: i64[N + 1], row `i` is `tokens[offsets[i] : offsets[i + 1]]`.
    index: i64[N], the example number in its split; the swapped copy of
      example `i` has number `N + i`.
    labels: f32[N], a class number or a value in [0, 1], NaN where a training
      row has soft labels alone; f32[M] where words are labelled; f32[N, C] of 0
      and 1 where a row may have several; None where no row is labelled.
    words: where words are labelled, or the candidates of a question, M in all;
      None = rows are.
    windows: where rows are windows of questions and contexts; None = they are
      rows of their split.
    weights: f32[N], what each row counts; None = all alike.
    table: whose rows these are, which other tasks label too, and its split; ""
      = no other task reads these texts.
    cut: of all that is read of a split, how many were cut; None = not known.
  """

  tokens: np.ndarray
  types: np.ndarray
  offsets: np.ndarray
  index: np.ndarray
  labels: np.ndarray | None
  words: Words | None = None
  windows: Windows | None = None
  weights: np.ndarray | None = None
  table: str = ""
  cut: int | None = None

  def __len__(self) -> int:
    return len(self.index)

  @property
  def has_gold(self) -> np.ndarray:
    """Tells which rows have a label, bool[N]; where words are labelled, all."""
    if self.labels is None or self.words:
      return np.full(len(self), self.labels is not None)
    return has_gold(self.labels)

  @property
  def source(self) -> np.ndarray:
    """The number in its split of what each row is or is a window of: i64[N]."""
    return self.windows.source if self.windows else self.index

  @property
  def examples(self) -> Features:
    """What is read: the rows, or of questions all M pairs with a candidate."""
    if self.words is None or not self.words.apart:
      return self
    starts = np.repeat(self.offsets[:-1], self.words.counts) + self.words.at
    return dataclasses.replace(
      self,
      offsets=np.append(starts, len(self.tokens)),
      index=np.arange(len(starts)),
      words=None,
      cut=None,
    )

  @property
  def lengths(self) -> np.ndarray:
    """Tokens of every example: i32[N]."""
    return np.diff(self.offsets).astype(np.int32)

  def take(self, rows: np.ndarray) -> Features:
    """Returns the given rows (integers or a mask), in the given order."""
    rows = np.arange(len(self))[rows]
    lengths = self.lengths[rows]
    where = spans(self.offsets[rows], lengths)
    labelled = self.words.of(rows) if self.words else rows
    return Features(
      tokens=self.tokens[where],
      types=self.types[where],
      offsets=offsets_of(lengths),
      index=self.index[rows],
      labels=None if self.labels is None else self.labels[labelled],
      words=self.words and self.words.take(rows),
      windows=self.windows and self.windows.take(rows, self.words),
      weights=None if self.weights is None else self.weights[rows],
      table=self.table,
    )

  @staticmethod
  def join(parts: Sequence[Features]) -> Features:
    """Returns the rows of all parts, one part after the other."""
    labels = [part.labels for part in parts]
    words = [part.words for part in parts]
    windows = [part.windows for part in parts]
    unlabelled = [each is None for each in labels]
    assert all(unlabelled) or not any(unlabelled), "labelled with unlabelled"
    assert all(words) or not any(words), "words with rows"
    weighed = [part.weights is not None for part in parts]
    ones = [np.ones(len(part), np.float32) for part in parts]
    return Features(
      tokens=np.concatenate([part.tokens for part in parts]),
      types=np.concatenate([part.types for part in parts]),
      offsets=offsets_of(np.concatenate([part.lengths for part in parts])),
      index=np.concatenate([part.index for part in parts]),
      labels=None if any(unlabelled) else np.concatenate(labels),
      words=Words.join(words) if all(words) else None,
      windows=Windows.join(windows) if all(windows) else None,
      weights=np.concatenate(
        [
          one if part.weights is None else part.weights
          for part, one in zip(parts, ones, strict=True)
        ]
      )
      if any(weighed)
      else None,
      # Rows of one table, or rows that no other task reads.
      table=parts[0].table if len({part.table for part in parts}) == 1 else "",
    )


def width_of(parts: Iterable[Features], *, at_most: int) -> int:
  """Returns the width of rows that these examples travel in, and no more.

  Args:
    parts: all that travels; what is trained on, scored and taught differs.
    at_most: tokens, the most that any example has.
  """
  longest = max(int(part.examples.lengths.max()) for part in parts)
  return min(at_most, -(-longest // 16) * 16)


def truncate_pair(
  a: np.ndarray, b: np.ndarray, budget: int
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the lengths that are left of pairs cut to fit a budget.

  The same as BERT's loop, which drops the last token of the longer sentence,
  of the second where both are equally long, until the pair fits.

  Args:
    a: i32[N] tokens of the first sentences.
    b: i32[N] tokens of the second sentences.
    budget: tokens both may have together.
  """
  # Both end in the middle (the odd token is the first sentence's), unless one
  # is so short that it is never the longer one and keeps all it has.
  left = np.minimum(a, np.maximum(budget - budget // 2, budget - b))
  right = np.minimum(b, np.maximum(budget // 2, budget - a))
  return left, right


def featurise(
  tokenizer: Tokenizer,
  texts: Sequence[Sequence[str]],
  labels: np.ndarray | None,
  *,
  max_length: int,
  swap: bool = False,
  words: Sequence[np.ndarray] | None = None,
) -> Features:
  """Turns one or two columns of text into `[CLS] a [SEP]` or `.. b [SEP]`.

  The special tokens are the tokenizer's: RoBERTa's say `<s> a </s></s> b </s>`.

  Args:
    tokenizer: see `tokenizer.load_tokenizer`.
    texts: one or two columns of N sentences each.
    labels: f32[N], or f32[M] of words, or None.
    max_length: most tokens of an example, special ones counted.
    swap: exchange the two sentences and number the rows from N on.
    words: i32[W, 2] of each row, where its words begin and end in the text of
      the one column, or its candidates in that of the second, M in all; None =
      they are not asked for.

  Raises:
    ValueError: `max_length` leaves no room for text.
  """
  special = sum(
    map(len, tokenizer.pair if len(texts) > 1 else tokenizer.single)
  )
  if max_length < special + len(texts):
    raise ValueError(
      f"max_length is {max_length}; a row of {len(texts)} sentence(s) needs "
      f"at least {special + len(texts)}, {special} of them special tokens"
    )
  rows = len(texts[0])
  assert len(texts) in (1, 2) and not (swap and len(texts) == 1)
  assert words is None or len(words) == rows
  if words is not None and len(texts) == 2:
    pairs = candidates.apart(texts, words)
    found = featurise(tokenizer, pairs, labels, max_length=max_length)
    return together(found, [*map(len, words)])
  assert all(len(column) == rows for column in texts)
  columns = texts[::-1] if swap else texts
  parts = [
    _chunk(
      tokenizer,
      [column[i : i + _CHUNK] for column in columns],
      max_length,
      None if words is None else words[i : i + _CHUNK],
    )
    for i in range(0, rows, _CHUNK)
  ]
  empty = (np.zeros(0, np.int32), np.zeros(0, np.int8))
  empty += (np.zeros(0, np.int32), np.zeros(0, bool), np.zeros(0, np.int32))
  tokens, types, lengths, cut, at = (
    np.concatenate(each) for each in zip(empty, *parts, strict=True)
  )
  return Features(
    tokens=tokens,
    types=types,
    offsets=offsets_of(lengths),
    index=np.arange(rows, dtype=np.int64) + (rows if swap else 0),
    labels=None if labels is None else np.asarray(labels, np.float32),
    words=None if words is None else Words(at, offsets_of([*map(len, words)])),
    cut=int(cut.sum()),
  )


def together(pairs: Features, counts: Sequence[int]) -> Features:
  """Returns the rows whose candidates some pairs are, so many of each."""
  ends = offsets_of(np.array(counts, np.int64))
  offsets = pairs.offsets[ends]
  at = pairs.offsets[:-1] - np.repeat(offsets[:-1], counts)
  return dataclasses.replace(
    pairs,
    offsets=offsets,
    index=np.arange(len(counts)),
    words=Words(at.astype(np.int32), ends, apart=True),
  )


def _chunk(
  tokenizer: Tokenizer,
  columns: list[Sequence[str]],
  max_length: int,
  words: Sequence[np.ndarray] | None,
) -> tuple[np.ndarray, ...]:
  """Returns tokens, types, lengths of rows, which are cut, and `Words.at`."""
  firsts = []
  if words is None:
    ids, found = zip(
      *(_encode(tokenizer, column) for column in columns), strict=True
    )
  else:
    *one, firsts = _encode_words(tokenizer, columns[0], words)
    ids, found = ([each] for each in one)
  starts = [offsets_of(lengths)[:-1] for lengths in found]
  pieces = tokenizer.pair if len(columns) > 1 else tokenizer.single
  special = sum(map(len, pieces))
  budget = max_length - special
  if len(columns) == 1:
    kept = (np.minimum(found[0], budget),)
  else:
    kept = truncate_pair(*found, budget)
  lengths = special + sum(kept)
  tokens = np.empty(lengths.sum(), np.int32)
  types = np.zeros(len(tokens), np.int8)
  at = offsets_of(lengths)[:-1]
  for word in pieces[0]:
    tokens[at] = word
    at = at + 1
  for number, (length, after) in enumerate(zip(kept, pieces[1:], strict=True)):
    where = spans(starts[number], length)
    tokens[spans(at, length)] = ids[number][where]
    types[spans(at, length + len(after))] = number * tokenizer.second
    if number + 1 < len(kept):
      begun = at + length + len(after) - tokenizer.begun
      types[spans(begun, 0 * at + tokenizer.begun)] = tokenizer.second
    at = at + length
    for word in after:
      tokens[at] = word
      at = at + 1
  at = [
    np.where((first >= 0) & (first < most), first + len(pieces[0]), -1)
    for first, most in zip(firsts, kept[0] if firsts else (), strict=True)
  ]
  at = np.concatenate([np.zeros(0, np.int32), *at]).astype(np.int32)
  return tokens, types, lengths.astype(np.int32), sum(found) > sum(kept), at


def _encode(
  tokenizer: Tokenizer, column: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the ids of all sentences in a row, and their lengths."""
  found = tokenizer.backend.encode_batch_fast(
    list(column), add_special_tokens=False
  )
  return _flat([each.ids for each in found])


def _encode_words(
  tokenizer: Tokenizer, column: Sequence[str], words: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
  """Returns the same as `_encode`, and the first token of each row's words."""
  # The fast one does not say where in the text a token stands.
  found = tokenizer.backend.encode_batch(list(column), add_special_tokens=False)
  firsts = [
    first_tokens(mine, np.array(each.offsets, np.int32).reshape(-1, 2))
    for mine, each in zip(words, found, strict=True)
  ]
  return *_flat([each.ids for each in found]), firsts


def _flat(ids: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
  lengths = np.fromiter(map(len, ids), np.int32, len(ids))
  flat = itertools.chain.from_iterable(ids)
  return np.fromiter(flat, np.int32, int(lengths.sum())), lengths
