"""A model, its data and one run of it, small enough to compile in seconds.

Three tasks of 3, 1 and 2 classes; every size differs from every other.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.data import pipeline
from bam_jax.data.features import Features
from bam_jax.data.pool import Pool, TaskData, join
from bam_jax.data.ragged import offsets_of
from bam_jax.models.bert import BertConfig
from bam_jax.models.bilstm import BilstmConfig
from bam_jax.models.deberta import DebertaConfig
from bam_jax.models.eurobert import EuroBertConfig
from bam_jax.models.multitask import MultiTask
from bam_jax.tasks.table import get_tasks
from bam_jax.training import heads
from bam_jax.training import state as states
from bam_jax.training.settings import Settings
from bam_jax.training.step import make_run
from configs import common

TASKS = ("mnli", "stsb", "rte")
CLASSES = (3, 1, 2)
SIZES = (19, 9, 11)
WIDTH = 14
BATCH = 12
STEPS = 5
HEADS = heads.specs(get_tasks(TASKS), regression_output="sigmoid")
ENCODER = BertConfig(
  vocab_size=40,
  width=16,
  layers=1,
  heads=4,
  mlp=32,
  positions=WIDTH,
  types=2,
  layer_norm_eps=1e-12,
  hidden_dropout=0.1,
  attention_dropout=0.1,
  init_std=0.02,
  pad_id=0,
)
# The same of every encoder; none is as long as its widest rows of buckets.
ENCODERS = {
  "bert": ENCODER,
  "deberta": DebertaConfig(
    vocab_size=40,
    width=16,
    layers=1,
    heads=4,
    mlp=32,
    positions=WIDTH,
    buckets=4,
    distances=WIDTH,
    layer_norm_eps=1e-7,
    hidden_dropout=0.1,
    attention_dropout=0.1,
    init_std=0.02,
    pad_id=0,
  ),
  "bilstm": BilstmConfig(
    vocab_size=40,
    width=16,
    layers=2,
    positions=WIDTH,
    hidden_dropout=0.1,
    init_std=0.2,
    pad_id=0,
  ),
  "eurobert": EuroBertConfig(
    vocab_size=40,
    width=16,
    layers=1,
    heads=4,
    groups=2,
    head_width=6,
    mlp=32,
    positions=WIDTH,
    theta=50.0,
    norm_eps=1e-5,
    attention_bias=True,
    mlp_bias=True,
    hidden_dropout=0.1,
    attention_dropout=0.1,
    init_std=0.02,
    pad_id=0,
  ),
}
# Of letters, with a skip connection and directions apart.
SPELLED = dataclasses.replace(
  ENCODERS["bilstm"],
  width=21,
  words_width=5,
  filters=20,
  pieces="\n".join(f"{'#' * (n % 3)}{n:b}" for n in range(40)),
  apart=True,
  skip=True,
)


def model(*, dropout=0.1, encoder=None, **changes) -> MultiTask:
  """Returns the model; `dropout` is that of every place."""
  encoder = encoder or ENCODER
  rates = ("hidden_dropout", "attention_dropout")
  own = {rate: dropout for rate in rates if hasattr(encoder, rate)}
  encoder = dataclasses.replace(encoder, **own)
  settings = {
    "heads": HEADS,
    "head_dropout": dropout,
    "dtype": jnp.float32,
    "remat": False,
  }
  return MultiTask(encoder, **settings | changes)


def config(**changes):
  """Returns the config of a run; `multi` is its kind."""
  c = common.base()
  c.multi.batch_size = BATCH
  c.multi.rate = 1e-3
  c.update_from_flattened_dict(changes)
  return c


def features(size: int, classes: int, *, seed: int = 0) -> Features:
  """Returns random examples of one task, numbered in an order of their own."""
  rng = np.random.default_rng([seed, size])
  lengths = rng.integers(2, WIDTH - 1, size)
  lengths[0] = WIDTH
  total = int(lengths.sum())
  labels = rng.random(size) if classes == 1 else rng.integers(0, classes, size)
  return Features(
    tokens=rng.integers(1, ENCODER.vocab_size, total).astype(np.int32),
    types=rng.integers(0, 2, total).astype(np.int8),
    offsets=offsets_of(lengths),
    index=100 + rng.permutation(size),
    labels=labels.astype(np.float32),
  )


def pool(*, weights=(1.0, 1.0, 1.0), taught=True) -> Pool:
  """Returns the examples of the three tasks; all have a teacher, or none."""
  rng = np.random.default_rng(5)
  data = []
  for name, size, classes in zip(TASKS, SIZES, CLASSES, strict=True):
    teacher = rng.normal(size=(size, classes)).astype(np.float32)
    teacher = 1 / (1 + np.exp(-teacher)) if classes == 1 else 2 * teacher
    rows = features(size, classes)
    known = teacher if taught else None
    data.append(TaskData(name, rows, classes, known))
  return join(data, weights=weights)


def orders(trials: int) -> np.ndarray:
  """Returns an order of its own for every trial."""
  total = sum(SIZES)
  return np.stack(
    [
      [
        np.random.default_rng([trial, step]).permutation(total)[:BATCH]
        for step in range(STEPS)
      ]
      for trial in range(trials)
    ]
  ).astype(np.int32)


def batches(
  *, trials=1, packing=True, multiple=1, row_shapes=1, order=None, **changes
) -> pipeline.TrialBatches:
  """Returns the batches of a run, through the real pipeline."""
  order = orders(trials) if order is None else order
  return pipeline.TrialBatches(
    [pool(**changes)] * len(order),
    order,
    width=WIDTH,
    packing=packing,
    row_shapes=row_shapes,
    multiple=multiple,
  )


def settings(**changes) -> Settings:
  """Returns the settings of a run, of kind multi."""
  return Settings.of(config(**changes), "multi")


def functions(net: MultiTask, c, *, trials=1):
  """Returns the jitted (init, step) of a run, over trials, on one device."""
  made = make_run(net, steps=STEPS, settings=Settings.of(c, "multi"))
  return [quickly(states.over_trials(fn, trials)) for fn in made]


def quickly(fn):
  """Returns a jitted function that runs for a millisecond, unoptimised.

  To compile it well takes many of them.
  """
  return jax.jit(fn, compiler_options={"xla_backend_optimization_level": 0})


def start(init, seeds=(0,), given=None):
  """Returns the state that trials with these seeds start from."""
  return init(jnp.asarray(seeds, jnp.uint32), given or {})


def difference(a, b) -> float:
  """Returns the largest difference of any two entries of two trees."""
  found = jax.tree.map(
    lambda x, y: float(np.abs(np.asarray(x) - np.asarray(y)).max()), a, b
  )
  return max(jax.tree.leaves(found))
