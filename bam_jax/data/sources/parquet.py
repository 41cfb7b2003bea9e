"""Reads Parquet files that anyone may have written."""

from collections.abc import Iterator, Sequence
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bam_jax.runtime import signatures

if TYPE_CHECKING:
  import pyarrow as pa
  from pyarrow import parquet

# Rows that are held at a time.
_ROWS = 1024


def read(path: Path) -> "pa.Table":
  """Reads a Parquet file whole, every value of it checked.

  Args:
    path: the file.

  Raises:
    ValueError: it is not a Parquet file, or a damaged one; one sentence.
  """
  with _said(path), _opened(path) as file:
    table = file.read()
    # A text that is not UTF-8 would fail only where it is looked at.
    table.validate(full=True)
  _check_names(path, table.column_names)
  return table


def schema(path: Path) -> "pa.Schema":
  """Returns the names, types and metadata of a file's columns.

  Raises:
    ValueError: see `read`.
  """
  with _said(path), _opened(path) as file:
    found = file.schema_arrow
  _check_names(path, found.names)
  return found


def records(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
  """Yields the rows one after the other, a thousand of them in memory.

  Args:
    path: the file.
    columns: those that are wanted, all there.

  Raises:
    ValueError: see `read`.
  """
  wanted = list(dict.fromkeys(columns))
  with _said(path):
    file = _opened(path)
  with file:
    batches = file.iter_batches(batch_size=_ROWS, columns=wanted)
    while True:
      with _said(path):
        batch = next(batches, None)
        if batch is None:
          return
        batch.validate(full=True)
        # Columns inside another one's name come along.
        found = batch.select(wanted).to_pylist()
      yield from found


def _opened(path: Path) -> "parquet.ParquetFile":
  # Slow to import, and few runs need it.
  from pyarrow import parquet

  return parquet.ParquetFile(path, page_checksum_verification=True)


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
  """Says in one sentence what Arrow says of a damaged file."""
  import pyarrow as pa

  with path.open("rb") as file:
    head = file.read(signatures.LENGTH)
  # A page in the hub's cache is no file that the user took for another.
  called = "" if head.startswith((b"PAR1", b"<")) else signatures.called(head)
  if called:
    raise ValueError(f"{path} {called}")
  try:
    yield
  # Arrow tells damage by nearly every kind of error that there is.
  except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
    real = path.resolve()
    first = str(error).strip().partition("\n")[0].rstrip(".")
    if not head.startswith(b"PAR1"):
      first = f"it begins with {head[:9]!r}, not with PAR1" if head else "empty"
    # In the hub's cache the path is a link, and deleting that changes nothing.
    cached = real != path and real.parent.name == "blobs"
    cure = "; delete it and run again" if cached else ""
    raise ValueError(
      f"{real} is not a whole Parquet file ({first}){cure}"
    ) from error


def _check_names(path: Path, names: Sequence[str]) -> None:
  if twice := sorted({name for name in names if names.count(name) > 1}):
    raise ValueError(f"{path} has the column {twice[0]!r} more than once")
