"""Reads own tasks whose words are labelled: CoNLL files, or rows with lists.

A row has a list of words and one of tags, or a text and a list of parts of it,
each {"start": 4, "end": 9, "label": "LOC"} or [4, 9, "LOC"], as tools write
them. Tags may be in any scheme (tags.py); inside they are IOB2.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging
import numpy as np

from bam_jax.data.sources import conll, formats, rows, splits
from bam_jax.data.sources.dev_share import side
from bam_jax.data.sources.examples import Examples, check
from bam_jax.data.sources.sentence import Sentence, split
from bam_jax.runtime.spelling import hint, shown
from bam_jax.tasks import tags as schemes
from bam_jax.tasks.table import Task

# What a file is that no suffix says.
FORMATS: Mapping[str, Callable[[Path, str], Iterator[Sentence]]] = {
  "conll": conll.read
}


def read(task: Task, split: str) -> Examples:
  """Reads a split of an own task whose words are labelled.

  Args:
    task: with `own`.
    split: one of `task.splits`; without a dev file, train and validation are
      the two parts of the train file.

  Raises:
    ValueError: a tag that no scheme allows or the task has not, or a row that
      is none; file, line, word.
    OSError: a file is missing or the hub cannot be reached.
  """
  found, origin = sentences(task, split)
  numbers = {label: float(i) for i, label in enumerate(task.labels)}
  labels = []
  for each, tags in zip(found, _iob2(found), strict=True):
    for place, tag in enumerate(tags):
      if tag not in numbers:
        raise ValueError(
          f"{each.places[place]}: {task.name} has no tag {shown(tag)}"
          f"{hint(tag, task.labels)}; its tags are {shown(list(task.labels))}"
        )
      labels.append(numbers[tag])
  examples = Examples(
    task.name,
    split,
    ([each.text for each in found],),
    np.array(labels, np.float32),
    origin,
    words=[each.words for each in found],
  )
  check(examples)
  return side(task, examples, split)


def labels(task: Task) -> tuple[str, ...]:
  """Returns the labels of a task whose tasks file names none, or types alone.

  They are those of the training files; () = what the tasks file says is whole.

  Raises:
    ValueError: a row is none, or a type is not among those that are given.
    OSError: a file is missing or the hub cannot be reached.
  """
  given = task.labels
  if given and any(schemes.parts(label)[0] for label in given):
    if given[0] != schemes.OUTSIDE:
      raise ValueError(
        f"{task.own.file}: labels of {task.name} begin with {shown(given[0])};"
        " O comes first, or give the types alone, such as"
        f" {schemes.parts(given[0])[1]}"
      )
    return ()
  found, origin = sentences(task, task.train)
  there = schemes.vocabulary(tag for tags in _iob2(found) for tag in tags)
  if len(there) < 2:
    raise ValueError(
      f"{origin} has the tag {shown(there[0])} alone, so there is nothing to"
      f" tell apart; is it the file of {task.name}, its last column the tag?"
    )
  if not given:
    return there
  marked = any(schemes.parts(tag)[0] for tag in there)
  if not marked:
    return ()
  return schemes.vocabulary([f"B-{kind}" for kind in given])


def sentences(task: Task, split: str) -> tuple[list[Sentence], str]:
  """Returns the rows of a split's files as they are, and where they are from.

  Raises:
    ValueError: there are none, or one is no row of words and tags.
    OSError: a file is missing or the hub cannot be reached.
  """
  paths = splits.files(task, split)
  found = [each for path in paths for each in _sentences(task, path)]
  more = f" and {len(paths) - 1} more" if paths[1:] else ""
  origin = f"{paths[0]}{more}"
  if not found:
    raise ValueError(f"{origin} holds no rows")
  return found, origin


def _sentences(task: Task, path: Path) -> Iterator[Sentence]:
  own = task.own
  if own.format in FORMATS:
    return FORMATS[own.format](path, own.dialect.encoding)
  return _rows(task, path)


def _iob2(found: Sequence[Sentence]) -> list[list[str]]:
  """Returns all tags in IOB2.

  Raises:
    ValueError: the scheme of the file does not allow a tag.
  """
  scheme, made = schemes.scheme_of(each.tags for each in found), []
  for each in found:
    try:
      made.append(schemes.iob2(each.tags, scheme))
    except schemes.BrokenTags as error:
      raise ValueError(
        f"{each.places[error.place]}: the tag {shown(each.tags[error.place])}"
        f" {error}; the file is read as {scheme}, in which it is wrong: correct"
        " it there"
      ) from None
  return made


def _rows(task: Task, path: Path) -> Iterator[Sentence]:
  """Yields the rows of a file of objects."""
  (column,) = task.text
  names = [column, task.label]
  # Not as columns that it must have: a row of lists alone is none of a table.
  for where, record in rows.read(
    path, [], optional=names, dialect=task.own.dialect
  ):
    for name in names:
      if name not in record:
        raise ValueError(
          f"{where} has no column {name!r}, only {shown(list(record))}"
          f"{hint(name, record)}"
        )
    text, said = (
      formats.as_list(record[name]) for name in (column, task.label)
    )
    place = f"{where}, column {task.label!r}"
    if not isinstance(said, list):
      raise ValueError(
        f"{place}: {shown(said)} is no list; a row has a list of words and one"
        " of tags, or a text and a list of [start, end, label]"
      )
    if isinstance(text, str):
      yield _parts(text, said, place)
      continue
    if not isinstance(text, list) or not all(
      isinstance(word, str) and word.strip() for word in text
    ):
      raise ValueError(
        f"{where}, column {column!r}: {shown(text)} is neither a text nor a"
        " list of words"
      )
    if len(said) != len(text):
      raise ValueError(
        f"{place}: {len(said)} tags for {len(text)} words; each word has one"
      )
    tags = [_tag(task, tag, place) for tag in said]
    places = [f"{place}, word {n}" for n in range(1, len(text) + 1)]
    yield Sentence.of_words(text, tags, places)


def _tag(task: Task, value: Any, place: str) -> str:
  """A tag by its name, or by its place among the labels that are given."""
  if isinstance(value, str) and value:
    return value
  if type(value) is int and 0 <= value < len(task.labels):
    return task.labels[value]
  raise ValueError(
    f"{place}: {shown(value)} is no tag; tags are names, or numbers where"
    f' labels of {task.name} has their names in order, such as ["O", "B-LOC",'
    ' "I-LOC"]'
  )


def _parts(text: str, said: Sequence[Any], place: str) -> Sentence:
  """Returns a text with parts of it as words with tags in IOB2."""
  words = split(text)
  tags = [schemes.OUTSIDE] * len(words)
  for start, end, label in sorted(_part(each, text, place) for each in said):
    mine = np.flatnonzero((words[:, 0] < end) & (words[:, 1] > start))
    if not len(mine) or any(tags[i] != schemes.OUTSIDE for i in mine):
      why = "overlaps another" if len(mine) else "has no word in it"
      raise ValueError(
        f"{place}: {shown([start, end, label])} {why}; a word is in one part"
      )
    if (start, end) != (words[mine[0], 0], words[mine[-1], 1]):
      logging.warning(
        "%s: %s begins or ends inside a word, which counts as whole",
        place,
        shown([start, end, label]),
      )
    for i in mine:
      tags[i] = f"{'I' if i > mine[0] else 'B'}-{label}"
  return Sentence(text, words, tags, [place] * len(words))


def _part(value: Any, text: str, place: str) -> tuple[int, int, str]:
  """Returns start, end and label of a part of a text."""
  if isinstance(value, Mapping):
    label = value.get("label", value.get("labels"))
    value = [value.get("start"), value.get("end"), label]
  if isinstance(value, list) and len(value) == 3:
    start, end, label = value
    if isinstance(label, list) and len(label) == 1:
      label = label[0]
    whole = type(start) is int and type(end) is int
    if whole and isinstance(label, str) and 0 <= start < end <= len(text):
      return start, end, label
  raise ValueError(
    f"{place}: {shown(value)} is no part of its {len(text)} letters; it is"
    ' {"start": 4, "end": 9, "label": "LOC"} or [4, 9, "LOC"]'
  )
