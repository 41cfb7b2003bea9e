"""The tasks: what is read, what is predicted and how it is scored.

A task is one row of `TASKS` or of the user's tasks file (tasks/own.py); nothing
else in the package asks for a task by its name, but for what the paper and the
GLUE server say of some (data/sampling.py, report/tables.py, tasks/server.py).
Label names are those of `nyu-mll/glue` on the Hugging Face hub, in the order of
BAM's reference code; sources match them by name, so no file's own order ever
leaks in. Splits are named as the hub names them.
"""

from collections.abc import Mapping, Sequence
import dataclasses

from bam_jax.runtime.spelling import hint
from bam_jax.stats.averages import COUNTED
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.learn import USUAL, Learn
from bam_jax.tasks.origins import Course, Glue, Origin, Own, Synthetic


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
  """One row of the table.

  Attributes:
    name: what the user types; also the hub's configuration name.
    kind: a name of `kinds.KINDS`.
    text: text columns on the hub, one or two.
    label: label column on the hub.
    labels: label names; their position is the class number. () = regression.
    range: lowest and highest raw value of a regression task.
    metrics: every metric that is reported (x100).
    headline: the one metric of the tables.
    train: the split trained on; "" where there is none.
    dev: the splits scored; tables show the first.
    test: the splits predicted for the server.
    symmetric: the order of the two sentences carries no meaning.
    in_average: counts in the average over tasks.
    counts_as: what of its headline score counts there, one of
      `averages.COUNTED`.
    origin: where its rows come from.
    head: the task whose head predicts this one.
    learn: what it chooses for itself.
    group: what goes together where rows are held out: texts (equal rows,
      swapped or not), first (those with one first text too), groups (those
      that the rows name) or phrases (with those that they stand in).
  """

  name: str
  kind: str
  text: tuple[str, ...]
  label: str
  labels: tuple[str, ...]
  range: tuple[float, float] | None
  metrics: tuple[str, ...]
  headline: str
  train: str
  dev: tuple[str, ...]
  test: tuple[str, ...]
  symmetric: bool
  in_average: bool
  origin: Origin
  head: str
  group: str = "texts"
  learn: Learn = USUAL
  counts_as: str = "score"

  @property
  def own(self) -> Own | None:
    """Where the rows are, of a task from the user's tasks file."""
    return self.origin if isinstance(self.origin, Own) else None

  @property
  def table(self) -> str:
    """The table whose texts it labels, as other tasks do; "" = it has none."""
    return self.own.table if self.own else ""

  @property
  def glue(self) -> Glue | None:
    """Where the rows are, of a task of GLUE."""
    return self.origin if isinstance(self.origin, Glue) else None

  @property
  def course(self) -> Course | None:
    """Where the rows are, of a task of the course CS224N."""
    return self.origin if isinstance(self.origin, Course) else None

  @property
  def title(self) -> str:
    """What its column is called in tables."""
    if self.course:
      return self.course.title
    return self.glue.folder if self.glue else self.name

  def counted(self, score: float) -> float:
    """Returns what its headline score, x100, counts in an average."""
    return COUNTED[self.counts_as].value(score)

  @property
  def submission(self) -> Mapping[str, str]:
    """Test split -> file name that the GLUE server wants; {} = it has none."""
    return self.glue.submission if self.glue else {}

  @property
  def classes(self) -> int:
    """Columns of its head, C."""
    return KINDS[self.kind].outputs(self)

  @property
  def splits(self) -> tuple[str, ...]:
    """Every split there is, train first."""
    return (*((self.train,) if self.train else ()), *self.dev, *self.test)


def _row(name, text, labels, metrics, origin, **changes) -> Task:
  row = dict(
    name=name,
    kind="classification",
    text=text,
    label="label",
    labels=labels,
    range=None,
    metrics=metrics,
    headline=metrics[0],
    train="train",
    dev=("validation",),
    test=("test",),
    symmetric=False,
    in_average=True,
    origin=origin,
    head=name,
  )
  return Task(**(row | changes))


def _glue(name, folder, text, labels, metrics, *, read=(), **changes) -> Task:
  """A row whose files are as usual but for what `read` says of them."""
  splits = (
    "train",
    *changes.get("dev", ("validation",)),
    *changes.get("test", ("test",)),
  )
  files = dict(
    folder=folder,
    files={
      split: (f"{folder}/{split.replace('validation', 'dev')}.tsv",)
      for split in splits
    },
    headerless=(),
    text=text,
    label="label",
    labels=labels,
    submission={"test": f"{folder}.tsv"},
  )
  origin = Glue(**(files | dict(read)))
  return _row(name, text, labels, metrics, origin, **changes)


