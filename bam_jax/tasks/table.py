"""The tasks: what is read, what is predicted and how it is scored.

A task is one row of `TASKS` or of the user's tasks file (tasks/own.py); nothing
else in the package asks for a task by its name. Label names are those of
`nyu-mll/glue` on the Hugging Face hub, in the order of BAM's reference code;
sources match them by name, so no file's own order ever leaks in. Splits are
named as the hub names them.
"""

from collections.abc import Mapping, Sequence
import dataclasses

from bam_jax.runtime.spelling import hint
from bam_jax.tasks.kinds import KINDS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Own:
  """Where the rows of a user's own task are; see docs/own-task.md.

  Attributes:
    file: the tasks file, named in messages.
    folder: what the files of the task are relative to.
    format: of its files; "" = what the suffix of each says.
    hub: "owner/name" of a data set whose files they are; "" = the folder's.
    config: of the hub's data set, where splits and not files are named.
    revision: of the hub's data set.
    dev_share: share of the train file that is dev; 0 = dev has its own file.
    soft_columns: of the train file, with another model's answers: one a label,
      or one with all of them; () = none.
    soft_labels: file with another model's answers; "" = none.
    ignore: labels whose rows are left out, by their names (labels.name).
    group: column of the train file whose equal values keep rows on one side
      of a hold-out; "" = none.
  """

  file: str
  folder: str
  format: str
  hub: str
  config: str
  revision: str
  dev_share: float
  soft_columns: tuple[str, ...]
  soft_labels: str
  ignore: tuple[str, ...]
  group: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
  """One row of the table.

  Attributes:
    name: what the user types; also the hub's configuration name.
    kind: a name of `kinds.KINDS`.
    text: text columns on the hub, one or two.
    label: label column on the hub.
    labels: label names; their position is the class number. () = regression.
    file_text: text columns in the header of the `.tsv` files.
    file_label: label column in the header of the `.tsv` files.
    file_labels: `labels` as the `.tsv` files and the GLUE server write them.
    files: split -> paths below the GLUE folder, the first that exists is read.
    headerless: the columns of those `.tsv` files that have no header line.
    range: lowest and highest raw value of a regression task.
    metrics: every metric that is reported (x100).
    headline: the one metric of the tables.
    train: the split trained on; "" where there is none.
    dev: the splits scored; tables show the first.
    test: the splits predicted for the server.
    symmetric: the order of the two sentences carries no meaning.
    in_average: counts in the average over tasks.
    source: "glue", "synthetic" or "own".
    folder: the task's folder in what the GLUE download script writes.
    submission: test split -> file name that the GLUE server wants.
    head: the task whose head predicts this one.
    group: what goes together where rows are held out: texts (equal rows,
      swapped or not), first (those with one first text too), groups (those
      that the rows name) or phrases (with those that they stand in).
    own: where the rows are, of a task from the user's tasks file.
  """

  name: str
  kind: str
  text: tuple[str, ...]
  label: str
  labels: tuple[str, ...]
  file_text: tuple[str, ...]
  file_label: str
  file_labels: tuple[str, ...]
  files: Mapping[str, tuple[str, ...]] = dataclasses.field(hash=False)
  headerless: tuple[str, ...]
  range: tuple[float, float] | None
  metrics: tuple[str, ...]
  headline: str
  train: str
  dev: tuple[str, ...]
  test: tuple[str, ...]
  symmetric: bool
  in_average: bool
  source: str
  folder: str
  submission: Mapping[str, str] = dataclasses.field(hash=False)
  head: str
  group: str = "texts"
  own: Own | None = None

  @property
  def classes(self) -> int:
    """Columns of its head, C."""
    return KINDS[self.kind].outputs(self)

  @property
  def splits(self) -> tuple[str, ...]:
    """Every split there is, train first."""
    return (*((self.train,) if self.train else ()), *self.dev, *self.test)


def _glue(name, folder, text, labels, metrics, **changes) -> Task:
  dev = changes.get("dev", ("validation",))
  test = changes.get("test", ("test",))
  row = dict(
    name=name,
    kind="classification",
    text=text,
    label="label",
    labels=labels,
    file_text=text,
    file_label="label",
    file_labels=labels,
    files={
      split: (f"{folder}/{split.replace('validation', 'dev')}.tsv",)
      for split in ("train", *dev, *test)
    },
    headerless=(),
    range=None,
    metrics=metrics,
    headline=metrics[0],
    train="train",
    dev=dev,
    test=test,
    symmetric=False,
    in_average=True,
    source="glue",
    folder=folder,
    submission={"test": f"{folder}.tsv"},
    head=name,
  )
  return Task(**(row | changes))


def _synthetic(name, text, labels, headline, **changes) -> Task:
  row = dict(files={}, file_labels=labels, source="synthetic", submission={})
  return _glue(name, "", text, labels, (headline,), **(row | changes))


