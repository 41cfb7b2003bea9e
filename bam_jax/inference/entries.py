"""What a program gives a model to answer on, held against what texts are.

Files are held against it where they are read (`data.sources`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from bam_jax.runtime.spelling import shown


def check(texts: Sequence[Sequence[Any]], *, lists: bool) -> None:
  """Refuses what no tokenizer reads.

  Args:
    texts: one or two columns of N entries.
    lists: whether an entry may be a list of words or candidates; who reads
      lists looks at what is in them.

  Raises:
    ValueError: an entry is no text, such as None or NaN, or holds half a
      character, which an escape of JSON can write.
  """
  for column in texts:
    for row, entry in enumerate(column):
      if not (lists or isinstance(entry, str)):
        raise ValueError(f"row {row} of texts has {shown(entry)}, no text")
      if _halved(entry):
        raise ValueError(
          f"row {row} of texts holds half a character in {shown(entry)}, which"
          " no text has"
        )


def _halved(entry: Any) -> bool:
  """Tells whether a text, or one of a list, cannot be written as UTF-8."""
  if isinstance(entry, str):
    try:
      entry.encode()
    except UnicodeEncodeError:
      return True
    return False
  return isinstance(entry, Iterable) and any(
    isinstance(each, str) and _halved(each) for each in entry
  )
