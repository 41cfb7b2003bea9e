"""Reads questions that a part of a context answers: SQuAD's JSON, or rows.

A row has a question, a context and its answer: the text, and in the column
LABEL_start where in the context it begins; or, as data sets of the hub have it,
{"text": ["Ann"], "answer_start": [4]}, or a list of {"text": "Ann",
"answer_start": 4}. No answer is an empty text or list.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from bam_jax.data.sources import formats, lines, rows, splits
from bam_jax.data.sources.dev_share import side
from bam_jax.data.sources.examples import Examples, check
from bam_jax.runtime.spelling import hint, shown
from bam_jax.tasks.spans import ANSWER, LABELS, NONE
from bam_jax.tasks.table import Task

# How SQuAD names what a row has.
_START, _TEXT, _NO = "answer_start", "text", "is_impossible"


@dataclasses.dataclass(frozen=True)
class Question:
  """One row.

  Attributes:
    question: what is asked.
    context: where the answer stands.
    answers: its text, and where it begins; () = there is none.
    about: what it is about, for a hold-out; "" = its context.
    place: where it stands, for messages.
  """

  question: str
  context: str
  answers: tuple[tuple[str, int], ...]
  about: str
  place: str


def read(task: Task, split: str) -> Examples:
  """Reads a split of an own task that asks questions about contexts.

  Args:
    task: with `own`.
    split: one of `task.splits`; without a dev file, train and validation are
      the two parts of the train file.

  Raises:
    ValueError: a row is none; file, line or question, and why.
    OSError: a file is missing or the hub cannot be reached.
  """
  found, origin = questions(task, split)
  for each in found:
    if not each.answers and NONE not in task.labels:
      raise ValueError(
        f"{each.place} has no answer, and of the training questions of"
        f" {task.name} each has one: take it out, or train on such questions"
      )
  several = len({each.about for each in found}) > 1
  examples = Examples(
    task.name,
    split,
    ([each.question for each in found], [each.context for each in found]),
    np.array([not each.answers for each in found], np.float32),
    origin,
    groups=[each.about if several else each.context for each in found],
    answers=[list(each.answers) for each in found],
  )
  check(examples)
  # Questions about one text stay together.
  return side(task, examples, split, groups=examples.groups)


def labels(task: Task) -> tuple[str, ...]:
  """Returns what the training questions may have: answers alone, or none too.

  () = what the tasks file says is whole.

  Raises:
    ValueError: a row is none, or no question has an answer.
    OSError: a file is missing or the hub cannot be reached.
  """
  if task.labels:
    if task.labels not in ((ANSWER,), LABELS):
      raise ValueError(
        f"{task.own.file}: labels of {task.name} are"
        f" {shown(list(task.labels))}; they are {shown([ANSWER])} where each"
        f" question has an answer, else {shown(list(LABELS))}: leave them out,"
        " the training questions say it"
      )
    return ()
  found, origin = questions(task, task.train)
  if not any(each.answers for each in found):
    raise ValueError(
      f"no question of {origin} has an answer, so {task.name} has nothing to"
      " learn"
    )
  if not all(each.answers for each in found):
    return LABELS
  if "no_answer" in task.metrics:
    raise ValueError(
      f"{task.own.file}: metric of {task.name} has no_answer, but each question"
      f" of {origin} has one; leave it out"
    )
  return (ANSWER,)


def questions(task: Task, split: str) -> tuple[list[Question], str]:
  """Returns the rows of a split's files, and where they are from.

  Raises:
    ValueError: there are none, or one is not as it has to be.
    OSError: a file is missing or the hub cannot be reached.
  """
  paths = splits.files(task, split)
  found = [each for path in paths for each in _questions(task, path)]
  more = f" and {len(paths) - 1} more" if paths[1:] else ""
  origin = f"{paths[0]}{more}"
  if not found:
    raise ValueError(f"{origin} holds no questions")
  for each in found:
    _check(each)
  return found, origin


def _questions(task: Task, path: Path) -> Iterator[Question]:
  own = task.own
  if own.format in FORMATS:
    return FORMATS[own.format](path, own.dialect.encoding)
  return _rows(task, path)


def _check(each: Question) -> None:
  """Refuses what cannot be asked, and an answer that is not in its context."""
  for name in ("question", "context"):
    if not getattr(each, name).strip():
      raise ValueError(f"{each.place} has an empty {name}; take it out")
    try:
      getattr(each, name).encode()
    except UnicodeEncodeError:
      raise ValueError(
        f"{each.place}: its {name} holds half a character, which no text has"
      ) from None
  for text, start in each.answers:
    end = start + len(text)
    there = each.context[max(start, 0) : max(end, 0)]
    if not text.strip():
      raise ValueError(
        f"{each.place} has an empty answer among others; a question without an"
        " answer has none at all"
      )
    if start < 0 or there != text:
      at = each.context.find(text)
      cure = (
        f"; it begins at {at}"
        if at >= 0
        else "; it is nowhere in the context, whose letters it has to have"
      )
      raise ValueError(
        f"{each.place}: the answer {shown(text)} is not at letter {start} of"
        f" its context, where {shown(there)} stands{cure}"
      )


def squad(path: Path, encoding: str = "") -> Iterator[Question]:
  """Yields the questions of a file of SQuAD, version 1.1 or 2.

  Args:
    path: of JSON, plain or gzipped (`.gz`).
    encoding: of it; "" = UTF-8.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is no JSON, or not SQuAD's.
  """
  if not path.is_file():
    raise FileNotFoundError(f"there is no file {path}")
  with rows.opened(path, encoding) as file:
    text = "".join(lines.blocks(file, str(path)))
  try:
    whole = json.loads(text)
  except (ValueError, RecursionError) as error:
    at = text.count("\n", 0, getattr(error, "pos", 0)) + 1
    raise ValueError(
      f"{path} line {at} is not JSON: {formats.wrong(error)}"
    ) from error
  if not isinstance(whole, dict) or not isinstance(whole.get("data"), list):
    raise ValueError(
      f"{path} is not SQuAD's JSON, which is"
      ' {"version": ..., "data": [...]}; rows of question, context and answer'
      " are read without format = 'squad'"
    )
  version = str(whole.get("version", ""))
  for number, article in enumerate(whole["data"]):
    place = f"{path} data[{number}]"
    about = str(_of(article, dict, place).get("title") or f"{path} {number}")
    paragraphs = _entry(article, "paragraphs", list, place)
    for part, paragraph in enumerate(paragraphs):
      inside = f"{place}.paragraphs[{part}]"
      context = _entry(paragraph, "context", str, inside)
      for row, each in enumerate(_entry(paragraph, "qas", list, inside)):
        where = f"{inside}.qas[{row}]"
        question = _entry(each, "question", str, where)
        where += f" ({shown(question)})"
        answers = _entry(each, "answers", list, where)
        found = tuple(_answer(one, where) for one in answers)
        _say_none(found, each.get(_NO, False), version, where)
        yield Question(question, context, found, about, where)


def _say_none(
  found: Sequence, impossible: Any, version: str, where: str
) -> None:
  """Refuses a question of which two things are said."""
  if type(impossible) is not bool:
    raise ValueError(
      f"{where}: {_NO} is {shown(impossible)}, not true or false"
    )
  if found and impossible:
    raise ValueError(
      f"{where} has an answer, and {_NO} says that there is none"
    )
  if not found and version.lstrip("v").startswith("1"):
    raise ValueError(
      f"{where} has no answer, and the file says that it is version {version},"
      ' in which each has one; files with such questions say "version": "v2.0"'
    )
  if not found and not impossible:
    raise ValueError(
      f"{where} has no answer; if there is none in the context, say"
      f' "{_NO}": true'
    )


def _of(value: Any, kind: type, place: str) -> Any:
  names = {dict: "an object", list: "a list", str: "a text"}
  if not isinstance(value, kind):
    raise ValueError(f"{place} is {shown(value)}, not {names[kind]}")
  return value


def _entry(record: Any, name: str, kind: type, place: str) -> Any:
  """Returns an entry of an object of SQuAD's JSON."""
  if name not in _of(record, dict, place):
    raise ValueError(
      f"{place} has no {name!r}, only {shown(list(record))}{hint(name, record)}"
    )
  return _of(record[name], kind, f"{place}.{name}")