_NLI = ("contradiction", "entailment", "neutral")
_PAIR = ("sentence1", "sentence2")
_BINARY = ("0", "1")

_ROWS = (
  _glue(
    "cola",
    "CoLA",
    ("sentence",),
    ("unacceptable", "acceptable"),
    ("matthews", "accuracy"),
    file_labels=_BINARY,
    headerless=("source", "label", "original", "sentence"),
  ),
  _glue(
    "sst2",
    "SST-2",
    ("sentence",),
    ("negative", "positive"),
    ("accuracy",),
    file_labels=_BINARY,
    # Its train set is every phrase of some sentences' trees.
    group="phrases",
  ),
  _glue(
    "mrpc",
    "MRPC",
    _PAIR,
    ("not_equivalent", "equivalent"),
    ("accuracy", "f1"),
    file_text=("#1 String", "#2 String"),
    file_label="Quality",
    file_labels=_BINARY,
    symmetric=True,
  ),
  _glue(
    "stsb",
    "STS-B",
    _PAIR,
    (),
    ("spearman", "pearson"),
    kind="regression",
    file_label="score",
    range=(0.0, 5.0),
    symmetric=True,
  ),
  _glue(
    "qqp",
    "QQP",
    ("question1", "question2"),
    ("not_duplicate", "duplicate"),
    ("accuracy", "f1"),
    file_label="is_duplicate",
    file_labels=_BINARY,
    # Symmetric in meaning, but the reference code swaps only MRPC and STS-B.
    symmetric=False,
  ),
  _glue(
    "mnli",
    "MNLI",
    ("premise", "hypothesis"),
    _NLI,
    ("accuracy",),
    file_text=_PAIR,
    file_label="gold_label",
    dev=("validation_matched", "validation_mismatched"),
    test=("test_matched", "test_mismatched"),
    submission={
      "test_matched": "MNLI-m.tsv",
      "test_mismatched": "MNLI-mm.tsv",
    },
    # Of one premise there are several rows.
    group="first",
  ),
  _glue(
    "qnli",
    "QNLI",
    ("question", "sentence"),
    ("entailment", "not_entailment"),
    ("accuracy",),
    # Of one question there are several rows.
    group="first",
  ),
  _glue(
    "rte",
    "RTE",
    _PAIR,
    ("entailment", "not_entailment"),
    ("accuracy",),
    # Of one premise there are several rows.
    group="first",
  ),
  _glue(
    "wnli",
    "WNLI",
    _PAIR,
    ("not_entailment", "entailment"),
    ("accuracy",),
    file_labels=_BINARY,
    # Its dev set contradicts its train set; BAM's average leaves it out.
    in_average=False,
    # Of one premise there are several rows.
    group="first",
  ),
  _glue(
    "ax",
    "diagnostic",
    ("premise", "hypothesis"),
    _NLI,
    ("matthews", "accuracy"),
    file_text=_PAIR,
    # The download script of the day decides between the two places.
    files={"test": ("diagnostic/diagnostic.tsv", "MNLI/diagnostic.tsv")},
    train="",
    dev=(),
    in_average=False,
    submission={"test": "AX.tsv"},
    head="mnli",
  ),
  _synthetic(
    "acceptability",
    ("sentence",),
    ("unacceptable", "acceptable"),
    "matthews",
  ),
  _synthetic("sentiment", ("sentence",), ("negative", "positive"), "accuracy"),
  _synthetic(
    "paraphrase",
    _PAIR,
    ("not_equivalent", "equivalent"),
    "accuracy",
    symmetric=True,
  ),
  _synthetic("entailment", ("premise", "hypothesis"), _NLI, "accuracy"),
  _synthetic(
    "similarity",
    _PAIR,
    (),
    "spearman",
    kind="regression",
    range=(0.0, 5.0),
    symmetric=True,
  ),
)

TASKS: dict[str, Task] = {task.name: task for task in _ROWS}


def get_tasks(
  names: Sequence[str], table: Mapping[str, Task] = TASKS
) -> tuple[Task, ...]:
  """Looks up tasks by name, keeping their order.

  Args:
    names: task names, such as ("rte", "mnli").
    table: name -> row; an experiment's own `table` has the user's tasks too.

  Returns:
    The rows of the table.

  Raises:
    ValueError: a name is not a task, comes twice, or there is none at all.
  """
  known = ", ".join(table)
  if not names:
    raise ValueError(f"no task named; choose from {known}")
  for name in names:
    if name not in table:
      near = hint(name.lower(), table, cutoff=0.5)
      raise ValueError(f"no task {name!r}{near or ';'} the tasks are {known}")
  twice = sorted({name for name in names if list(names).count(name) > 1})
  if twice:
    raise ValueError(f"task {twice[0]!r} is named twice; name it once")
  return tuple(table[name] for name in names)
