"""The encoder on a mesh of eight devices, under a process of its own."""

import os
import subprocess
import sys

_ON_A_MESH = """
import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec
import numpy as np

from tests.models import bert_test as t

mesh = jax.make_mesh((2, 2, 2), ("a", "b", "c"), (AxisType.Auto,) * 3)


def put(x, *spec):
  return jax.device_put(x, NamedSharding(mesh, PartitionSpec(*spec)))


def spread(path, x):
  if x.ndim < 2 or x.shape[0] == 2:
    return put(x)
  first = path[-2].key in ("word", "query", "key", "value", "up")
  return put(x, *(("c", "b") if first else ("b", "c")))


config = t.dataclasses.replace(t.THIN, width=16, heads=4, vocab_size=54)
params = t.random_params(config)
rows = t.lay_out([[r] for r in t.examples(config, (5, 3, 7, 4))], 8)
run = jax.jit(lambda p, i: t.apply(p, i, config, key=jax.random.key(1)))
want = run(params, rows)
spread_out = jax.tree_util.tree_map_with_path(spread, params)
got = run(spread_out, tuple(put(x, "a") for x in rows))
assert len(got.sharding.device_set) == 8
assert np.abs(got - want).max() < 1e-5, np.abs(got - want).max()
"""


def test_eight_devices_equal_one_with_the_same_dropout():
  environment = os.environ | {
    "XLA_FLAGS": "--xla_force_host_platform_device_count=8"
    " --xla_backend_optimization_level=0",
    "JAX_PLATFORMS": "cpu",
    "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
  }
  run = subprocess.run(
    [sys.executable, "-c", _ON_A_MESH],
    env=environment,
    capture_output=True,
    text=True,
  )
  assert run.returncode == 0, run.stderr
