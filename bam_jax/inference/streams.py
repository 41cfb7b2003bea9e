"""Examples from TSV, CSV and JSONL, answers to them, a line at a time.

Nothing is held but the line at hand: input has no end as far as this is
concerned.
"""

from collections.abc import Iterable, Iterator, Sequence
import csv
import json
import reprlib
from typing import BinaryIO, TextIO

from bam_jax.tasks.answers import Answer
from bam_jax.tasks.description import Head

FORMATS = ("jsonl", "tsv", "csv")
# Bytes of a line; a file without line ends would fill the memory.
LONGEST = 2**20


class BadLine(ValueError):
  """A line of the input is no example."""


def lines_of(file: BinaryIO) -> Iterator[bytes]:
  """Yields lines; one that is too long comes in part, and is refused below."""
  while line := file.readline(LONGEST + 1):
    yield line


class Reader:
  """Yields the texts of one example after the other.

  Columns are found by name where the first line names them (JSON objects: in
  each line), else by position.

  Attributes:
    format: one of `FORMATS`.
    columns: texts of an example; known when the first has been read.
  """

  def __init__(
    self,
    lines: Iterable[bytes],
    *,
    name: str,
    format: str,
    layouts: Sequence[tuple[str, ...]],
  ):
    """Reads the first line, if there is one, to know what is to come.

    Args:
      lines: with their ends.
      name: of the file, for messages.
      format: one of `FORMATS`; "" = guessed from the first line.
      layouts: the names of the text columns of each task that is asked.

    Raises:
      BadLine: the first line is not UTF-8, empty or too long.
    """
    self._name, self._number = name, 0
    # The longer first: its names may hold the shorter's.
    self._layouts = sorted(set(layouts), key=lambda x: (-len(x), x))
    self._where: tuple[int | str, ...] | None = None
    self._lines = self._decode(lines)
    self._first = next(self._lines, None)
    self.format = format or self._guess(self._first or "")
    self.columns = 0

  def __iter__(self) -> Iterator[tuple[str, ...]]:
    if self._first is None:
      return
    rows = {"jsonl": self._objects, "tsv": self._tabs, "csv": self._commas}
    for cells in rows[self.format]():
      if self._where is None and not self._settle(cells):
        continue
      yield self._pick(cells)

  def _decode(self, lines: Iterable[bytes]) -> Iterator[str]:
    """Yields text without its line end."""
    for line in lines:
      self._number += 1
      if len(line) > LONGEST:
        raise self._bad(f"is longer than {LONGEST} bytes; cut its texts")
      try:
        text = line.decode("utf-8-sig" if self._number == 1 else "utf-8")
      except UnicodeDecodeError as error:
        raise self._bad(
          f"is not UTF-8 ({error.reason} at byte {error.start}); convert it"
        ) from error
      yield text.removesuffix("\n").removesuffix("\r")

  def _bad(self, what: str) -> BadLine:
    return BadLine(f"line {self._number} of {self._name} {what}")

  @property
  def _expected(self) -> str:
    """What a line has to hold."""
    each = " or ".join(
      f"{len(layout)} ({', '.join(layout)})" for layout in self._layouts
    )
    return f"expected are columns of text: {each}"

  def _guess(self, line: str) -> str:
    """Returns the format that a first line looks like."""
    if line.lstrip()[:1] in ("{", "["):
      try:
        json.loads(line)
        return "jsonl"
      except (ValueError, RecursionError):
        pass
    if "\t" in line:
      return "tsv"
    cells = next(csv.reader([line]), [])
    named = len(cells) > 1 and any(set(x) <= set(cells) for x in self._layouts)
    # A lone sentence may well hold a comma.
    pairs = all(len(layout) == len(cells) == 2 for layout in self._layouts)
    return "csv" if named or pairs else "tsv"

  def _rest(self) -> Iterator[str]:
    yield self._first
    yield from self._lines

  def _full(self) -> Iterator[str]:
    for line in self._rest():
      if not line.strip(" "):
        raise self._bad(f"is empty; {self._expected}")
      yield line

  def _tabs(self) -> Iterator[list[str]]:
    return (line.split("\t") for line in self._full())

  def _commas(self) -> Iterator[list[str]]:
    rows = csv.reader((f"{line}\n" for line in self._rest()), strict=True)
    while True:
      try:
        cells = next(rows, None)
      except csv.Error as error:
        raise self._bad(f"is not CSV ({error}); {self._expected}") from error
      if cells is None:
        return
      if not cells:
        raise self._bad(f"is empty; {self._expected}")
      yield cells

  def _objects(self) -> Iterator[dict | list]:
    for line in self._full():
      try:
        found = json.loads(line)
      except (ValueError, RecursionError) as error:
        raise self._bad(f"is not JSON ({error}); {self._expected}") from error
      if not isinstance(found, (dict, list)):
        raise self._bad(f"is no JSON object or list; {self._expected}")
      yield found

  def _settle(self, cells: list | dict) -> bool:
    """Decides which cells are meant; returns whether these are an example."""
    for layout in self._layouts:
      if all(name in cells for name in layout):
        header = isinstance(cells, list)
        self._where = tuple(map(cells.index, layout)) if header else layout
        self._given, self.columns = len(cells), len(layout)
        self._layouts = [layout]
        # A JSON list of these very words is a header too.
        return not header
    fitting = [x for x in self._layouts if len(x) == len(cells)]
    if isinstance(cells, dict) or not fitting:
      raise self._bad(f"has {_what(cells)}; {self._expected}")
    self._where = tuple(range(len(cells)))
    self._given = self.columns = len(cells)
    self._layouts = fitting
    return True

  def _pick(self, cells: list | dict) -> tuple[str, ...]:
    by_name = isinstance(self._where[0], str)
    if isinstance(cells, dict) is not by_name or (
      any(name not in cells for name in self._where)
      if by_name
      else len(cells) != self._given
    ):
      raise self._bad(
        f"has {_what(cells)}, the first line has other ones; {self._expected}"
      )
    texts = tuple(cells[key] for key in self._where)
    for text in texts:
      if not isinstance(text, str):
        raise self._bad(f"has {reprlib.repr(text)} where a text is expected")
      try:
        text.encode()
      except UnicodeEncodeError as error:
        raise self._bad(
          f"holds half a character ({error.reason}) in {reprlib.repr(text)}"
        ) from error
    return texts


