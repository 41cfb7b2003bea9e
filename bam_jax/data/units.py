"""What is drawn: an example by itself, or several that stay together.

The candidates of a question are a unit. One is counted by the batch size, comes
into one step whole, and into one micro-batch; its examples may lie in several
rows. Without micro-batches a unit may be as large as memory allows.
"""

from collections.abc import Callable, Sequence
import dataclasses

import numpy as np

from bam_jax.data.packing import Packing
from bam_jax.data.ragged import offsets_of, spans


@dataclasses.dataclass(frozen=True)
class Units:
  """Which examples of a pool stay together.

  Attributes:
    offsets: i64[U + 1], unit `u` has examples `offsets[u] : offsets[u + 1]`.
  """

  offsets: np.ndarray

  def __len__(self) -> int:
    return len(self.offsets) - 1

  @property
  def first(self) -> np.ndarray:
    """The first example of each unit: i64[U]."""
    return self.offsets[:-1]

  def flat(self, units: np.ndarray) -> np.ndarray:
    """Returns the examples of some units, i64[M] of i[K]."""
    return spans(self.offsets[units], np.diff(self.offsets)[units])

  def examples(self, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the examples of the units of N steps, a unit's one after another.

    Args:
      order: i32[N, U] numbers of units, -1 = none.

    Returns:
      i32[N, W] numbers of examples, and whose of the step's U units each is; -1
      behind the last.
    """
    there = order >= 0
    counts = np.where(there, np.diff(self.offsets)[order], 0)
    each = counts[there]
    sizes = counts.sum(1)
    numbers = np.full((len(order), max(int(sizes.max(initial=0)), 1)), -1)
    owners = numbers.copy()
    at = (
      np.repeat(np.arange(len(order)), sizes),
      spans(np.zeros_like(sizes), sizes),
    )
    numbers[at] = self.flat(order[there])
    owners[at] = np.repeat(np.nonzero(there)[1], each)
    return numbers.astype(np.int32), owners.astype(np.int32)


def join(
  counts: Sequence[np.ndarray | None], sizes: Sequence[int]
) -> Units | None:
  """Returns the units of several tasks; None where each example is one.

  Args:
    counts: i64[N] of a task whose units have so many examples; None = one each.
    sizes: examples of each task.
  """
  if all(each is None for each in counts):
    return None
  return Units(
    offsets_of(
      np.concatenate(
        [
          np.ones(size, np.int64) if each is None else each
          for each, size in zip(counts, sizes, strict=True)
        ]
      )
    )
  )


def first_slots(owners: np.ndarray, place: np.ndarray) -> np.ndarray:
  """Returns, for each example of a step, where the first of its unit lies.

  Args:
    owners: i32[W] from `Units.examples`, of one step.
    place: i[W] where each lies.
  """
  there = owners >= 0
  _, first, whose = np.unique(
    owners[there], return_index=True, return_inverse=True
  )
  found = np.full(len(owners), -1, np.int32)
  found[there] = place[there][first][whose]
  return found


@dataclasses.dataclass(frozen=True)
class Dealer:
  """Deals the units of steps to micro-batches, and lays out each by itself.

  Attributes:
    place: (lengths i32[N, W], width) -> where they lie, from `packing`.
    width: tokens in a row.
    rows: of a micro-batch.
  """

  place: Callable[[np.ndarray, int], Packing]
  width: int
  rows: int

  def planned(
    self, lengths: np.ndarray, owners: np.ndarray
  ) -> tuple[np.ndarray, int]:
    """Returns how many micro-batches each step takes, i32[N].

    And the most examples that a row has.

    Args:
      lengths: i32[N, W] tokens of each example, 0 = none; see `packing`.
      owners: i32[N, W] whose of the step's units each is, -1 = none.

    Raises:
      ValueError: a unit is larger than a micro-batch.
    """
    units = 1 + owners.max(1)
    tokens = np.maximum(lengths, 0).sum(1)
    parts = -(-tokens // (self.width * self.rows))
    parts = np.maximum(parts, 1).astype(np.int32)
    left, slots = np.arange(len(lengths)), 1
    while len(left):
      tight = []
      for count in np.unique(parts[left]):
        mine = left[parts[left] == count]
        placed, _ = self._dealt(lengths[mine], owners[mine], int(count))
        taken = placed.rows
        # Even with a micro-batch for each there is one that has no room.
        if (taken > self.rows)[units[mine] <= count].any():
          raise ValueError(
            f"micro_rows is {self.rows}, and a question with its candidates"
            f" takes {taken.max()} rows of {self.width} tokens, which stay in"
            f" one micro-batch; set --config.micro_rows={taken.max()} or more,"
            " or 0"
          )
        fits = taken <= self.rows
        slots = max(slots, 1 + int(placed.slot[fits].max(initial=0)))
        tight.append(mine[~fits])
      left = np.concatenate(tight)
      parts[left] += 1
    return parts, slots

  def placed(
    self, lengths: np.ndarray, owners: np.ndarray, parts: np.ndarray, *, of: int
  ) -> Packing:
    """Returns where the examples of R trials lie in the rows of a step.

    Micro-batch `m` of M has the rows m, m + M, m + 2 M, ...

    Args:
      lengths: i32[R, W] tokens of each example, 0 = none.
      owners: i32[R, W] whose of the step's units each is, -1 = none.
      parts: i32[R], from `planned`.
      of: rows of the step.
    """
    found = []
    for trial, count in enumerate(parts.tolist()):
      mine = slice(trial, trial + 1)
      placed, part = self._dealt(lengths[mine], owners[mine], count)
      row = placed.row * (of // self.rows) + part
      found.append((np.where(placed.row >= 0, row, -1), placed))
    return Packing(
      np.concatenate([row for row, _ in found]).astype(np.int32),
      np.concatenate([placed.start for _, placed in found]),
      np.concatenate([placed.slot for _, placed in found]),
      np.full(len(parts), of, np.int32),
    )

  def _dealt(
    self, lengths: np.ndarray, owners: np.ndarray, parts: int
  ) -> tuple[Packing, np.ndarray]:
    """Deals the largest units first, each to the micro-batch that has least.

    Returns:
      Where examples lie in their own micro-batch, with the rows of the largest
      of each step; and which it is, i64[N, W].
    """
    n, width = lengths.shape
    units = 1 + int(owners.max(initial=0))
    step, place = np.nonzero(owners >= 0)
    sizes = np.zeros((n, units), np.int64)
    tokens = np.maximum(lengths[step, place], 0)
    np.add.at(sizes, (step, owners[step, place]), tokens)
    part, load = np.zeros((n, units), np.int64), np.zeros((n, parts), np.int64)
    every = np.arange(n)
    for unit in np.argsort(-sizes, axis=1, kind="stable").T:
      least = load.argmin(1)
      part[every, unit] = least
      load[every, least] += sizes[every, unit]
    mine = np.take_along_axis(part, np.maximum(owners, 0).astype(np.int64), 1)
    split = np.where(
      mine[:, None] == np.arange(parts)[:, None], lengths[:, None], 0
    )
    placed = self.place(split.reshape(n * parts, width), self.width)
    row, start, slot = (
      np.take_along_axis(each.reshape(n, parts, width), mine[:, None], 1)[:, 0]
      for each in (placed.row, placed.start, placed.slot)
    )
    rows = placed.rows.reshape(n, parts).max(1)
    return Packing(row, start, slot, rows), mine
