"""What a tasks file says of how the files of a task are written."""

from collections.abc import Mapping, Sequence
import dataclasses
from pathlib import Path

from bam_jax.runtime.spelling import hint
from bam_jax.tasks import labels as label_names
from bam_jax.tasks.entry import Entry

# Suffixes of files that name their columns in every row, or once and for all.
_NAMED = {".json", ".jsonl", ".parquet"}
_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dialect:
  """How text files are written, where that is not as usual.

  Attributes:
    columns: of `.csv` and `.tsv` files whose first line is a row; () = the
      first line names them.
    delimiter: what stands between the columns of a `.csv`; "" = a comma.
    encoding: Python's name for it, "" = UTF-8.
  """

  columns: tuple[str, ...] = ()
  delimiter: str = ""
  encoding: str = ""


USUAL = Dialect()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Division:
  """Which rows are of which split, where a column says it.

  Attributes:
    column: that says it.
    values: split -> names (labels.name) of the values that mean it.
  """

  column: str
  values: Mapping[str, tuple[str, ...]] = dataclasses.field(hash=False)


def dialect(entry: Entry, wanted: Sequence[str]) -> Dialect:
  """Returns how the files of a task are written.

  Args:
    entry: of the task.
    wanted: the columns that are read.

  Raises:
    ValueError: a key is not as it has to be, or no file of the task has it.
  """
  columns = entry.texts("columns", "a list of different names", needed=0)
  if lacking := [name for name in wanted if columns and name not in columns]:
    entry.refuse(
      "columns",
      f"has no {lacking[0]!r}, which is read{hint(lacking[0], columns)}",
    )
  delimiter = entry.given.get("delimiter", "")
  single = isinstance(delimiter, str) and len(delimiter) == 1
  if "delimiter" in entry.given and (not single or delimiter in '"\r\n'):
    entry.refuse("delimiter", 'is one character, such as ";", "|" or "\\t"')
  encoding = entry.string("encoding", needed=False)
  if encoding and not _is_text(encoding):
    entry.refuse(
      "encoding",
      "is no encoding that Python knows; often it is cp1252 (Windows), latin-1"
      " or utf-16 (Excel: Unicode text)",
    )
  _check_used(entry)
  return Dialect(columns=columns, delimiter=delimiter, encoding=encoding)


def division(entry: Entry) -> Division | None:
  """Returns which rows are of which split; None = files say it.

  Raises:
    ValueError: it is not said of all, or twice.
  """
  if "split" not in entry.given:
    return None
  said = entry.given["split"]
  form = (
    'is {column = "part", train = "train", dev = "valid"}, with the values of'
    ' that column for each split, and test = "..." if there is one'
  )
  good = isinstance(said, Mapping) and {"column", "train", "dev"} <= {*said}
  if not good or {*said} - {"column", *_SPLITS}:
    entry.refuse("split", form)
  if not isinstance(said["column"], str) or not said["column"]:
    entry.refuse("split", form)
  for key in ("dev", "dev_share", "test"):
    if key in entry.given:
      entry.refuse(key, "and split both say which rows these are")
  values = {}
  for key in (each for each in _SPLITS if each in said):
    mine = said[key] if isinstance(said[key], list) else [said[key]]
    try:
      values[_SPLITS[key]] = tuple(map(label_names.name, mine))
    except ValueError:
      entry.refuse("split", form)
  flat = [value for mine in values.values() for value in mine]
  if "" in flat or len({*flat}) < len(flat) or not all(values.values()):
    entry.refuse("split", f"names a value twice, or none; it {form}")
  return Division(column=said["column"], values=values)


def marked(entry: Entry, *, several: bool) -> tuple[str, ...]:
  """Returns the columns of 0 and 1, one for each label; () = it is one column.

  Args:
    entry: of the task.
    several: whether a row may have several labels; else a list is no label.

  Raises:
    ValueError: they are none, or go with a key of labels in one column.
  """
  said = entry.given.get("label", "")
  if not several or isinstance(said, str):
    return ()
  found = entry.texts(
    "label",
    "the column of labels, or a list of different columns of 0 and 1, one for"
    " each label",
  )
  for key in ("separator", "rename", "ignore"):
    if key in entry.given:
      entry.refuse(key, "is for labels in one column, and label names several")
  return found


def renamed(entry: Entry, labels: Sequence[str]) -> dict[str, str]:
  """Returns what labels of the files are called here: name -> label's name.

  Raises:
    ValueError: a new name is no label, or an old one is.
  """
  said = entry.given.get("rename", {})
  if not isinstance(said, Mapping) or ("rename" in entry.given and not said):
    entry.refuse("rename", 'is {old = "new"}, the new one of labels')
  known = {label_names.name(label) for label in labels}
  found = {}
  for old, new in said.items():
    try:
      old, new = label_names.name(old), label_names.name(new)
    except ValueError as error:
      entry.refuse("rename", f"has what can be no label ({error})")
    if new not in known:
      entry.refuse(
        "rename",
        f"makes {old!r} {new!r}, which is none of labels{hint(new, known)}",
      )
    if old in known:
      entry.refuse("rename", f"has {old!r}, which is one of labels itself")
    if old in map(label_names.name, entry.called("ignore")):
      entry.refuse("rename", f"has {old!r}, which ignore leaves out")
    found[old] = new
  return found


def relevant(entry: Entry) -> tuple[str, ...]:
  """Returns the labels of pairs whose candidate is right; () = no pairs.

  Raises:
    ValueError: it is no list of labels, or files have a format of their own.
  """
  called = entry.called("relevant")
  if "relevant" in entry.given and (not called or "" in called):
    entry.refuse(
      "relevant",
      "is the label, or a list of them, of the pairs of a question and a"
      ' candidate that are right, such as "entailment"',
    )
  if called and "format" in entry.given:
    entry.refuse("relevant", "is no matter of files with a format of their own")
  return tuple(called)


def _is_text(encoding: str) -> bool:
  try:
    "".encode(encoding)
  # Not there, or of bytes, as base64 is.
  except LookupError:
    return False
  return True


def _check_used(entry: Entry) -> None:
  """Refuses what no file of a task has."""
  keys = [key for key in ("train", "dev", "test") if key in entry.given]
  names = [name.lower() for key in keys for name in entry.files(key)]
  there = {Path(name.removesuffix(".gz")).suffix for name in names}
  unused = {
    "columns": _NAMED,
    "delimiter": _NAMED | {".tsv"},
    "encoding": {".parquet"},
  }
  for key, suffixes in unused.items():
    if key in entry.given and there <= suffixes:
      entry.refuse(
        key,
        f"means nothing in files that are {' or '.join(sorted(there))}; leave"
        " it out",
      )
    if key in entry.given and "format" in entry.given and key != "encoding":
      entry.refuse(key, "is no matter of files with a format of their own")
