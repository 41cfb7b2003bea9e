"""Lays texts into rows of few shapes: each shape costs a compilation."""

from collections.abc import Iterator

import numpy as np

from bam_jax.data.features import Features
from bam_jax.data.fields import FORWARD, Room
from bam_jax.data.packing import pack
from bam_jax.data.places import Places

# The narrowest row, in tokens; wider ones are twice, four times ... as wide.
NARROWEST = 16
# How wide rows are where texts fill more than one, unless one text is longer.
PACKED = 128
# Tokens that a packed text takes at least, so that slots are few.
SHORTEST = 8


def packed(
  rows: Features, asked: np.ndarray, *, at_most: int
) -> tuple[dict[str, np.ndarray], Places]:
  """Returns a batch of packed texts, and where each lies.

  A text has a slot for each head that is asked, one after the other.

  Args:
    rows: N of them, one or more.
    asked: i32[T], positions of heads.
    at_most: tokens of a text.
  """
  lengths = np.maximum(rows.lengths, min(SHORTEST, at_most))[None]
  width = NARROWEST
  while width < max(lengths.max(), min(PACKED, lengths.sum())):
    width *= 2
  width = min(width, at_most)
  found = pack(lengths, width)
  room = _room(_rounded(int(found.rows[0])), width, len(asked))
  batch = room.empty(FORWARD)
  places = Places(found.row[0], found.start[0], found.slot[0] * len(asked))
  places.write(batch, rows, np.arange(len(rows)))
  slots = places.slot[:, None] + np.arange(len(asked))
  batch["cls"][places.row[:, None], slots] = places.start[:, None]
  batch["task"][places.row[:, None], slots] = asked
  return batch, places


def rooms(texts: int, tasks: int, *, at_most: int) -> Iterator[Room]:
  """Yields every shape that `packed` has for so many texts or fewer.

  Args:
    texts: N.
    tasks: heads that are asked, T.
    at_most: tokens of a text.
  """
  width = NARROWEST
  while True:
    most = 1 if width < min(PACKED, at_most) else _rounded(texts)
    size = 1
    while size <= most:
      yield _room(size, min(width, at_most), tasks)
      size = _rounded(size + 1)
    if width >= at_most:
      return
    width *= 2


def alone(
  rows: Features, asked: np.ndarray, *, at_most: int
) -> dict[str, np.ndarray]:
  """Returns a batch of one text a row, a slot per head asked.

  Args:
    rows: N of them.
    asked: i32[T], positions of heads.
    at_most: tokens of a text.
  """
  width, size = NARROWEST, 1
  while width < rows.lengths.max():
    width *= 2
  while size < len(rows):
    size *= 2
  return lay_out(rows, asked, size=size, width=min(width, at_most))


def lay_out(
  rows: Features, asked: np.ndarray, *, size: int, width: int
) -> dict[str, np.ndarray]:
  """Returns a batch of one text a row, with a slot per head asked.

  Args:
    rows: N of them.
    asked: i32[T], positions of heads.
    size: B, N or more.
    width: S, as long as the longest text or more.
  """
  batch = Room(size, width, len(asked)).empty(FORWARD)
  one_a_row(rows).write(batch, rows, np.arange(len(rows)))
  # Every slot reads the same [CLS]; the first owns the tokens.
  batch["task"] = np.tile(asked, (size, 1))
  return batch


def one_a_row(rows: Features) -> Places:
  """Returns where `lay_out` lays texts, with their first slots."""
  zero = np.zeros(len(rows), np.int32)
  return Places(np.arange(len(rows), dtype=np.int32), zero, zero)


def _room(size: int, width: int, tasks: int) -> Room:
  return Room(size, width, width // min(SHORTEST, width) * tasks)


def _rounded(size: int) -> int:
  """Returns the next of 1, 2, 3, 4, 6, 8, 12 ..., so at most half as many."""
  power = 1
  while power < size:
    power *= 2
  return power // 4 * 3 if power >= 4 and power // 4 * 3 >= size else power
