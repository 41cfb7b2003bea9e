"""What a misspelt name was probably meant to be."""

from collections.abc import Iterable
import difflib
import reprlib
from typing import Any

_repr = reprlib.Repr()
_repr.maxlist, _repr.maxstring = 20, 60


def hint(got: object, known: Iterable[str], *, cutoff: float = 0.6) -> str:
  """Returns "; did you mean 'X'?", or "" where nothing is near.

  Args:
    got: the name that is none of them.
    known: the names that there are.
    cutoff: how alike two names must be, 0 to 1.
  """
  near = difflib.get_close_matches(str(got), list(known), n=1, cutoff=cutoff)
  return f"; did you mean {near[0]!r}?" if near else ""


def shown(value: Any) -> str:
  """Returns a value as a sentence has room for: a label may be a whole file."""
  return _repr.repr(value)
