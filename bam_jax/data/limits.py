"""How many rows of a task are read at most."""

from collections.abc import Mapping, Sequence

import numpy as np

from bam_jax.data import tables
from bam_jax.data.sources.examples import Examples
from bam_jax.runtime.spelling import hint
from bam_jax.tasks.table import Task

# All runs and trials read the same rows.
_SEED = 0


def counts(
  key: str, said: str, tasks: Sequence[str], *, of: str = "rows"
) -> dict[str, int]:
  """Returns task -> rows at most; a task that is not there has no limit.

  Args:
    key: of the config, to name it.
    said: what it is: one number for all tasks, or TASK=ROWS,TASK=ROWS.
    tasks: that may be named.
    of: what is counted.

  Raises:
    ValueError: a part is no number of rows, or names no task or one twice.
  """
  found: dict[str, int] = {}
  parts = [part.strip() for part in said.split(",") if part.strip()]
  for part in parts:
    name, equals, text = (x.strip() for x in part.rpartition("="))
    rows = int(text) if text.isascii() and text.isdecimal() else 0
    one = not equals and len(parts) == 1
    if not rows or not (one or name in tasks):
      near = hint(name, tasks) if equals and rows else ""
      raise ValueError(
        f"{key} has {part!r}; it is a number of {of} for all tasks, or"
        f" TASK={of.upper()},TASK={of.upper()} with tasks of"
        f" {', '.join(tasks)}{near}"
      )
    if name in found:
      raise ValueError(f"{key} names {name} twice; name it once")
    found |= dict.fromkeys(tasks, rows) if one else {name: rows}
  return found


def check_tables(
  key: str, found: Mapping[str, int], tasks: Sequence[Task]
) -> None:
  """Refuses limits by which the tasks of a table have other texts.

  Args:
    key: of the config, to name it.
    found: from `counts`.
    tasks: all of them.

  Raises:
    ValueError: two tasks of a table have different limits.
  """
  for name, mine in tables.drawn(tasks).items():
    rows = {task.name: found.get(task.name) for task in mine}
    if len({*rows.values()}) > 1:
      raise ValueError(
        f"{key}: {', '.join(rows)} label the texts of one table, {name}, which"
        " has one limit; give all of them the same number"
      )


def some(examples: Examples, rows: int) -> Examples:
  """Returns as many rows, drawn at random, in their order in the file.

  What a smaller number draws is among what a larger one does.
  """
  return examples.take(drawn(np.arange(len(examples)), rows))


def drawn(numbers: np.ndarray, rows: int) -> np.ndarray:
  """Returns as many of the numbers of some rows; see `some`."""
  order = np.random.default_rng(_SEED).permutation(len(numbers))
  return numbers[np.sort(order[:rows])]


def first(examples: Examples, rows: int) -> Examples:
  """Returns as many rows, the first of the file."""
  return examples.take(np.arange(min(rows, len(examples))))


def limited(
  examples: Examples,
  *,
  trains: bool,
  train: Mapping[str, int],
  dev: Mapping[str, int],
) -> Examples:
  """Returns those rows of a split that are read.

  Args:
    examples: of any split of a task.
    trains: whether it is what the task is trained on.
    train: task -> rows of its train split, drawn at random.
    dev: task -> rows of every other split with labels, the first ones.
  """
  rows = (train if trains else dev).get(examples.task, len(examples))
  if rows >= len(examples) or examples.labels is None:
    return examples
  return (some if trains else first)(examples, rows)