def _what(cells: list | dict) -> str:
  """Returns what a line has, for messages."""
  if isinstance(cells, dict):
    return f"keys {reprlib.repr(sorted(cells))}"
  return f"{len(cells)} column{'s' * (len(cells) != 1)}"


class Writer:
  """Writes answers, one line for each example."""

  def __init__(
    self, file: TextIO, *, format: str, heads: Sequence[Head], alone: bool
  ):
    """Writes the header, where the format has one.

    Args:
      file: where to.
      format: one of `FORMATS`.
      heads: that answer.
      alone: one task was asked, so JSON need not name it.
    """
    self._file, self._heads, self._alone = file, heads, alone
    self._rows = None
    if format != "jsonl":
      # No label holds a tab or a quote; if one does, both say so by quoting.
      self._rows = csv.writer(
        file,
        delimiter="\t" if format == "tsv" else ",",
        lineterminator="\n",
      )
      self._rows.writerow(
        cell
        for head in heads
        for cell in (head.name, *(f"{head.name}:{x}" for x in head.labels))
      )

  def write(self, answers: Sequence[Answer]) -> None:
    """Writes the answers to one example, one from each head."""
    pairs = list(zip(self._heads, answers, strict=True))
    if self._rows is None:
      found = {head.name: answer.record() for head, answer in pairs}
      line = found[self._heads[0].name] if self._alone else found
      self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
      return
    self._rows.writerow(
      cell
      for head, answer in pairs
      for cell in (
        answer.label if head.labels else answer.value,
        *(answer.probabilities[label] for label in head.labels),
      )
    )
