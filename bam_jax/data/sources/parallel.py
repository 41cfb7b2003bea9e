"""Reads two files of plain text, of which lines stand side by side."""

from pathlib import Path

import numpy as np

from bam_jax.data.sources import dev_share, lines, rows, splits
from bam_jax.data.sources.examples import Examples
from bam_jax.runtime import notices
from bam_jax.tasks.table import Task


def read(task: Task, split: str) -> Examples:
  """Reads a split of an own task whose rows are a source and its target.

  Args:
    task: with `own`; the first file of a split has sources, the second one
      targets. Pairs of which either is blank are left out, and that is said.
    split: one of `task.splits`; without a dev file, train and validation are
      the two parts of the train files.

  Raises:
    ValueError: there are not two files, or they have not as many lines.
    OSError: a file is missing or the hub cannot be reached.
  """
  paths, key = splits.files(task, split), splits.key_of(task, split)
  if len(paths) != 2:
    raise ValueError(
      f"{task.own.file}: {key} of {task.name} is {len(paths)} file"
      f"{'s' * (len(paths) != 1)}; kind {task.kind} reads two whose lines"
      f' belong together, {key} = ["a.en.txt", "a.de.txt"]'
    )
  source, target = (_lines(path, task, key) for path in paths)
  if len(source) != len(target):
    raise ValueError(
      f"{paths[0]} has {len(source)} lines and {paths[1]} {len(target)}, and"
      f" {task.name} pairs them one by one; give files of as many lines"
    )
  pairs = [pair for pair in zip(source, target, strict=True) if all(pair)]
  if not pairs:
    raise ValueError(
      f"{paths[0]} and {paths[1]} have no line with text in both; give files"
      " that have"
    )
  texts = tuple(map(list, zip(*pairs, strict=True)))
  origin = f"{paths[0]} and {paths[1]}"
  if blank := len(source) - len(pairs):
    notices.once(
      f"{task.name} leaves out {blank} of the {len(source)} pairs of {origin},"
      " of which either line is blank"
    )
  # Of no account: what is learned is the target itself.
  nothing = np.zeros(len(pairs), np.float32)
  examples = Examples(task.name, split, texts, nothing, origin)
  return dev_share.side(task, examples, split)


def _lines(path: Path, task: Task, key: str) -> list[str]:
  """Returns the lines of a file, plain or gzipped, without blanks around."""
  if not path.is_file():
    raise FileNotFoundError(
      f"there is no file {path}, which is {key} of {task.name} in"
      f" {task.own.file}; correct its name there"
    )
  with rows.opened(path, task.own.dialect.encoding) as file:
    return [line.strip() for _, line in lines.lines(file, str(path))]
