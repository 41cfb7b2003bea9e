"""The forward loop: every example once, in order; scores by their formulas."""

import dataclasses
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.data import pipeline
from bam_jax.models.multitask import init_params
from bam_jax.tasks import metrics
from bam_jax.tasks.table import get_tasks
from bam_jax.training import forward as forward_pass
from bam_jax.training import sharding
from tests import tiny

MNLI, STSB, COLA, MRPC, AX = get_tasks(["mnli", "stsb", "cola", "mrpc", "ax"])
NET = tiny.model()
LAYOUT = pipeline.Layout(tiny.WIDTH, 8, packing=True)
PADDED = dataclasses.replace(LAYOUT, packing=False)


@pytest.fixture(scope="module")
def mesh():
  return sharding.make_mesh(1, 1, 1)


def trial_params(trials=2):
  """Returns the same parameters on any machine, [R, ...]."""
  shapes = jax.eval_shape(lambda k: init_params(NET, k), jax.random.key(0))
  rng = np.random.default_rng(1)
  return jax.tree.map(
    lambda x: rng.normal(0, 0.3, (trials, *x.shape)).astype(np.float32), shapes
  )


def datasets():
  """Splits of sizes that batches of 8 do not divide."""
  return [
    (MNLI, "validation_matched", tiny.features(19, 3)),
    (MNLI, "validation_mismatched", tiny.features(1, 3)),
    (STSB, "validation", tiny.features(21, 1)),
    (AX, "test", dataclasses.replace(tiny.features(7, 3), labels=None)),
  ]


def all_logits(mesh, *, packing=True, params=None):
  """Returns the logits of all data sets by "task split"."""
  found = forward_pass.outputs(
    NET,
    trial_params() if params is None else params,
    datasets(),
    LAYOUT if packing else PADDED,
    mesh=mesh,
    progress=lambda n: None,
  )
  return {" ".join(key): value for key, value in found.items()}


@pytest.fixture(scope="module")
def logits(mesh):
  return all_logits(mesh)


@pytest.mark.parametrize("size", [1, 7, 8, 9, 25])
@pytest.mark.parametrize("packing", [True, False])
def test_every_example_lands_once_in_its_own_row(size, packing, mesh):
  rows = tiny.features(size, 3)
  batches = pipeline.eval_batches(
    [(rows, 1)], LAYOUT if packing else PADDED, multiple=4
  )

  def forward(params, batch):
    # Tells trial, example and column; of slots without example nothing good.
    there = batch["task"] == 1
    value = jnp.where(there, batch["index"], jnp.nan)[None, ..., None]
    trial = params[:, None, None, None]
    return {"example": value + 1000 * trial + jnp.array([0, 0.25, 0.5, 9])}

  counts = []
  (got,) = forward_pass.logits_of(
    forward,
    jnp.arange(2),
    batches,
    [(rows, 3)],
    mesh=mesh,
    progress=counts.append,
  )
  want = np.arange(size)[:, None] + np.array([0, 0.25, 0.5])
  np.testing.assert_array_equal(got, [want, want + 1000])
  assert sum(counts) == size


class Twice:
  """The first batch twice, then the second; a plan, too, for their sizes."""

  def __init__(self, batches):
    sizes = batches.plan.sizes
    self._batches, self.plan, self.sizes = batches, self, [*sizes[:1], *sizes]

  def __len__(self):
    return 3

  def __getitem__(self, k):
    return self._batches[max(k - 1, 0)]


def test_a_batch_that_holds_an_example_twice_is_noticed(mesh):
  rows = tiny.features(9, 3)
  batches = pipeline.eval_batches([(rows, 0)], PADDED, multiple=1)
  with pytest.raises(AssertionError, match="exactly once"):
    forward_pass.logits_of(
      lambda params, batch: {"example": np.zeros((1, 8, 1, 3))},
      np.zeros(1),
      Twice(batches),
      [(rows, 3)],
      mesh=mesh,
      progress=lambda n: None,
    )


def test_logits_are_those_of_each_example_alone(logits):
  apply = jax.jit(
    lambda p, batch: NET.apply({"params": p}, batch, train=False)["example"]
  )
  for task, split, rows in datasets():
    # Each example in a row of its own, read without the loop.
    (batch,) = pipeline.eval_batches(
      [(rows, tiny.TASKS.index(task.head))],
      pipeline.Layout(tiny.WIDTH, len(rows), packing=False),
      multiple=1,
    )
    order = np.argsort(batch["index"][:, 0])
    got = logits[f"{task.name} {split}"]
    assert got.shape == (2, len(rows), task.classes)
    assert got.dtype == np.float32
    for trial in range(2):
      params = jax.tree.map(lambda x, t=trial: x[t], trial_params())
      want = np.asarray(apply(params, batch))[order, 0, : task.classes]
      assert len(rows) == 1 or np.ptp(want[:, 0]) > 0.01
      np.testing.assert_allclose(got[trial], want, atol=1e-5)


