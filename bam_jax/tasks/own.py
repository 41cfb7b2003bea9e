"""The user's own tasks: a TOML or YAML file, checked, as rows of the table.

What the file says is kept in the config, so that a working directory knows its
tasks wherever the file goes, and refuses others. See docs/own-task.md.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import os.path
from pathlib import Path
import re
from typing import Any

from bam_jax.runtime.spelling import hint
from bam_jax.tasks import files as file_keys
from bam_jax.tasks import labels as label_names
from bam_jax.tasks import (
  learn,
  mtdnn,
  panel,
  scored,
  toml_yaml,
  unlabelled,
  wide,
)
from bam_jax.tasks.entry import Entry
from bam_jax.tasks.files import Division
from bam_jax.tasks.kind import EXAMPLE, WHOLE, TaskKind
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.origins import Own
from bam_jax.tasks.table import TASKS, Task

KEYS = (
  # Of what a table says of its columns, see wide.py.
  "table",
  "kind",
  "format",
  "train",
  "dev",
  "test",
  "dev_share",
  "text",
  "label",
  "labels",
  "separator",
  "ignore",
  "rename",
  "relevant",
  "row_weight",
  "range",
  "metric",
  "symmetric",
  "group",
  "split",
  "columns",
  "delimiter",
  "encoding",
  *learn.KEYS,
  *panel.KEYS,
  "unlabelled",
  "hub",
  "config",
  "revision",
)
# They mean something else where a task may stand: select.by, a column.
RESERVED = ("average", "last", "all", "random")
# Keys that not every kind takes.
FOREIGN = (
  *panel.KEYS,
  "unlabelled",
  "unlabelled_weight",
  "symmetric",
  "ignore",
  "rename",
  "group",
  "split",
  "separator",
  "relevant",
  "row_weight",
  "class_weight",
)
# Those of files that have columns.
COLUMNED = ("text", "label", "columns", "delimiter")
# Of documents that nobody has divided, the share that is dev.
DEV_SHARE = 0.05
# What goes together where rows are held out: equal ones, or all of a question.
GROUPED = {EXAMPLE: "texts", WHOLE: "first"}
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_HUB = re.compile(r"[\w.-]+/[\w.-]+")


def read(path: Path) -> dict[str, dict[str, Any]]:
  """Reads a tasks file; returns task name -> what it says, as it says it.

  A definition of the MT-DNN toolkit is put into the words of a tasks file.

  Raises:
    OSError: there is no such file.
    ValueError: it is not TOML (.toml) or YAML (.yaml), or a task cannot be as
      it is written; says where.
  """
  path = Path(os.path.expanduser(path))
  if path.suffix not in (".toml", ".yaml", ".yml"):
    raise ValueError(
      f"tasks_file is {str(path)!r}; it is a .toml or a .yaml file, see"
      " docs/own-task.md"
    )
  if not path.is_file():
    raise FileNotFoundError(f"there is no tasks file {path}")
  found, text = toml_yaml.read(path)
  if not isinstance(found, dict) or not found:
    raise ValueError(f"{path} has no task; begin one with [its_name]")
  if mtdnn.is_definition(found):
    found, text = mtdnn.entries(found, path), ""
  found = wide.entries(found, path, text)
  table(found, path, text)
  return found


def table(
  found: Mapping[str, Any], path: Path, text: str = ""
) -> dict[str, Task]:
  """Returns the rows of the tasks, by name.

  Args:
    found: what `read` returns.
    path: the tasks file, whose folder their files are in; it need not be there.
    text: what is in it, to name lines; "" = not at hand.

  Raises:
    ValueError: a task cannot be as it is written.
  """
  rows = {}
  for name, entry in found.items():
    entry = Entry(str(name), entry, path, text)
    rows[entry.name] = _task(entry)
  return rows


def entry(found: Mapping[str, Any], name: str, path: Path) -> Entry:
  """Returns what a tasks file says of one task, to refuse a key of it.

  Args:
    found: what `read` returns.
    name: of the task.
    path: the tasks file; where it is gone no line is named.
  """
  text = toml_yaml.read(path)[1] if path.is_file() else ""
  return Entry(name, dict(found[name]), path, text)


def _kind(entry: Entry) -> TaskKind:
  """Returns the kind that is named, or that the labels or the range mean."""
  both = "labels" in entry.given and "range" in entry.given
  if both or not {"kind", "labels", "range"} & entry.given.keys():
    entry.refuse(
      "labels",
      "needs labels = [...] for classes or range = [low, high] for numbers,"
      " and only one of them",
    )
  if "kind" not in entry.given:
    return KINDS["regression" if "range" in entry.given else "classification"]
  name = entry.string("kind")
  known = [each for each, row in KINDS.items() if row.typed]
  if name not in known:
    entry.refuse("kind", f"is one of {', '.join(known)}{hint(name, known)}")
  kind = KINDS[name]
  said = kind.defined in entry.given or file_keys.marked(
    entry, several=kind.many
  )
  if kind.defined and not kind.found and not said:
    entry.refuse(kind.defined, f"is missing; kind {name} needs it")
  for key in ("labels", "range", *FOREIGN):
    if key in entry.given and key not in (kind.defined, *kind.takes):
      entry.refuse(key, f"is for tasks of other kinds than {name}")
  for key in COLUMNED:
    if key in entry.given and not kind.named:
      entry.refuse(
        key, f"is for files with columns, and kind {name} reads plain text"
      )
  form = entry.given.get("format", "")
  if "format" in entry.given and form not in kind.formats:
    entry.refuse(
      "format",
      f"is none of kind {name}"
      + (f", which has {', '.join(kind.formats)}" if kind.formats else "")
      + "; the suffix of a file says what is in it: leave format out",
    )
  return kind


def _task(entry: Entry) -> Task:
  """Returns the row; raises ValueError where it cannot be one."""
  _check_names(entry)
  kind = _kind(entry)
  labels, limits = _labels(entry, kind), _range(entry)
  # A format of its own names no columns, and plain text has none.
  named = "format" not in entry.given and bool(kind.named)
  text = entry.texts("text", "the text column, or a list of two", needed=named)
  text = text or kind.named or ("text", "next")[: kind.texts]
  marked = file_keys.marked(entry, several=kind.many)
  label = marked[0] if marked else "label"
  if not marked and (named or "label" in entry.given):
    label = _label(entry)
  read = marked or (label,)
  few = len(text) < len(kind.named)
  if few or len(text) > kind.texts or {*text} & {*read}:
    some = "one or two text columns" if kind.texts > 1 else "one text column"
    some = f"the columns of {' and '.join(kind.named)}" if few else some
    entry.refuse("text", f"takes {some}, none of them label")
  files, division = {"train": entry.files("train")}, file_keys.division(entry)
  share = entry.given.get("dev_share", 0.0)
  if not kind.named and not {"dev", "dev_share"} & entry.given.keys():
    share = DEV_SHARE
  if type(share) not in (int, float) or not 0 <= share < 1:
    entry.refuse("dev_share", "is a share of train, such as 0.1")
  if not division and ("dev" in entry.given) == bool(share):
    entry.refuse(
      "dev",
      "needs either dev = FILE or dev_share = 0.1, a part of train that is"
      " held out",
    )
  if division:
    files = dict.fromkeys(division.values, files["train"])
  else:
    files["validation"] = files["train"] if share else entry.files("dev")
  # Scored beside dev, never chosen by: it has labels as dev has.
  if "test" in entry.given:
    files["test"] = entry.files("test")
  metrics = scored.metrics(entry, labels, kind)
  grouped = kind.grouped or "group" in entry.given
  origin = _own(entry, labels, files, division, (*text, *read) if named else ())
  return Task(
    name=entry.name,
    kind=kind.name,
    text=text,
    label=label,
    labels=labels,
    range=limits,
    metrics=tuple(dict.fromkeys((*metrics, *kind.beside))),
    headline=metrics[0],
    train="train",
    dev=tuple(split for split in files if split != "train"),
    test=(),
    symmetric=entry.flag("symmetric"),
    # What answers nothing is trained for the others' sake.
    in_average=kind.answer is not None,
    head=entry.name,
    group="groups" if grouped else GROUPED[kind.unit],
    learn=learn.of_entry(entry),
    origin=dataclasses.replace(origin, marked=marked, dev_share=float(share)),
  )


def _check_names(entry: Entry) -> None:
  """Refuses a name that cannot be a task's, and keys that are none."""
  if not _NAME.fullmatch(entry.name) or entry.name in RESERVED:
    entry.refuse(
      "",
      "cannot be a task's name: that has small letters, digits, _ and -, at"
      f" most 40, begins with a letter and is not {' or '.join(RESERVED)}",
    )
  if entry.name in TASKS:
    entry.refuse("", "is a task that is there already; take another name")
  if not isinstance(entry.given, Mapping):
    entry.refuse("", f"is no task; begin one with [{entry.name}]")
  for key in entry.given:
    if key not in KEYS:
      near = hint(key, KEYS, cutoff=0.5)
      entry.refuse(
        key, f"is no key of a task, which are {', '.join(KEYS)}{near}"
      )


