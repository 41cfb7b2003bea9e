"""A question with its candidates, and how they are read from a file.

A column of a table holds texts, so the candidates of a row are one text in
which each of them is a span, as the words of a sentence are.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bam_jax.data.sources import formats
from bam_jax.runtime.spelling import shown

Texts = Sequence[Sequence[str]]


def apart(texts: Texts, spans: Sequence[np.ndarray]) -> tuple[list[str], ...]:
  """Returns M questions and M candidates, a pair beside the other.

  Args:
    texts: N questions, and N texts with the candidates of each.
    spans: i32[W, 2] of each row, where its candidates begin and end, M in all.
  """
  questions = [
    question
    for question, mine in zip(texts[0], spans, strict=True)
    for _ in mine
  ]
  found = [
    text[start:end]
    for text, mine in zip(texts[1], spans, strict=True)
    for start, end in mine.tolist()
  ]
  return questions, found


def listed(value: Any, where: str, *, least: int) -> list[str]:
  """Returns the candidates that a cell holds.

  Args:
    value: a list of texts, or one as JSON, as a cell of CSV has it.
    where: it stands, for messages.
    least: how many there have to be.

  Raises:
    ValueError: it holds no such list.
  """
  found = formats.as_list(value)
  if not isinstance(found, list):
    raise ValueError(
      f"{where}: {shown(value)} is no list of candidates; it is one of texts,"
      " and in a table a cell has it as JSON, such as"
      ' ["the first", "the second"]'
    )
  for number, text in enumerate(found, 1):
    if not isinstance(text, str):
      raise ValueError(
        f"{where}, candidate {number}: {shown(text)} is not text; write it in"
        " quotes"
      )
    if not text.strip():
      raise ValueError(
        f"{where}, candidate {number} is empty; take it out of its list, and"
        " of the list of what is right"
      )
  if len(found) < least:
    count = f"{len(found) or 'no'} candidate{'' if len(found) == 1 else 's'}"
    raise ValueError(
      f"{where}: the row has {count}, and to choose takes {least} or more;"
      " give it others, or take the row out"
    )
  return found
