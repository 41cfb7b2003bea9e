"""FLOPs counted by hand, by brute force and by the compiler."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.data import pipeline
from bam_jax.data.pool import TaskData, join
from bam_jax.models import attention, flops
from bam_jax.models.heads import HeadSpec
from bam_jax.models.multitask import MultiTask, init_params
from bam_jax.training.step import make_run
from tests import tiny

# So wide that elementwise work is small beside products, as in real encoders.
WIDE = dataclasses.replace(
  tiny.ENCODER,
  width=512,
  heads=4,
  mlp=2048,
  layers=2,
  positions=48,
  hidden_dropout=0.0,
  attention_dropout=0.0,
)
ROWS, LENGTH, CLASSES = 6, 48, 3
HEADS = (HeadSpec("mnli", CLASSES, output="logits", loss="ce"),)


@pytest.mark.parametrize("length", [1, 2, 5, 9])
@pytest.mark.parametrize("reach", [0, 1, 3, 8, 20])
def test_pairs_are_those_that_the_mask_lets_see_each_other(length, reach):
  at = np.arange(length)
  apart = np.abs(at[:, None] - at)
  seen = apart <= reach if reach else apart >= 0
  assert attention.pairs(np.array([length]), reach).tolist() == [seen.sum()]


def test_every_product_is_counted_once():
  length, c = 5, dataclasses.replace(tiny.ENCODER, layers=3)
  layer = 4 * length * c.width**2 + 2 * length * c.width * c.mlp
  attention = 2 * length**2 * c.width
  ends = c.width**2 + c.width * CLASSES
  found = flops.forward(c, [length, 7], head=HEADS[0])
  assert found[0] == 2 * (3 * (layer + attention) + ends)
  assert found[1] > found[0]
  gated = dataclasses.replace(c, gated=True, embedding_width=8)
  more = flops.forward(gated, [length], head=HEADS[0])[0] - found[0]
  assert more == 2 * length * (3 * c.width * c.mlp + 8 * c.width)


def batch():
  """Returns a batch without padding: one example fills each row."""
  rows = tiny.features(ROWS, CLASSES)
  tokens = np.full(ROWS * LENGTH, 3, np.int32)
  rows = dataclasses.replace(
    rows,
    tokens=tokens,
    types=np.zeros(ROWS * LENGTH, np.int8),
    offsets=np.arange(ROWS + 1) * LENGTH,
  )
  pool = join([TaskData("mnli", rows, CLASSES, None)], weights=[1.0])
  plan = pipeline.TrialBatches(
    [pool],
    np.arange(ROWS, dtype=np.int32)[None, None],
    width=LENGTH,
    packing=False,
    row_shapes=1,
    multiple=1,
  )
  return pipeline.Batches(plan)[0]


def counted(fn, *args) -> float:
  """Returns what the compiler counts; nothing is run."""
  made = jax.jit(fn).lower(*args).compile({"xla_backend_optimization_level": 0})
  return made.cost_analysis()["flops"]


@pytest.mark.parametrize("reach", [0, 4])
def test_the_compiler_counts_the_same(reach):
  # A band is computed whole and masked, so that useful is less than computed.
  c = dataclasses.replace(WIDE, reaches=(reach, 0))
  net = MultiTask(c, HEADS, 0.0, jnp.float32, False)
  params = jax.eval_shape(lambda: init_params(net, jax.random.key(0)))
  data = batch()

  def forward(params, data):
    return net.apply({"params": params}, data, train=False)

  found = counted(forward, params, data)
  useful = flops.forward(c, [LENGTH] * ROWS, head=HEADS[0]).sum()
  unseen = LENGTH**2 - attention.pairs(np.array([LENGTH]), reach)[0]
  masked = ROWS * 4 * c.width * unseen
  assert useful + masked == pytest.approx(found, rel=0.05)
  assert (masked > 0) == bool(reach)


def test_the_compiler_counts_the_same_in_a_training_step():
  net = MultiTask(WIDE, HEADS, 0.0, jnp.float32, False)
  init, step = make_run(net, steps=9, settings=tiny.settings())
  state = jax.eval_shape(lambda: init(jnp.uint32(0), {}))
  found = counted(step, state, batch())
  # What is left is elementwise: norms, gelu, softmax and the optimiser.
  useful = flops.train(WIDE, [LENGTH] * ROWS, head=HEADS[0]).sum()
  assert useful == pytest.approx(found, rel=0.05)