def _labels(entry: Entry, kind: TaskKind) -> tuple[str, ...]:
  """Returns the label names; () = none are given."""
  marked = file_keys.marked(entry, several=kind.many)
  if "labels" not in entry.given:
    return marked
  found = entry.given["labels"]
  called = entry.called("labels")
  least = 1 if kind.found or kind.many else 2
  if isinstance(found, str) or len(called) < least or "" in called:
    many = "two or more" if least == 2 else "one or more"
    entry.refuse("labels", f"is a list of {many} different names")
  if twice := next((n for n in called if called.count(n) > 1), ""):
    entry.refuse("labels", f"has {twice!r} more than once; its names differ")
  if marked and len(marked) != len(called):
    entry.refuse(
      "labels",
      f"has {len(called)} names for the {len(marked)} columns of label; give"
      " one for each column, in their order, or leave labels out",
    )
  # A text is shown as it is written, whatever it stands for.
  return tuple(
    value if isinstance(value, str) else name
    for value, name in zip(found, called, strict=True)
  )


def _ignored(entry: Entry, labels: Sequence[str]) -> tuple[str, ...]:
  """Returns the label values whose rows are left out."""
  called = entry.called("ignore")
  for value in called:
    if value in map(label_names.name, labels):
      entry.refuse("ignore", f"has {value!r}, which is one of labels")
  return tuple(dict.fromkeys(called))


