"""Packs short examples into rows; it sees lengths and never a token.

Many batches are packed at once: the loop runs over the examples of a batch and
every line of it is arithmetic over all batches, so a whole run is planned in
seconds and the plan of one batch is the same, whatever is planned with it.
"""

from collections.abc import Callable
import dataclasses

import numpy as np

# Batches at a time: the free space of all their rows stays in the cache.
_CHUNK = 1024
# The length of what reads the text of the example before it.
FOLLOWS = -1


@dataclasses.dataclass(frozen=True)
class Packing:
  """Where the examples of N batches lie.

  Attributes:
    row: i32[N, B] row of each example, -1 where there is no example.
    start: i32[N, B] position of its first token in that row.
    slot: i32[N, B] how many examples of that row lie before it.
    rows: i32[N] rows that each batch takes.
  """

  row: np.ndarray
  start: np.ndarray
  slot: np.ndarray
  rows: np.ndarray


def pack(lengths: np.ndarray, width: int) -> Packing:
  """Packs by first-fit-decreasing: the longest first, each where it first fits.

  Equally long examples keep their order. The result is a function of each
  batch alone.

  Args:
    lengths: i32[N, B] tokens of each example, 0 = no example.
    width: tokens in a row.
  """
  assert lengths.max(initial=0) <= width, "an example longer than a row"
  parts = [
    _pack(lengths[i : i + _CHUNK], width)
    for i in range(0, max(len(lengths), 1), _CHUNK)
  ]
  return Packing(*map(np.concatenate, zip(*parts, strict=True)))


def _pack(lengths: np.ndarray, width: int) -> tuple[np.ndarray, ...]:
  n, b = lengths.shape
  batch = np.arange(n)
  order = np.argsort(-lengths, axis=1, kind="stable").T
  # One more row than examples: the last one always has room.
  free = np.full((n, b + 1), width, np.int32)
  filled = np.zeros((n, b + 1), np.int32)
  row, start, slot = np.full((3, n, b), [[[-1]], [[0]], [[0]]], np.int32)
  used = 0
  for example in order:
    length = lengths[batch, example]
    there = length > 0
    if not there.any():
      break
    first = (free[:, : used + 1] >= length[:, None]).argmax(axis=1)
    row[batch, example] = np.where(there, first, -1)
    start[batch, example] = np.where(there, width - free[batch, first], 0)
    slot[batch, example] = np.where(there, filled[batch, first], 0)
    free[batch, first] -= length
    filled[batch, first] += there
    used = max(used, 1 + int(first.max()))
  return row, start, slot, (filled > 0).sum(axis=1, dtype=np.int32)


def pad(lengths: np.ndarray, width: int) -> Packing:
  """Gives every example a row of its own: the layout without packing.

  Args:
    lengths: i32[N, B] tokens of each example, 0 = no example.
    width: tokens in a row.
  """
  assert lengths.max(initial=0) <= width, "an example longer than a row"
  there = lengths > 0
  row = np.where(there, np.cumsum(there, axis=1) - 1, -1).astype(np.int32)
  zeros = np.zeros_like(row)
  return Packing(row, zeros, zeros, there.sum(axis=1, dtype=np.int32))


def following(
  place: Callable[[np.ndarray, int], Packing], lengths: np.ndarray, width: int
) -> Packing:
  """Places texts, and on each of them all examples that read it.

  The examples of a text have slots one after the other.

  Args:
    place: `pack` or `pad`.
    lengths: i32[N, B] tokens of each example, 0 = no example, FOLLOWS = those
      of the example before it.
    width: tokens in a row.
  """
  texts = place(np.maximum(lengths, 0), width)
  # Of each example the column of the one that its text came with.
  columns = np.arange(lengths.shape[1])
  lead = np.maximum.accumulate(np.where(lengths > 0, columns, 0), axis=1)
  there = lengths != 0
  row, start, text = (
    np.where(there, np.take_along_axis(each, lead, 1), empty)
    for each, empty in ((texts.row, -1), (texts.start, 0), (texts.slot, 0))
  )
  # By rows, in each by texts, and then as they are given; the last are none.
  order = np.argsort(
    np.where(there, row * np.int64(1 + lengths.shape[1]) + text, 2**62),
    axis=1,
    kind="stable",
  )
  sorted_row = np.take_along_axis(row, order, 1)
  new = np.ones(row.shape, bool)
  new[:, 1:] = sorted_row[:, 1:] != sorted_row[:, :-1]
  first = np.maximum.accumulate(np.where(new, columns, 0), axis=1)
  slot = np.zeros_like(row)
  np.put_along_axis(slot, order, columns - first, 1)
  return Packing(
    row.astype(np.int32),
    start.astype(np.int32),
    np.where(there, slot, 0).astype(np.int32),
    texts.rows,
  )


def row_shapes(
  counts: np.ndarray, *, at_most: int, multiple: int
) -> tuple[int, ...]:
  """Returns the numbers of rows to compile for, the least wasteful ones.

  A step takes the smallest shape that holds its rows. An exact dynamic
  programme over the histogram chooses the shapes for which the steps together
  have the fewest empty rows.

  Args:
    counts: i32[steps] rows that each step needs.
    at_most: how many shapes there may be.
    multiple: every shape is a multiple of this (devices, micro_rows).

  Raises:
    ValueError: `at_most` or `multiple` is less than 1.
  """
  for name, value in (("row_shapes", at_most), ("multiple", multiple)):
    if value < 1:
      raise ValueError(f"{name} is {value}; it must be at least 1")
  rows, steps = np.unique(-(-counts // multiple) * multiple, return_counts=True)
  if len(rows) <= at_most:
    return tuple(map(int, rows))
  # cost[i, j]: rows computed by the steps that need rows[i] to rows[j], where
  # all of them take rows[j]. What they need is the same for every choice.
  before = np.concatenate([[0], np.cumsum(steps)])
  cost = rows * (before[1:] - before[:-1, None])
  cost = np.where(np.tri(len(rows), k=-1), np.inf, cost)
  best, origins = cost[0], []
  for _ in range(at_most - 1):
    # The last shape is rows[j] and takes what is above rows[i - 1].
    totals = best[:-1, None] + cost[1:]
    origins.append(totals.argmin(axis=0))
    best = totals.min(axis=0)
  chosen = [len(rows) - 1]
  for origin in reversed(origins):
    chosen.append(int(origin[chosen[-1]]))
  return tuple(int(rows[j]) for j in reversed(chosen))
