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
import tomllib
from typing import Any

from bam_jax.runtime import hub
from bam_jax.runtime.spelling import hint
from bam_jax.tasks.table import TASKS, Own, Task

CLASSIFICATION = ("accuracy", "f1", "matthews")
REGRESSION = ("spearman", "pearson")
KEYS = (
  "train",
  "dev",
  "test",
  "dev_share",
  "text",
  "label",
  "labels",
  "range",
  "metric",
  "symmetric",
  "soft_columns",
  "soft_labels",
  "hub",
  "config",
  "revision",
)
# They mean something else where a task may stand: select.by, a column.
RESERVED = ("average", "last")
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
  try:
    text = path.read_bytes().decode("utf-8-sig")
    found = tomllib.loads(text) if path.suffix == ".toml" else _yaml(text)
  # Tables in tables in tables end in the last one.
  except (ValueError, RecursionError) as error:
    raise ValueError(f"{path} cannot be read: {error}") from error
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
    if len(text) > 2 or len({*text, self.string("label")}) <= len(text):
      self.refuse("text", "takes one or two text columns, none of them label")
    files = {"train": (self.string("train"),)}
    share = self.given.get("dev_share", 0.0)
    if type(share) not in (int, float) or not 0 <= share < 1:
      self.refuse("dev_share", "is a share of train, such as 0.1")
    if ("dev" in self.given) == bool(share):
      self.refuse(
        "dev",
        "needs either dev = FILE or dev_share = 0.1, a part of train that is"
        " held out",
      )
    files["validation"] = files["train"] if share else (self.string("dev"),)
    # Scored beside dev, never chosen by: it has labels as dev has.
    if "test" in self.given:
      files["test"] = (self.string("test"),)
    metrics = self.metrics(labels)
    return Task(
      name=self.name,
      text=text,
      label=self.string("label"),
      labels=labels,
      file_text=text,
      file_label=self.string("label"),
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
    if isinstance(found, Sequence) and not isinstance(found, str):
      if any(type(value) is bool for value in found):
        self.refuse("labels", 'has true or false; write them in quotes: "yes"')
      found = [str(v) if type(v) is int else v for v in found]
      whole = all(isinstance(v, str) and v for v in found)
      if whole and len(found) > 1 and len(set(found)) == len(found):
        return tuple(found)
    return self.refuse("labels", "is a list of two or more different names")

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
    known = CLASSIFICATION if labels else REGRESSION
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
    for key in ("config", "revision"):
      if key in self.given and not repository:
        self.refuse(key, "is only for a data set of the hub; add hub")
    names = [self.given[k] for k in ("train", "dev", "test") if k in self.given]
    split = next((name for name in names if not Path(name).suffix), "")
    if split and repository and "config" not in self.given:
      self.refuse(
        "config",
        f"is missing: {split!r} is a split, so name its folder in the data"
        ' set, such as config = "data"',
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
    line = _line(self.text, self.name, key)
    given = isinstance(self.given, Mapping) and key in self.given
    # A token in the wrong place is not repeated.
    value = f" = {hub.plain(reprlib.repr(self.given[key]))}" if given else ""
    what = f"{self.name}.{key}{value}" if key else self.name
    raise ValueError(
      f"{self.path}{f' line {line}' if line else ''}: {what} {why}"
    )


def _line(text: str, name: str, key: str) -> int:
  """Returns the line of a task's key, or where the task begins; 0 = unknown."""
  quoted = r"[\"']?{}[\"']?"
  heads = re.compile(r"\s*\[([^\[\]]+)\]\s*(#.*)?|(\S+?)\s*:\s*(#.*)?")
  wanted = re.compile(r"\s*" + quoted.format(re.escape(str(key))) + r"\s*[=:]")
  begin, mine = 0, False
  for number, line in enumerate(text.split("\n"), 1):
    if head := heads.fullmatch(line.rstrip("\r")):
      mine = (head[1] or head[3]).strip().strip("\"'") == name
      begin = number if mine else begin
    elif mine and key and wanted.match(line):
      return number
  return begin


def _yaml(text: str) -> Any:
  # Slow to import, and most tasks files are TOML.
  import yaml

  class Once(yaml.SafeLoader):
    """Refuses a key that comes twice; the library takes the last."""

    def construct_mapping(self, node, deep=False):
      keys = [self.construct_object(each, deep=True) for each, _ in node.value]
      for i, key in enumerate(keys):
        if key in keys[:i]:
          line = node.value[i][0].start_mark.line + 1
          raise ValueError(f"line {line} has {key!r} a second time")
      return super().construct_mapping(node, deep)

  try:
    return yaml.load(text, Once)
  except yaml.YAMLError as error:
    raise ValueError(" ".join(str(error).split())) from error
