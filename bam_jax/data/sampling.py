"""Draws the order in which a run sees its examples, and weighs its tasks.

It knows sizes and seeds only. An order is i32[steps, B], numbers of examples
counted through the tasks one after the other.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import zlib

import numpy as np

# Training rows as the reference code counts them: mrpc and stsb doubled by
# swapped copies, qnli in its first version, qqp with rows since dropped.
REFERENCE_SIZES = {
  "cola": 8551,
  "mnli": 392702,
  "mrpc": 7336,
  "qnli": 108436,
  "qqp": 363869,
  "sst2": 67349,
  "stsb": 11498,
  "rte": 2490,
}
_SHARES = {
  "power": lambda n, exponent, temperature: n**exponent,
  "uniform": lambda n, exponent, temperature: np.ones_like(n),
  "proportional": lambda n, exponent, temperature: n,
  # A task of one example keeps a share.
  "log": lambda n, exponent, temperature: np.log(np.maximum(n, 2)),
  "temperature": lambda n, exponent, temperature: n ** (1 / temperature),
}
_SCALES = ("uniform", "proportional", "power")
# Steps begin an epoch where floats say that they nearly do.
_NEARLY = 1e-9


@dataclasses.dataclass(frozen=True)
class Mixing:
  """How the tasks of a run are mixed in its steps.

  Attributes:
    kind: how the tasks of a batch are drawn, a row of `ORDERS`; or copies,
      which shuffles all rows together, each task's `copies` times, once an
      epoch.
    exponent: of power.
    temperature: of temperature.
    copies: of copies: one number per task.
    epochs: that all steps of the run make, for annealed and sequential_epochs.
    anneal: of annealed, by how much the exponent falls.
    ends: examples of each task after which it is drawn no more, inf = never;
      of kinds that draw tasks by chance. () = none ends.

  Raises:
    ValueError: no such kind, or tasks of another kind end.
  """

  kind: str
  exponent: float
  temperature: float
  copies: Sequence[int]
  epochs: float = 1.0
  anneal: float = 0.8
  ends: Sequence[float] = ()

  @property
  def exponents(self) -> np.ndarray:
    """The exponent of every epoch: f64[E]."""
    if self.kind != "annealed":
      return np.array([self.exponent])
    epoch = np.arange(int(np.ceil(self.epochs - _NEARLY)))
    return 1 - self.anneal * epoch / max(len(epoch) - 1, 1)

  def __post_init__(self):
    if self.kind not in SAMPLING:
      raise ValueError(
        f"sampling {self.kind!r}: it is one of {', '.join(SAMPLING)}"
      )
    if self.ends and ORDERS.get(self.kind) is not _drawn:
      raise ValueError(
        f"sampling {self.kind!r} does not draw tasks, so none can end before "
        f"others; take one of {', '.join(_BY_CHANCE)}, or no max_epochs"
      )


def _rng(seed: int, purpose: str, *more: int) -> np.random.Generator:
  """Returns a stream of its own per purpose, the same on every machine."""
  words = (seed, zlib.crc32(purpose.encode()), *more)
  return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))


def probabilities(
  sizes: Sequence[int], *, kind: str, exponent: float, temperature: float
) -> np.ndarray:
  """Returns the chance of every task to be drawn: f64[T], sum 1.

  Args:
    sizes: training examples of each task.
    kind: power (p ~ n^exponent; BAM, section 4, has 0.75), uniform,
      proportional, log or temperature (p ~ n^(1 / temperature)).
    exponent: of power.
    temperature: of temperature; 1 is proportional, infinity uniform.

  Raises:
    ValueError: no such kind, a temperature that is not positive, or chances
      that no number can tell apart from 0.
  """
  if kind not in _SHARES:
    raise ValueError(f"sampling {kind!r}: it is one of {', '.join(_SHARES)}")
  if kind == "temperature" and not temperature > 0:
    raise ValueError(f"temperature is {temperature}; it must be above 0")
  with np.errstate(over="ignore", under="ignore"):
    shares = _SHARES[kind](np.asarray(sizes, float), exponent, temperature)
  if not 0 < shares.min() <= shares.sum() < np.inf:
    raise ValueError(
      f"sampling {kind!r} with exponent {exponent} and temperature "
      f"{temperature} leaves a task no chance, or all of it: the tasks have "
      f"{', '.join(map(str, sizes))} rows"
    )
  return shares / shares.sum()


def loss_scale(
  sizes: Sequence[int], *, kind: str, exponent: float
) -> np.ndarray:
  """Returns a weight on each task's loss, f(n) / max f: f64[T].

  It is apart from sampling; Wang et al. (2019), "Can You Tell Me How to Get
  Past Sesame Street?", use one of the two.

  Raises:
    ValueError: the kind is not uniform, proportional or power.
  """
  if kind not in _SCALES:
    raise ValueError(f"loss_scale {kind!r}: it is one of {', '.join(_SCALES)}")
  shares = probabilities(sizes, kind=kind, exponent=exponent, temperature=1)
  return shares / shares.max()


def copies_and_weights(
  sizes: Mapping[str, int],
  *,
  exponent: float,
  anchor: str,
  over: Sequence[str],
) -> tuple[dict[str, int], dict[str, float]]:
  """Returns how often each task's rows are repeated, and their loss weight.

  BAM's reference code does not draw tasks. It repeats each task's rows until
  their number is near n^exponent, relative to the anchor, shuffles all rows
  together, and mends what rounding left over by a weight on the loss.

  Args:
    sizes: rows of each task; `REFERENCE_SIZES` does as the reference code.
    exponent: 0.75 in the paper.
    anchor: the task whose rows come once; "" is the largest. Reference: mnli.
    over: the tasks over which the weights are normalised. The reference code
      takes all eight, whatever it trains on, so that the mean weight of a
      subset is not 1.

  Raises:
    ValueError: `anchor` or a task of `over` has no size.
  """
  for name in ([anchor] if anchor else []) + list(over):
    if name not in sizes:
      raise ValueError(
        f"task {name!r} has no size in the copies scheme, which knows "
        f"{', '.join(sizes)}; count the rows of your own tasks, or sample by "
        "power"
      )
  n = np.array(list(sizes.values()), float)
  chosen = np.isin(list(sizes), list(over))
  largest = list(sizes).index(anchor) if anchor else int(n.argmax())
  with np.errstate(all="ignore"):
    shares = n**exponent
    if not 0 < shares.min() <= shares.sum() < np.inf:
      raise ValueError(
        f"an exponent of {exponent} leaves a task no copy, or all of them; "
        "the paper has 0.75"
      )
  target = shares / shares[largest] * n[largest]
  # Python rounds halves to even, and so does rint. A task so much larger than
  # the anchor that it should come less than once still comes once.
  copies = np.maximum(np.rint((target + 0.01) / n), 1)
  weights = shares / (n * copies)
  weights *= chosen.sum() / weights[chosen].sum()
  return (
    dict(zip(sizes, map(int, copies), strict=True)),
    dict(zip(sizes, map(float, weights), strict=True)),
  )


def count_steps(examples: int, *, batch_size: int, epochs: float) -> int:
  """Returns the steps of a run; an epoch's last batch counts as a full one.

  Args:
    examples: of all tasks in one epoch, repeated rows counted as often.
    batch_size: examples in a step.
    epochs: may be a fraction.

  Raises:
    ValueError: there would be no step at all.
  """
  steps = int(-(-examples // batch_size) * epochs)
  if steps < 1:
    raise ValueError(
      f"{epochs} epochs of {examples} examples in batches of {batch_size} are "
      "not one step; raise epochs or lower batch_size"
    )
  return steps


def train_order(
  sizes: Sequence[int],
  mixing: Mixing,
  *,
  batch_size: int,
  steps: int,
  seed: int,
) -> np.ndarray:
  """Draws the examples of every step of a run.

  Within a task the examples come in one random order after another, so that
  all are seen once before any is seen again: a small task's are cycled through
  while a large one's last. A shorter run is the beginning of a longer one,
  where tasks do not come by epochs (annealed, and both that are sequential).

  Args:
    sizes: training examples of each task.
    mixing: of the tasks.
    batch_size: examples in a step, B.
    steps: how many.
    seed: of the trial.

  Returns:
    i32[steps, B] numbers of examples, counted through the tasks in order.
  """
  assert min(sizes) > 0, sizes
  total = steps * batch_size
  order = np.empty(total, np.int32)
  if mixing.kind == "copies":
    rows = np.arange(sum(sizes), dtype=np.int32)
    rows = np.repeat(rows, np.repeat(mixing.copies, sizes))
    # The reference code pads an epoch to whole batches; here the pool flows on
    # into the next one, so that no step is smaller than the others.
    order[:] = rows[_shuffled(len(rows), total, _rng(seed, "copies"))]
    return order.reshape(steps, batch_size)
  task = ORDERS[mixing.kind](sizes, mixing, steps, batch_size, seed)
  starts = np.cumsum(sizes) - sizes
  for number, (size, start) in enumerate(zip(sizes, starts, strict=True)):
    mine = np.flatnonzero(task == number)
    rng = _rng(seed, "examples", number)
    order[mine] = start + _shuffled(size, len(mine), rng)
  return order.reshape(steps, batch_size)


def _drawn(
  sizes: Sequence[int], mixing: Mixing, steps: int, batch_size: int, seed: int
) -> np.ndarray:
  """Draws the task of each place in each step by its chance: i[steps * B]."""
  kind = "power" if mixing.kind == "annealed" else mixing.kind
  chances = np.array(
    [
      probabilities(
        sizes, kind=kind, exponent=each, temperature=mixing.temperature
      )
      for each in mixing.exponents
    ]
  )
  drawn = _rng(seed, "tasks").random(steps * batch_size)
  epoch = np.zeros(len(drawn), int)
  if len(chances) > 1:
    epoch = _laps(steps, mixing.epochs).astype(int).repeat(batch_size)
  if mixing.ends:
    return _until(mixing.ends, chances, epoch, drawn)
  # Of each epoch, up to the one task that is left.
  bounds = chances.cumsum(1)[:, :-1]
  if len(bounds) == 1:
    return np.searchsorted(bounds[0], drawn, side="right")
  return (bounds[epoch] <= drawn[:, None]).sum(1)


def _until(
  ends: Sequence[float],
  chances: np.ndarray,
  epoch: np.ndarray,
  drawn: np.ndarray,
) -> np.ndarray:
  """Draws tasks by chance, each as often as it may come at most: i[N].

  Where a task ends, its chance goes to those that are left, each in its share.

  Args:
    ends: of each of T tasks, inf = never. Together they are N at least.
    chances: f64[E, T], by epoch.
    epoch: i[N], of every place.
    drawn: f64[N], from 0 to below 1.
  """
  task, left = np.empty(len(drawn), int), np.array(ends, float)
  start = 0
  while start < len(drawn):
    assert left.any(), "places are more than what may come"
    bounds = np.where(left > 0, chances, 0).cumsum(1)
    bounds /= bounds[:, -1:]
    here = (bounds[epoch[start:]] <= drawn[start:, None]).sum(1)
    stop = len(here)
    for number in np.flatnonzero(np.isfinite(left)):
      places = np.flatnonzero(here == number)
      if len(places) > left[number]:
        stop = min(stop, places[int(left[number])])
    task[start : start + stop] = here[:stop]
    left -= np.bincount(here[:stop], minlength=len(left))
    start += stop
  return task


def _round_robin(
  sizes: Sequence[int], mixing: Mixing, steps: int, batch_size: int, seed: int
) -> np.ndarray:
  """Makes step k of task k mod T alone."""
  del mixing, seed
  return np.repeat(np.arange(steps) % len(sizes), batch_size)


def _sequential(
  sizes: Sequence[int], mixing: Mixing, steps: int, batch_size: int, seed: int
) -> np.ndarray:
  """Makes all steps of one task, then all of the next, each by its rows."""
  del seed
  laps = mixing.epochs if mixing.kind == "sequential_epochs" else 1
  ends = np.cumsum(sizes) / sum(sizes)
  task = np.searchsorted(ends[:-1], _laps(steps, laps) % 1, side="right")
  return np.repeat(task, batch_size)


def _laps(steps: int, laps: float) -> np.ndarray:
  """Returns how many laps are made before each step: f64[steps]."""
  return np.arange(steps) * laps / steps + _NEARLY


# kind -> (sizes of T tasks, mixing, steps, B, seed) -> the task of each place
# of each step, i[steps * B]. Of Stickland and Murray (2019), "BERT and PALs",
# is annealed: p ~ n^a, where a falls from 1 by `anneal` to the last epoch. In
# sequential all epochs of a task come before the next one, in
# sequential_epochs every epoch goes through the tasks.
ORDERS: Mapping[str, Callable[..., np.ndarray]] = {
  **dict.fromkeys(_SHARES, _drawn),
  "annealed": _drawn,
  "round_robin": _round_robin,
  "sequential": _sequential,
  "sequential_epochs": _sequential,
}
SAMPLING = (*ORDERS, "copies")
_BY_CHANCE = tuple(kind for kind, order in ORDERS.items() if order is _drawn)


def check(sizes: Sequence[int], mixing: Mixing) -> None:
  """Refuses chances that no number can tell apart; see `probabilities`.

  Args:
    sizes: training examples of each task.
    mixing: of the tasks.
  """
  if ORDERS.get(mixing.kind) is _drawn:
    _drawn(sizes, mixing, 1, 1, 0)


def _shuffled(size: int, count: int, rng: np.random.Generator) -> np.ndarray:
  """Returns random orders of 0 .. size - 1, one after another: i32[count]."""
  epochs = np.tile(np.arange(size, dtype=np.int32), (-(-count // size), 1))
  return rng.permuted(epochs, axis=1).reshape(-1)[:count]
