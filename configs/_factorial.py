"""Fractions of two-level designs (Box, Hunter and Hunter 2005, chapter 6)."""

from collections.abc import Iterator, Mapping
import itertools


def fraction(free: str, made: Mapping[str, str]) -> Iterator[dict[str, bool]]:
  """Yields the cells of a fraction: whether each factor is high there.

  With {"E": "ABCD"} the sign of E is the product of those of A, B, C and D:
  I = ABCDE is the defining relation, and its length the resolution.

  Args:
    free: letters of factors whose combinations are all there.
    made: letter of a factor -> letters of those that its sign follows from.
  """
  # The first letter changes fastest, and all are low in the first cell.
  for signs in itertools.product((False, True), repeat=len(free)):
    cell = dict(zip(free, reversed(signs), strict=True))
    for letter, word in made.items():
      low = sum(not cell[each] for each in word)
      cell[letter] = low % 2 == 0
    yield cell
