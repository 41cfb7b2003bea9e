"""Examples from any file that training reads, or from a pipe, and answers.

One reader serves both, so a file says the same to train on and to answer.
Nothing is held but the row at hand: input has no end as far as this is
concerned.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
import contextlib
import csv
import io
import itertools
import json
from pathlib import Path
import re
from typing import Any, TextIO

from bam_jax.data.sources import candidates, formats, lines, parquet, rows
from bam_jax.runtime.spelling import hint, shown
from bam_jax.tasks.answers import Answer
from bam_jax.tasks.description import Head
from bam_jax.tasks.kinds import KINDS

# What answers are written in.
FORMATS = ("jsonl", "tsv", "csv")
# Lines of one text each, which TSV and CSV read alike.
_LONE = "lone"


class Reader:
  """Yields the texts of one example after the other.

  Columns are found by name where the first line names them (JSON objects: in
  each line), else by position.

  Attributes:
    columns: texts of an example; known when the first has been read.
    choosing: whether one of them is a list of candidates; known likewise.
  """

  def __init__(
    self,
    source: Path | io.BufferedReader,
    *,
    layouts: Sequence[tuple[str, ...]],
    worded: Collection[str] = (),
    listed: Collection[str] = (),
    format: str = "",
    headed: bool | None = None,
    say: Callable[[str], None] = lambda sentence: None,
  ):
    """Reads nothing yet.

    Args:
      source: a file, or a pipe.
      layouts: the names of the text columns of each task that is asked.
      worded: those columns that may have a list of words in place of a text.
      listed: those that have a list of candidates, in a table as JSON.
      format: one of `rows.FORMATS`, `rows.LISTS` and `rows.PARQUET`; "" = what
        the file's suffix says, or else its first line.
      headed: whether the first line names the columns; None = it does in a
        file that is named .csv or .tsv, elsewhere it may.
      say: is told what is no error, but may surprise.
    """
    self._source, self._say = source, say
    self._worded, self._listed = worded, listed
    named = isinstance(source, Path)
    self._name = str(source) if named else "standard input"
    suffix = rows.format_of(source) if named else ""
    self._format = format or suffix
    self._headed = suffix in rows.HEADED or None if headed is None else headed
    # The longer first: its names may hold the shorter's.
    self._layouts = sorted(set(layouts), key=lambda x: (-len(x), x))
    self.columns, self.choosing = 0, False

  def __iter__(self) -> Iterator[tuple[str, ...]]:
    """Yields texts.

    Raises:
      ValueError: a row is no example; names file and line.
    """
    with contextlib.ExitStack() as stack:
      layout, found = self._rows(stack)
      self.columns = len(layout)
      self.choosing = any(name in self._listed for name in layout)
      where, first, bare = "", "", 0
      for where, record in found:
        for name in layout:
          value = record[name]
          if name in self._listed:
            place = f"{where}, column {name!r}"
            record[name] = candidates.listed(value, place, least=1)
            continue
          apart = name in self._worded and isinstance(value, list)
          if not (isinstance(value, str) or (apart and _texts(value))):
            what = "a text or a list of words" if self._worded else "text"
            raise ValueError(
              f"{where}, column {name!r}: {shown(value)} is not {what}"
            )
        texts = tuple(record[name] for name in layout)
        if not all("".join(text).strip() for text in texts):
          first, bare = first or where, bare + 1
        yield texts
      if bare:
        self._say(
          f"{first} has no text in one of its columns"
          + f", as {bare - 1} rows after it" * (bare > 1)
          + "; what is answered there is of nothing"
        )
      if not where:
        self._say(f"{self._name} holds no rows, so there is no answer")

  def _rows(
    self, stack: contextlib.ExitStack
  ) -> tuple[tuple[str, ...], Iterable[rows.Row]]:
    """Returns which columns are the texts, and all rows."""
    if self._format == rows.PARQUET:
      if not isinstance(self._source, Path):
        raise ValueError("Parquet is read from a file: --input=FILE")
      names = parquet.schema(self._source).names
      layout = self._named(names) or self._refuse(self._name, names)
      return layout, rows.read(self._source, layout)
    if isinstance(self._source, Path):
      file = stack.enter_context(rows.opened(self._source))
    else:
      file = lines.unzipped(self._source, self._name, named=None)
    format, found = self._found(file)
    found = self._counted(found)
    number, first = next(found, (0, None))
    if first is None:
      return (), ()
    where = f"{self._name} line {number}"
    found = itertools.chain([(number, first)], found)
    header: Sequence[str] = ()
    layout = None
    if isinstance(first, dict) or self._headed is not False:
      layout = self._named(first)
    if not layout:
      layout = header = self._by_place(where, first, format)
    return layout, rows.named(
      found, self._name, layout, format=format, header=header
    )

  def _found(
    self, file: io.BufferedIOBase
  ) -> tuple[str, Iterator[formats.Found]]:
    """Returns the format and what stands in each line."""
    if self._format:
      return self._format, rows.in_format(file, self._name, self._format)
    read, empty = lines.lines(file, self._name), []
    for first in read:
      if first[1].strip("\r\n"):
        break
      empty.append(first)
    else:
      return "", iter(())
    format = self._guess(*first)
    read = itertools.chain(empty, [first], read)
    if format == rows.LISTS:
      return format, formats.listed((line for _, line in read), self._name)
    parse = _lone if format == _LONE else rows.FORMATS[format]
    return format, parse(read, self._name)

  def _guess(self, number: int, line: str) -> str:
    """Returns the only format in which a first line is an example or names one.

    Raises:
      ValueError: two formats read two things.
    """
    bare = line.strip()
    if bare == "[" or re.match(r"\[\s*\{", bare):
      return rows.LISTS
    try:
      value = json.loads(bare)
    except (ValueError, RecursionError):
      value = {} if bare == "{" else None
    if isinstance(value, dict) or (
      value and isinstance(value, list) and _texts(value)
    ):
      return "jsonl"
    if bare.lower().lstrip('"').startswith("sep="):
      return "tsv" if line.rstrip('"\r\n').endswith("\t") else "csv"
    read = {"tsv": line.rstrip("\r\n").split("\t"), "csv": _commas(line)}
    if "\t" in line and read["csv"] == ["\t".join(read["tsv"])]:
      # Nobody has a CSV of one column with tabs in it.
      del read["csv"]
    naming = [f for f, cells in read.items() if cells and self._named(cells)]
    sizes = {len(layout) for layout in self._layouts}
    fitting = naming or [
      f for f, cells in read.items() if cells is None or len(cells) in sizes
    ]
    if len(fitting) == 1:
      return fitting[0]
    if not fitting:
      return "tsv" if "\t" in line else "csv"
    if read["tsv"] == read["csv"]:
      return _LONE
    raise _ambiguous(f"{self._name} line {number}", read["tsv"], read["csv"])

  def _counted(self, found: Iterator[formats.Found]) -> Iterator[formats.Found]:
    """Leaves out empty lines, and says so of those that others follow."""
    first, count, waiting = 0, 0, 0
    for number, cells in found:
      if cells is None:
        first, waiting = first or number, waiting + 1
        continue
      count, waiting = count + waiting, 0
      yield number, cells
    if count:
      self._say(
        f"{self._name} has {count} empty line{'s' * (count > 1)}, the first is"
        f" {first}; no answer stands for an empty line"
      )

  def _named(self, cells: Sequence[Any] | dict) -> tuple[str, ...] | None:
    """The task's columns that are named here; None = not those of any."""
    for layout in self._layouts:
      if all(name in cells for name in layout):
        return layout
    return None

  def _by_place(
    self, where: str, first: list | dict, format: str
  ) -> tuple[str, ...]:
    """The columns of a file whose first line names none.

    Raises:
      ValueError: that line was to name them, looks as if it did, or has another
        number of columns.
    """
    known = {name.casefold() for layout in self._layouts for name in layout}
    headed = self._headed or isinstance(first, dict)
    if self._headed is None and isinstance(first, list) and _texts(first):
      # Nearly their names, or names that something else separates.
      parts = re.split("[;|\t]", "\t".join(first))
      headed |= any(part.strip(' "').casefold() in known for part in parts)
    if headed:
      self._refuse(where, first, format)
    for layout in self._layouts:
      if len(layout) == len(first):
        if self._headed is None:
          self._say(
            f"{where} names no {self._wanted}, so columns are taken by"
            f" their place, and it is the first example: {shown(first)}"
          )
        return layout
    raise ValueError(
      f"{where} has {len(first)} column{'s' * (len(first) != 1)}:"
      f" {shown(first)}; expected are {self._wanted}"
    )

  @property
  def _wanted(self) -> str:
    return ", or ".join(
      f"column{'s' * (len(x) > 1)} {' and '.join(map(repr, x))}"
      for x in self._layouts
    )

  def _refuse(
    self, where: str, there: Sequence[str] | dict, format: str = ""
  ) -> tuple[str, ...]:
    """Says which columns were looked for, and which there are."""
    names = list(there)
    if isinstance(there, list) and format:
      rows.check_header(where, names, (), format)
    for layout in self._layouts:
      if other := rows.other_mark(
        names, layout, "csv" if format == _LONE else format
      ):
        raise ValueError(f"{where}: {formats.separated(other)}")
    missing = [n for x in self._layouts for n in x if n not in names]
    record = there if isinstance(there, dict) else {}
    near = next(
      filter(
        None,
        (rows.inside(n, record) or hint(n, map(str, names)) for n in missing),
      ),
      "",
    )
    cure = ""
    if isinstance(there, list) and format and not near:
      cure = "; if it is an example, type --no-header"
    raise ValueError(
      f"{where}: there is no {self._wanted}, only {shown(names)}{near}{cure}"
    )


