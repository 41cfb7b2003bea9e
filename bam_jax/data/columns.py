"""The columns of features on disk, made of one chunk of text at a time.

A chunk is made without a look at any other, so by whoever has time; where its
rows stand among those of the split is added when all before it are counted.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from bam_jax.data import contexts, documents, shards, targets
from bam_jax.data import features as features_lib
from bam_jax.data.features import Features
from bam_jax.data.sources.examples import Examples
from bam_jax.data.tokenizer import Tokenizer
from bam_jax.data.windows import Lengths

# The dataset, for TFDS.
NAME = "features"
# What the metadata says of the rows that max_length has cut.
CUT = "cut"
_EVERY = {
  "index": np.int64,
  "tokens": shards.vector(np.int32),
  "types": shards.vector(np.int8),
  "label": shards.vector(np.float32),
}
# Of rows whose words or candidates are labelled: where in the row each is read.
_WORDS = {"words": shards.vector(np.int32)}
# Of rows that do not all count the same.
_WEIGHTS = {"weight": shards.vector(np.float32)}


@dataclasses.dataclass(frozen=True)
class Recipe:
  """How text becomes the rows of a split.

  Attributes:
    reads: what the task's kind reads, see `TaskKind`.
    tokenizer: the encoder's.
    lengths: of examples and windows.
    swap: the two sentences are exchanged, and numbered from N on.
  """

  reads: str
  tokenizer: Tokenizer
  lengths: Lengths
  swap: bool = False


@dataclasses.dataclass(frozen=True)
class Parted:
  """How rows are read that are longer than an example.

  Attributes:
    featurise: (recipe, rows of text) -> their parts.
    columns: of the dataset, beside those of every row.
    stride: whether neighbouring parts share tokens.
  """

  featurise: Callable[[Recipe, Examples], Features]
  columns: dict[str, Any]
  stride: bool


def _windows(recipe: Recipe, examples: Examples) -> Features:
  return contexts.windows(
    recipe.tokenizer,
    *examples.texts,
    examples.answers,
    lengths=recipe.lengths,
  )


def _parts(recipe: Recipe, examples: Examples) -> Features:
  return documents.parts(
    recipe.tokenizer, examples.texts[0], most=recipe.lengths.most
  )


def _pairs(recipe: Recipe, examples: Examples) -> Features:
  return targets.pairs(
    recipe.tokenizer, examples.texts, most=recipe.lengths.most
  )


# What a kind reads -> how its rows are divided into examples; others are not.
PARTED = {
  "question context": Parted(_windows, _WORDS | shards.WINDOWS, stride=True),
  "document": Parted(_parts, _WORDS | shards.PARTS, stride=False),
  "source target": Parted(_pairs, _WORDS | shards.PARTS, stride=False),
}


def layout(recipe: Recipe, examples: Examples) -> dict[str, Any]:
  """Returns the TFDS feature of each column that the rows will have."""
  found = _EVERY | (_WORDS if examples.words is not None else {})
  found |= _WEIGHTS if examples.weights is not None else {}
  parted = PARTED.get(recipe.reads)
  return found | (parted.columns if parted else {})


def featurise(recipe: Recipe, examples: Examples) -> Features:
  """Returns what is made of some rows of text, as if there were no others."""
  parted = PARTED.get(recipe.reads)
  if parted:
    return parted.featurise(recipe, examples)
  return features_lib.featurise(
    recipe.tokenizer,
    examples.texts,
    examples.labels,
    max_length=recipe.lengths.most,
    swap=recipe.swap,
    words=examples.words,
  )


def of(made: Features, weights: np.ndarray | None) -> dict[str, Sequence[Any]]:
  """Returns the columns of N rows, numbered from 0 on.

  Args:
    made: N rows.
    weights: f32[N], what each counts, if they do not all count the same.
  """
  cuts = made.offsets[1:-1]
  # Of each row its label, or those of its words, or all C that it may have.
  ends = made.words.offsets[1:-1] if made.words else np.arange(1, len(made))
  nothing = [np.zeros(0, np.float32)] * len(made)
  found = {
    "index": np.arange(len(made)),
    "tokens": np.split(made.tokens, cuts),
    "types": np.split(made.types, cuts),
    "label": nothing
    if made.labels is None
    else [each.ravel() for each in np.split(made.labels, ends)],
  }
  if weights is not None:
    found["weight"] = weights[:, None]
  if made.words:
    found["words"] = np.split(made.words.at, ends)
  if made.windows:
    found["source"] = made.windows.source
    if made.windows.chars is not None:
      chars = np.split(made.windows.chars, ends)
      found["chars"] = [each.ravel() for each in chars]
  return found


def rows(
  found: Mapping[str, Sequence[Any]], *, before: int, read: int
) -> list[dict[str, Any]]:
  """Returns the rows of a chunk, numbered as they are in their split.

  Args:
    found: from `of`.
    before: number of the first row.
    read: rows of text before those that they were made of.
  """
  moved = dict(found) | {"index": found["index"] + before}
  if "source" in found:
    moved["source"] = found["source"] + read
  return [
    dict(zip(moved, row, strict=True))
    for row in zip(*moved.values(), strict=True)
  ]
