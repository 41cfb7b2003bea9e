"""Reads Parquet files that anyone may have written."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  import pyarrow as pa


def read(path: Path) -> "pa.Table":
  """Reads a Parquet file whole, every value of it checked.

  Args:
    path: the file.

  Raises:
    ValueError: it is not a Parquet file, or a damaged one; one sentence.
  """
  # Slow to import, and few runs need it.
  import pyarrow as pa
  from pyarrow import parquet

  # In the hub's cache the path is a link, and deleting that changes nothing.
  path = path.resolve()
  try:
    with parquet.ParquetFile(path, page_checksum_verification=True) as file:
      table = file.read()
    # A text that is not UTF-8 would fail only where it is looked at.
    table.validate(full=True)
    names = table.column_names
  # Arrow tells damage by nearly every kind of error that there is.
  except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
    first = str(error).strip().partition("\n")[0]
    raise ValueError(
      f"{path} is not a whole Parquet file ({first}); delete it and run again"
    ) from error
  if twice := sorted({name for name in names if names.count(name) > 1}):
    raise ValueError(f"{path} has the column {twice[0]!r} more than once")
  return table
