"""Makes `batches[k]`, the arrays of step k, out of features and an order.

From lengths alone it is planned how many rows every step needs; tokens are
read only when a batch is asked for. So a batch is a function of the examples,
the order (see `sampling`) and k: a run resumes at an integer, and every host
makes the same plan and reads its own rows.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import functools

import numpy as np

from bam_jax.data import masking
from bam_jax.data import packing as packing_lib
from bam_jax.data import units as units_lib
from bam_jax.data.features import Features
from bam_jax.data.fields import (
  EXAMPLES,
  FORWARD,
  GROUP,
  HAS_GOLD,
  SIDE,
  SPACES,
  Room,
)
from bam_jax.data.masking import Masker
from bam_jax.data.places import Places
from bam_jax.data.pool import Pool, TaskData, join

# Steps planned at a time.
_CHUNK = 4096


class TrialBatches(Sequence):
  """The batches of R trials trained together, each in an order of its own.

  `batches[k]` holds, with a leading R axis throughout, the fields of
  fields.py: `tokens, types, positions, segments`: i32[B, S], 0 where nothing
  lies; `cls`: i32[B, E] where in its row an example begins; `task, index`:
  i32[B, E], -1 where there is no example; `weight`: f32[B, E]; what is learned
  in each space that the run has; and where a row of the run lacks gold, so
  that the step of all other runs stays as it is, `has_gold`: f32[B, E]; where
  some examples of it stay together, `group`: i32[B, E]; and where tokens are
  masked, `masked, place`: i32[B, P], what stood there and where that is; where
  those beside each token are said, also `side`: i32[B, P].

  Attributes:
    width: tokens in a row, S.
    examples: examples a row has room for, E, in all steps.
    places: masked tokens that a row has room for, P, in all steps.
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
    micro_rows: int = 0,
  ):
    """Plans every step; reads no token.

    Args:
      pools: each trial's examples. They differ in their teachers and weights
        at most, and trials may share one.
      orders: i32[R, steps, U] numbers of their units, -1 = none; each example
        is one, or a question with all of its candidates.
      width: tokens in a row.
      packing: False gives each example a row of its own.
      row_shapes: the most numbers of rows there may be.
      multiple: every number of rows is a multiple of this: devices, or rows
        of a micro-batch.
      micro_rows: rows of a micro-batch, into one of which a unit comes whole;
        0 = a step is not divided.

    Raises:
      ValueError: an example is longer than a row, a unit larger than a
        micro-batch, or without packing the batch does not divide by `multiple`.
    """
    lengths, batch_size = pools[0].lengths, orders.shape[-1]
    longest = lengths.max(initial=0)
    if longest > width:
      raise ValueError(
        f"rows of {width} tokens are too short for an example of {longest}; "
        f"set max_length to at most {width}, or the width to {longest}"
      )
    units = pools[0].units
    if not packing and units is None and batch_size % multiple:
      raise ValueError(
        f"batch_size {batch_size} is not a multiple of {multiple} (devices or "
        f"micro_rows); try {-(-batch_size // multiple) * multiple}"
      )
    assert len(pools) == len(orders), (len(pools), len(orders))
    self.width, self._pools, self._orders = width, pools, orders
    self._place = packing_lib.pack if packing else packing_lib.pad
    several = pools[0].text is not None
    if several:
      self._place = functools.partial(packing_lib.following, self._place)
    self._dealer = self._parts = None
    if units is not None and micro_rows:
      self._dealer = units_lib.Dealer(self._place, width, micro_rows)
      self._parts = np.zeros(orders.shape[:2], np.int32)
    self.rows = np.zeros(orders.shape[1], np.int32)
    tokens, most, masked = 0, 1, 0
    for trial, order in enumerate(orders):
      for i in range(0, len(order), _CHUNK):
        chunk = slice(i, i + _CHUNK)
        numbers, owners = self._drawn(order[chunk])
        lengths = self._lengths(numbers)
        if self._dealer:
          parts, slots = self._dealer.planned(lengths, owners)
          self._parts[trial, chunk], taken = parts, parts * micro_rows
          row = None
        else:
          placed = self._place(lengths, width)
          taken, slots = placed.rows, 1 + int(placed.slot.max(initial=0))
          row = placed.row
        masked = max(masked, self._masked(numbers, row))
        np.maximum(self.rows[chunk], taken, out=self.rows[chunk])
        tokens += int(np.maximum(lengths, 0).sum())
        most = max(most, slots)
    self.examples = -(-most // 4) * 4 if packing or several else 1
    self.places = min(-(-masked // 8) * 8, self._most)
    if packing or units is not None:
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
    if pool.units is not None:
      numbers = pool.units.flat(numbers)
    return pool.lengths[numbers], pool.task[numbers]

  def _drawn(self, order: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the examples of units, and whose they are where it matters."""
    units = self._pools[0].units
    return (order, None) if units is None else units.examples(order)

  def _lengths(self, numbers: np.ndarray) -> np.ndarray:
    found = self._pools[0].lengths[numbers]
    found = np.where(found, found, packing_lib.FOLLOWS)
    return np.where(numbers >= 0, found, 0)

  def _masked(self, numbers: np.ndarray, row: np.ndarray | None) -> int:
    """Returns how many tokens of a row are masked at most.

    Args:
      numbers: i32[N, W] of examples, -1 = none.
      row: i32[N, W] where each lies; None = anywhere.
    """
    drawn = self._pools[0].masking
    if drawn is None:
      return 0
    if row is None:
      return self._most
    return masking.in_a_row(np.where(numbers >= 0, drawn.most[numbers], 0), row)

  @property
  def _sided(self) -> bool:
    """Whether some task says what stands on either side of tokens."""
    drawn = self._pools[0].masking
    return drawn is not None and bool((drawn.sides > 1).any())

  @property
  def _most(self) -> int:
    """How many tokens of a row can be said at most."""
    return (1 + self._sided) * self.width

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
    numbers, owners = self._drawn(self._orders[:, k])
    placed = self._placed(numbers, owners, k)
    room = Room(last - first, self.width, self.examples, self.places)
    batch = empty(len(self._orders), room, self._pools[0].columns)
    for space, each in self._pools[0].learned.items():
      if each.label.ndim > 1:
        wide = dataclasses.replace(SPACES[space].label, wide=True)
        batch |= room.empty(
          [wide], trials=len(self._orders), columns=each.label.shape[1]
        )
    if self._pools[0].has_gold is not None:
      batch |= room.empty([HAS_GOLD], trials=len(self._orders))
    if self._sided:
      batch |= room.empty([SIDE], trials=len(self._orders))
    grouped = self._pools[0].grouped
    if grouped is not None:
      batch |= room.empty([GROUP], trials=len(self._orders))
    for trial in range(len(numbers)):
      row = placed.row[trial]
      mine = np.flatnonzero((row >= first) & (row < last))
      places = Places(
        row[mine] - first, placed.start[trial, mine], placed.slot[trial, mine]
      )
      own = {name: array[trial] for name, array in batch.items()}
      _write(own, self._pools[trial], numbers[trial, mine], places)
      if drawn := self._pools[trial].masking:
        drawn.write(own, numbers[trial, mine], places.row, places.start, step=k)
      if grouped is not None:
        at = units_lib.first_slots(
          owners[trial], row * self.examples + placed.slot[trial]
        )
        # The labels of one text are no choice among them.
        at = np.where(grouped[numbers[trial]], at, -1)
        batch[GROUP.name][trial, places.row, places.slot] = at[mine]
    return batch

  def _placed(
    self, numbers: np.ndarray, owners: np.ndarray | None, k: int
  ) -> packing_lib.Packing:
    """Returns where the examples [R, W] of step k lie."""
    lengths = self._lengths(numbers)
    if self._dealer is None:
      return self._place(lengths, self.width)
    return self._dealer.placed(
      lengths, owners, self._parts[:, k], of=int(self.sizes[k])
    )


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
  trials: int, room: Room, columns: Mapping[str, int]
) -> dict[str, np.ndarray]:
  """Returns a batch without an example in it, as `TrialBatches` describes.

  Args:
    trials: R.
    room: how large its arrays are.
    columns: space -> C of its widest head, of the spaces that the run has.
  """
  batch = room.empty([*FORWARD, *EXAMPLES], trials=trials)
  for space, width in columns.items():
    batch |= room.empty(SPACES[space].fields, trials=trials, columns=width)
  return batch


def _write(
  batch: Mapping[str, np.ndarray],
  pool: Pool,
  numbers: np.ndarray,
  places: Places,
) -> None:
  """Writes examples to their places in the arrays of one trial."""
  slots = places.row, places.slot
  reads = np.flatnonzero(pool.lengths[numbers])
  places.take(reads).write(batch, pool.features, pool.source(numbers[reads]))
  batch["cls"][slots] = places.start
  batch["task"][slots] = pool.task[numbers]
  batch["index"][slots] = pool.index[numbers]
  batch["weight"][slots] = pool.weight[numbers]
  if pool.has_gold is not None:
    batch[HAS_GOLD.name][slots] = pool.has_gold[numbers]
  for name, each in pool.learned.items():
    which, there = places.outputs(numbers, each.words)
    space = SPACES[name]
    batch[space.label.name][there] = each.label[which]
    batch[space.teacher.name][there] = each.teacher[which]
    batch[space.has_teacher.name][there] = each.has_teacher[which]


@dataclasses.dataclass(frozen=True)
class Layout:
  """How examples lie in the batches of an evaluation.

  Attributes:
    width: tokens in a row, S.
    batch_size: examples in a batch.
    packing: several examples in a row, or one.
    masker: of tasks that mask tokens; None = there is none.
    rows: of every batch, enough for the fullest; 0 = as many as that needs.
  """

  width: int
  batch_size: int
  packing: bool
  masker: Masker | None = None
  rows: int = 0


def eval_batches(
  datasets: Sequence[tuple[Features, int]],
  layout: Layout,
  *,
  multiple: int,
) -> Batches:
  """Returns batches of one trial that hold every example once, in one shape.

  Rows of one table come together, as in training.
  Their `index` counts the examples of all data sets, one after the other. Each
  batch has long and short ones in the same mixture, so that all need nearly
  the same rows; the last ones may lack a short example.

  Args:
    datasets: examples, and their task's position in the run.
    layout: of the batches.
    multiple: the number of rows is a multiple of this.

  Raises:
    ValueError: see `TrialBatches`.
  """
  datasets = [(features.examples, position) for features, position in datasets]
  pool = join(
    [TaskData("", _unlabelled(features), 1, None) for features, _ in datasets],
    weights=[1] * len(datasets),
    positions=[position for _, position in datasets],
    masker=layout.masker,
  )
  # Nothing is learned from them.
  pool = dataclasses.replace(pool, index=pool.number, learned={})
  lengths = pool.lengths
  if pool.units is not None:
    lengths = lengths[pool.units.first]
  count = -(-len(lengths) // layout.batch_size)
  order = np.full(count * layout.batch_size, -1, np.int32)
  order[: len(lengths)] = np.argsort(-lengths, kind="stable")
  plan = TrialBatches(
    [pool],
    order.reshape(1, layout.batch_size, count).swapaxes(1, 2),
    width=layout.width,
    packing=layout.packing,
    row_shapes=1,
    multiple=layout.rows or multiple,
  )
  return Batches(plan)


def _unlabelled(features: Features) -> Features:
  """Returns examples without what is learned of them, but for masked tokens."""
  if features.words is not None and features.words.drawn:
    return features
  return dataclasses.replace(features, labels=None, words=None, windows=None)
