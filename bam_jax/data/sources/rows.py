"""Rows of files that anyone may have written: TSV, CSV, JSON lines, Parquet.

Every row comes with the place it stands at, for whoever has to refuse it.
"""

from collections.abc import Iterator, Sequence
import csv
import gzip
import json
from pathlib import Path
import reprlib
from typing import Any
import zlib

from bam_jax.data.sources import parquet
from bam_jax.runtime.spelling import hint

SUFFIXES = (".csv", ".jsonl", ".parquet", ".tsv")
_CURE = "save it again as UTF-8"
_repr = reprlib.Repr()
_repr.maxlist = 20
Row = tuple[str, dict[str, Any]]


def read(path: Path, columns: Sequence[str]) -> Iterator[Row]:
  """Yields (where a row stands, its values by column).

  A `.csv` is read as spreadsheets write it, quoted line ends and a byte order
  mark too; in a `.tsv` quotes are literal. Both have a header, and both may be
  gzipped (`.csv.gz`). Where a Parquet file of the hub names its classes, the
  names are given in place of their numbers.

  Args:
    path: the file; its suffix says what it is.
    columns: that every row must have.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is not what its suffix says, lacks a column, has one twice,
      or a row has another number of them.
  """
  if not path.is_file():
    raise FileNotFoundError(f"there is no file {path}")
  suffix = Path(path.name.removesuffix(".gz")).suffix
  if suffix == ".parquet":
    yield from _parquet(path, columns)
  elif suffix == ".jsonl":
    for where, record in json_lines(path):
      _check(where, list(record), columns)
      yield where, record
  elif suffix in (".csv", ".tsv"):
    found = _csv(path) if suffix == ".csv" else _tsv(path)
    first, header = next(found, (0, None))
    if header is None:
      raise ValueError(f"{path} is empty; its first line names the columns")
    _check_header(f"{path} line {first}", header, columns, suffix)
    quote = "; put a text with a comma in quotes" if suffix == ".csv" else ""
    for number, cells in found:
      if len(cells) != len(header):
        raise ValueError(
          f"{path} line {number}: {len(cells)} columns instead of"
          f" {len(header)}, which are {_repr.repr(header)}{quote}"
        )
      yield f"{path} line {number}", dict(zip(header, cells, strict=True))
  else:
    raise ValueError(
      f"{path} has the suffix {suffix!r}; rows are read from"
      f" {', '.join(SUFFIXES)}"
    )


def lines(path: Path, *, cure: str = _CURE) -> Iterator[tuple[int, str]]:
  """Yields (line number from 1, line without its end); empty lines are none.

  Args:
    path: of UTF-8 text, plain or gzipped (`.gz`).
    cure: what to do where it cannot be read.

  Raises:
    ValueError: a line is not UTF-8, or the gzip file is damaged.
  """
  for number, line in _whole_lines(path, cure):
    if line := line.rstrip("\r\n"):
      yield number, line


def json_lines(path: Path) -> Iterator[Row]:
  """Yields (where it stands, object) of every line that is not empty.

  Raises:
    ValueError: a line is no JSON object, or has a name twice.
  """
  for number, line in _bytes(path, _CURE):
    if not line.strip():
      continue
    where = f"{path} line {number}"
    try:
      record = json.loads(line.decode("utf-8-sig"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
      raise ValueError(f"{where} is not JSON: {error}") from error
    if not isinstance(record, dict):
      raise ValueError(f"{where} is not a JSON object: {reprlib.repr(record)}")
    yield where, record


def _whole_lines(path: Path, cure: str) -> Iterator[tuple[int, str]]:
  for number, data in _bytes(path, cure):
    try:
      yield number, data.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
      raise ValueError(
        f"{path} line {number} is not UTF-8 ({error.reason} at byte"
        f" {error.start}); {cure}"
      ) from error


def _bytes(path: Path, cure: str) -> Iterator[tuple[int, bytes]]:
  opener = gzip.open if path.suffix == ".gz" else open
  number = 0
  try:
    # Bytes: a text may hold what Python takes for other line ends.
    with opener(path, "rb") as file:
      for number, data in enumerate(file, 1):
        yield number, data
  except (EOFError, gzip.BadGzipFile, zlib.error) as error:
    raise ValueError(
      f"{path} cannot be read after line {number} ({error}); {cure}"
    ) from error


def _tsv(path: Path) -> Iterator[tuple[int, list[str]]]:
  for number, line in lines(path):
    yield number, line.split("\t")


def _csv(path: Path) -> Iterator[tuple[int, list[str]]]:
  """Yields (line that a row begins in, its cells)."""
  text = (line for _, line in _whole_lines(path, _CURE))
  reader = csv.reader(text, strict=True)
  while True:
    begin = reader.line_num + 1
    try:
      cells = next(reader, None)
    except csv.Error as error:
      raise ValueError(
        f"{path} line {begin} is not CSV ({error}); a quote inside a quoted"
        " text is written twice"
      ) from error
    if cells is None:
      return
    if cells:
      yield begin, cells


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Row]:
  table = parquet.read(path)
  _check(str(path), table.column_names, columns)
  names = _class_names(table.schema.metadata)
  table = table.select(list(dict.fromkeys(columns)))
  for number, record in enumerate(table.to_pylist()):
    for column in names.keys() & record.keys():
      value = record[column]
      if type(value) is int and 0 <= value < len(names[column]):
        record[column] = names[column][value]
    yield f"{path} row {number}", record


def _class_names(metadata: Any) -> dict[str, list[str]]:
  """What the file's integers mean, by its own words where it has them."""
  try:
    info = json.loads((metadata or {})[b"huggingface"])["info"]
    named = {k: v.get("names") for k, v in info["features"].items()}
  # Nothing is said, or not in JSON, or of another shape.
  except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
    return {}
  return {k: v for k, v in named.items() if isinstance(v, list)}


def _check_header(
  where: str, header: list[str], columns: Sequence[str], suffix: str
) -> None:
  if twice := sorted({n for n in header if n and header.count(n) > 1}):
    raise ValueError(f"{where}: the column {twice[0]!r} is there twice")
  if "" in header:
    raise ValueError(
      f"{where}: column {header.index('') + 1} of {len(header)} has no name;"
      " give it one, or leave it out (pandas: index=False)"
    )
  if len(header) == 1 and suffix == ".csv":
    other = next((mark for mark in "\t;|" if mark in header[0]), None)
    if other:
      raise ValueError(
        f"{where}: the columns are separated by {other!r}; a .csv has commas,"
        " a .tsv has tabs"
      )
  _check(where, header, columns)


def _check(where: str, there: Sequence[str], columns: Sequence[str]) -> None:
  for name in columns:
    if name not in there:
      raise ValueError(
        f"{where}: there is no column {name!r}, only"
        f" {_repr.repr(list(there))}{hint(name, there)}"
      )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  """A JSON object, each of its names given once; json takes the last."""
  record = dict(pairs)
  if len(record) < len(pairs):
    names = [name for name, _ in pairs]
    twice = next(name for name in names if names.count(name) > 1)
    raise ValueError(f"the name {reprlib.repr(twice)} comes twice")
  return record
