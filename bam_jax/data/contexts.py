"""Turns questions with their contexts into windows: `[CLS] a [SEP] b [SEP]`.

The question is whole in every window. Neighbouring windows share `stride`
tokens of the context, but at most half of what a window has room for, as each
has to go on; the windows of transformers' run_qa with its doc_stride are these.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from bam_jax.data.features import Features
from bam_jax.data.ragged import offsets_of
from bam_jax.data.sources.examples import Examples
from bam_jax.data.tokenizer import Tokenizer
from bam_jax.data.windows import Lengths, Windows
from bam_jax.data.words import Words
from bam_jax.runtime.spelling import shown

# What a place is: the sum of these; 0 = neither.
START, END = 1, 2
# A gold answer: its text, and where in the context it begins.
Gold = tuple[str, int]
# What Python calls a space, as far as texts have it.
_SPACES = np.array(
  [code for code in range(0x3001) if chr(code).isspace()], np.uint32
)


def windows(
  tokenizer: Tokenizer,
  questions: Sequence[str],
  contexts: Sequence[str],
  golds: Sequence[Sequence[Gold]] | None,
  *,
  lengths: Lengths,
) -> Features:
  """Returns the windows of questions, one question after the other.

  Args:
    tokenizer: see `tokenizer.load_tokenizer`.
    questions: Q of them.
    contexts: Q of them.
    golds: their answers, of which the first is learned; () = a question has
      none. None = nothing is known of any.
    lengths: of windows, special tokens counted.

  Returns:
    Features whose words are the places of each window. Their labels are sums
    of START and END; NaN in all windows of a question whose answer is whole in
    none of them.

  Raises:
    ValueError: a question leaves no room for its context.
  """
  asked = _encoded(tokenizer, questions)
  read = _encoded(tokenizer, contexts)
  spans = {text: _trimmed(text, np.array(read[text].offsets)) for text in read}
  check_room(tokenizer, questions, max_length=lengths.most)
  before, between, after = (np.array(each, np.int32) for each in tokenizer.pair)
  special = len(before) + len(between) + len(after)
  rows, types, at, chars, labels, source = [], [], [], [], [], []
  for number, (question, context) in enumerate(
    zip(questions, contexts, strict=True)
  ):
    ids = np.array(read[context].ids, np.int32)
    head = np.concatenate(
      [before, np.array(asked[question].ids, np.int32), between]
    )
    room = lengths.most - special - len(asked[question].ids)
    first, last = 0, -1
    if golds is not None and golds[number]:
      first, last = _tokens_of(golds[number][0], spans[context])
    starts = _starts(len(ids), room, lengths.stride)
    whole = [a <= first and last < a + room for a in starts]
    lost = golds is not None and golds[number] and first > last
    lost = lost or (first <= last and not any(whole))
    for a, inside in zip(starts, whole, strict=True):
      part = ids[a : a + room]
      rows.append(np.concatenate([head, part, after]))
      types.append(np.zeros(len(rows[-1]), np.int8))
      types[-1][len(head) - tokenizer.begun :] = tokenizer.second
      at.append(np.concatenate([[0], len(head) + np.arange(len(part))]))
      chars.append(np.concatenate([[[0, 0]], spans[context][a : a + room]]))
      place = np.zeros(len(part) + 1, np.float32)
      if first <= last and inside:
        place[first - a + 1] += START
        place[last - a + 1] += END
      else:
        place[0] = START + END
      labels.append(np.full_like(place, np.nan) if lost else place)
      source.append(number)
  none = np.zeros((0, 2))
  return Features(
    tokens=np.concatenate([*rows, none[:, 0]]).astype(np.int32),
    types=np.concatenate([*types, none[:, 0]]).astype(np.int8),
    offsets=offsets_of([*map(len, rows)]),
    index=np.arange(len(rows), dtype=np.int64),
    labels=None
    if golds is None
    else np.concatenate([*labels, none[:, 0]]).astype(np.float32),
    words=Words(
      np.concatenate([*at, none[:, 0]]).astype(np.int32),
      offsets_of([*map(len, at)]),
    ),
    windows=Windows(
      np.array(source, np.int64),
      np.concatenate([*chars, none]).astype(np.int32),
    ),
    cut=0,
  )


def _starts(tokens: int, room: int, stride: int) -> range:
  """Returns where in a context of so many tokens its windows begin."""
  step = room - min(stride, room // 2)
  return range(0, max(tokens - room, 0) + step, step)


def counts(
  tokenizer: Tokenizer, examples: Examples, lengths: Lengths
) -> np.ndarray:
  """Returns how many windows each question has, i64[Q]."""
  asked, read = (
    {text: len(each.ids) for text, each in _encoded(tokenizer, column).items()}
    for column in examples.texts
  )
  room = lengths.most - sum(map(len, tokenizer.pair))
  return np.array(
    [
      len(_starts(read[b], room - asked[a], lengths.stride))
      for a, b in zip(*examples.texts, strict=True)
    ],
    np.int64,
  )


def check_room(
  tokenizer: Tokenizer, questions: Iterable[str], *, max_length: int
) -> None:
  """Refuses questions that leave no room for a token of their context.

  Args:
    tokenizer: see `tokenizer.load_tokenizer`.
    questions: all of them.
    max_length: most tokens of a window.

  Raises:
    ValueError: says how many there are, and the first.
  """
  found = _encoded(tokenizer, questions)
  special = sum(map(len, tokenizer.pair))
  long = {
    text: len(each.ids)
    for text, each in found.items()
    if special + len(each.ids) >= max_length
  }
  if long:
    first = next(iter(long))
    raise ValueError(
      f"{len(long)} of {len(found)} questions leave no room for their context"
      f" in {max_length} tokens, such as {shown(first)}, which has"
      f" {long[first]}; shorten them, or set"
      f" --config.max_length={max(long.values()) + special + 64} or more, if"
      " the encoder has the positions"
    )


def unread(features: Features) -> np.ndarray:
  """Returns the questions whose answer is whole in no window: i64[K]."""
  if features.labels is None:
    return np.zeros(0, np.int64)
  first = features.labels[features.words.offsets[:-1]]
  return np.unique(features.windows.source[np.isnan(first)])


def _encoded(tokenizer: Tokenizer, texts: Iterable[str]) -> dict:
  """Returns each different text's encoding, without special tokens."""
  different = list(dict.fromkeys(texts))
  found = tokenizer.backend.encode_batch(different, add_special_tokens=False)
  return dict(zip(different, found, strict=True))


def _trimmed(text: str, spans: np.ndarray) -> np.ndarray:
  """Returns spans i32[S, 2] of tokens without the spaces before their letters.

  Some tokenizers count the space before a word as its own.
  """
  spans = spans.reshape(-1, 2).astype(np.int32)
  blank = np.isin(
    np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32),
    _SPACES,
  )
  blank = np.append(blank, False)
  while (move := blank[spans[:, 0]] & (spans[:, 0] < spans[:, 1])).any():
    spans[move, 0] += 1
  return spans


def _tokens_of(gold: Gold, spans: np.ndarray) -> tuple[int, int]:
  """Returns the first and the last token of an answer; (1, 0) = it has none."""
  text, start = gold
  # Spaces around it are in no token.
  begin = start + len(text) - len(text.lstrip())
  end = start + len(text.rstrip())
  first = int(np.searchsorted(spans[:, 1], begin, side="right"))
  last = int(np.searchsorted(spans[:, 0], end, side="left")) - 1
  return (first, last) if first <= last else (1, 0)
