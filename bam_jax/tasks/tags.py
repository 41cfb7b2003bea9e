"""Tags of words: which entities they say, and the schemes that say it.

Inside, entities are written as IOB2: B- at the first word of each, I- at the
others, O elsewhere. Files also have IOB1 (B- only where two entities of a type
touch), IOBES and BILOU (with marks for last and single words), or plain tags
without a prefix, such as parts of speech, of which each word is one by itself.
"""

from collections.abc import Iterable, Sequence
import re

import numpy as np

OUTSIDE = "O"
_MARKED = re.compile(r"([BIESLU])-(.+)")
# What the marks of IOBES and BILOU for single and last words are in IOB2.
_SINGLE, _LAST = "SU", "EL"


class BrokenTags(ValueError):
  """Tags that no scheme allows.

  Attributes:
    place: of the tag in its sentence.
  """

  def __init__(self, place: int, why: str):
    """Says which tag, and why."""
    super().__init__(why)
    self.place = place


def parts(tag: str) -> tuple[str, str]:
  """Returns mark and type of a tag: B and LOC of B-LOC, no mark of O or NN."""
  found = _MARKED.fullmatch(tag)
  return (found[1], found[2]) if found else ("", tag)


def scheme_of(sentences: Iterable[Sequence[str]]) -> str:
  """Returns "plain", "IOB1", "IOB2" or "IOBES", by all tags of a file."""
  marks, loose, strict = set(), False, False
  for tags in sentences:
    before = ("", OUTSIDE)
    for mark, kind in map(parts, tags):
      marks.add(mark)
      begins = not before[0] or before[1] != kind
      # What IOB2 would not write, and what IOB1 would not.
      loose |= mark == "I" and begins
      strict |= mark == "B" and begins
      before = mark, kind
  if not marks - {""}:
    return "plain"
  if marks & {*_SINGLE, *_LAST}:
    return "IOBES"
  return "IOB1" if loose and not strict else "IOB2"


def iob2(tags: Sequence[str], scheme: str) -> list[str]:
  """Returns the tags of a sentence in IOB2; plain ones as they are.

  Args:
    tags: of its words.
    scheme: from `scheme_of`.

  Raises:
    BrokenTags: the scheme does not allow them.
  """
  if scheme == "plain":
    return list(tags)
  found, inside = [], ""
  for place, tag in enumerate(tags):
    mark, kind = parts(tag)
    if not mark and tag != OUTSIDE:
      raise BrokenTags(place, "is neither O nor has it a mark such as B-")
    goes_on = mark in ("I", *_LAST)
    if scheme == "IOBES" and inside and not (goes_on and kind == inside):
      raise BrokenTags(place, f"follows an entity {inside} that has not ended")
    if goes_on and kind != inside and scheme != "IOB1":
      raise BrokenTags(place, f"does not go on with an entity {kind}")
    begins = mark in ("B", *_SINGLE) or (mark and kind != inside)
    found.append(f"{'B' if begins else 'I'}-{kind}" if mark else OUTSIDE)
    ended = mark in (*_SINGLE, *_LAST) and scheme == "IOBES"
    inside = "" if ended or not mark else kind
  if scheme == "IOBES" and inside:
    raise BrokenTags(len(tags) - 1, f"leaves an entity {inside} without an end")
  return found


def vocabulary(tags: Iterable[str]) -> tuple[str, ...]:
  """Returns all labels of a task: O, then B- and I- of each type, by name.

  Args:
    tags: all that there are, in any scheme; or types alone, of which two or
      more make plain tags.
  """
  found = {parts(tag) for tag in tags}
  kinds = sorted({kind for mark, kind in found if mark})
  if not kinds:
    return tuple(sorted(kind for _, kind in found))
  return (OUTSIDE, *(f"{m}-{kind}" for kind in kinds for m in "BI"))


def codes(labels: Sequence[str]) -> np.ndarray:
  """Returns a number for each label that says what it does: i32[C].

  0 is O; of the k-th type 2k + 1 begins an entity and 2k + 2 goes on with it. A
  plain tag always begins one.
  """
  kinds = sorted({parts(label)[1] for label in labels} - {OUTSIDE})
  numbers = {kind: 2 * place + 1 for place, kind in enumerate(kinds)}
  return np.array(
    [
      0
      if label == OUTSIDE
      else numbers[parts(label)[1]] + (parts(label)[0] == "I")
      for label in labels
    ],
    np.int32,
  )


def unread(logits: np.ndarray) -> np.ndarray:
  """Tells which words nothing is said of, bool[..., M]: all columns are 0.

  Args:
    logits: f[..., M, C].
  """
  return ~logits.any(axis=-1)


def said(labels: Sequence[str], logits: np.ndarray) -> np.ndarray:
  """Returns the code of the likeliest tag of each word, i32[..., M].

  A word that was not read is outside: even where every tag is plain it is then
  no right answer.

  Args:
    labels: C of them.
    logits: f[..., M, C].
  """
  return np.where(unread(logits), 0, codes(labels)[logits.argmax(-1)])


def by_row(values: np.ndarray, words: np.ndarray) -> np.ndarray:
  """Returns what words have, a row of words beside the other: [..., N, W].

  Args:
    values: i[..., M] of all words.
    words: i64[N], how many each row has; W is the most.

  Returns:
    -1 behind a row's last word.
  """
  width = int(words.max(initial=0))
  found = np.full((*values.shape[:-1], len(words), width), -1, values.dtype)
  found[..., np.arange(width) < words[:, None]] = values
  return found


def entities(tags: Sequence[str]) -> list[tuple[str, int, int]]:
  """Returns (type, first word, behind the last) of what tags say.

  Whatever a model says is read: an I- that goes on with nothing begins. These
  are seqeval's, which takes a second to import, and answers wait for nothing.
  """
  found, inside = [], ""
  for place, tag in enumerate(tags):
    mark, kind = parts(tag)
    if mark == "I" and kind == inside:
      found[-1] = (kind, found[-1][1], place + 1)
    elif tag != OUTSIDE:
      found.append((kind, place, place + 1))
    inside = kind if mark else ""
  return found
