"""What a label is called, however the file that has it types it."""

from collections.abc import Mapping
import decimal
import json
import math
import re
from typing import Any

_WHOLE = re.compile(r"([+-]?)(0|[1-9][0-9]*)(?:\.0*)?")
_TRUTH = ("false", "true")
# How annotation tools wrap the labels of a row.
_WRAPPED = "choices"


def name(value: Any) -> str:
  """Returns the one name of a label; "" where there is none.

  A whole number stands for itself however it is typed: 1, 1.0, Decimal("1.00"),
  "1" and "1.0" are "1", and "01" is another text. So do true and false: the
  truth value, "True" and "TRUE" are "true"; they stand for no number and for no
  "yes". None, NaN and blank text are no label. Any other text is its own name,
  letter by letter, and any other number as Python writes it.

  Args:
    value: of a cell, or of an entry of `labels`.

  Raises:
    ValueError: it is of a kind that can be no label.
  """
  if value is None:
    return ""
  if type(value) is bool:
    return _TRUTH[value]
  if isinstance(value, str):
    return _of_text(value)
  if isinstance(value, (int, float, decimal.Decimal)):
    return _of_number(value)
  raise ValueError(f"{type(value).__name__} is no label")


def only(value: Any) -> Any:
  """Returns the one label of a list of labels; other values as they are.

  Annotation tools write a list where several labels are possible: `["pos"]`,
  `{"choices": ["pos"]}`, in a CSV as JSON text. An empty list is no label.

  Args:
    value: of a cell.

  Raises:
    ValueError: the list has several.
  """
  found = value
  if isinstance(found, str) and found[:1] in ("[", "{"):
    try:
      found = json.loads(found)
    except (ValueError, RecursionError):
      return value
  if isinstance(found, Mapping) and list(found) == [_WRAPPED]:
    found = found[_WRAPPED]
  if not isinstance(found, list):
    return value
  if len(found) > 1:
    raise ValueError(f"has {len(found)} labels")
  return found[0] if found else None


def _of_text(text: str) -> str:
  if not text.strip():
    return ""
  if text.lower() in _TRUTH:
    return text.lower()
  whole = _WHOLE.fullmatch(text)
  if not whole:
    return text
  sign, digits = whole.groups()
  return f"-{digits}" if sign == "-" and digits != "0" else digits


def _of_number(value: float | decimal.Decimal) -> str:
  if math.isnan(value):
    return ""
  if math.isfinite(value) and value == int(value):
    return str(int(value))
  if isinstance(value, decimal.Decimal) and math.isfinite(value):
    return f"{value.normalize():f}"
  return str(value)
