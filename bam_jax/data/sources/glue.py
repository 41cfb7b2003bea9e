"""Reads the tasks of GLUE: the folder of its download script, or the hub.

What the official files hold is read from `third_party/manifest.toml`.
"""

import json
import os.path
from pathlib import Path

from absl import logging

from bam_jax.data.sources import parquet, rows
from bam_jax.data.sources.examples import Examples, check, encode
from bam_jax.runtime import hub
from bam_jax.runtime.spelling import shown
from bam_jax.tasks.manifest import manifest
from bam_jax.tasks.table import Task

_NUMBERS = (int, float), "numbers"


def read_glue_folder(task: Task, split: str, *, glue_dir: str) -> Examples:
  """Reads a `.tsv` or `.tsv.gz` of the folder that the GLUE script writes.

  Columns are found by the header where there is one, and quotes are literal.

  Args:
    task: row of `TASKS`.
    split: one of `task.splits`.
    glue_dir: the folder with CoLA, SST-2, MRPC and so on in it.

  Returns:
    The examples; `labels` is None where a test file has no label column.

  Raises:
    ValueError: a line that is not UTF-8, has a wrong number of columns or a
      label that the task does not know, with file and line; no rows, or no
      text in them.
    FileNotFoundError: the folder or the file is missing or the folder empty.
  """
  # Path's own expanduser raises where there is no such user.
  path = _find(task, split, Path(os.path.expanduser(glue_dir)))
  lines = rows.lines(path, cure="fetch it again")
  table = [(number, line.split("\t")) for number, line in lines]
  first, header = table[0] if table else (1, list(task.glue.text))
  if set(task.glue.text) <= set(header):
    table = table[1:]
  elif task.glue.headerless:
    header = list(task.glue.headerless)
  else:
    raise ValueError(
      f"{path} line {first}: the header is {shown(header)}, but {task.name}"
      f" needs the columns {[*task.glue.text, task.glue.label]}"
    )
  if not table:
    raise ValueError(f"{path} holds no rows; fetch it again")
  for name in (*task.glue.text, task.glue.label):
    if header.count(name) > 1:
      raise ValueError(
        f"{path} line {first}: the header has the column {name!r} more than"
        " once"
      )
  table = _whole_rows(table, header, path, task)
  texts = tuple(
    [row[header.index(name)] for _, row in table] for name in task.glue.text
  )
  labels = None
  if task.glue.label in header:
    column = header.index(task.glue.label)
    labels = encode(
      task,
      split,
      [row[column] for _, row in table],
      task.glue.labels,
      lambda i: f"{path} line {table[i][0]}",
    )
  elif split not in task.test:
    raise ValueError(
      f"{path} has no column {task.glue.label!r}; its columns are"
      f" {shown(header)}"
    )
  examples = Examples(task.name, split, texts, labels, str(path))
  check(examples)
  return examples


def read_hub(task: Task, split: str) -> Examples:
  """Reads a parquet file of `nyu-mll/glue` on the Hugging Face hub.

  The file is downloaded once and kept in huggingface_hub's cache.

  Args:
    task: row of `TASKS`.
    split: one of `task.splits`.

  Returns:
    The examples; `labels` is None where every label is -1.

  Raises:
    ConnectionError: the file is neither in the cache nor to be had.
    ValueError: see `read_parquet`.
  """
  listed = manifest()["hub"]
  path = hub.download(
    listed["repository"],
    f"{task.name}/{split}-00000-of-00001.parquet",
    listed["revision"],
    cure=_how(task, split),
  )
  examples = read_parquet(task, split, path=path)
  check(examples)
  return examples


