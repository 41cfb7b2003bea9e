"""Turns text into token ids and sentence types, as BERT reads them.

Rows have very different lengths, so features are flat arrays with offsets:
nothing is padded before `packing` has decided where every example travels.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import hashlib
import itertools
import json
from pathlib import Path
import reprlib

import numpy as np
import tokenizers

# Enough for every core to stay busy, few enough that the library's own records
# of a chunk (about 1 kB a sentence) stay small.
_CHUNK = 16_384
# A letter for private use, in no vocabulary.
_UNKNOWN = "\ue000"
_SPECIAL = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]"}


@dataclasses.dataclass(frozen=True)
class Features:
  """Examples of one split as token ids, row after row in flat arrays.

  Attributes:
    tokens: i32[sum of lengths], with [CLS] and [SEP].
    types: i8[sum of lengths], 0 for the first sentence and 1 for the second.
    offsets: i64[N + 1], row `i` is `tokens[offsets[i] : offsets[i + 1]]`.
    index: i64[N], the example number in its split; the swapped copy of
      example `i` has number `N + i`.
    labels: f32[N], a class number or a value in [0, 1]; None where unlabelled.
  """

  tokens: np.ndarray
  types: np.ndarray
  offsets: np.ndarray
  index: np.ndarray
  labels: np.ndarray | None

  def __len__(self) -> int:
    return len(self.index)

  @property
  def lengths(self) -> np.ndarray:
    """Tokens of every example: i32[N]."""
    return np.diff(self.offsets).astype(np.int32)

  def take(self, rows: np.ndarray) -> Features:
    """Returns the given rows (integers or a mask), in the given order."""
    rows = np.arange(len(self))[rows]
    lengths = self.lengths[rows]
    where = spans(self.offsets[rows], lengths)
    return Features(
      tokens=self.tokens[where],
      types=self.types[where],
      offsets=offsets_of(lengths),
      index=self.index[rows],
      labels=None if self.labels is None else self.labels[rows],
    )

  @staticmethod
  def join(parts: Sequence[Features]) -> Features:
    """Returns the rows of all parts, one part after the other."""
    labels = [part.labels for part in parts]
    unlabelled = [each is None for each in labels]
    assert all(unlabelled) or not any(unlabelled), "labelled with unlabelled"
    return Features(
      tokens=np.concatenate([part.tokens for part in parts]),
      types=np.concatenate([part.types for part in parts]),
      offsets=offsets_of(np.concatenate([part.lengths for part in parts])),
      index=np.concatenate([part.index for part in parts]),
      labels=None if any(unlabelled) else np.concatenate(labels),
    )


def offsets_of(lengths: np.ndarray) -> np.ndarray:
  """Returns where rows of these lengths start, and the end: i64[N + 1]."""
  return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
  """Returns `starts[i] + [0 .. lengths[i])` of all rows, joined: i64[sum]."""
  before = offsets_of(lengths)
  return np.arange(before[-1]) + np.repeat(starts - before[:-1], lengths)


@dataclasses.dataclass(frozen=True)
class Tokenizer:
  """A tokenizer with what a BERT input needs to know of it.

  Attributes:
    backend: the tokenizer itself, without truncation and padding.
    cls: id of [CLS]; sep: id of [SEP]; pad: id of [PAD].
    digest: sha256 hex of the tokenizer's JSON; names it in caches.
    vocab_size: one more than its largest id.
  """

  backend: tokenizers.Tokenizer
  cls: int
  sep: int
  pad: int
  digest: str
  vocab_size: int


def load_tokenizer(
  directory: str | Path, *, vocab_size: int | None
) -> Tokenizer:
  """Reads a tokenizer from a Hugging Face directory.

  `tokenizer.json` comes first, then `vocab.txt`; where `tokenizer_config.json`
  says `do_lower_case`, that is honoured, as transformers does.

  Args:
    directory: where the files are.
    vocab_size: rows of the model's embedding; None skips the check.

  Raises:
    ValueError: no tokenizer, a special token is missing, or ids the model has
      no embedding for.
  """
  directory = Path(directory)
  backend = _read(directory)
  backend.no_truncation()
  backend.no_padding()
  special = {name: backend.token_to_id(text) for name, text in _SPECIAL.items()}
  if None in special.values():
    lacking = [_SPECIAL[name] for name, got in special.items() if got is None]
    raise ValueError(
      f"the tokenizer in {directory} has no {', '.join(lacking)}; a BERT "
      f"vocabulary needs {', '.join(_SPECIAL.values())}"
    )
  size = 1 + max(backend.get_vocab(with_added_tokens=True).values())
  if vocab_size is not None and size > vocab_size:
    raise ValueError(
      f"the tokenizer in {directory} has ids up to {size - 1}, the model's "
      f"embedding only {vocab_size} rows; take the tokenizer that belongs to "
      "the model"
    )
  try:
    # What it cannot do with a word that nobody knows it tells only when asked.
    backend.encode(_UNKNOWN, add_special_tokens=False)
  except Exception as error:  # The library raises nothing narrower.
    raise ValueError(
      f"the tokenizer in {directory} cannot read a sentence ({error}); take "
      "the tokenizer that belongs to the model"
    ) from error
  digest = hashlib.sha256(backend.to_str().encode()).hexdigest()
  return Tokenizer(backend, digest=digest, vocab_size=size, **special)


def _read(directory: Path) -> tokenizers.Tokenizer:
  file = directory / "tokenizer_config.json"
  # null says as much as a name that is not there.
  settings = {k: v for k, v in _json(file).items() if v is not None}
  # What else it says, code to load among it, is not for us.
  for name in ("do_lower_case", "strip_accents", "tokenize_chinese_chars"):
    if type(settings.get(name, True)) is not bool:
      raise ValueError(
        f"{file} says {name} {reprlib.repr(settings[name])}; it is true or "
        "false"
      )
  whole, vocabulary = directory / "tokenizer.json", directory / "vocab.txt"
  if whole.is_file():
    state = _json(whole)
    normalizer = state.get("normalizer")
    if (
      isinstance(normalizer, dict)
      and normalizer.get("type") == "BertNormalizer"
    ):
      lower = settings.get("do_lower_case", normalizer.get("lowercase"))
      normalizer["lowercase"] = lower
    try:
      return tokenizers.Tokenizer.from_str(json.dumps(state))
    except Exception as error:  # The library raises nothing narrower.
      raise ValueError(f"{whole} is not a tokenizer: {error}") from error
  if not vocabulary.is_file():
    raise ValueError(
      f"no tokenizer in {directory}: neither tokenizer.json nor vocab.txt"
    )
  try:
    lines = vocabulary.read_text("utf-8").rstrip("\n").split("\n")
  except UnicodeDecodeError as error:
    raise ValueError(
      f"{vocabulary} is not UTF-8 ({error.reason} at byte {error.start})"
    ) from error
  words = {word: number for number, word in enumerate(lines)}
  if "[UNK]" not in words:
    raise ValueError(f"{vocabulary} has no [UNK], which WordPiece needs")
  backend = tokenizers.Tokenizer(
    tokenizers.models.WordPiece(words, unk_token="[UNK]")
  )
  backend.normalizer = tokenizers.normalizers.BertNormalizer(
    lowercase=settings.get("do_lower_case", True),
    strip_accents=settings.get("strip_accents"),
    handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
  )
  backend.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
  # So that these words, written in a text, are not cut into pieces.
  backend.add_special_tokens(
    [word for word in (*_SPECIAL.values(), "[UNK]", "[MASK]") if word in words]
  )
  return backend


def _json(path: Path) -> dict:
  if not path.is_file():
    return {}
  try:
    found = json.loads(path.read_text("utf-8"))
  except (ValueError, RecursionError) as error:
    raise ValueError(f"{path} is not JSON: {error}") from error
  if not isinstance(found, dict):
    raise ValueError(f"{path} is not a JSON object")
  return found


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
) -> Features:
  """Turns one or two columns of text into `[CLS] a [SEP]` or `.. b [SEP]`.

  Args:
    tokenizer: see `load_tokenizer`.
    texts: one or two columns of N sentences each.
    labels: f32[N], or None.
    max_length: most tokens of an example, special ones counted.
    swap: exchange the two sentences and number the rows from N on.

  Raises:
    ValueError: `max_length` leaves no room for text.
  """
  special = 1 + len(texts)
  if max_length < special + len(texts):
    raise ValueError(
      f"max_length is {max_length}; a row of {len(texts)} sentence(s) needs "
      f"at least {special + len(texts)}, {special} of them for [CLS] and [SEP]"
    )
  rows = len(texts[0])
  assert len(texts) in (1, 2) and not (swap and len(texts) == 1)
  assert all(len(column) == rows for column in texts)
  columns = texts[::-1] if swap else texts
  parts = [
    _chunk(
      tokenizer, [column[i : i + _CHUNK] for column in columns], max_length
    )
    for i in range(0, rows, _CHUNK)
  ]
  empty = (np.zeros(0, np.int32), np.zeros(0, np.int8), np.zeros(0, np.int32))
  tokens, types, lengths = (
    np.concatenate(each) for each in zip(empty, *parts, strict=True)
  )
  return Features(
    tokens=tokens,
    types=types,
    offsets=offsets_of(lengths),
    index=np.arange(rows, dtype=np.int64) + (rows if swap else 0),
    labels=None if labels is None else np.asarray(labels, np.float32),
  )


def _chunk(
  tokenizer: Tokenizer, columns: list[Sequence[str]], max_length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns tokens, types and lengths of some rows."""
  ids, found = zip(
    *(_encode(tokenizer, column) for column in columns), strict=True
  )
  starts = [offsets_of(lengths)[:-1] for lengths in found]
  budget = max_length - 1 - len(columns)
  if len(columns) == 1:
    kept = (np.minimum(found[0], budget),)
  else:
    kept = truncate_pair(*found, budget)
  lengths = 1 + sum(kept) + len(columns)
  tokens = np.full(lengths.sum(), tokenizer.sep, np.int32)
  types = np.zeros(len(tokens), np.int8)
  at = offsets_of(lengths)[:-1]
  tokens[at] = tokenizer.cls
  at = at + 1
  for number, length in enumerate(kept):
    where = spans(starts[number], length)
    tokens[spans(at, length)] = ids[number][where]
    types[spans(at, length + 1)] = number
    at = at + length + 1
  return tokens, types, lengths.astype(np.int32)


def _encode(
  tokenizer: Tokenizer, column: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the ids of all sentences in a row, and their lengths."""
  found = tokenizer.backend.encode_batch_fast(
    list(column), add_special_tokens=False
  )
  ids = [each.ids for each in found]
  lengths = np.fromiter(map(len, ids), np.int32, len(ids))
  flat = itertools.chain.from_iterable(ids)
  return np.fromiter(flat, np.int32, int(lengths.sum())), lengths
