r"""The files of answers that the course CS224N takes, and its rules for them.

One file a task and split, in the words of the course's own code: a header, "id
\t Predicted_Sentiment ", and "id , answer " of every row.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
import re

import numpy as np

from bam_jax.runtime.files import beside
from bam_jax.runtime.spelling import shown
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.submission import answers_of
from bam_jax.tasks.table import Task

# No sign, no exponent: nothing a reader might take otherwise.
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


def header(task: Task) -> str:
  """Returns the first line of a task's files, blanks and all."""
  return f"id \t {task.course.heading} "


def write(
  path: Path, task: Task, logits: np.ndarray, ids: Sequence[str]
) -> None:
  """Writes the answers of one split, or nothing.

  Args:
    path: of the file.
    task: with `course`.
    logits: f[N, C] of its rows, as `submission.answers_of` reads them.
    ids: of the rows.

  Raises:
    ValueError: logits that do not fit, or not one answer per row.
  """
  if len(logits) != len(ids):
    raise ValueError(
      f"{len(logits)} predictions for the {len(ids)} rows of {path.name};"
      " predict the whole split again"
    )
  words = dict(zip(task.labels, task.course.labels, strict=True))
  said = answers_of(task, logits)
  lines = [
    f"{name} , {KINDS[task.kind].written(words, each)} \n"
    for name, each in zip(ids, said, strict=True)
  ]
  path.parent.mkdir(parents=True, exist_ok=True)
  with beside(path) as part:
    text = f"{header(task)}\n{''.join(lines)}"
    part.write_text(text, encoding="utf-8", newline="\n")


def check(path: Path, task: Task, ids: Sequence[str]) -> list[str]:
  """Returns a sentence for every way in which a file is none of the course's.

  Args:
    path: of the file.
    task: with `course`.
    ids: of the rows that are to be answered.
  """
  return [f"{path}{said}" for said in _check(path, task, ids)]


def _check(path: Path, task: Task, ids: Sequence[str]) -> Iterator[str]:
  if not path.is_file():
    yield " is missing; write it: --config.stage=predict"
    return
  first, *lines = path.read_text("utf-8").removesuffix("\n").split("\n")
  if first != header(task):
    yield f" line 1: the header is {shown(first)}, not {shown(header(task))}"
  found: dict[str, str] = {}
  bad: dict[str, list[str]] = {"columns": [], "id": [], "answer": []}
  for number, line in enumerate(lines, 2):
    name, comma, answer = line.partition(" , ")
    name, answer = name.strip(), answer.strip()
    if not comma:
      bad["columns"].append(f" line {number} is no ID , ANSWER: {shown(line)}")
      continue
    if name in found:
      bad["id"].append(f" line {number}: the id {shown(name)} is there twice")
    found[name] = answer
    if wrong := _answer(task, answer):
      bad["answer"].append(f" line {number}: {wrong}")
  # One row tells what is wrong with the thousands after it.
  for one, *others in filter(None, bad.values()):
    yield one + (f" (and {len(others)} rows more)" if others else "")
  lacking = [name for name in ids if name not in found]
  foreign = found.keys() - {*ids}
  for which, said in ((lacking, "lacks"), (sorted(foreign), "has unknown")):
    if which:
      yield f" {said} ids, {len(which)} in all: {shown(which[0])}"


def _answer(task: Task, answer: str) -> str:
  """Says what is wrong with an answer; "" if nothing is."""
  if task.labels:
    if answer in task.course.labels:
      return ""
    return (
      f"the answer is {shown(answer)}; {task.name} has"
      f" {', '.join(task.course.labels)}"
    )
  low, high = task.range
  if _NUMBER.fullmatch(answer) and low <= float(answer) <= high:
    return ""
  return (
    f"the answer is {shown(answer)}; {task.name} has plain numbers from"
    f" {low:g} to {high:g}, such as 2.500"
  )
