"""What a run trains on: its batches, with the teachers' logits in them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
import dataclasses
import functools
import math
from typing import Any, NamedTuple

from ml_collections import ConfigDict
import numpy as np

from bam_jax.data import balance, limits, pipeline, sampling, tables
from bam_jax.data.features import Features
from bam_jax.data.masking import Masker
from bam_jax.data.pool import TaskData, join
from bam_jax.models import flops
from bam_jax.models.encoders import EncoderConfig
from bam_jax.study.experiment import Experiment
from bam_jax.study.plan import Run
from bam_jax.tasks.table import Task
from bam_jax.training import adapting, heads
from bam_jax.training.settings import EPOCH, Settings


@dataclasses.dataclass(frozen=True)
class Frame:
  """What rows a run's examples come into.

  Attributes:
    width: tokens in a row.
    multiple: of which every number of rows is one.
    masker: of its tokens; None = no task masks any.
  """

  width: int
  multiple: int
  masker: Masker | None = None


# (task, seeds of the teacher's trials) -> f32[N, C] of its training rows.
Targets = Callable[[Task, Sequence[int]], np.ndarray | None]


def mixture(
  settings: Settings, sizes: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, float]]:
  """Returns the copies in the pool and the weight of the loss of all drawn.

  Args:
    settings: of the run.
    sizes: training rows of each of its tasks, swapped copies included, or texts
      of a table; see `tables.units`.
  """
  mix = settings.config.sampling
  scale = sampling.loss_scale(
    list(sizes.values()),
    kind=mix.loss_scale,
    exponent=mix.loss_scale_exponent,
  )
  weights = dict(zip(sizes, map(float, scale), strict=True))
  copies = dict.fromkeys(sizes, 1)
  # The reference code has neither copies nor weights for a task alone.
  if mix.kind == "copies" and len(sizes) > 1:
    known = sampling.REFERENCE_SIZES if mix.reference_sizes else sizes
    copies, shares = sampling.copies_and_weights(
      known,
      exponent=mix.exponent,
      anchor="mnli" if mix.reference_sizes else "",
      over=tuple(known),
    )
    missing = [name for name in sizes if name not in copies]
    if missing:
      raise ValueError(
        f"sampling.reference_sizes knows {', '.join(known)}, not "
        f"{', '.join(missing)}; set --config.sampling.reference_sizes=False"
      )
    weights = {name: weights[name] * shares[name] for name in sizes}
  return copies, weights


def check(experiment: Experiment) -> None:
  """Checks that the tasks of all runs can be mixed, as far as settings tell.

  Raises:
    ValueError: they cannot, or a task ends that no run has.
  """
  named: dict[str, int] = {}
  for run in experiment.runs:
    settings = experiment.settings(run)
    drawn = dict.fromkeys(tables.drawn(experiment.tasks_of(run)), 1)
    mixture(settings, drawn)
    mixing(settings, (), ends(settings, drawn))
    named |= drawn
  said = experiment.config.sampling.max_epochs
  limits.counts("sampling.max_epochs", said, [*named], of="epochs")


def ends(settings: Settings, sizes: Mapping[str, int]) -> tuple[float, ...]:
  """Returns after how many examples each task of a run ends; () = none does.

  Args:
    settings: of the run.
    sizes: see `mixture`.
  """
  said = settings.config.sampling.max_epochs
  # Tasks of other runs may be named too; `check` knows all.
  named = [part.partition("=")[0].strip() for part in said.split(",")]
  known = dict.fromkeys((*sizes, *named))
  most = limits.counts("sampling.max_epochs", said, [*known], of="epochs")
  found = [most.get(name, math.inf) * size for name, size in sizes.items()]
  return () if set(found) <= {math.inf} else tuple(found)


def mixing(
  settings: Settings, copies: Iterable[int], ends: Sequence[float] = ()
) -> sampling.Mixing:
  """Returns how the tasks of a run are mixed.

  Args:
    settings: of the run.
    copies: of each of its tasks.
    ends: from `ends`.
  """
  mix = settings.config.sampling
  return sampling.Mixing(
    mix.kind,
    exponent=mix.exponent,
    temperature=mix.temperature,
    copies=tuple(copies),
    epochs=settings.epochs,
    anneal=mix.anneal,
    ends=ends,
  )


def order(
  settings: Settings, sizes: Mapping[str, int]
) -> Callable[..., np.ndarray]:
  """Returns what draws the units of a trial by its seed: i32[steps, B].

  Args:
    settings: of the run.
    sizes: see `mixture`.
  """
  c = settings.config
  copies, _ = mixture(settings, sizes)
  pooled = sum(sizes[name] * copies[name] for name in sizes)
  if each := c.sampling.steps_per_epoch:
    pooled = each * settings.batch_size
  steps = sampling.count_steps(
    pooled, batch_size=settings.batch_size, epochs=settings.epochs
  )
  steps = max(steps, settings.min_steps)
  steps = min(steps, c.max_steps) if c.max_steps else steps
  over = ends(settings, sizes)
  if over and not math.isinf(sum(over)):
    # All tasks end, and the run with the last of them.
    steps = min(steps, max(int(sum(over)) // settings.batch_size, 1))
  return functools.partial(
    sampling.train_order,
    tuple(sizes.values()),
    mixing(settings, [copies[name] for name in sizes], over),
    batch_size=settings.batch_size,
    steps=steps,
  )


def paced(settings: Settings, rows: Mapping[str, Features]) -> Settings:
  """Returns settings with the steps between two evaluations of a run.

  Those of an epoch, or so many for each task, where that is asked.

  Args:
    settings: of a run.
    rows: training rows of its tasks.
  """
  config = settings.config.copy_and_resolve_references()
  if config.eval_every == EPOCH:
    config.eval_every = sampling.count_steps(
      sum(map(len, rows.values())), batch_size=settings.batch_size, epochs=1
    )
  elif config.select.per_task:
    config.eval_every *= len(rows)
  return dataclasses.replace(settings, config=config)


def batches(
  experiment: Experiment,
  run: Run,
  seeds: Sequence[int],
  *,
  rows: Mapping[str, Features],
  targets: Targets | None,
  frame: Frame,
) -> pipeline.TrialBatches:
  """Plans the steps of some trials of a run.

  Args:
    experiment: the experiment.
    run: the run.
    seeds: of the trials.
    rows: training rows of each task, swapped copies included; what has no
      gold is left out where nobody teaches it.
    targets: what the teachers say; None leaves them out, who may not be
      trained yet: the shapes are the same.
    frame: what rows they come into.
  """
  settings, tasks = experiment.settings(run), experiment.tasks_of(run)
  rows = {name: learned(run, name, rows[name]) for name in run.tasks}
  sizes = tables.units(tasks, rows)
  _, weights = mixture(settings, sizes)
  weights = {
    task.name: weights[name]
    for name, labelled in tables.drawn(tasks).items()
    for task in labelled
  }
  draw, pools = order(settings, sizes), {}

  def taught_by(seed: int) -> tuple[int, ...]:
    return experiment.teacher_seeds(run, seed) if targets else ()

  for teachers in dict.fromkeys(map(taught_by, seeds)):
    data = [
      TaskData(
        task.name,
        rows[task.name],
        task.classes,
        targets(task, teachers) if targets else None,
        _emphasis(task, rows[task.name]),
      )
      for task in tasks
    ]
    pools[teachers] = join(
      data,
      weights=[weights[t.name] * (t.learn.weight or 1.0) for t in tasks],
      masker=frame.masker,
    )
  mine = [pools[taught_by(seed)].of(seed) for seed in seeds]
  orders = np.stack([draw(seed=seed) for seed in seeds])
  seen = mine[0].owners(orders[orders >= 0])
  check_all_seen(run, seen, orders.shape[1], settings)
  return pipeline.TrialBatches(
    mine,
    orders,
    width=frame.width,
    packing=settings.config.data.packing,
    row_shapes=settings.config.data.row_shapes,
    multiple=settings.config.micro_rows or frame.multiple,
    micro_rows=settings.config.micro_rows,
  )


def _emphasis(task: Task, rows: Features) -> np.ndarray | None:
  """Returns what rows count, by themselves, class and label; None = 1."""
  said, found = task.learn.class_weight, rows.weights
  if said:
    by_class = balance.emphasis(said, rows.labels)
    found = by_class if found is None else found * by_class
  if count := task.learn.unlabelled_weight:
    blank = np.where(rows.has_gold, np.float32(1), np.float32(count))
    found = blank if found is None else found * blank
  return found


def learned(run: Run, task: str, rows: Features) -> Features:
  """Returns the rows of a task that a run learns from.

  Args:
    run: the run.
    task: name of one of its tasks.
    rows: its training rows.
  """
  gold = rows.has_gold
  return rows if gold.all() or task in dict(run.teachers) else rows.take(gold)


def check_gold(runs: Sequence[Run], task: str, labels: np.ndarray) -> None:
  """Refuses a task of which nothing is there for a run to learn from.

  Args:
    runs: the runs.
    task: its name.
    labels: f32[N] of its training rows, NaN where there is no gold.
  """
  for run in runs if np.isnan(labels).all() else ():
    if task in run.tasks and task not in dict(run.teachers):
      raise ValueError(
        f"no training row of {task} has a label and nobody teaches {run.name};"
        " let the soft labels teach: --config.methods=single-\\>multi"
      )


class Useful(NamedTuple):
  """FLOPs of an example, the mean of some.

  Attributes:
    asked: of a forward pass.
    trained: in a step.
  """

  asked: float
  trained: float


def each_useful(
  shape: EncoderConfig,
  samples: Mapping[str, tuple[Task, Features]],
  config: ConfigDict,
) -> dict[str, Useful]:
  """Returns the useful FLOPs of an example of each task.

  Args:
    shape: of the encoder.
    samples: each task, and some rows of it.
    config: of the run, whole.
  """
  found, counted = {}, adapting.counted(config)
  for name, (task, rows) in samples.items():
    head = heads.spec(task, vocabulary=shape.vocab_size)
    lengths = rows.examples.lengths
    train = flops.train(shape, lengths, head=head, **counted).sum()
    adapter = counted["adapter"]
    asked = flops.forward(shape, lengths, head=head, adapter=adapter).sum()
    found[name] = Useful(asked / len(rows), train / len(rows))
  return found


def useful(
  shape: EncoderConfig,
  tasks: Sequence[Task],
  batches: pipeline.TrialBatches,
  trial: int,
  steps: int,
  **counted: Any,
) -> float:
  """Returns the useful FLOPs of a trial's first steps (see flops.py).

  Args:
    shape: of the encoder.
    tasks: of the run.
    batches: of its trials.
    trial: which of them.
    steps: how many.
    **counted: what the run trains, see `adapting.counted`.
  """
  lengths, owners = batches.trained(trial, steps)
  return float(
    sum(
      flops.train(
        shape,
        lengths[owners == i],
        head=heads.spec(task, vocabulary=shape.vocab_size),
        **counted,
      ).sum()
      for i, task in enumerate(tasks)
    )
  )


def check_all_seen(
  run: Run, seen: np.ndarray, steps: int, settings: Settings
) -> None:
  """Refuses a run that would score a head it never trained.

  Args:
    run: the run.
    seen: i32[N] task of every example drawn.
    steps: of the run.
    settings: of the run.
  """
  counts = np.bincount(seen, minlength=len(run.tasks))
  never = [n for n, count in zip(run.tasks, counts, strict=True) if not count]
  if never:
    key = "max_steps" if settings.config.max_steps else f"{run.kind}.epochs"
    raise ValueError(
      f"no example of {', '.join(never)} is drawn in the {steps} steps of "
      f"{run.name}, so its head would stay random; raise --config.{key}, or "
      "leave the task out"
    )
