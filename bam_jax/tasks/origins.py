"""Where the rows of a task come from: one object for each way to read them."""

from collections.abc import Mapping
import dataclasses

from bam_jax.tasks import panel
from bam_jax.tasks.files import Dialect, Division


@dataclasses.dataclass(frozen=True, kw_only=True)
class Glue:
  """A task of GLUE, from its `.tsv` files or the hub's `nyu-mll/glue`.

  Attributes:
    folder: of the task in what the GLUE download script writes.
    files: split -> paths below the GLUE folder, the first that exists is read.
    headerless: the columns of those files that have no header line.
    text: text columns in the header of the files.
    label: label column there.
    labels: the task's labels as the files and the GLUE server write them.
    submission: test split -> file name that the GLUE server wants.
  """

  folder: str
  files: Mapping[str, tuple[str, ...]] = dataclasses.field(hash=False)
  headerless: tuple[str, ...]
  text: tuple[str, ...]
  label: str
  labels: tuple[str, ...]
  submission: Mapping[str, str] = dataclasses.field(hash=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Course:
  """A task of Stanford's course CS224N, from the files of its default project.

  They are separated by tabs, whatever their names end in.

  Attributes:
    title: of its column in tables.
    files: split -> file below the course's folder, plain or gzipped.
    text: text columns in the header of the files.
    label: label column there.
    labels: the task's labels as the files write them; () = numbers.
    answers: split -> file that the course wants its answers in.
    heading: of the answers, in the first line of such a file.
  """

  title: str
  files: Mapping[str, str] = dataclasses.field(hash=False)
  text: tuple[str, ...]
  label: str
  labels: tuple[str, ...]
  answers: Mapping[str, str] = dataclasses.field(hash=False)
  heading: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judge:
  """Who answers the training rows of a synthetic task, beside their labels.

  Attributes:
    suite: the task.
    gold: share of the rows that keep their label.
    noise: share of the rows that it is wrong about.
  """

  suite: str
  gold: float
  noise: float


@dataclasses.dataclass(frozen=True)
class Synthetic:
  """A task of the synthetic suite, whose rows are made from a seed.

  Attributes:
    judge: of its training rows; None = they have labels alone.
  """

  judge: Judge | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Own:
  """Where the rows of a user's own task are; see docs/own-task.md.

  Attributes:
    file: the tasks file, named in messages.
    table: whose texts other tasks label too; "" = they are this task's own.
    folder: what the files of the task are relative to.
    files: split -> files and patterns, as they are written.
    format: of its files; "" = what the suffix of each says.
    hub: "owner/name" of a data set whose files they are; "" = the folder's.
    config: of the hub's data set, where splits and not files are named.
    revision: of the hub's data set.
    dev_share: share of the train file that is dev; 0 = dev has its own file.
    judges: other models whose answers come with the rows; () = none.
    unlabelled: whether there are files of texts without labels.
    unlabelled_rows: whether rows of train may have no label, judged or not.
    ignore: labels whose rows are left out, by their names (labels.name).
    rename: name of a label in the files -> of the task's label that it means.
    relevant: names of the labels of right pairs, where a row is a question and
      one candidate; () = a row is a question with all of its candidates.
    group: column of the train file whose equal values keep rows on one side
      of a hold-out; "" = none.
    row_weight: column of the train file with what each row counts; "" = all
      count 1.
    marked: columns of 0 and 1, one for each label in their order, where a row
      may have several; () = one column has them all.
    separator: between the labels in a text of that column; "" = it names one.
    dialect: how the files are written.
    division: which rows are of which split; None = files say it.
  """

  file: str
  table: str
  folder: str
  files: Mapping[str, tuple[str, ...]] = dataclasses.field(hash=False)
  format: str
  hub: str
  config: str
  revision: str
  dev_share: float
  judges: tuple[panel.Judge, ...]
  unlabelled: bool
  unlabelled_rows: bool
  ignore: tuple[str, ...]
  rename: Mapping[str, str] = dataclasses.field(hash=False)
  relevant: tuple[str, ...]
  group: str
  row_weight: str
  marked: tuple[str, ...]
  separator: str
  dialect: Dialect
  division: Division | None


Origin = Glue | Course | Synthetic | Own
