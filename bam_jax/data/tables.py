"""Texts that several tasks label: each is read once, for all of its labels.

A table's text is a unit of as many examples as it has labels, which lie in one
segment of a row, in slots one after the other.
"""

from collections.abc import Mapping, Sequence
import dataclasses

import numpy as np

from bam_jax.data.features import Features
from bam_jax.tasks.table import Task


@dataclasses.dataclass(frozen=True)
class Together:
  """How the examples of several tasks lie, those of one text together.

  Attributes:
    blocks: the numbers of the tasks; those of one table are a block, in which
      they come in their order.
    order: i64[N], the examples, counted through the blocks' tasks one after the
      other, as they lie.
    text: i64[N], the row of `features` that each example is read from, as they
      lie.
    features: of all texts, one block's after the other's, without labels.
    counts: of each block, how many examples its units have, i64[U]; None = it
      is a task by itself.
  """

  blocks: Sequence[Sequence[int]]
  order: np.ndarray
  text: np.ndarray
  features: Features
  counts: Sequence[np.ndarray | None]

  @property
  def tabled(self) -> bool:
    """Whether any text is read for several tasks."""
    return any(each is not None for each in self.counts)

  @property
  def lengths(self) -> np.ndarray:
    """Tokens that each example adds, i32[N]: 0 where they are read already."""
    again = np.zeros(len(self.text), bool)
    again[1:] = self.text[1:] == self.text[:-1]
    return np.where(again, 0, self.features.lengths[self.text])


def blocks(tables: Sequence[str]) -> list[list[int]]:
  """Returns the numbers of tasks, those of one table together.

  Args:
    tables: of each task; "" = it has its texts for itself.
  """
  found: dict[object, list[int]] = {}
  for number, table in enumerate(tables):
    found.setdefault(table or number, []).append(number)
  return list(found.values())


def drawn(tasks: Sequence[Task]) -> dict[str, list[Task]]:
  """Returns what a run draws from -> the tasks that it has labels of.

  That is a task, by its name, or a table that several of its tasks label.

  Args:
    tasks: of the run.
  """
  found = {}
  for block in blocks([task.table for task in tasks]):
    mine = [tasks[number] for number in block]
    found[mine[0].table if mine[1:] else mine[0].name] = mine
  return found


def units(
  tasks: Sequence[Task], rows: Mapping[str, Features]
) -> dict[str, int]:
  """Returns what a run draws from -> how many units that has.

  Args:
    tasks: of the run.
    rows: of each of them that it learns from.
  """
  return {
    name: len(
      np.unique(np.concatenate([rows[task.name].index for task in mine]))
    )
    if mine[1:]
    else len(rows[mine[0].name])
    for name, mine in drawn(tasks).items()
  }


def together(parts: Sequence[Features]) -> Together:
  """Lays the examples of several tasks end to end, tables by their texts.

  Args:
    parts: the examples of each task, without what is learned of them.
  """
  order, text, counts, texts = [], [], [], []
  found = blocks([part.table for part in parts])
  before = rows = 0
  for block in found:
    mine = [parts[number] for number in block]
    size = sum(map(len, mine))
    if mine[1:]:
      whole, row = _texts(mine)
      lies = np.argsort(row, kind="stable")
      counts.append(np.bincount(row))
    else:
      whole, row = mine[0], np.arange(size)
      lies = row
      counts.append(None)
    order.append(before + lies)
    text.append(rows + row[lies])
    texts.append(whole)
    before, rows = before + size, rows + len(whole)
  return Together(
    found,
    np.concatenate(order),
    np.concatenate(text),
    Features.join(texts),
    counts,
  )


def _texts(parts: Sequence[Features]) -> tuple[Features, np.ndarray]:
  """Returns the different rows of a table, and which each example is of."""
  index = np.concatenate([part.index for part in parts])
  known, row = np.unique(index, return_inverse=True)
  seen, found = np.zeros(len(known), bool), []
  at = np.cumsum([0, *map(len, parts)])
  for part, start in zip(parts, at, strict=False):
    mine = row[start : start + len(part)]
    found.append(part.take(~seen[mine]))
    seen[mine] = True
  joined = Features.join(found)
  return joined.take(np.argsort(joined.index)), row
