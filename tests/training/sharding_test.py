"""Where arrays live: every one on purpose, and the same step on any mesh."""

import itertools
import json
import os
import subprocess
import sys

import jax
import pytest

from bam_jax.models.encoders import ENCODERS
from bam_jax.training import sharding
from tests import tiny

P = jax.sharding.PartitionSpec
ALL = ("fsdp", "tensor")
PLACES = {
  "bert/embeddings/word/embedding": P(None, ALL),
  "bert/embeddings/position/embedding": P(None, ALL),
  "bert/embeddings/type/embedding": P(None, ALL),
  "bert/embeddings/norm/scale": P(),
  "bert/embeddings/norm/bias": P(),
  **{
    f"bert/layer_0/{name}/{leaf}": place
    for names, kernel, bias in (
      (("query", "key", "value", "up"), P("fsdp", "tensor"), P("tensor")),
      (("out", "down"), P("tensor", "fsdp"), P()),
    )
    for name in names
    for leaf, place in (("kernel", kernel), ("bias", bias))
  },
  **{
    f"bert/layer_0/{name}/{leaf}": P()
    for name in ("attention_norm", "mlp_norm")
    for leaf in ("scale", "bias")
  },
  "pooler/kernel": P("fsdp", "tensor"),
  "pooler/bias": P("tensor"),
  **{
    f"heads/{task}/{leaf}": P()
    for task in tiny.TASKS
    for leaf in ("kernel", "bias")
  },
}
# All ways to write 8 devices as data x fsdp x tensor.
MESHES = [
  (data, fsdp, 8 // data // fsdp)
  for data, fsdp in itertools.product((1, 2, 4, 8), repeat=2)
  if data * fsdp <= 8
]


def leaves_of_a_run():
  """Every leaf of a run's state by its name, trial axis first."""
  init, _ = tiny.functions(tiny.model(), tiny.config())
  shapes = jax.eval_shape(init, jax.numpy.zeros(1, jax.numpy.uint32), {})
  found = jax.tree_util.tree_leaves_with_path(shapes)
  return {sharding.path_name(path): leaf for path, leaf in found}


@pytest.fixture(scope="module")
def leaves():
  return leaves_of_a_run()


def test_every_parameter_and_its_moments_are_placed_on_purpose(leaves):
  for root in ("params", "opt_state/1/mu", "opt_state/1/nu"):
    found = {
      name.removeprefix(f"{root}/"): sharding.spec(name)
      for name in leaves
      if name.startswith(f"{root}/")
    }
    assert found == PLACES
  others = [
    name
    for name in leaves
    if not name.startswith(("params/", "opt_state/1/mu/", "opt_state/1/nu/"))
  ]
  assert {"step", "key", "opt_state/1/count"} < set(others)
  assert all(sharding.spec(name) == P() for name in others)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_rule_of_an_encoder_is_unused(encoder, monkeypatch):
  monkeypatch.setattr(sharding, "ENCODERS", {encoder: ENCODERS[encoder]})
  leaves, rules = [], sharding.rules()
  # One that reads letters has no table of words.
  for shape in (tiny.ENCODERS[encoder], tiny.SPELLED):
    if shape.kind == encoder:
      monkeypatch.setattr(tiny, "ENCODER", shape)
      leaves += leaves_of_a_run()
  for rule in rules:
    rest = [other for other in rules if other != rule]
    monkeypatch.setattr(sharding, "rules", lambda rest=rest: rest)
    with pytest.raises(ValueError, match="no rule"):
      list(map(sharding.spec, leaves))


@pytest.mark.parametrize(
  "name", ["bert/layer_0/doors/kernel", "params/adapter", "bert/xnorm/scale"]
)
def test_an_array_that_no_rule_knows_is_refused(name):
  with pytest.raises(ValueError, match=f"no rule .*{name}"):
    sharding.spec(name)


def test_a_task_may_be_called_like_a_layer():
  assert sharding.spec("params/heads/query/kernel") == P()
  assert sharding.spec("opt_state/1/mu/heads/pooler/kernel") == P()


@pytest.mark.parametrize(
  ("asked", "shape"),
  [
    ((-1, 1, 1), (12, 1, 1)),
    ((2, -1, 3), (2, 2, 3)),
    ((1, 6, -1), (1, 6, 2)),
    ((4, 3, 1), (4, 3, 1)),
  ],
)
def test_minus_one_stands_for_the_devices_that_are_left(
  asked, shape, monkeypatch
):
  monkeypatch.setattr(jax, "device_count", lambda: 12)
  monkeypatch.setattr(jax, "make_mesh", lambda sizes, *_, **__: sizes)
  assert sharding.make_mesh(*asked) == shape


@pytest.mark.parametrize(
  "asked",
  [(5, 1, 1), (-1, -1, 1), (-1, 5, 1), (0, 1, -1), (24, 1, 1), (-2, -6, 1)],
)
def test_a_mesh_of_other_size_than_the_devices_is_refused(asked, monkeypatch):
  monkeypatch.setattr(jax, "device_count", lambda: 12)
  with pytest.raises(ValueError, match=r"12 devices.*--config\.mesh\.data=-1"):
    sharding.make_mesh(*asked)


def test_a_width_that_does_not_divide_is_refused(leaves):
  mesh = jax.sharding.AbstractMesh((1, 3, 2), sharding.AXES)
  shapes = {"query": {"kernel": leaves["params/bert/layer_0/query/kernel"]}}
  with pytest.raises(ValueError, match="query/kernel") as raised:
    sharding.state_sharding(mesh, shapes)
  assert str(raised.value) == (
    "query/kernel has an axis of 16, which does not divide over 3 devices "
    "(fsdp); choose smaller --config.mesh.fsdp or --config.mesh.tensor"
  )
  assert sharding.row_multiple(mesh) == 3


# Prints, for every mesh, how far two steps on it are from those on one device.
_ON_EIGHT_DEVICES = """
import functools
import json
import sys

import jax
import numpy as np

from bam_jax.training import sharding, loop
from bam_jax.training import state as states
from bam_jax.training.step import make_run
from tests import tiny


def two_steps(step, state, put):
  found = []
  for k in range(2):
    state, sums = step(state, put(k))
    # Without decay of the first moment it is the gradient.
    found.append(jax.device_get((sums, state.params, state.opt_state[1].mu)))
  return found, state


net = tiny.model()
c = tiny.settings(**{"optim.b1": 0.0, "optim.clip": 0.0})
for meshes, trials in json.loads(sys.argv[1]):
  batches = tiny.batches(trials=trials, multiple=8)
  init, step = (
    states.over_trials(fn, trials)
    for fn in make_run(net, steps=tiny.STEPS, settings=c)
  )
  first = tiny.start(jax.jit(init), range(trials))
  want, _ = two_steps(jax.jit(step), first, batches.__getitem__)
  # Copies: a donated array may share its memory with what it was made of.
  data = first.replace(key=jax.random.key_data(first.key))
  data = jax.tree.map(np.array, data)
  for shape in meshes:
    mesh = sharding.make_mesh(*shape)
    place = sharding.state_sharding(mesh, first)
    held = net.clone(place=sharding.by_rows(mesh))
    _, sharded = (
      states.over_trials(fn, trials)
      for fn in make_run(
        held, steps=tiny.STEPS, settings=c
      )
    )
    jitted = jax.jit(sharded, donate_argnums=0, out_shardings=(place, None))
    copy = jax.tree.map(np.array, data)
    key = jax.random.wrap_key_data(copy.key)
    state = jax.device_put(copy.replace(key=key), place)
    kernel = state.params["bert"]["layer_0"]["query"]["kernel"]
    table = state.params["bert"]["embeddings"]["word"]["embedding"]
    send = functools.partial(loop.put, mesh, batches)
    batch = send(0)
    shares = {
      "kernel": kernel.addressable_shards[0].data.size / kernel.size,
      "table": table.addressable_shards[0].data.size / table.size,
      "rows": [
        x.addressable_shards[0].data.shape[1] / x.shape[1]
        for x in batch.values()
      ],
    }
    text = jitted.lower(state, batch).compile().as_text()
    tokens = batch["tokens"].shape
    hidden = f"[{','.join(map(str, (*tokens[-2:], net.config.width)))}]"
    got, last = two_steps(jitted, state, send)
    report = {
      "mesh": shape,
      "trials": trials,
      "steps": [
        {
          "loss": tiny.difference(a[0]["loss"], b[0]["loss"]),
          # Rounding grows with what is rounded: the norm is 15.
          "norm": tiny.difference(a[0]["grad_norm"], b[0]["grad_norm"])
          / float(b[0]["grad_norm"].max()),
          "params": tiny.difference(a[1], b[1]),
          "gradient": tiny.difference(a[2], b[2])
          / float(b[0]["grad_norm"].max()),
        }
        for a, b in zip(got, want, strict=True)
      ],
      "moved": tiny.difference(want[1][1], data.params),
      **shares,
      "stays": all(
        jax.tree.leaves(jax.tree.map(lambda x, s: x.sharding == s, last, place))
      ),
      "compiled": jitted._cache_size(),
      "gathered": [
        line
        for line in text.splitlines()
        if "all-gather(" in line and hidden in line
      ],
      "donated": kernel.is_deleted(),
    }
    print(json.dumps(report), flush=True)
"""


@pytest.fixture(scope="module")
def reports():
  """What two steps on every mesh of eight devices gave, by (mesh, trials)."""
  # Unoptimised code: these programs run for milliseconds.
  flags = (
    "--xla_force_host_platform_device_count=8 "
    "--xla_backend_optimization_level=0"
  )
  asked = json.dumps([(MESHES, 1), ([(2, 2, 2)], 2)])
  run = subprocess.run(
    [sys.executable, "-W", "error", "-c", _ON_EIGHT_DEVICES, asked],
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
  found = [json.loads(line) for line in run.stdout.splitlines()]
  return {(tuple(r["mesh"]), r["trials"]): r for r in found}


@pytest.mark.parametrize(
  ("mesh", "trials"), [*((mesh, 1) for mesh in MESHES), ((2, 2, 2), 2)]
)
def test_eight_devices_equal_one(reports, mesh, trials):
  report = reports[mesh, trials]
  assert report["moved"] > 1e-3, "the comparison would see nothing"
  for step in report["steps"]:
    assert max(step.values()) < 1e-5, step


@pytest.mark.parametrize("mesh", MESHES)
def test_each_device_holds_its_share_only(reports, mesh):
  data, fsdp, tensor = mesh
  report = reports[mesh, 1]
  assert report["kernel"] == report["table"] == 1 / (fsdp * tensor)
  assert set(report["rows"]) == {1 / (data * fsdp)}
  assert report["stays"], "the state moved"
  if data * fsdp > 1:
    assert not report["gathered"], "activations of all rows on one device"


def test_the_step_is_compiled_once_and_its_state_donated(reports):
  assert {r["compiled"] for r in reports.values()} == {1}
  assert all(r["donated"] for r in reports.values())
