"""The user's own tasks: a TOML or YAML file, checked, as rows of the table.

What the file says is kept in the config, so that a working directory knows its
tasks wherever the file goes, and refuses others. See docs/own-task.md.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import os.path
from pathlib import Path
import re
import reprlib
from typing import Any

from bam_jax.runtime import hub
from bam_jax.runtime.spelling import hint
from bam_jax.tasks import labels as label_names
from bam_jax.tasks import written
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import TASKS, Own, Task

KEYS = (
  "train",
  "dev",
  "test",
  "dev_share",
  "text",
  "label",
  "labels",
  "ignore",
  "range",
  "metric",
  "symmetric",
  "group",
  "soft_columns",
  "soft_labels",
  "hub",
  "config",
  "revision",
)
# They mean something else where a task may stand: select.by, a column.
RESERVED = ("average", "last")
SOFT = ("soft_columns", "soft_labels")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_HUB = re.compile(r"[\w.-]+/[\w.-]+")


def read(path: Path) -> dict[str, dict[str, Any]]:
  """Reads a tasks file; returns task name -> what it says, as it says it.

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
  found, text = written.read(path)
  if not isinstance(found, dict) or not found:
    raise ValueError(f"{path} has no task; begin one with [its_name]")
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
    entry = _Entry(str(name), entry, path, text)
    rows[entry.name] = entry.task()
  return rows


def kind_of(labels: Sequence[str]) -> str:
  """Returns the kind of a task by its label names; () = it has a range."""
  return "classification" if labels else "regression"


