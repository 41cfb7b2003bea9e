"""CSV, TSV, JSON lines and JSON lists: what stands in each line of them.

Each function yields (line that a row begins in, what the row has): a list of
cells, a JSON object, or None for an empty line. Whoever reads such a file, to
train or to answer, reads it here.
"""

import ast
from collections.abc import Iterator
import contextlib
import csv
import json
import re
import reprlib
from typing import Any

from absl import logging

from bam_jax.data.sources.lines import LONGEST, Line

Found = tuple[int, list[Any] | dict[str, Any] | None]
_SPACE = re.compile(r"[ \t\r\n]*")
# What Excel writes first, so that it knows again how columns are separated.
_EXCEL = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
# What the library finds wrong with a CSV: how we say it.
_CSV = {
  "expected after": (
    "after the quote that closes a text stands more than a comma; a quote"
    " inside a quoted text is written twice"
  ),
  "end of data": "a quote is opened and never closed",
  "new-line": "a line end inside a text needs quotes around the text",
}


def tabs(lines: Iterator[Line], name: str) -> Iterator[Found]:
  """Reads TSV, in which quotes are literal."""
  first, quoted, literal = 0, 0, False
  for number, line in _unannounced(lines, name, "\t"):
    cells = line.rstrip("\r\n").split("\t")
    for cell in (cell for cell in cells if '"' in cell):
      inside = cell[1:-1].replace('""', "")
      whole = len(cell) > 1 and cell[0] == cell[-1] == '"'
      literal |= not whole or '"' in inside
      quoted, first = quoted + 1, first or number
    yield number, cells if cells != [""] else None
  if quoted and not literal:
    logging.warning(
      "%s has %d texts in quotes, the first in line %d; in a .tsv quotes belong"
      " to the text: if a program has put them there, save it as .csv",
      name,
      quoted,
      first,
    )


def commas(
  lines: Iterator[Line], name: str, delimiter: str = ","
) -> Iterator[Found]:
  """Reads CSV as spreadsheets write it, quoted line ends too.

  Args:
    lines: of the file.
    name: of the file, for messages.
    delimiter: what stands between columns.
  """
  lines = _unannounced(lines, name, delimiter)
  begin = last = size = 0

  def fed() -> Iterator[str]:
    nonlocal begin, last, size
    for last, line in lines:
      begin, size = begin or last, size + len(line)
      if size > LONGEST:
        raise ValueError(
          f"{name} line {begin}: the row that begins here is longer than"
          f" {LONGEST} characters; close its quote, or cut it"
        )
      yield line

  # The library's own limit is for all readers of the process.
  csv.field_size_limit(max(LONGEST, csv.field_size_limit()))
  reader = csv.reader(fed(), strict=True, delimiter=delimiter)
  while True:
    begin = size = 0
    try:
      cells = next(reader, None)
    except csv.Error as error:
      what = next((v for k, v in _CSV.items() if k in str(error)), str(error))
      until = f" (seen in line {last})" if last != begin else ""
      raise ValueError(
        f"{name} line {begin} is not CSV: {what}{until}"
      ) from error
    if cells is None:
      return
    yield begin, cells or None


def objects(lines: Iterator[Line], name: str) -> Iterator[Found]:
  """Reads JSON lines; a line may also be a list, whose places are columns.

  Raises:
    ValueError: a line is neither, or has a name twice.
  """
  for number, line in lines:
    where, line = f"{name} line {number}", line.lstrip("\ufeff")
    bare = line.strip(" \t\r\n\v\f")
    if not bare:
      yield number, None
      continue
    if bare == "[" or bare.startswith("[{"):
      raise ValueError(
        f"{where} is not JSON: a list goes on over lines; a file that is one"
        " list is named .json"
      )
    if bare == "{":
      raise ValueError(
        f"{where} is not JSON: the object does not end in this line; write each"
        " one in a line of its own, or all of them as one list, [{...}, ...],"
        " in a .json"
      )
    try:
      record = json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
      raise ValueError(f"{where} is not JSON: {wrong(error)}") from error
    if not isinstance(record, (dict, list)):
      raise ValueError(f"{where} is not a JSON object: {reprlib.repr(record)}")
    yield number, _whole(record, line, where)


def listed(blocks: Iterator[str], name: str) -> Iterator[Found]:
  """Reads one JSON list of objects, wherever its lines end.

  Raises:
    ValueError: it is no such list, or an object has a name twice.
  """
  ahead = _Ahead(blocks, name)
  first = ahead.char()
  ahead.skip(1)
  if first != "[":
    raise ahead.bad("a JSON list begins with [")
  while ahead.char() != "]":
    if first == ",":
      if ahead.char() != ",":
        raise ahead.bad("after an object stands , or ]")
      ahead.skip(1)
    first = ","
    if ahead.char() != "{":
      raise ahead.bad("rows of a JSON list are objects: {...}")
    yield ahead.line, ahead.record()
  ahead.skip(1)
  if ahead.char():
    raise ahead.bad("nothing stands after the list")


