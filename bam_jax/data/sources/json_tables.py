"""Whole tables in one JSON object, as pandas and others write them, by name."""

from collections.abc import Sequence
from typing import Any

_RECORDS = (
  "write a row a line: in pandas df.to_json('rows.jsonl', orient='records',"
  " lines=True)"
)


def called(record: dict[str, Any], columns: Sequence[str]) -> str:
  """Returns "is ...; what to do" of an object that is no row; "" = it may be.

  Args:
    record: the object.
    columns: that a row has to have.
  """
  values = list(record.values())
  if not columns or not values:
    return ""
  if _are(values, dict) or _are(values, list):
    by_column = all(name in record for name in columns)
    if by_column and len({len(value) for value in values}) == 1:
      what = ", as df.to_json() writes it" if _are(values, dict) else ""
      return f"is a whole table by its columns{what}; {_RECORDS}"
  if (
    len(values) > 1
    and _are(values, dict)
    and all(name in value for value in values[:9] for name in columns)
  ):
    return (
      "is a whole table by the names of its rows, as"
      f" df.to_json(orient='index') writes it; {_RECORDS}"
    )
  names = record.get("columns")
  if isinstance(names, list) and {*columns} <= {*map(str, names)}:
    return (
      "is a whole table, as df.to_json(orient='split') writes it; " + _RECORDS
    )
  return ""


def _are(values: Sequence[Any], kind: type) -> bool:
  return all(isinstance(value, kind) for value in values)