@dataclasses.dataclass
class _Entry:
  """What the file says of one task.

  Attributes:
    name: of the task.
    given: key -> value.
    path: the tasks file.
    text: what is in it.
  """

  name: str
  given: Any
  path: Path
  text: str

  def task(self) -> Task:
    """Returns the row; raises ValueError where it cannot be one."""
    self.check_names()
    labels, limits = self.labels(), self.range()
    if bool(labels) == bool(limits):
      self.refuse(
        "labels",
        "needs labels = [...] for classes or range = [low, high] for numbers,"
        " and only one of them",
      )
    text = self.texts("text", "the text column, or a list of two")
    label = self.label()
    if len(text) > 2 or len({*text, label}) <= len(text):
      self.refuse("text", "takes one or two text columns, none of them label")
    files = {"train": self.files("train")}
    share = self.given.get("dev_share", 0.0)
    if type(share) not in (int, float) or not 0 <= share < 1:
      self.refuse("dev_share", "is a share of train, such as 0.1")
    if ("dev" in self.given) == bool(share):
      self.refuse(
        "dev",
        "needs either dev = FILE or dev_share = 0.1, a part of train that is"
        " held out",
      )
    files["validation"] = files["train"] if share else self.files("dev")
    # Scored beside dev, never chosen by: it has labels as dev has.
    if "test" in self.given:
      files["test"] = self.files("test")
    metrics = self.metrics(labels)
    return Task(
      name=self.name,
      kind=kind_of(labels),
      text=text,
      label=label,
      labels=labels,
      file_text=text,
      file_label=label,
      file_labels=labels,
      files=files,
      headerless=(),
      range=limits,
      metrics=metrics,
      headline=metrics[0],
      train="train",
      dev=tuple(split for split in files if split != "train"),
      test=(),
      symmetric=self.flag("symmetric"),
      in_average=True,
      source="own",
      folder="",
      submission={},
      head=self.name,
      group="groups" if "group" in self.given else "texts",
      own=self.own(labels, float(share)),
    )

  def check_names(self) -> None:
    """Refuses a name that cannot be a task's, and keys that are none."""
    if not _NAME.fullmatch(self.name) or self.name in RESERVED:
      self.refuse(
        "",
        "cannot be a task's name: that has small letters, digits, _ and -, at"
        f" most 40, begins with a letter and is not {' or '.join(RESERVED)}",
      )
    if self.name in TASKS:
      self.refuse("", "is a task that is there already; take another name")
    if not isinstance(self.given, Mapping):
      self.refuse("", f"is no task; begin one with [{self.name}]")
    for key in self.given:
      if key not in KEYS:
        near = hint(key, KEYS, cutoff=0.5)
        self.refuse(
          key, f"is no key of a task, which are {', '.join(KEYS)}{near}"
        )

  def labels(self) -> tuple[str, ...]:
    """Returns the label names; () = none are given."""
    if "labels" not in self.given:
      return ()
    found = self.given["labels"]
    called = self.called("labels")
    if isinstance(found, str) or len(called) < 2 or "" in called:
      self.refuse("labels", "is a list of two or more different names")
    if twice := next((n for n in called if called.count(n) > 1), ""):
      self.refuse("labels", f"has {twice!r} more than once; its names differ")
    # A text is shown as it is written, whatever it stands for.
    return tuple(
      value if isinstance(value, str) else name
      for value, name in zip(found, called, strict=True)
    )

  def called(self, key: str) -> list[str]:
    """Returns what the values of a list are called; see labels.name."""
    found = self.given.get(key, [])
    found = found if isinstance(found, Sequence) else [found]
    found = [found] if isinstance(found, str) else found
    try:
      return [label_names.name(value) for value in found]
    except ValueError as error:
      return self.refuse(key, f"has what can be no label ({error})")

  def ignored(self, labels: Sequence[str]) -> tuple[str, ...]:
    """Returns the label values whose rows are left out."""
    called = self.called("ignore")
    for value in called:
      if value in map(label_names.name, labels):
        self.refuse("ignore", f"has {value!r}, which is one of labels")
    return tuple(dict.fromkeys(called))

  def label(self) -> str:
    """Returns the label column."""
    if "label" not in self.given and {*self.given} & {*SOFT}:
      self.refuse(
        "label",
        "is missing; rows of train that have soft labels need no other, but"
        " dev is scored by its labels: name their column, and give dev = FILE"
        " if train has none",
      )
    return self.string("label")

  def range(self) -> tuple[float, float] | None:
    """Returns the lowest and the highest value; None = none are given."""
    if "range" not in self.given:
      return None
    found = self.given["range"]
    good = isinstance(found, Sequence) and len(found) == 2
    good = good and all(type(v) in (int, float) for v in found)
    # NaN and infinity fail this too.
    if not good or not -1e30 < found[0] < found[1] < 1e30:
      self.refuse("range", "is [lowest, highest], two numbers")
    return float(found[0]), float(found[1])

  def metrics(self, labels: Sequence[str]) -> tuple[str, ...]:
    """Returns the metrics, the headline first."""
    asked = self.texts("metric", "a metric, or a list of them")
    known = KINDS[kind_of(labels)].metrics
    for name in asked:
      if name not in known:
        kind = "labels" if labels else "a range"
        self.refuse(
          "metric",
          f"has {name!r}; with {kind} it is one of {', '.join(known)}"
          f"{hint(name, known)}",
        )
    if "f1" in asked and len(labels) != 2:
      self.refuse(
        "metric",
        "has f1, which needs two labels, the second the positive one; take"
        " accuracy or matthews",
      )
    return asked

  def own(self, labels: Sequence[str], share: float) -> Own:
    """Returns where the rows are."""
    soft = self.texts("soft_columns", "a column, or a list of them", needed=0)
    if soft and "soft_labels" in self.given:
      self.refuse("soft_labels", "and soft_columns cannot both teach")
    if len(soft) not in (0, 1, len(labels) or 1):
      self.refuse(
        "soft_columns",
        f"has {len(soft)} columns; one column for each of the labels"
        f" {', '.join(labels)}, in this order, or one with all probabilities",
      )
    repository = self.string("hub", needed=False)
    if repository and not _HUB.fullmatch(repository):
      self.refuse("hub", "is OWNER/NAME of a data set")
    group = self.string("group", needed=False)
    if group and group == self.given["label"]:
      self.refuse(
        "group",
        "is the label column, so that all rows of a label would be on one"
        " side; name the column of what several rows are about",
      )
    for key in ("config", "revision"):
      if key in self.given and not repository:
        self.refuse(key, "is only for a data set of the hub; add hub")
    keys = [key for key in ("train", "dev", "test") if key in self.given]
    names = [name for key in keys for name in self.files(key)]
    split = next((name for name in names if not Path(name).suffix), "")
    if split and repository and "config" not in self.given:
      self.refuse(
        "config",
        f"is missing: {split!r} is a split, so name its folder in the data"
        ' set, such as config = "data", or a config of its README, such as'
        ' config = "default"',
      )
    return Own(
      file=str(self.path),
      folder=str(self.path.parent),
      hub=repository,
      config=self.string("config", needed=False),
      revision=self.string("revision", needed=False) or "main",
      dev_share=share,
      soft_columns=soft,
      soft_labels=self.string("soft_labels", needed=False),
      ignore=self.ignored(labels),
      group=group,
    )

  def string(self, key: str, *, needed: bool = True) -> str:
    """Returns a text that is not empty; "" where it may be left out."""
    if key not in self.given and not needed:
      return ""
    if key not in self.given:
      self.refuse(key, "is missing")
    if not isinstance(self.given[key], str) or not self.given[key].strip():
      self.refuse(key, "is a text in quotes")
    return self.given[key]

  def files(self, key: str) -> tuple[str, ...]:
    """Returns the files of a split: names, or patterns such as "*.csv"."""
    found = self.texts(key, "a file in quotes, or a list of different ones")
    if not all(name.strip() for name in found):
      self.refuse(key, "is a file in quotes, or a list of different ones")
    return found

  def texts(self, key: str, what: str, *, needed: int = 1) -> tuple[str, ...]:
    """Returns a text or a list of different ones as a tuple."""
    found = self.given.get(key, [])
    found = [found] if isinstance(found, str) else found
    good = isinstance(found, Sequence) and all(
      isinstance(value, str) and value for value in found
    )
    if not good or len(found) < needed or len(set(found)) < len(found):
      self.refuse(key, f"is {what}" if key in self.given else "is missing")
    return tuple(found)

  def flag(self, key: str) -> bool:
    """Returns true or false; false if nothing is said."""
    found = self.given.get(key, False)
    if type(found) is not bool:
      self.refuse(key, "is true or false")
    return found

  def refuse(self, key: str, why: str) -> Any:
    """Raises the sentence: file, line, task and key, value, and why."""
    line = written.line(self.text, self.name, key)
    given = isinstance(self.given, Mapping) and key in self.given
    # A token in the wrong place is not repeated.
    value = f" = {hub.plain(reprlib.repr(self.given[key]))}" if given else ""
    what = f"{self.name}.{key}{value}" if key else self.name
    raise ValueError(
      f"{self.path}{f' line {line}' if line else ''}: {what} {why}"
    )
