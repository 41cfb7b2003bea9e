"""Questions whose candidates lie on eight devices, in a process of its own."""

import os
import subprocess
import sys

_ON_A_MESH = """
import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec
import numpy as np

from bam_jax.data import pipeline
from bam_jax.data.pool import TaskData, join
from bam_jax.models.multitask import init_params
from bam_jax.training.step import make_losses
from tests import tiny
from tests.training.groups_test import SPECS
from tests.data.units_test import plain, questions

rng = np.random.default_rng(1)
counts = [5, 2, 7, 3]
rows = questions(counts, rng.integers(5, 14, sum(counts)))
others = plain([4, 12, 3])
for each in (rows, others):
  each.tokens[:] = rng.integers(1, 39, len(each.tokens))
pool = join(
  [TaskData("rank", rows, 1, None), TaskData("plain", others, 2, None)],
  weights=[1.0, 0.5],
)
batches = pipeline.TrialBatches(
  [pool],
  rng.permutation(7).astype(np.int32)[None, None],
  width=tiny.WIDTH,
  packing=True,
  row_shapes=1,
  multiple=8,
)
batch = {name: array[0] for name, array in batches[0].items()}
net = tiny.model(heads=SPECS)
params = init_params(net, jax.random.key(3))
losses = make_losses(net)


@jax.jit
def measure(params, batch):
  def total(params):
    _, loss = losses(params, batch, jax.random.key(5), 1.0)
    return loss.sum(), loss

  (_, loss), slope = jax.value_and_grad(total, has_aux=True)(params)
  return loss, slope


want = measure(params, batch)
mesh = jax.make_mesh((8,), ("data",), (AxisType.Auto,))
here = NamedSharding(mesh, PartitionSpec("data"))
spread = {name: jax.device_put(x, here) for name, x in batch.items()}
whole = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))
got = measure(whole, spread)
jax.tree.map(
  lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), got, want
)
assert (np.asarray(want[0]) > 0).sum() == 7
rows, slots = batch["task"].shape
there = {}
for row, slot in np.argwhere(batch["group"] >= 0):
  there.setdefault(batch["group"][row, slot], set()).add(row // (rows // 8))
assert max(map(len, there.values())) > 1, "no question is torn"
text = measure.lower(whole, spread).compile().as_text()
hidden = f"{tiny.WIDTH},{tiny.ENCODER.width}]"
assert not [
  line
  for line in text.splitlines()
  if "all-gather(" in line and hidden in line
], "hidden states cross"
"""


def test_only_scores_cross_from_one_device_to_another():
  flags = (
    "--xla_force_host_platform_device_count=8 "
    "--xla_backend_optimization_level=0"
  )
  run = subprocess.run(
    [sys.executable, "-c", _ON_A_MESH],
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
