"""Whose answers come with the rows of an own task: one judge, or several."""

from collections.abc import Mapping, Sequence
import dataclasses
import math
import re
from typing import Any

from bam_jax.runtime.spelling import hint
from bam_jax.tasks.entry import Entry

# What says in a tasks file who judges; only one of them may.
KEYS = ("soft_columns", "soft_labels", "judges")
_PARTS = ("columns", "file", "weight")
_NAME = re.compile(r"[\w-]+", re.ASCII)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judge:
  """Another model whose answers are at hand.

  Attributes:
    name: of it; "" = the task names none.
    columns: of the rows, one a label or one with all of them; () = a file of
      its own has them.
    file: that file; "" = columns have them.
    weight: what it counts among the others.
    partial: whether it may leave rows out.
  """

  name: str = ""
  columns: tuple[str, ...] = ()
  file: str = ""
  weight: float = 1.0
  partial: bool = False


def columns(judges: Sequence[Judge]) -> list[str]:
  """Returns the columns of rows that hold answers of judges."""
  return [name for judge in judges for name in judge.columns]


def of_entry(entry: Entry, labels: Sequence[str]) -> tuple[Judge, ...]:
  """Returns who judges the rows of a task; () = nobody does.

  Args:
    entry: of the task.
    labels: of it; () = it predicts a number.

  Raises:
    ValueError: a judge cannot be as it is written.
  """
  given = [key for key in KEYS if key in entry.given]
  if len(given) > 1:
    entry.refuse(
      given[1],
      f"and {given[0]} cannot both teach; several judges stand in tables,"
      f" [{entry.name}.judges.NAME]",
    )
  if "judges" in entry.given:
    return _several(entry, labels)
  if found := _columns(entry, labels, "soft_columns"):
    return (Judge(columns=found),)
  file = entry.string("soft_labels", needed=False)
  return (Judge(file=file),) if file else ()


def _several(entry: Entry, labels: Sequence[str]) -> tuple[Judge, ...]:
  said = entry.given["judges"]
  if not isinstance(said, Mapping) or not said:
    entry.refuse(
      "judges", f"is a table for each judge: [{entry.name}.judges.NAME]"
    )
  # In an order that no way to keep the file changes: sums depend on it.
  return tuple(
    _judge(entry, labels, str(name), said[name])
    for name in sorted(said, key=str)
  )


def _judge(entry: Entry, labels: Sequence[str], name: str, given: Any) -> Judge:
  """Returns one judge of several."""
  if not _NAME.fullmatch(name) or not isinstance(given, Mapping):
    entry.refuse(
      "judges",
      f"has {name!r}, which is no judge: a name of letters, digits, _ and -,"
      " and a table",
    )
  mine = Entry(f"{entry.name}.judges.{name}", given, entry.path, entry.text)
  for key in given:
    if key not in _PARTS:
      near = hint(str(key), _PARTS)
      mine.refuse(key, f"is no key of a judge: {', '.join(_PARTS)}{near}")
  if ("columns" in given) == ("file" in given):
    mine.refuse(
      "",
      'says by one of columns = ["p_no", "p_yes"] and file = "answers.jsonl"'
      " where its answers are",
    )
  weight = given.get("weight", 1.0)
  if type(weight) not in (int, float) or not 0 < weight < math.inf:
    mine.refuse("weight", "is a number above 0")
  return Judge(
    name=name,
    columns=_columns(mine, labels, "columns"),
    file=mine.string("file", needed=False),
    weight=float(weight),
    partial=True,
  )


def _columns(entry: Entry, labels: Sequence[str], key: str) -> tuple[str, ...]:
  """Returns the columns that a key names; () = it is not there."""
  given = key in entry.given
  found = entry.texts(key, "a column, or a list of them", needed=int(given))
  if len(found) not in (0, 1, len(labels) or 1):
    entry.refuse(
      key,
      f"has {len(found)} columns; one column for each of the labels"
      f" {', '.join(labels)}, in this order, or one with all probabilities",
    )
  return found
