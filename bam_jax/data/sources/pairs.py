"""Questions and candidates as ranking data sets of pairs have them.

QNLI's rows are a question, one sentence and a label; MT-DNN's files have all
candidates of a question in one line. Both become rows of a question with its
candidates and how relevant each is.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from bam_jax.data.sources import rows
from bam_jax.runtime import notices
from bam_jax.runtime.spelling import shown
from bam_jax.tasks import labels as label_names
from bam_jax.tasks.table import Task

# What a tasks file calls MT-DNN's files.
FORMAT = "mtdnn"
_LINE = "number, those of candidates, which is right, question, candidates"


def together(
  task: Task, found: Sequence[rows.Row], origin: str
) -> list[rows.Row]:
  """Returns a row for each question of pairs, in the order of the first ones.

  Questions of which nothing can be learned are left out, and that is said:
  those whose candidates are all right or all wrong.

  Args:
    task: with `own`, whose `relevant` names the labels of right pairs.
    found: rows of a question, a candidate and a label.
    origin: of the rows, for messages.

  Raises:
    ValueError: a pair has no label, or of no question can be learned.
  """
  question, candidate = task.text
  group = task.own.group
  made: dict[tuple[str, str], rows.Row] = {}
  for where, record in found:
    try:
      name = label_names.name(label_names.only(record[task.label]))
    except ValueError as error:
      raise ValueError(
        f"{where}, column {task.label!r}: {shown(record[task.label])} cannot be"
        f" a label ({error})"
      ) from None
    if not name:
      raise ValueError(
        f"{where}, column {task.label!r}: the label is missing; give one, or"
        " take the row out"
      )
    # Whatever it is; who reads the rows looks at what is no text.
    key = repr(record[question]), repr(record[group]) if group in record else ""
    row = {**record, candidate: [], task.label: []}
    _, row = made.setdefault(key, (where, row))
    row[candidate].append(record[candidate])
    row[task.label].append(int(name in task.own.relevant))
  kept = [row for row in made.values() if len({*row[1][task.label]}) > 1]
  if not kept:
    raise ValueError(
      f"no question of {origin} has a candidate that is right and one that is"
      f" not: column {task.label!r} is {' or '.join(task.own.relevant)} where"
      f" it is right; correct relevant in {task.own.file}"
    )
  if len(kept) < len(made):
    notices.once(
      f"{task.name} leaves out {len(made) - len(kept)} of the {len(made)}"
      f" questions of {origin}, whose candidates are all right or all wrong"
    )
  return kept


def lines_of(task: Task, path: Path) -> Iterator[rows.Row]:
  """Yields the questions of a file of MT-DNN, one a line without a header.

  Columns are separated by tabs; a question has as many candidates as it has.
  What is right is the place of one of them, from 0, or a number for each.

  Args:
    task: with the names that its columns get.
    path: of the file.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: a line is none.
  """
  if not path.is_file():
    raise FileNotFoundError(f"there is no file {path}")
  question, candidate = task.text
  for number, line in rows.lines(path):
    where, cells = f"{path} line {number}", line.split("\t")
    if len(cells) < 6:
      raise ValueError(
        f"{where} has {len(cells)} columns; it has six or more ({_LINE}),"
        " separated by tabs"
      )
    _, _, said, asked, *texts = cells
    yield (
      where,
      {
        question: asked,
        candidate: texts,
        task.label: _relevance(said, len(texts), where),
      },
    )


def _relevance(said: str, count: int, where: str) -> list[float]:
  """Returns how relevant each candidate is, from the third column of a line."""
  parts = said.split(",")
  if len(parts) == 1 and said.strip().isdecimal() and int(said) < count:
    return [float(place == int(said)) for place in range(count)]
  try:
    if len(parts) != count:
      raise ValueError
    return [float(part) for part in parts]
  except ValueError:
    raise ValueError(
      f"{where}: {shown(said)} does not say which of {count} candidates is"
      f" right; it is the place of the right one, 0 to {count - 1}, or a number"
      " for each with commas between"
    ) from None
