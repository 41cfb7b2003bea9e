"""Makes `batches[k]`, the arrays of step k, out of features and an order.

From lengths alone it is planned how many rows every step needs; tokens are
read only when a batch is asked for. So a batch is a function of the examples,
the order (see `sampling`) and k: a run resumes at an integer, and every host
makes the same plan and reads its own rows.
"""

from collections.abc import Sequence
import dataclasses

import numpy as np

from bam_jax.data import packing as packing_lib
from bam_jax.data.features import Features
from bam_jax.data.ragged import offsets_of, spans

# Steps planned at a time.
_CHUNK = 4096


@dataclasses.dataclass(frozen=True)
class TaskData:
  """What a run trains on of one task.

  Attributes:
    name: of the task.
    features: its N examples, swapped copies included.
    classes: its classes, 1 for regression.
    teacher: f32[N, classes] the teacher's answers, passed on as they are; a
      row of NaN is an example without a teacher. None: no teacher.
  """

  name: str
  features: Features
  classes: int
  teacher: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class Pool:
  """The examples of all tasks of a run, one task after the other.

  Attributes:
    features: their tokens and labels, 0 where unlabelled.
    has_gold: f32[N] 0 where a label is NaN, whose target is the teacher's
      alone, else 1; None where no row lacks gold.
    lengths: i32[N] tokens of each.
    task: i32[N] the task's position in the run.
    weight: f32[N] of its loss; 0 where there is neither gold nor teacher.
    teacher: f32[N, C], 0 where there is none.
    has_teacher: f32[N] 1 or 0.
  """

  features: Features
  has_gold: np.ndarray | None
  lengths: np.ndarray
  task: np.ndarray
  weight: np.ndarray
  teacher: np.ndarray
  has_teacher: np.ndarray


def join(
  tasks: Sequence[TaskData],
  *,
  weights: Sequence[float],
  positions: Sequence[int] | None = None,
) -> Pool:
  """Lays the examples of several tasks end to end.

  Args:
    tasks: what is laid out, in this order.
    weights: one per task: loss scale x weight of the copies.
    positions: of each task in the run; None = in the run's order.
  """
  if positions is None:
    positions = range(len(tasks))
  parts = []
  for data in tasks:
    labels = data.features.labels
    if labels is None:
      labels = np.zeros(len(data.features), np.float32)
    parts.append(dataclasses.replace(data.features, labels=labels))
  sizes = [len(part) for part in parts]
  offsets = offsets_of(sizes)
  teacher = np.zeros(
    (offsets[-1], max(data.classes for data in tasks)), np.float32
  )
  has_teacher = np.zeros(offsets[-1], np.float32)
  for data, start, size in zip(tasks, offsets, sizes, strict=False):
    if data.teacher is not None:
      assert data.teacher.shape == (size, data.classes), data.name
      known = ~np.isnan(data.teacher).any(axis=1)
      rows = np.flatnonzero(known) + start
      teacher[rows, : data.classes] = data.teacher[known]
      has_teacher[rows] = 1
  features = Features.join(parts)
  known = ~np.isnan(features.labels)
  weight = np.repeat(np.asarray(weights, np.float32), sizes)
  weight[~known & (has_teacher == 0)] = 0
  features = dataclasses.replace(
    features, labels=np.where(known, features.labels, np.float32(0))
  )
  return Pool(
    features=features,
    has_gold=None if known.all() else known.astype(np.float32),
    lengths=features.lengths,
    task=np.repeat(np.asarray(positions, np.int32), sizes),
    weight=weight,
    teacher=teacher,
    has_teacher=has_teacher,
  )


