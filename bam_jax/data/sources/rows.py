"""Rows of files that anyone may have written: TSV, CSV, JSON, Parquet.

Every row comes with the place it stands at, for whoever has to refuse it. What
is trained on and what is answered are read here alike.
"""

from collections.abc import Iterator, Sequence
import contextlib
import io
import json
from pathlib import Path
import reprlib
from typing import Any

from bam_jax.data.sources import formats, json_tables, parquet
from bam_jax.data.sources import lines as text
from bam_jax.runtime import signatures
from bam_jax.runtime.spelling import hint, shown
from bam_jax.tasks.files import USUAL, Dialect

# The formats of text; a suffix is a point and a format. Parquet is no text.
FORMATS = {
  "csv": formats.commas,
  "jsonl": formats.objects,
  "tsv": formats.tabs,
}
LISTS = "json"
PARQUET = "parquet"
# Their rows name their own columns.
OBJECTS = ("jsonl", LISTS)
_HEADER = "; if that is a row, put a line that names the columns before it"
# Their first line names the columns.
HEADED = ("csv", "tsv")
# What to do with a file of another suffix.
_CURES = {
  ".ndjson": "; name it .jsonl",
  ".jl": "; name it .jsonl",
  ".tab": "; name it .tsv",
  ".txt": "; name it .tsv or .csv if its columns are separated so",
  ".arrow": "; in datasets: Dataset.from_file(FILE).to_parquet('rows.parquet')",
}
_repr = reprlib.Repr()
_repr.maxlist = 20
Row = tuple[str, dict[str, Any]]


def read(
  path: Path,
  columns: Sequence[str],
  *,
  optional: Sequence[str] = (),
  dialect: Dialect = USUAL,
) -> Iterator[Row]:
  """Yields (where a row stands, its values by column).

  A `.csv` is read as spreadsheets write it, quoted line ends and a byte order
  mark too; in a `.tsv` quotes are literal. Both have a header. A `.jsonl` has
  an object in each line, a `.json` one list of objects, or lines of them. All
  may be gzipped (`.csv.gz`). Where a Parquet file of the hub names its classes,
  the names are given in place of their numbers.

  Args:
    path: the file; its suffix says what it is, in small letters or capitals.
    columns: that every row must have.
    optional: columns that it may lack.
    dialect: how it is written, if it is text.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is not what its suffix says, lacks a column, has one twice,
      or a row has another number of them.
  """
  if not path.is_file():
    raise FileNotFoundError(f"there is no file {path}")
  # Whoever says what stands between columns says that there are some.
  format = format_of(path) or ("csv" if dialect.delimiter else "")
  if format == PARQUET:
    yield from _parquet(path, columns, optional)
  elif format:
    with opened(path, dialect.encoding) as file:
      found = in_format(file, str(path), format, dialect.delimiter)
      header = dialect.columns if format in HEADED else ()
      if header:
        found = _headless(found, str(path), header)
      yield from named(found, str(path), columns, format=format, header=header)
  else:
    suffix = Path(_plain(path)).suffix
    with path.open("rb") as file:
      called = signatures.called(file.read(signatures.LENGTH))
    able = sorted(f".{each}" for each in (*FORMATS, LISTS, PARQUET))
    cure = (called and f", and it {called}") or _CURES.get(suffix, "")
    raise ValueError(
      f"{path} has the suffix {suffix!r}; rows are read from"
      f" {', '.join(able)}{cure}"
    )


def filled(
  found: Iterator[Row], path: Path, columns: Sequence[str]
) -> list[Row]:
  """Returns rows with None for those of some columns that they do not name.

  Raises:
    ValueError: no row has a column.
  """
  made = list(found)
  for name in columns:
    if made and not any(name in record for _, record in made):
      there = list(dict.fromkeys(key for _, record in made for key in record))
      _check(f"{path}, in no row", there, [name])
  empty = dict.fromkeys(columns)
  return [(where, empty | record) for where, record in made]


