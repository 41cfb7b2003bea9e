"""The model: each example gets its own task's output, packed or not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.models.heads import Heads
from bam_jax.models.multitask import init_params, task_of_tokens
from bam_jax.tasks.table import get_tasks
from bam_jax.training.heads import specs
from tests import tiny

NET = tiny.model(head_dropout=0.5, dropout=0.0)
LINEAR = specs(get_tasks(tiny.TASKS), regression_output="linear")


@pytest.fixture(scope="module")
def params():
  return jax.jit(lambda key: init_params(NET, key))(jax.random.key(3))


@pytest.fixture(scope="module")
def apply():
  """The model in evaluation, compiled once per layout."""
  return jax.jit(
    lambda p, batch: NET.apply({"params": p}, batch, train=False)["example"]
  )


def one(batch):
  """Returns a batch of one trial without the trial axis."""
  return {name: array[0] for name, array in batch.items()}


def by_example(batch, values):
  """Returns {(task, example): its values}, of all the batch holds."""
  there = np.argwhere(batch["task"] >= 0)
  return {
    (int(batch["task"][b, e]), int(batch["index"][b, e])): values[b, e]
    for b, e in there
  }


def heads_of(kernel=0.0):
  """Returns heads whose biases tell task and column: 10 t + c."""
  return {
    name: {
      "kernel": jnp.full((5, classes), kernel),
      "bias": 10.0 * t + jnp.arange(classes),
    }
    for t, (name, classes) in enumerate(
      zip(tiny.TASKS, tiny.CLASSES, strict=True)
    )
  }


def said(heads, params, pooled, task):
  """Returns what heads make of pooled vectors [B, E, D]: f32[B, E, C]."""
  (found,) = heads.apply(
    {"params": params}, {"pooled": pooled}, {"example": task}
  ).values()
  return found


def test_an_example_gets_its_own_tasks_columns_and_zeros_after_them():
  task = jnp.array([[1, 0], [2, 1], [0, 2]])
  heads = Heads(LINEAR)
  logits = said(heads, heads_of(), jnp.ones((3, 2, 5)), task)
  own = {0: [0, 1, 2], 1: [10, 0, 0], 2: [20, 21, 0]}
  np.testing.assert_array_equal(
    logits, [[own[int(t)] for t in r] for r in task]
  )


def test_a_slot_without_an_example_is_finite():
  heads = Heads(NET.heads)
  logits = said(heads, heads_of(1.0), jnp.ones((1, 1, 5)), jnp.array([[-1]]))
  assert np.isfinite(logits).all()


def test_only_regression_goes_through_the_output_function():
  task = jnp.array([[0, 1, 2]])
  pooled = jnp.linspace(-1, 1, 15).reshape(1, 3, 5)
  params = heads_of(0.3)
  linear = said(Heads(LINEAR), params, pooled, task)
  sigmoid = said(Heads(NET.heads), params, pooled, task)
  want = np.array(linear)
  want[0, 1, 0] = 1 / (1 + np.exp(-want[0, 1, 0]))
  np.testing.assert_allclose(sigmoid, want, rtol=1e-6)
  assert abs(sigmoid[0, 1, 0] - linear[0, 1, 0]) > 1


def test_the_loss_of_one_task_leaves_the_other_heads_alone():
  def first_task(params):
    heads = Heads(NET.heads)
    pooled = jnp.ones((1, 2, 5))
    return said(heads, params, pooled, jnp.array([[2, 2]])).sum()

  gradient = jax.grad(first_task)(heads_of(0.1))
  assert np.abs(gradient["rte"]["kernel"]).min() > 0
  for other in ("mnli", "stsb"):
    assert not np.any(gradient[other]["kernel"]), other
    assert not np.any(gradient[other]["bias"]), other


def test_packed_logits_equal_unpacked_ones(params, apply):
  packed = one(tiny.batches(packing=True)[1])
  padded = one(tiny.batches(packing=False)[1])
  assert packed["task"].shape[0] < tiny.BATCH == padded["task"].shape[0]
  got = by_example(packed, np.asarray(apply(params, packed)))
  want = by_example(padded, np.asarray(apply(params, padded)))
  assert got.keys() == want.keys()
  assert len(got) == tiny.BATCH
  assert np.ptp([v[0] for v in want.values()]) > 0.1
  for example, logits in want.items():
    np.testing.assert_allclose(got[example], logits, atol=1e-5)


def test_dropout_acts_on_the_pooled_vector_in_training_only(params, apply):
  batch = one(tiny.batches()[0])

  @jax.jit
  def train(key):
    return NET.apply(
      {"params": params}, batch, train=True, rngs={"dropout": key}
    )["example"]

  plain = np.asarray(apply(params, batch))
  there = batch["task"] == 0
  first, again, other = (
    np.asarray(train(jax.random.key(k))) for k in (0, 0, 1)
  )
  np.testing.assert_array_equal(first, again)
  for a, b in ((first, plain), (first, other)):
    assert (np.abs(a - b)[there].max(-1) > 1e-4).all()


def test_a_head_starts_from_the_key_and_its_name_alone(params):
  fewer = tiny.model(
    heads=specs(get_tasks(["rte", "cola"]), regression_output="sigmoid")
  )
  init = jax.jit(lambda key: init_params(fewer, key))
  same, other = init(jax.random.key(3)), init(jax.random.key(4))
  np.testing.assert_array_equal(
    same["heads"]["rte"]["kernel"], params["heads"]["rte"]["kernel"]
  )
  for kernel in (other["heads"]["rte"], same["heads"]["cola"]):
    assert tiny.difference(kernel["kernel"], same["heads"]["rte"]["kernel"]) > 0


def test_parameters_are_float32_and_have_their_shapes(params):
  half = tiny.model(dtype=jnp.bfloat16)
  shapes = jax.eval_shape(lambda k: init_params(half, k), jax.random.key(0))
  assert {x.dtype for x in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
  logits = jax.eval_shape(
    lambda p, b: half.apply({"params": p}, b, train=False)["example"],
    shapes,
    one(tiny.batches()[0]),
  )
  assert logits.dtype == jnp.float32
  assert jax.tree.map(lambda x: x.shape, params["heads"]) == {
    "mnli": {"kernel": (16, 3), "bias": (3,)},
    "stsb": {"kernel": (16, 1), "bias": (1,)},
    "rte": {"kernel": (16, 2), "bias": (2,)},
  }
  assert params.keys() == {"bert", "pooler", "heads"}


def test_a_token_belongs_to_the_task_of_its_slot_and_padding_to_none():
  batch = {
    "segments": jnp.array([[1, 1, 2, 0, 0], [1, 3, 2, 2, 0]]),
    "task": jnp.array([[4, 2, -1], [0, 5, 1]]),
  }
  assert task_of_tokens(batch).tolist() == [
    [4, 4, 2, -1, -1],
    [0, 1, 5, 5, -1],
  ]
