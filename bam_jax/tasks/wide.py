"""Tables of texts in which each task has a column of labels.

What a `[[table]]` says of its files and its texts is said once; every column
comes out as a task of its own, which names the table that it is of.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bam_jax.runtime.spelling import hint
from bam_jax.tasks import learn, panel
from bam_jax.tasks.entry import Entry
from bam_jax.tasks.kinds import KINDS

TABLE, COLUMNS = "table", "labels"
# What all columns of a table share, and what each may say.
SHARED = (
  *("train", "dev", "test", "dev_share", "split", "group", "row_weight"),
  *(
    "unlabelled",
    "text",
    "columns",
    "delimiter",
    "encoding",
    "hub",
    "config",
    "revision",
  ),
)
EACH = (
  *("column", "many", "labels", "range", "metric", "ignore", "rename"),
  *("separator", *learn.KEYS, *panel.KEYS),
)
_FORM = (
  "is a list of tables: begin each with [[table]], and each of its label"
  " columns with [table.labels.NAME]"
)


def entries(
  found: Mapping[str, Any], path: Path, text: str
) -> dict[str, dict[str, Any]]:
  """Returns task name -> what a tasks file says of it, of its tables too.

  Args:
    found: what the file says.
    path: of the file.
    text: what is in it, to name lines.

  Raises:
    ValueError: a table cannot be as it is written, or a name comes twice.
  """
  tasks = dict(found)
  tables = tasks.get(TABLE, [])
  for name, entry in tasks.items():
    if name != TABLE and isinstance(entry, Mapping) and TABLE in entry:
      Entry(str(name), entry, path, text).refuse(
        TABLE, "is no key of a task; a table of several begins with [[table]]"
      )
  if isinstance(tables, Mapping) and not isinstance(
    tables.get(COLUMNS), Mapping
  ):
    # A task that is called so.
    return tasks
  tasks.pop(TABLE, None)
  if not isinstance(tables, list):
    Entry(TABLE, tables, path, text).refuse("", _FORM)
  for number, table in enumerate(tables, 1):
    columns = _columns(Entry(TABLE, table, path, text))
    shared = {key: table[key] for key in SHARED if key in table}
    for name, column in columns.items():
      if name in tasks:
        Entry(str(name), column, path, text).refuse(
          "", "is there twice; tasks and label columns have different names"
        )
      # No task can be called so.
      tasks[name] = _task(Entry(str(name), column, path, text)) | shared
      tasks[name][TABLE] = f"table.{number}"
  return tasks


def _columns(table: Entry) -> Mapping[str, Any]:
  """Returns the label columns of a table; refuses what is no table."""
  if not isinstance(table.given, Mapping):
    table.refuse("", _FORM)
  for key in table.given:
    if key not in (*SHARED, COLUMNS):
      known = (*SHARED, COLUMNS)
      own = key in EACH
      table.refuse(
        key,
        "is said of each of its label columns, under [table.labels.NAME]"
        if own
        else f"is no key of a table, which are {', '.join(known)}"
        f"{hint(key, known, cutoff=0.5)}",
      )
  columns = table.given.get(COLUMNS)
  if not isinstance(columns, Mapping) or not columns:
    table.refuse(
      COLUMNS if COLUMNS in table.given else "",
      "needs a [table.labels.NAME] for each of its label columns",
    )
  return columns


def _task(column: Entry) -> dict[str, Any]:
  """Returns what a label column says, as a task says it."""
  if not isinstance(column.given, Mapping):
    column.refuse("", "is no label column; begin one with [table.labels.NAME]")
  for key in column.given:
    if key not in EACH:
      column.refuse(
        key,
        "is said once for all columns, under [[table]]"
        if key in SHARED
        else f"is no key of a label column, which are {', '.join(EACH)}"
        f"{hint(key, EACH, cutoff=0.5)}",
      )
  said = dict(column.given)
  label = said.pop("column", column.name)
  many = column.flag("many")
  said.pop("many", None)
  kind = "regression" if "range" in said else "classification"
  # Of ten columns nobody writes ten metrics.
  usual = next(iter(KINDS["multilabel" if many else kind].metrics))
  return {
    "metric": usual,
    **said,
    "label": label,
    **({"kind": "multilabel"} if many else {}),
  }
