"""Reads plain text as pairs of sentences, of which half follow each other.

Next-sentence prediction (Devlin et al. 2019, section 3.1): the second sentence
of a pair is the one that follows the first, or the second one of a pair of
another document. Pairs share no sentence before some are exchanged.
"""

import re

from absl import logging
import numpy as np

from bam_jax.data.sources import plain
from bam_jax.data.sources.examples import Examples
from bam_jax.tasks.table import Task

# In the order of transformers' head for it.
LABELS = ("next", "random")
# What ends a sentence, and the quotes and brackets that close behind it.
_END = re.compile(r"(?<=[.!?…。！？])([\"'”’»)\]]*)(?:\s+|(?<=[。！？]))")
# All runs and trials learn from the same pairs.
_SEED = 0


def labels(task: Task) -> tuple[str, ...]:
  """Returns the labels where the tasks file names none; () = it has them.

  Raises:
    ValueError: it names others.
  """
  if task.labels and task.labels != LABELS:
    raise ValueError(
      f"{task.own.file}: labels of {task.name} are {list(task.labels)}; kind"
      f" {task.kind} makes its own, {list(LABELS)}: leave labels out"
    )
  return () if task.labels else LABELS


def read(task: Task, split: str) -> Examples:
  """Reads a split of an own task whose rows are pairs of sentences.

  Args:
    task: with `own`.
    split: one of `task.splits`, divided by documents as those of masked words.

  Returns:
    Pairs in the order of the files, labelled by their places in `LABELS`.

  Raises:
    ValueError: fewer than two documents have two sentences, or a file is no
      text.
    OSError: a file is missing or the hub cannot be reached.
  """
  documents = plain.read(task, split)
  first, second, owner = [], [], []
  for number, document in enumerate(documents.texts[0]):
    found = sentences(document)
    first += found[:-1:2]
    second += found[1::2]
    owner += [number] * (len(found) // 2)
  counts = np.bincount(np.array(owner, np.int64), minlength=len(documents))
  able = np.count_nonzero(counts)
  if able < 2:
    raise ValueError(
      f"{documents.origin}: {able} of {len(documents)} documents of"
      f" {task.name} ({split}) have two sentences, and a sentence of another"
      " one stands in for the next; put empty lines between documents, give"
      " more of them, or in a tasks file a larger dev_share"
    )
  if alone := len(documents) - able:
    logging.warning(
      "%s: %d of %d documents have no two sentences, and %s reads none of them",
      documents.origin,
      alone,
      len(documents),
      task.name,
    )
  owner = np.array(owner)
  draw = np.random.default_rng(_SEED)
  follows = draw.permutation(np.arange(len(owner)) % 2 == 0)
  other = of_others(owner, counts, draw)
  seconds = [
    second[k if same else j]
    for k, (same, j) in enumerate(zip(follows, other, strict=True))
  ]
  return Examples(
    task.name,
    split,
    (first, seconds),
    np.where(follows, 0, 1).astype(np.float32),
    documents.origin,
  )


def of_others(
  owner: np.ndarray, counts: np.ndarray, draw: np.random.Generator
) -> np.ndarray:
  """Returns a pair of another document for each pair, i64[K].

  Args:
    owner: i64[K], the document of each pair, in order.
    counts: i64[N], pairs of each document.
    draw: what draws.
  """
  starts = np.cumsum(counts) - counts
  other = draw.integers(len(owner) - counts[owner])
  # Past those of its own.
  return other + counts[owner] * (other >= starts[owner])


def sentences(document: str) -> list[str]:
  """Returns the sentences of a document, by the marks that end them."""
  found = _END.sub("\\1\n", document).split("\n")
  return [each.strip() for each in found if each.strip()]