def text_of(row: Row, name: str) -> str:
  """Returns the text in a column of a row.

  Raises:
    ValueError: it is none; says where.
  """
  where, record = row
  if not isinstance(record[name], str):
    raise ValueError(
      f"{where}, column {name!r}: {shown(record[name])} is not text"
    )
  return record[name]


def format_of(path: Path) -> str:
  """Returns the format that a file's suffix says; "" = none of ours."""
  suffix = Path(_plain(path)).suffix[1:]
  return suffix if suffix in (*FORMATS, LISTS, PARQUET) else ""


def _plain(path: Path) -> str:
  return path.name.lower().removesuffix(".gz")


@contextlib.contextmanager
def opened(path: Path, encoding: str = "") -> Iterator[io.BufferedIOBase]:
  """Opens a file of text, gzipped or not; see `lines.unzipped`.

  Args:
    path: of the file.
    encoding: of the text, which comes out as UTF-8; "" = that.
  """
  with path.open("rb") as file:
    named = path.name.lower().endswith(".gz")
    yield text.unzipped(file, str(path), named=named, encoding=encoding)


def in_format(
  file: io.BufferedIOBase, name: str, format: str, delimiter: str = ""
) -> Iterator[formats.Found]:
  """Yields (line from 1, cells or object or, of an empty line, None).

  Args:
    file: see `lines.unzipped`.
    name: of the file, for messages.
    format: one of `FORMATS`, or `LISTS`.
    delimiter: what stands between the columns of a CSV; "" = a comma.

  Raises:
    ValueError: it is not in this format; says where.
  """
  if format == "csv" and delimiter:
    return formats.commas(text.lines(file, name), name, delimiter)
  if format == LISTS:
    head = file.peek(text.LONGEST).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"["):
      return formats.listed(text.blocks(file, name), name)
    format = "jsonl"
  return FORMATS[format](text.lines(file, name), name)


def named(
  found: Iterator[formats.Found],
  name: str,
  columns: Sequence[str],
  *,
  format: str,
  header: Sequence[str] = (),
) -> Iterator[Row]:
  """Yields (where a row stands, its values by column).

  Args:
    found: from `in_format`.
    name: of the file, for messages.
    columns: that every row must have.
    format: of the file.
    header: the names of columns; () = the first list of cells is the header.

  Raises:
    ValueError: a column is not there or there twice, or a row has another
      number of them.
  """
  header, given = list(header), bool(header)
  for number, cells in found:
    where = f"{name} line {number}"
    if cells is None:
      continue
    if isinstance(cells, dict):
      if header:
        raise ValueError(f"{where} is an object, not a list as before")
      if table := json_tables.called(cells, columns):
        raise ValueError(f"{where} {table}")
      _check(where, list(cells), columns, cells)
      yield where, cells
    elif not header:
      header = cells
      check_header(where, header, columns, format)
    elif len(cells) != len(header):
      raise ValueError(
        f"{where}: {len(cells)} columns instead of {len(header)}, which are"
        f" {_repr.repr(header)}{_why(cells, header, format)}"
      )
    elif (
      len(cells) > 1
      and not given
      and [str(x).lstrip("\ufeff") for x in cells] == header
    ):
      raise ValueError(
        f"{where} names the columns again, as where two files were joined; take"
        " this line out"
      )
    else:
      yield where, dict(zip(header, cells, strict=True))
  if not header and format in HEADED:
    raise ValueError(f"{name} is empty; its first line names the columns")


def _headless(
  found: Iterator[formats.Found], name: str, header: Sequence[str]
) -> Iterator[formats.Found]:
  """Passes rows on; refuses a first one that names the columns."""
  for number, cells in found:
    if number == 1 and cells == list(header):
      raise ValueError(
        f"{name} line 1 names the columns, so that is no file without a header;"
        " leave columns out"
      )
    yield number, cells


def _why(cells: Sequence[str], header: Sequence[str], format: str) -> str:
  if str(cells[0]).startswith(("<<<<<<< ", "=======", ">>>>>>> ")):
    return "; it is what git left of two versions: take one of them"
  if format == "csv" and len(cells) > len(header):
    return "; put a text with a comma in double quotes"
  if format == "csv":
    return "; put a text with a line end in double quotes"
  if format == "tsv" and any('"' in cell for cell in cells):
    return (
      "; in a .tsv quotes belong to the text and hold no tab or line end: save"
      " it as .csv if they should"
    )
  return ""


