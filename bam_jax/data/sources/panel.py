"""What the judges of an own task say of its rows, each and all together."""

from collections.abc import Sequence
import itertools
import json
import os.path
from pathlib import Path
from typing import Any

import numpy as np

from bam_jax.data.sources import soft as soft_files
from bam_jax.data.sources.rows import Row
from bam_jax.runtime import notices
from bam_jax.runtime.spelling import shown
from bam_jax.tasks import metrics
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.panel import Judge
from bam_jax.tasks.table import Task

# Whatever the kind of a number, the correlation of fewer says nothing.
_FEWEST = 3


def by_columns(
  task: Task, found: Sequence[Row], asked: np.ndarray
) -> np.ndarray:
  """Returns what columns of rows say, f32[K, N, C]; NaN = nothing.

  Args:
    task: with `own`; of judges that have a file nothing is said.
    found: the rows, N.
    asked: bool[N], those that are read; others need not be right.

  Raises:
    ValueError: a row is not what a judge may say; file, line, columns.
  """
  said = np.full(
    (len(task.own.judges), len(found), task.classes), np.nan, np.float32
  )
  for k, judge in enumerate(task.own.judges):
    for i in np.flatnonzero(asked) if judge.columns else ():
      if (answer := _answer(task, judge, *found[i])) is not None:
        said[k, i] = answer
  return said


def by_files(task: Task, said: np.ndarray, at: np.ndarray, count: int) -> None:
  """Puts what the judges' files say of rows of train into f32[K, N, C].

  Args:
    task: with `own`.
    said: from `by_columns`; changed.
    at: i64[N], the numbers of the rows in all files of train.
    count: rows of these.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: a row of it is not as it has to be.
  """
  for k, judge in enumerate(task.own.judges):
    if judge.file:
      file = Path(task.own.folder) / os.path.expanduser(judge.file)
      said[k] = soft_files.read(
        file, task=task, count=count, partial=judge.partial
      )[at]


def together(
  task: Task, said: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
  """Returns all judges' answers as one, f32[N, C], and how far they agree.

  Args:
    task: with `own`.
    said: f32[K, N, C], logits of each judge, NaN where it says nothing.

  Returns:
    Their mean by weight, NaN where nobody says anything; and of several judges
    the share of the larger side, f32[N], if the kind has votes.
  """
  if len(said) == 1:
    return said[0], None
  kind = KINDS[task.kind]
  there = ~np.isnan(said).any(-1)
  weights = there * np.array([[j.weight] for j in task.own.judges], np.float64)
  mean = kind.mean(said, None, weights)
  return mean, kind.agreed and kind.agreed(said).astype(np.float32)


def tell(
  task: Task, origin: str, said: np.ndarray, labels: np.ndarray, of: np.ndarray
) -> None:
  """Says how right each judge is where there is gold, and how far two agree.

  Args:
    task: with `own`.
    origin: where the rows are from.
    said: f32[K, N, C].
    labels: of the rows, NaN where there is none.
    of: bool[N], those that are trained on.
  """
  gold = ~np.isnan(labels.reshape(len(labels), -1)).any(1)
  there, names = ~np.isnan(said).any(-1), [j.name for j in task.own.judges]
  called = [f"judge {name}" if name else "the soft labels" for name in names]
  for k, name in enumerate(called):
    mine = there[k] & of & gold
    head = f"{task.name}: {name}"
    if names[k]:
      head += f" has judged {(there[k] & of).sum()} of {of.sum()} rows of"
      head += f" {origin}"
    if mine.sum() >= _FEWEST:
      score = metrics.scores(task, said[k][mine], labels[mine])[task.headline]
      head += f"; {task.headline}" if names[k] else f" have {task.headline}"
      notices.once(f"{head} {score:.1f} on {mine.sum()} rows with a label")
    elif names[k]:
      notices.once(head)
  agreed = KINDS[task.kind].agreed
  for a, b in itertools.combinations(range(len(names) if agreed else 0), 2):
    both = there[a] & there[b] & of
    if both.sum() >= _FEWEST:
      share = (agreed(said[[a, b]][:, both]) == 1).mean()
      notices.once(
        f"{task.name}: judges {names[a]} and {names[b]} agree on {share:.1%} of"
        f" the {both.sum()} rows that both have judged"
      )


def _answer(
  task: Task, judge: Judge, where: str, record: dict[str, Any]
) -> list[float] | None:
  """Returns the logits that the columns of a row mean; None = it says none."""
  where += f", {'columns' if len(judge.columns) > 1 else 'column'} "
  where += ", ".join(map(repr, judge.columns))
  given = [record.get(name) for name in judge.columns]
  # A text of a table may be there for another task.
  partial = judge.partial or task.own.table
  if partial and any(map(_missing, given)):
    if all(map(_missing, given)):
      return None
    raise ValueError(
      f"{where}: {shown(given)} is not whole; where a judge says nothing of a"
      " row, leave all of its columns empty"
    )
  values = [_parsed(value, where) for value in given]
  kind = "probs" if task.labels else "value"
  value = values[0] if len(values) == 1 else values
  return soft_files.soft_label({kind: value}, task, where)


def _missing(value: Any) -> bool:
  if isinstance(value, str):
    return value.strip().lower() in ("", "nan", "null")
  return value is None or (isinstance(value, float) and value != value)


def _parsed(value: Any, where: str) -> Any:
  """A number, list or object, which CSV can only have as JSON text."""
  if not isinstance(value, str):
    return value
  try:
    return json.loads(value)
  except (ValueError, RecursionError):
    raise ValueError(
      f"{where}: {shown(value)} is neither a number nor JSON"
    ) from None