def _label(entry: Entry) -> str:
  """Returns the label column."""
  if "label" not in entry.given and {*entry.given} & {*panel.KEYS}:
    entry.refuse(
      "label",
      "is missing; rows of train that have soft labels need no other, but"
      " dev is scored by its labels: name their column, and give dev = FILE"
      " if train has none",
    )
  return entry.string("label")


def _range(entry: Entry) -> tuple[float, float] | None:
  """Returns the lowest and the highest value; None = none are given."""
  if "range" not in entry.given:
    return None
  found = entry.given["range"]
  good = isinstance(found, Sequence) and len(found) == 2
  good = good and all(type(v) in (int, float) for v in found)
  # NaN and infinity fail this too.
  if not good or not -1e30 < found[0] < found[1] < 1e30:
    entry.refuse("range", "is [lowest, highest], two numbers")
  return float(found[0]), float(found[1])


def _own(
  entry: Entry,
  labels: Sequence[str],
  files: Mapping[str, tuple[str, ...]],
  division: Division | None,
  read: Sequence[str],
) -> Own:
  """Returns where the rows are, of which some columns are read."""
  judged = panel.of_entry(entry, labels)
  more, blank = unlabelled.of_entry(entry, judged)
  repository = entry.string("hub", needed=False)
  if repository and not _HUB.fullmatch(repository):
    entry.refuse("hub", "is OWNER/NAME of a data set")
  group = entry.string("group", needed=False)
  if group and group == entry.given["label"]:
    entry.refuse(
      "group",
      "is the label column, so that all rows of a label would be on one"
      " side; name the column of what several rows are about",
    )
  weighed = entry.string("row_weight", needed=False)
  if weighed and weighed in read:
    entry.refuse(
      "row_weight",
      "is a column that is read as text or label; it is one of numbers above 0",
    )
  for key in ("config", "revision"):
    if key in entry.given and not repository:
      entry.refuse(key, "is only for a data set of the hub; add hub")
  keys = [key for key in ("train", "dev", "test") if key in entry.given]
  names = [name for key in keys for name in entry.files(key)] + [*more]
  split = next((name for name in names if not Path(name).suffix), "")
  if split and repository and "config" not in entry.given:
    entry.refuse(
      "config",
      f"is missing: {split!r} is a split, so name its folder in the data"
      ' set, such as config = "data", or a config of its README, such as'
      ' config = "default"',
    )
  return Own(
    file=str(entry.path),
    table=entry.string("table", needed=False),
    folder=str(entry.path.parent),
    files=files | ({unlabelled.SPLIT: more} if more else {}),
    format=entry.string("format", needed=False),
    hub=repository,
    config=entry.string("config", needed=False),
    revision=entry.string("revision", needed=False) or "main",
    dev_share=0.0,
    judges=judged,
    unlabelled=bool(more),
    unlabelled_rows=blank,
    ignore=_ignored(entry, labels),
    rename=file_keys.renamed(entry, labels),
    relevant=file_keys.relevant(entry),
    group=group,
    row_weight=weighed,
    marked=(),
    separator=entry.string("separator", needed=False),
    dialect=file_keys.dialect(
      entry, [*read, *panel.columns(judged), *filter(None, [group, weighed])]
    ),
    division=division,
  )