def lines(path: Path, *, cure: str = "") -> Iterator[tuple[int, str]]:
  """Yields (line number from 1, line without its end); empty lines are none.

  Args:
    path: of UTF-8 text, plain or gzipped (`.gz`).
    cure: what to do where it cannot be read.

  Raises:
    ValueError: a line is not UTF-8, or the gzip file is damaged.
  """
  with opened(path) as file:
    for number, line in text.lines(file, str(path), cure=cure):
      if line := line.rstrip("\r\n"):
        yield number, line


def json_lines(path: Path) -> Iterator[Row]:
  """Yields (where it stands, object) of every line that is not empty.

  Raises:
    ValueError: a line is no JSON object, or has a name twice.
  """
  with opened(path) as file:
    for number, record in in_format(file, str(path), "jsonl"):
      where = f"{path} line {number}"
      if isinstance(record, list):
        raise ValueError(
          f"{where} is not a JSON object: {reprlib.repr(record)}"
        )
      if record is not None:
        yield where, record


def _parquet(
  path: Path, columns: Sequence[str], optional: Sequence[str]
) -> Iterator[Row]:
  schema = parquet.schema(path)
  _check(str(path), schema.names, columns)
  names = _class_names(schema.metadata)
  wanted = [*columns, *(name for name in optional if name in schema.names)]
  for number, record in enumerate(parquet.records(path, wanted)):
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


def check_header(
  where: str, header: list[str], columns: Sequence[str], format: str
) -> None:
  """Refuses a first line that names no columns, or not those that are wanted.

  Raises:
    ValueError: a name is missing or there twice, or none is given.
  """
  if not all(isinstance(name, str) for name in header):
    raise ValueError(f"{where} has no names of columns: {_repr.repr(header)}")
  if other := other_mark(header, columns, format):
    raise ValueError(f"{where}: {formats.separated(other)}")
  if twice := sorted({n for n in header if n and header.count(n) > 1}):
    raise ValueError(f"{where}: the column {twice[0]!r} is there twice")
  if "" in header:
    raise ValueError(
      f"{where}: column {header.index('') + 1} of {len(header)} has no name;"
      " give it one, or leave it out (pandas: index=False)"
    )
  _check(where, header, columns, cure=_HEADER)


def other_mark(
  header: Sequence[str], columns: Sequence[str], format: str
) -> str:
  """Returns what separates the names of a header, "" = what should."""
  mark = {"csv": ",", "tsv": "\t"}.get(format, "")
  for other in (each for each in ",\t;|" if mark and each != mark):
    # Names in quotes are names.
    apart = {name.strip(' "') for name in mark.join(header).split(other)}
    alone = len(header) == 1 and len(apart) > 1
    if not set(columns) <= set(header) and (alone or set(columns) <= apart):
      return other
  return ""


def _check(
  where: str,
  there: Sequence[str],
  columns: Sequence[str],
  record: dict[str, Any] | None = None,
  cure: str = "",
) -> None:
  for name in columns:
    if name not in there:
      raise ValueError(
        f"{where}: there is no column {name!r}, only"
        f" {_repr.repr(list(there))}"
        f"{inside(name, record or {}) or hint(name, there) or cure}"
      )


def inside(name: str, record: dict[str, Any]) -> str:
  """Says where in an object a column hides that is none of its keys."""
  if table := json_tables.called(record, [name]):
    return f"; the object {table}"
  for key, value in record.items():
    listed = isinstance(value, list) and value
    first = value[0] if listed else value
    if isinstance(first, dict) and name in first:
      if listed and len(value) > 1:
        return (
          f"; {name!r} is inside the list {key!r}, whose objects are the rows:"
          " save that list as a file of its own (.json)"
        )
      return (
        f"; {name!r} is inside {key!r}, and columns are keys of the object"
        " itself (Label Studio: export as JSON-MIN or CSV)"
      )
  return ""