def _answer(value: Any, where: str) -> tuple[str, int]:
  """Returns text and start of an answer, {"text": ..., "answer_start": ...}."""
  good = isinstance(value, Mapping) and isinstance(value.get(_TEXT), str)
  if good and type(value.get(_START)) is int:
    return value[_TEXT], value[_START]
  raise ValueError(
    f'{where}: {shown(value)} is no answer; it is {{"{_TEXT}": "Ann",'
    f' "{_START}": 4}}, letters counted from 0'
  )


# What a file is that no suffix says.
FORMATS: Mapping[str, Callable[[Path, str], Iterator[Question]]] = {
  "squad": squad
}


def _rows(task: Task, path: Path) -> Iterator[Question]:
  """Yields the rows of a file of rows."""
  names, start = task.text, f"{task.label}_start"
  optional = [task.label, start]
  for where, record in rows.read(
    path, names, optional=optional, dialect=task.own.dialect
  ):
    for name in names:
      if not isinstance(record[name], str):
        raise ValueError(
          f"{where}, column {name!r}: {shown(record[name])} is not text"
        )
    if task.label not in record:
      raise ValueError(
        f"{where} has no column {task.label!r}, only {shown(list(record))}"
        f"{hint(task.label, record)}"
      )
    place = f"{where}, column {task.label!r}"
    answers = _answers(record[task.label], record.get(start), start, place)
    yield Question(*(record[name] for name in names), answers, "", where)


def _answers(
  value: Any, start: Any, column: str, place: str
) -> tuple[tuple[str, int], ...]:
  """Returns the answers that a cell has, and where they begin."""
  if isinstance(value, str) and value.startswith(("[{", "{", "[]")):
    # CSV has lists and objects as JSON text; an answer may begin so, too.
    with contextlib.suppress(ValueError, RecursionError):
      value = json.loads(value)
  if value is None or (isinstance(value, str) and not value):
    return ()
  if isinstance(value, str):
    if isinstance(start, str) and start.isascii() and start.isdigit():
      start = int(start)
    if type(start) is not int:
      raise ValueError(
        f"{place}: {shown(value)} begins at {shown(start)}; a column {column!r}"
        " says at which letter of the context it begins, counted from 0"
      )
    return ((value, start),)
  if isinstance(value, Mapping) and {_TEXT, _START} <= value.keys():
    texts, starts = value[_TEXT], value[_START]
    lists = all(isinstance(x, (list, tuple)) for x in (texts, starts))
    if lists and len(texts) == len(starts):
      pairs = zip(texts, starts, strict=True)
      value = [{_TEXT: text, _START: at} for text, at in pairs]
    elif not lists:
      value = [value]
  if not isinstance(value, (list, tuple)):
    raise ValueError(
      f"{place}: {shown(value)} is no answer; it is a text, with its place in"
      f' the column {column!r}, or {{"{_TEXT}": ["Ann"], "{_START}": [4]}}'
    )
  return tuple(_answer(each, place) for each in value)