def read_parquet(task: Task, split: str, *, path: Path) -> Examples:
  """Reads a parquet file with the hub's columns, labels matched by name.

  Args:
    task: row of `TASKS`.
    split: the split's name.
    path: the file.

  Returns:
    The examples; `labels` is None where every label is -1.

  Raises:
    ValueError: not parquet, a missing column, or a label or label name that
      the task does not know.
  """
  table = parquet.read(path)
  for name in (*task.text, task.label):
    if name not in table.column_names:
      raise ValueError(
        f"{path} has no column {name!r}; {task.name} needs"
        f" {[*task.text, task.label]} and the file has"
        f" {shown(table.column_names)}"
      )
    if table[name].null_count:
      row = table[name].is_null().index(True).as_py()
      raise ValueError(f"{path} row {row}: no value in column {name!r}")
  columns = {name: table[name].to_pylist() for name in (*task.text, task.label)}
  kinds = dict.fromkeys(task.text, (str, "text"))
  kinds[task.label] = (int, "whole numbers") if task.labels else _NUMBERS
  for name, (kind, words) in kinds.items():
    # Asked of every value: a type's name says little of what it becomes.
    if any(
      type(value) is bool or not isinstance(value, kind)
      for value in columns[name]
    ):
      raise ValueError(
        f"{path}: column {name!r} is {table[name].type}, not {words}"
      )
  names = _label_names(table.schema.metadata, task, path)
  labels = encode(
    task,
    split,
    # A number without a name stays a number, which no task allows.
    [
      names[value] if 0 <= value < len(names) else value
      for value in columns[task.label]
    ]
    if task.labels
    else columns[task.label],
    task.labels,
    lambda i: f"{path} row {i}",
  )
  texts = tuple(columns[name] for name in task.text)
  return Examples(task.name, split, texts, labels, str(path))


def _wanted(task: Task, split: str) -> str:
  return " or ".join(task.glue.files[split])


def _how(task: Task, split: str) -> str:
  return (
    "type --config.data.glue_dir=FOLDER, where FOLDER holds"
    f" {_wanted(task, split)} as the GLUE download script writes it"
  )


def _find(task: Task, split: str, folder: Path) -> Path:
  """The first of the split's files that is there, plain or gzipped."""
  how = (
    f"{_how(task, split)}, or --config.data.glue_dir= to download it from the"
    " Hugging Face hub"
  )
  if not folder.is_dir():
    raise FileNotFoundError(f"there is no GLUE folder {folder}; {how}")
  if not any(folder.iterdir()):
    raise FileNotFoundError(f"the GLUE folder {folder} is empty; {how}")
  for name in task.glue.files[split]:
    for path in (folder / name, folder / f"{name}.gz"):
      if path.is_file():
        return path
  raise FileNotFoundError(
    f"the GLUE folder {folder} lacks the {split} split of {task.name}; {how}"
  )


def _whole_rows(rows, header, path: Path, task: Task):
  """The rows that have all columns; too many broken ones are an error."""
  broken = [row for row in rows if len(row[1]) != len(header)]
  if not broken:
    return rows
  number, row = broken[0]
  found = f"{path} line {number}: {len(row)} columns instead of {len(header)}"
  if len(broken) > manifest()["datasets"][task.name]["broken_rows"]:
    raise ValueError(
      f"{found}; the columns are {shown(header)}, separated by tabs"
    )
  logging.warning("%s; dropped, as are %d more", found, len(broken) - 1)
  return [row for row in rows if len(row[1]) == len(header)]


def _label_names(metadata, task: Task, path: Path) -> list[str]:
  """What the file's integers mean, by its own words where it has them."""
  try:
    info = json.loads((metadata or {})[b"huggingface"])["info"]
    names = info["features"][task.label]["names"]
  # Nothing is said, or not in JSON.
  except (KeyError, TypeError, ValueError, RecursionError):
    names = None
  if not isinstance(names, list):
    names = manifest()["datasets"][task.name]["hub_labels"]
  if unknown := [name for name in names if name not in task.labels]:
    raise ValueError(
      f"{path} has the label names {shown(names)}; {task.name} does not"
      f" know {shown(unknown[0])}, only {', '.join(task.labels)}"
    )
  if len(set(names)) < len(names):
    raise ValueError(f"{path} has a label name more than once: {names}")
  return names
