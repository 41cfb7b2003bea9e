"""Reads plain text: documents, of which nothing is labelled.

Empty lines stand between documents; in a file without any, each line is one.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bam_jax.data.sources import lines, rows, splits
from bam_jax.data.sources.dev_share import dev_rows
from bam_jax.data.sources.examples import Examples
from bam_jax.tasks.table import Task

SUFFIX = ".txt"


def read(task: Task, split: str) -> Examples:
  """Reads a split of an own task whose rows are documents.

  Args:
    task: with `own`.
    split: one of `task.splits`; without a dev file, train and validation are
      the two parts of the train file.

  Raises:
    ValueError: a file is no text, or has none.
    OSError: a file is missing or the hub cannot be reached.
  """
  paths = splits.files(task, split)
  texts = [
    text
    for path in paths
    for text in documents(path, task.own.dialect.encoding)
  ]
  more = f" and {len(paths) - 1} more" if paths[1:] else ""
  examples = Examples(
    task.name,
    split,
    (texts,),
    # Of no account: what is learned is the text itself.
    np.zeros(len(texts), np.float32),
    f"{paths[0]}{more}",
  )
  if not task.own.dev_share or splits.key_of(task, split) != "train":
    return examples
  different = len({*texts})
  if different < 2:
    raise ValueError(
      f"{task.own.file}: {examples.origin} is one document, and {task.name} is"
      " scored on others than it learns; put empty lines between its parts, or"
      " name a file of others as dev in a tasks file"
    )
  # However few there are, one of them is dev.
  share = max(task.own.dev_share, 1 / different)
  mask = dev_rows((texts,), share, among=np.ones(len(texts), bool))
  return examples.take(~mask if split == task.train else mask)


def documents(path: Path, encoding: str = "") -> list[str]:
  """Returns the documents of a file; lines of one are joined by a blank.

  Args:
    path: of text, plain or gzipped (`.gz`).
    encoding: of it; "" = UTF-8.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is not named as text, is none, or has none.
  """
  if not path.is_file():
    raise FileNotFoundError(f"there is no file {path}")
  if Path(path.name.lower().removesuffix(".gz")).suffix != SUFFIX:
    raise ValueError(
      f"{path} is not named as plain text, which is read from {SUFFIX} and"
      f" {SUFFIX}.gz; of a table, write the column of texts to such a file, an"
      " empty line between two"
    )
  with rows.opened(path, encoding) as file:
    found = list(_blocks(lines.lines(file, str(path))))
  if not found:
    raise ValueError(
      f"{path} has no text; give a file with some, or leave it out"
    )
  if len(found) == 1:
    return found[0]
  return [" ".join(block) for block in found]


def _blocks(found: Iterator[lines.Line]) -> Iterator[list[str]]:
  """Yields the lines that stand together, without what is blank around each."""
  block: list[str] = []
  for _, line in found:
    if line := line.strip():
      block.append(line)
    elif block:
      yield block
      block = []
  if block:
    yield block