def _course(name, files, text, label, labels, metrics, **changes) -> Task:
  """A row of the default project of CS224N, whose files count labels from 0."""
  data, answers, heading, title = files
  origin = Course(
    title=title,
    files={
      "train": f"{data}-train.csv",
      "validation": f"{data}-dev.csv",
      "test": f"{data}-test-student.csv",
    },
    text=text,
    label=label,
    labels=tuple(map(str, range(len(labels)))),
    answers={
      "validation": f"{answers}-dev-output.csv",
      "test": f"{answers}-test-output.csv",
    },
    heading=heading,
  )
  return _row(name, text, labels, metrics, origin, **changes)


def _synthetic(name, text, labels, headline, **changes) -> Task:
  return _row(name, text, labels, (headline,), Synthetic(), **changes)


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
    read=dict(
      labels=_BINARY, headerless=("source", "label", "original", "sentence")
    ),
  ),
  _glue(
    "sst2",
    "SST-2",
    ("sentence",),
    ("negative", "positive"),
    ("accuracy",),
    # Its train set is every phrase of some sentences' trees.
    group="phrases",
    read=dict(labels=_BINARY),
  ),
  _glue(
    "mrpc",
    "MRPC",
    _PAIR,
    ("not_equivalent", "equivalent"),
    ("accuracy", "f1"),
    symmetric=True,
    read=dict(text=("#1 String", "#2 String"), label="Quality", labels=_BINARY),
  ),
  _glue(
    "stsb",
    "STS-B",
    _PAIR,
    (),
    ("spearman", "pearson"),
    kind="regression",
    range=(0.0, 5.0),
    symmetric=True,
    read=dict(label="score"),
  ),
  _glue(
    "qqp",
    "QQP",
    ("question1", "question2"),
    ("not_duplicate", "duplicate"),
    ("accuracy", "f1"),
    # Symmetric in meaning, but the reference code swaps only MRPC and STS-B.
    symmetric=False,
    read=dict(label="is_duplicate", labels=_BINARY),
  ),
  _glue(
    "mnli",
    "MNLI",
    ("premise", "hypothesis"),
    _NLI,
    ("accuracy",),
    dev=("validation_matched", "validation_mismatched"),
    test=("test_matched", "test_mismatched"),
    # Of one premise there are several rows.
    group="first",
    read=dict(
      text=_PAIR,
      label="gold_label",
      submission={
        "test_matched": "MNLI-m.tsv",
        "test_mismatched": "MNLI-mm.tsv",
      },
    ),
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
    # Its dev set contradicts its train set; BAM's average leaves it out.
    in_average=False,
    # Of one premise there are several rows.
    group="first",
    read=dict(labels=_BINARY),
  ),
  _glue(
    "ax",
    "diagnostic",
    ("premise", "hypothesis"),
    _NLI,
    ("matthews", "accuracy"),
    train="",
    dev=(),
    in_average=False,
    head="mnli",
    read=dict(
      text=_PAIR,
      # The download script of the day decides between the two places.
      files={"test": ("diagnostic/diagnostic.tsv", "MNLI/diagnostic.tsv")},
      submission={"test": "AX.tsv"},
    ),
  ),
  # The three tasks of CS224N's default project, which "Less is More" is about.
  # Its rows are trained on as they are: no pair is swapped.
  _course(
    "sst5",
    ("ids-sst", "sst", "Predicted_Sentiment", "SST-5"),
    ("sentence",),
    "sentiment",
    (
      *("negative", "somewhat_negative", "neutral"),
      *("somewhat_positive", "positive"),
    ),
    ("accuracy",),
  ),
  _course(
    "quora",
    ("quora", "para", "Predicted_Is_Paraphrase", "Quora"),
    _PAIR,
    "is_duplicate",
    ("not_duplicate", "duplicate"),
    ("accuracy",),
  ),
  _course(
    "sts",
    # Misspelt by the course.
    ("sts", "sts", "Predicted_Similiary", "STS"),
    _PAIR,
    "similarity",
    (),
    ("pearson", "spearman"),
    kind="regression",
    range=(0.0, 5.0),
    counts_as="unit",
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
