"""Reads CoNLL files: a word and its tag a line, an empty line after a sentence.

The word is the first column and the tag the last; columns are set apart by tabs
or, where a line has none, by blanks. Lines that open a document (-DOCSTART-)
and remarks such as "# sent_id = 3" are no words.
"""

from collections.abc import Iterator
from pathlib import Path
import re

from bam_jax.data.sources import lines, rows
from bam_jax.data.sources.sentence import Sentence
from bam_jax.runtime.spelling import shown

_DOCUMENT = "-DOCSTART-"
_REMARK = re.compile(r"# *\w[\w.:-]* *=|# *newdoc|# *newpar")


def read(path: Path, encoding: str = "") -> Iterator[Sentence]:
  """Yields the sentences of a file.

  Args:
    path: of text, plain or gzipped (`.gz`).
    encoding: of it; "" = UTF-8.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: a line has no tag, or another number of columns than the first;
      names file and line.
  """
  if not path.is_file():
    raise FileNotFoundError(f"there is no file {path}")
  words, tags, numbers, width = [], [], [], 0
  with rows.opened(path, encoding) as file:
    for number, line in lines.lines(file, str(path)):
      line = line.rstrip("\r\n")
      cells = line.split("\t") if "\t" in line else line.split()
      if not line.strip() or cells[0] == _DOCUMENT:
        if words:
          yield _sentence(path, words, tags, numbers)
        words, tags, numbers = [], [], []
        continue
      if not words and _REMARK.match(line):
        continue
      where = f"{path} line {number}"
      if len(cells) < 2:
        raise ValueError(
          f"{where} is {shown(line)}, without a tag; a line is WORD TAB TAG,"
          " and an empty one ends a sentence"
        )
      width = width or len(cells)
      if len(cells) != width:
        raise ValueError(
          f"{where} has {len(cells)} columns, lines before it {width}: "
          f"{shown(line)}"
        )
      word, tag = cells[0], cells[-1].strip()
      if not word.strip() or not tag:
        lacks = "word" if tag else "tag"
        raise ValueError(f"{where} has an empty {lacks}: {shown(line)}")
      words.append(word)
      tags.append(tag)
      numbers.append(number)
  if words:
    yield _sentence(path, words, tags, numbers)


def _sentence(path, words, tags, numbers) -> Sentence:
  places = [f"{path} line {number}" for number in numbers]
  return Sentence.of_words(words, tags, places)
