"""A sentence whose words are labelled, and where that stands."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import re

import numpy as np

# What most corpora's tokenisers split: runs of letters and digits, and each
# other mark by itself.
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclasses.dataclass(frozen=True)
class Sentence:
  """One row of a tagging task.

  Attributes:
    text: of it.
    words: i32[W, 2], where its words begin and end in it.
    tags: of the words.
    places: where each of them stands in a file, for messages.
  """

  text: str
  words: np.ndarray
  tags: Sequence[str]
  places: Sequence[str]

  @staticmethod
  def of_words(
    words: Sequence[str], tags: Sequence[str], places: Sequence[str]
  ) -> Sentence:
    """Returns the sentence of words that came apart, a blank between them."""
    return Sentence(*joined(words), tags, places)


def split(text: str) -> np.ndarray:
  """Returns the words of a raw text: i32[W, 2], where each begins and ends."""
  found = [match.span() for match in _WORD.finditer(text)]
  return np.array(found, np.int32).reshape(-1, 2)


def joined(words: Sequence[str]) -> tuple[str, np.ndarray]:
  """Returns the text of words that came apart, and i32[W, 2] of them in it."""
  ends = np.cumsum([len(word) + 1 for word in words], dtype=np.int32) - 1
  lengths = np.array([*map(len, words)], np.int32)
  return " ".join(words), np.stack([ends - lengths, ends], 1)