def batches(
  reader: Iterable[tuple[str, ...]], size: int
) -> Iterator[list[tuple[str, ...]]]:
  """Yields so many rows at a time; of what came before a bad one none is lost.

  Args:
    reader: of rows.
    size: rows at a time; the last are fewer.

  Raises:
    ValueError: a row is no example; those before it have been yielded.
  """
  batch: list[tuple[str, ...]] = []
  try:
    for row in reader:
      batch.append(row)
      if len(batch) == size:
        yield batch
        batch = []
  except ValueError:
    if batch:
      yield batch
    raise
  if batch:
    yield batch


def _texts(cells: Sequence[Any]) -> bool:
  return all(isinstance(cell, str) for cell in cells)


def _commas(line: str) -> list[str] | None:
  """The cells of a line of CSV; [] = it is none, None = it goes on."""
  try:
    return next(csv.reader([line], strict=True), [])
  except csv.Error as error:
    return None if "end of data" in str(error) else []


def _lone(read: Iterator[lines.Line], name: str) -> Iterator[formats.Found]:
  """Reads one text a line, as long as CSV would not read another one."""
  plain = False
  for number, line in read:
    text = line.rstrip("\r\n")
    if text and not plain:
      cells = _commas(line)
      if cells is None or (len(cells) == 1 and cells != [text]):
        raise _ambiguous(f"{name} line {number}", [text], cells)
      # In a CSV of one column this would stand in quotes.
      plain = len(cells) != 1
    yield number, text.split("\t") if text else None


def _ambiguous(
  where: str, tabs: list[str], commas: list[str] | None
) -> ValueError:
  other = "goes on after it" if commas is None else f"is {shown(commas)}"
  return ValueError(
    f"{where} is {shown(tabs)} in TSV and {other} in CSV; type"
    " --input-format=tsv or --input-format=csv"
  )


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
        cell for head in heads for cell in KINDS[head.kind].columns(head)
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
      for cell in KINDS[head.kind].cells(head, answer)
    )