class _Ahead:
  """Text that is read as far as it is needed.

  Attributes:
    line: that the next character stands in.
  """

  def __init__(self, blocks: Iterator[str], name: str):
    self.line = 1
    self._blocks, self._name = blocks, name
    self._text, self._at = "", 0
    decoder = json.JSONDecoder(object_pairs_hook=_once)
    self._decode = decoder.raw_decode

  def char(self) -> str:
    """Returns the next character that is no space, "" at the end."""
    while True:
      self.skip(_SPACE.match(self._text, self._at).end() - self._at)
      if self._at < len(self._text) or not self._more():
        return self._text[self._at : self._at + 1]

  def skip(self, count: int) -> None:
    """Goes on by so many characters."""
    self.line += self._text.count("\n", self._at, self._at + count)
    self._at += count

  def record(self) -> dict[str, Any]:
    """Returns the object that begins here."""
    while True:
      try:
        found, end = self._decode(self._text, self._at)
        break
      except (ValueError, RecursionError) as error:
        into = max(0, getattr(error, "pos", 0) - self._at)
        # It may only be cut off.
        long = len(self._text) - self._at > LONGEST
        if isinstance(error, RecursionError) or long or not self._more():
          self.skip(into)
          raise ValueError(
            f"{self._name} line {self.line} is not JSON: {wrong(error)}"
          ) from error
    where = f"{self._name} line {self.line}"
    found = _whole(found, self._text[self._at : end], where)
    self.skip(end - self._at)
    return found

  def bad(self, what: str) -> ValueError:
    """Returns what to raise where something else stands."""
    there = self._text[self._at :][:9]
    there = f"here {there!r}" if there else "it ends"
    return ValueError(
      f"{self._name} line {self.line} is not JSON: {what}, {there}"
    )

  def _more(self) -> bool:
    piece = next(self._blocks, "")
    self._text, self._at = self._text[self._at :] + piece, 0
    return bool(piece)


def as_list(value: Any) -> Any:
  """Returns the list that a cell holds; other values as they are.

  A table can only have it as text: as JSON, or as Python shows it and pandas
  writes it.

  Args:
    value: of a cell.
  """
  if isinstance(value, str) and value.lstrip().startswith("["):
    for read in (json.loads, ast.literal_eval):
      with contextlib.suppress(ValueError, SyntaxError, RecursionError):
        return read(value.strip())
    return value
  return list(value) if isinstance(value, tuple) else value


def wrong(error: Exception) -> str:
  """Returns what is wrong with a JSON text, beside what, and the cure."""
  if isinstance(error, RecursionError):
    return "it is nested too deeply"
  if not isinstance(error, json.JSONDecodeError):
    said = str(error)
    return "a number has too many digits" if "digits" in said else said
  if error.pos >= len(error.doc.rstrip()):
    return "it ends in the middle"
  before = error.doc[max(0, error.pos - 9) : error.pos]
  after = error.doc[error.pos : error.pos + 9].rstrip()
  cure = ""
  if error.msg == "Extra data":
    cure = "; a line holds one object, and nothing stands after it"
  elif after.startswith("'"):
    cure = '; texts stand in double quotes: "a"'
  elif "control character" in error.msg:
    cure = r"; inside a text a line end is \n and a tab \t"
  elif "escape" in error.msg:
    cure = r"; a backslash is \\"
  elif after.startswith(("//", "#", "/*")):
    cure = "; JSON has no comments"
  elif after[:1] in ("}", "]") or "trailing comma" in error.msg:
    cure = "; the last entry has no comma after it"
  return f"{error.msg} at {after!r} after {before!r}{cure}"


def _unannounced(lines: Iterator[Line], name: str, mark: str) -> Iterator[Line]:
  """Yields lines, without Excel's word on what stands between columns."""
  for number, line in lines:
    said = _EXCEL.fullmatch(line.rstrip("\r\n")) if number == 1 else None
    if said and said[1] != mark:
      raise ValueError(f"{name} line 1: {separated(said[1])}")
    if not said:
      yield number, line


def separated(mark: str) -> str:
  """Returns what to do with a file whose columns another mark separates."""
  cure = {
    ",": "name it .csv",
    "\t": "name it .tsv, or save it with commas if texts stand in quotes",
  }.get(mark, "save it again with commas")
  return (
    f"the columns are separated by {mark!r}; a .csv has commas, a .tsv has"
    f" tabs: {cure}"
  )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  """A JSON object, each of its names given once; json takes the last."""
  record = dict(pairs)
  if len(record) < len(pairs):
    names = [name for name, _ in pairs]
    twice = next(name for name in names if names.count(name) > 1)
    raise ValueError(f"the name {reprlib.repr(twice)} comes twice")
  return record


def _whole(record: Any, text: str, where: str) -> Any:
  """Refuses half a character, which only an escape can write."""
  if "\\u" in text:
    try:
      json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
      half = error.object[error.start : error.start + 1]
      raise ValueError(
        f"{where} holds half a character ({half!r}), which no text has"
      ) from error
  return record
