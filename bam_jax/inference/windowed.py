"""Answers questions about contexts, read in as many windows as they need."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bam_jax.data.contexts import windows
from bam_jax.data.windows import Lengths
from bam_jax.tasks import description as heads_lib
from bam_jax.tasks.answers import Answer
from bam_jax.tasks.description import Head
from bam_jax.tasks.spans import Asked


def answers(
  model: Any, heads: Sequence[Head], texts: Sequence[Sequence[str]], size: int
) -> dict[str, list[Answer]]:
  """Returns what heads answer to N questions.

  Args:
    model: an `inference.model.Model`.
    heads: one or more of its.
    texts: N questions and N contexts.
    size: windows in one forward pass.

  Raises:
    ValueError: one is no text, or a question leaves no room for its context.
  """
  said = model.trained.description
  for text in (text for column in texts for text in column):
    if not isinstance(text, str):
      raise ValueError(f"{text!r} is not a text; give questions and contexts")
  found: dict[str, list[Answer]] = {head.name: [] for head in heads}
  for start in range(0, len(texts[0]), size):
    asked, read = (list(column[start : start + size]) for column in texts)
    rows = windows(
      model.tokenizer,
      asked,
      read,
      None,
      lengths=Lengths(said.max_length, said.span.stride),
    )
    parts = [
      model.said(
        [head.name for head in heads],
        rows.take(np.arange(i, min(i + size, len(rows)))),
      )
      for i in range(0, len(rows), size)
    ]
    meant = Asked(
      read, rows.source, rows.words.counts, rows.windows.chars, said.span
    )
    for head in heads:
      outputs = np.concatenate([part[head.name] for part in parts])
      found[head.name] += heads_lib.answers(head, outputs, meant)
  return found
