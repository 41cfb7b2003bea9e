"""Reads the tasks of the course CS224N, from the files of its default project.

They are called .csv and separated by tabs, with quotes as spreadsheets write
them; the first columns, numbers of rows, have no names.
"""

from collections.abc import Iterator
import os.path
from pathlib import Path

from bam_jax.data.sources import formats, rows
from bam_jax.data.sources.examples import Examples, check, encode
from bam_jax.runtime import notices
from bam_jax.tasks.table import Task

# Of the course's own 20,214 dev questions 2 have no label. A file that lacks
# more than this share of them is another one, or damaged.
_UNLABELLED = 0.01


def read(task: Task, split: str, *, folder: str) -> Examples:
  """Reads a split of a task; train and dev rows without a label are dropped.

  Args:
    task: with `course`.
    split: one of its splits.
    folder: with ids-sst-train.csv and so on in it, plain or gzipped.

  Returns:
    The examples; those of the test split have no labels.

  Raises:
    ValueError: a file is not such a table, has a label that the task does not
      know, or too many rows without one.
    FileNotFoundError: the folder or the file is missing.
  """
  path = _find(task, split, folder)
  found = _rows(task, split, path)
  texts = tuple(
    [rows.text_of(row, name) for row in found] for name in task.course.text
  )
  labels = None
  if split not in task.test:
    labels = encode(
      task,
      split,
      [_plain(task, record[task.course.label]) for _, record in found],
      task.course.labels,
      lambda i: found[i][0],
    )
  examples = Examples(task.name, split, texts, labels, str(path))
  check(examples)
  return examples


def ids(task: Task, split: str, *, folder: str) -> list[str]:
  """Returns the ids of the rows that `read` gives, by which answers are known.

  Raises:
    ValueError: as `read`, or an id is empty or there twice.
    FileNotFoundError: as `read`.
  """
  path, found = _find(task, split, folder), {}
  for where, record in _rows(task, split, path):
    name = record["id"].strip()
    if not name or name in found:
      said = f"is that of {found[name]}" if name else "is empty"
      raise ValueError(f"{where}: the id {name!r} {said}; fetch the file again")
    found[name] = where
  return list(found)


def there(task: Task, split: str, *, folder: str) -> bool:
  """Tells whether a split has a file."""
  return any(path.is_file() for path in _places(task, split, folder))


def _rows(task: Task, split: str, path: Path) -> list[rows.Row]:
  """The rows of a file; of train and dev those with a label."""
  labelled = split not in task.test
  columns = ["id", *task.course.text, *([task.course.label] * labelled)]
  with rows.opened(path) as file:
    table = rows.in_format(file, str(path), "csv", "\t")
    found = [*rows.named(_titled(table), str(path), columns, format="csv")]
  if not labelled:
    return found
  kept = [row for row in found if row[1][task.course.label].strip()]
  if lacking := len(found) - len(kept):
    # `kept` begins as `found` does, up to the first that is dropped.
    first = next(
      row
      for row, left in zip(found, [*kept, None], strict=False)
      if row is not left
    )
    said = f"{first[0]}: no {task.course.label}"
    if lacking > _UNLABELLED * len(found):
      raise ValueError(
        f"{said}, as in {lacking} of {len(found)} rows, too many to be dropped;"
        " fetch the file again"
      )
    notices.once(f"{said}; dropped, as are {lacking - 1} more")
  return kept


def _titled(table: Iterator[formats.Found]) -> Iterator[formats.Found]:
  """Passes rows on; columns without a name get one."""
  for number, (line, cells) in enumerate(table):
    if not number and isinstance(cells, list):
      cells = [name or f"column {at}" for at, name in enumerate(cells, 1)]
    yield line, cells


def _plain(task: Task, text: str) -> str:
  """Returns a label as its name has it: classes are written "1" and "1.0"."""
  text = text.strip()
  whole = task.labels and text.endswith(".0")
  return text.removesuffix(".0") if whole else text


def _places(task: Task, split: str, folder: str) -> list[Path]:
  # Path's own expanduser raises where there is no such user.
  path = Path(os.path.expanduser(folder)) / task.course.files[split]
  return [path, path.with_name(f"{path.name}.gz")]


def _find(task: Task, split: str, folder: str) -> Path:
  """The split's file, plain or gzipped."""
  name = task.course.files[split]
  how = (
    f"type --config.data.cs224n_dir=FOLDER, where FOLDER holds {name} (or"
    f" {name}.gz) of CS224N's default project"
  )
  if not folder:
    raise FileNotFoundError(
      f"{task.name} is read from the files of CS224N's default project, and"
      f" data.cs224n_dir is ''; {how}"
    )
  found = [path for path in _places(task, split, folder) if path.is_file()]
  if found:
    return found[0]
  what = _places(task, split, folder)[0]
  if not what.parent.is_dir():
    raise FileNotFoundError(f"there is no folder {what.parent}; {how}")
  raise FileNotFoundError(
    f"{what.parent} lacks {name}, the {split} split of {task.name}; {how}"
  )