class TrialBatches(Sequence):
  """The batches of R trials trained together, each in an order of its own.

  `batches[k]` holds, with a leading R axis throughout:
  `tokens, types, positions, segments`: i32[B, S], 0 where nothing lies;
  `cls`: i32[B, E] where in its row an example begins; `task, index`: i32[B, E],
  -1 where there is no example; `label, weight, has_teacher`: f32[B, E];
  `teacher`: f32[B, E, C]; and where a row of the run lacks gold, so that the
  step of all other runs stays as it is, `has_gold`: f32[B, E].

  Attributes:
    width: tokens in a row, S.
    examples: examples a row has room for, E, in all steps.
    rows: i32[steps] rows that each step needs, in the trial that needs most.
    shapes: the numbers of rows that steps come in.
    sizes: i32[steps] rows that each step has, one of `shapes`.
    fill: share of all positions that hold a token.
  """

  def __init__(
    self,
    pools: Sequence[Pool],
    orders: np.ndarray,
    *,
    width: int,
    packing: bool,
    row_shapes: int,
    multiple: int,
  ):
    """Plans every step; reads no token.

    Args:
      pools: each trial's examples. They differ in their teachers and weights
        at most, and trials may share one.
      orders: i32[R, steps, examples of a step] their numbers, -1 = none.
      width: tokens in a row.
      packing: False gives each example a row of its own.
      row_shapes: the most numbers of rows there may be.
      multiple: every number of rows is a multiple of this: devices, or rows
        of a micro-batch.

    Raises:
      ValueError: an example is longer than a row, or without packing the
        batch does not divide by `multiple`.
    """
    lengths, batch_size = pools[0].lengths, orders.shape[-1]
    longest = lengths.max(initial=0)
    if longest > width:
      raise ValueError(
        f"rows of {width} tokens are too short for an example of {longest}; "
        f"set max_length to at most {width}, or the width to {longest}"
      )
    if not packing and batch_size % multiple:
      raise ValueError(
        f"batch_size {batch_size} is not a multiple of {multiple} (devices or "
        f"micro_rows); try {-(-batch_size // multiple) * multiple}"
      )
    assert len(pools) == len(orders), (len(pools), len(orders))
    self.width, self._pools, self._orders = width, pools, orders
    self._place = packing_lib.pack if packing else packing_lib.pad
    self.rows = np.zeros(orders.shape[1], np.int32)
    tokens, most = 0, 1
    for order in orders:
      for i in range(0, len(order), _CHUNK):
        lengths = self._lengths(order[i : i + _CHUNK])
        placed = self._place(lengths, width)
        here = self.rows[i : i + _CHUNK]
        np.maximum(here, placed.rows, out=here)
        tokens += int(lengths.sum())
        most = max(most, 1 + int(placed.slot.max(initial=0)))
    self.examples = -(-most // 4) * 4 if packing else 1
    if packing:
      self.shapes = packing_lib.row_shapes(
        self.rows, at_most=row_shapes, multiple=multiple
      )
    else:
      self.shapes = (batch_size,)
    smallest = np.searchsorted(self.shapes, self.rows)
    self.sizes = np.array(self.shapes, np.int32)[smallest]
    room = int(self.sizes.sum(dtype=np.int64)) * width * len(orders)
    self.fill = tokens / max(room, 1)

  def trained(self, trial: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns what a trial's first steps hold: lengths i[N] and tasks i[N]."""
    order, pool = self._orders[trial][:steps], self._pools[trial]
    numbers = order[order >= 0]
    return pool.lengths[numbers], pool.task[numbers]

  def _lengths(self, numbers: np.ndarray) -> np.ndarray:
    return np.where(numbers >= 0, self._pools[0].lengths[numbers], 0)

  def __len__(self) -> int:
    return len(self.rows)

  def __getitem__(self, k: int) -> dict[str, np.ndarray]:
    return self.read(k, slice(None))

  def read(self, k: int, rows: slice) -> dict[str, np.ndarray]:
    """Returns some rows of step k, those that one host needs.

    Args:
      k: the step.
      rows: which of its `sizes[k]` rows, without a stride.
    """
    k = range(len(self))[k]
    first, last, stride = rows.indices(self.sizes[k])
    assert stride == 1, rows
    numbers = self._orders[:, k]
    placed = self._place(self._lengths(numbers), self.width)
    batch = empty(
      len(self._orders),
      last - first,
      width=self.width,
      examples=self.examples,
      classes=self._pools[0].teacher.shape[1],
    )
    if self._pools[0].has_gold is not None:
      batch["has_gold"] = np.zeros_like(batch["has_teacher"])
    for trial in range(len(numbers)):
      row = placed.row[trial]
      mine = np.flatnonzero((row >= first) & (row < last))
      _write(
        {name: array[trial] for name, array in batch.items()},
        self._pools[trial],
        numbers[trial, mine],
        row=row[mine] - first,
        start=placed.start[trial, mine],
        slot=placed.slot[trial, mine],
      )
    return batch


class Batches(Sequence):
  """The batches of one trial, without the R axis.

  Attributes:
    plan: the `TrialBatches` of that trial.
  """

  def __init__(self, plan: TrialBatches):
    self.plan = plan

  def __len__(self) -> int:
    return len(self.plan)

  def __getitem__(self, k: int) -> dict[str, np.ndarray]:
    return {name: each[0] for name, each in self.plan[k].items()}


def empty(
  trials: int, rows: int, *, width: int, examples: int, classes: int
) -> dict[str, np.ndarray]:
  """Returns a batch without an example in it, as `TrialBatches` describes.

  Args:
    trials: R.
    rows: B.
    width: tokens in a row, S.
    examples: examples a row has room for, E.
    classes: of the task that has most, C.
  """
  tokens = (trials, rows, width)
  room = (trials, rows, examples)
  names = ("tokens", "types", "positions", "segments")
  return {
    **{name: np.zeros(tokens, np.int32) for name in names},
    "cls": np.zeros(room, np.int32),
    "task": np.full(room, -1, np.int32),
    "index": np.full(room, -1, np.int32),
    "label": np.zeros(room, np.float32),
    "weight": np.zeros(room, np.float32),
    "teacher": np.zeros((*room, classes), np.float32),
    "has_teacher": np.zeros(room, np.float32),
  }


def _write(
  batch: dict[str, np.ndarray],
  pool: Pool,
  numbers: np.ndarray,
  *,
  row: np.ndarray,
  start: np.ndarray,
  slot: np.ndarray,
) -> None:
  """Writes examples to their places in the arrays of one trial."""
  features, lengths = pool.features, pool.lengths[numbers]
  source = spans(features.offsets[numbers], lengths)
  position = spans(np.zeros_like(row), lengths)
  there = np.repeat(row, lengths), np.repeat(start, lengths) + position
  batch["tokens"][there] = features.tokens[source]
  batch["types"][there] = features.types[source]
  batch["positions"][there] = position
  batch["segments"][there] = np.repeat(slot + 1, lengths)
  batch["cls"][row, slot] = start
  batch["task"][row, slot] = pool.task[numbers]
  batch["index"][row, slot] = features.index[numbers]
  batch["label"][row, slot] = features.labels[numbers]
  batch["weight"][row, slot] = pool.weight[numbers]
  batch["teacher"][row, slot] = pool.teacher[numbers]
  batch["has_teacher"][row, slot] = pool.has_teacher[numbers]
  if pool.has_gold is not None:
    batch["has_gold"][row, slot] = pool.has_gold[numbers]


@dataclasses.dataclass(frozen=True)
class Layout:
  """How examples lie in the batches of an evaluation.

  Attributes:
    width: tokens in a row, S.
    batch_size: examples in a batch.
    packing: several examples in a row, or one.
  """

  width: int
  batch_size: int
  packing: bool


def eval_batches(
  datasets: Sequence[tuple[Features, int]],
  layout: Layout,
  *,
  classes: int,
  multiple: int,
) -> Batches:
  """Returns batches that hold every example once, in one shape.

  Their `index` counts the examples of all data sets, one after the other. Each
  batch has long and short ones in the same mixture, so that all need nearly
  the same rows; the last ones may lack a short example.

  Args:
    datasets: examples, and their task's position in the run.
    layout: of the batches.
    classes: size of the last axis of `teacher`, C.
    multiple: the number of rows is a multiple of this.

  Raises:
    ValueError: see `TrialBatches`.
  """
  starts = offsets_of([len(features) for features, _ in datasets])
  total = int(starts[-1])
  data = [
    dataclasses.replace(
      features, labels=None, index=start + np.arange(len(features))
    )
    for (features, _), start in zip(datasets, starts, strict=False)
  ]
  pool = join(
    [TaskData("", features, classes, None) for features in data],
    weights=[1] * len(data),
    positions=[position for _, position in datasets],
  )
  count = -(-total // layout.batch_size)
  order = np.full(count * layout.batch_size, -1, np.int32)
  order[:total] = np.argsort(-pool.lengths, kind="stable")
  plan = TrialBatches(
    [pool],
    order.reshape(1, layout.batch_size, count).swapaxes(1, 2),
    width=layout.width,
    packing=layout.packing,
    row_shapes=1,
    multiple=multiple,
  )
  return Batches(plan)