def test_unpacked_logits_and_one_trial_alone_are_the_same(logits, mesh):
  one = jax.tree.map(lambda x: x[1:], trial_params())
  alone = all_logits(mesh, packing=False, params=one)
  for name, want in logits.items():
    np.testing.assert_allclose(alone[name], want[1:], atol=1e-5)


# Prints the logits of all data sets, made on a mesh of eight devices.
_ON_EIGHT_DEVICES = """
import json
import sys

from bam_jax.training import sharding
from tests.training import forward_test as t

mesh = sharding.make_mesh(*json.loads(sys.argv[1]))
params = t.trial_params()
place = sharding.state_sharding(mesh, params)
params = t.jax.device_put(params, place)
found = t.all_logits(mesh, params=params)
print(json.dumps({name: x.tolist() for name, x in found.items()}))
"""


def test_eight_devices_give_the_same_logits(logits):
  flags = (
    "--xla_force_host_platform_device_count=8 "
    "--xla_backend_optimization_level=0"
  )
  run = subprocess.run(
    [sys.executable, "-W", "error", "-c", _ON_EIGHT_DEVICES, "[2, 2, 2]"],
    env=os.environ
    | {
      "XLA_FLAGS": flags,
      "JAX_PLATFORMS": "cpu",
      "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    },
    capture_output=True,
    text=True,
  )
  assert run.returncode == 0, run.stderr
  found = json.loads(run.stdout)
  assert found.keys() == logits.keys()
  for name, want in logits.items():
    np.testing.assert_allclose(found[name], want, atol=1e-5)


def test_all_data_sets_share_one_shape(mesh):
  # No other test has three trials.
  all_logits(mesh, params=trial_params(3))
  assert forward_pass.make_forward(NET, mesh, 3)._cache_size() == 1


def test_the_same_forward_pass_is_compiled_once(mesh):
  first = forward_pass.make_forward(NET, mesh, 1)
  same = tiny.model(), sharding.make_mesh(1, 1, 1)
  assert forward_pass.make_forward(*same, 1) is first
  assert forward_pass.make_forward(NET, mesh, 2) is not first


# tp = 3, fp = 1, fn = 2, tn = 4.
LABELS = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0], np.float32)
PREDICTED = np.array([1, 1, 1, 0, 0, 1, 0, 0, 0, 0])


def test_scores_of_classes_follow_their_formulas():
  logits = np.eye(2, dtype=np.float32)[PREDICTED] - 5
  assert metrics.scores(MRPC, logits, LABELS) == pytest.approx(
    {"accuracy": 70.0, "f1": 100 * 2 * 3 / (2 * 3 + 1 + 2)}
  )
  matthews = (3 * 4 - 1 * 2) / np.sqrt((3 + 1) * (3 + 2) * (4 + 1) * (4 + 2))
  assert metrics.scores(COLA, logits, LABELS)["matthews"] == pytest.approx(
    100 * matthews
  )


def test_scores_of_values_follow_their_formulas():
  values = np.array([0.1, 0.9, 0.4, 0.4, 0.7, 0.2], np.float32)
  labels = np.array([0.0, 1.0, 0.2, 0.6, 0.5, 0.2], np.float32)

  def pearson(x, y):
    x, y = x - np.mean(x), y - np.mean(y)
    return 100 * (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())

  # Ties share the mean of their ranks.
  ranks = [1, 6, 3.5, 3.5, 5, 2], [1, 6, 2.5, 5, 4, 2.5]
  got = metrics.scores(STSB, values[:, None], labels)
  assert got["pearson"] == pytest.approx(
    pearson(np.float64(values), np.float64(labels)), rel=1e-9
  )
  assert got["spearman"] == pytest.approx(pearson(*map(np.array, ranks)))
  assert set(got) == {"pearson", "spearman"}


def test_values_are_correlated_in_double_precision():
  rng = np.random.default_rng(0)
  values, labels = rng.random((2, 1500)).astype(np.float32)
  want = 100 * np.corrcoef(np.float64(values), np.float64(labels))[0, 1]
  got = metrics.scores(STSB, values[:, None], labels)
  assert got["pearson"] == pytest.approx(want, abs=1e-10)


@pytest.mark.parametrize("constant", [0, 1])
def test_a_constant_answer_has_no_correlation(constant):
  logits = np.tile(np.eye(2, dtype=np.float32)[constant], (10, 1))
  assert metrics.scores(COLA, logits, LABELS)["matthews"] == 0
  values = np.full((10, 1), 0.3, np.float32)
  got = metrics.scores(STSB, values, LABELS)
  assert got == {"pearson": 0, "spearman": 0}
  alike = np.full(10, 0.5, np.float32)
  assert metrics.scores(STSB, LABELS[:, None], alike)["spearman"] == 0


def test_answering_never_has_no_f1():
  logits = np.tile(np.array([1, 0], np.float32), (10, 1))
  assert metrics.scores(MRPC, logits, LABELS) == {"accuracy": 50, "f1": 0}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_refused(bad):
  logits = np.zeros((10, 2), np.float32)
  logits[3, 1] = bad
  with pytest.raises(ValueError, match="logits of cola are not finite"):
    metrics.scores(COLA, logits, LABELS)
