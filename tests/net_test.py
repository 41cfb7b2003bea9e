"""Holds the bits of a tiny BAM study while the house is rebuilt around it.

Two nets. The lowered text of the train step says what is computed; it is the
same on every processor, for one version of jax. The fingerprint of every array
that the study keeps says what came out; other processors round otherwise, so it
is known by a probe, and looked at only where that probe was seen before.

Who may change the golden file: a commit that means to change a number and says
so in its message. A move, a new name or another arrangement of the same work
may not. Write it anew by

  BAM_JAX_GOLDEN=write python -m pytest tests/net_test.py
"""

import hashlib
import json
import os
from pathlib import Path
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.study.workdir import Workdir
from bam_jax.training import state as states
from bam_jax.training.checkpoint import load_params
from bam_jax.training.fingerprint import fingerprint
from bam_jax.training.step import guard, make_run
from tests import small, tiny

GOLDEN = Path(__file__).parent / "golden" / "net.json"
METHODS = "single->multi"
SEEDS = (0, 1)
WRITING = os.environ.get("BAM_JAX_GOLDEN") == "write"


def _digest(value) -> str:
  text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def _probe() -> str:
  """Returns how this processor rounds what a step is made of."""
  x = jnp.asarray(np.random.default_rng(0).normal(size=(64, 96)), jnp.float32)

  @jax.jit
  def mixed(x):
    return jax.nn.softmax(jnp.tanh(x @ x.T), axis=-1) @ jax.lax.rsqrt(
      1 + jnp.exp(x)
    )

  return _digest(np.asarray(mixed(x)).tobytes().hex())


def _known(kind: str, key: str) -> dict:
  found = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
  return found.get(kind, {}).get(key)


def _write(kind: str, key: str, value) -> None:
  found = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
  found.setdefault(kind, {})[key] = value
  GOLDEN.parent.mkdir(exist_ok=True)
  GOLDEN.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def _held(kind: str, key: str, value) -> None:
  if WRITING:
    _write(kind, key, value)
  known = _known(kind, key)
  if known is None:
    pytest.skip(f"no golden {kind} for {key}; see the head of {__file__}")
  differ = sorted(
    name
    for name in known.keys() | value.keys()
    if known.get(name) != value.get(name)
  )
  assert not differ, (
    f"{len(differ)} of {len(known)} changed, first {differ[:3]}; only a commit "
    "that means to change numbers, and says so, may write them anew"
  )


def _lowered(trials: int, **changes) -> str:
  """Returns the text of a step, without the names that Python gave to it."""
  settings, net = tiny.settings(**changes), tiny.model()
  init, step = make_run(net, steps=tiny.STEPS, settings=settings)
  batches = tiny.batches(trials=trials)
  state = jax.eval_shape(
    states.over_trials(init, trials), np.zeros(trials, np.uint32), {}
  )
  step = guard(states.over_trials(step, trials), skip=False)
  text = jax.jit(step).lower(state, batches[0]).as_text()
  # Private functions are named after ours; what they do is what counts.
  text = re.sub(r"@[\w.]+", "@", text)
  return re.sub(r'"jit_?\w*"', '"jit"', text)


@pytest.mark.parametrize("trials", [1, 2])
def test_the_step_is_the_same_program(trials):
  cases = {
    "default": {},
    "micro": {"micro_rows": 2},
    "mean": {"loss.reduction": "mean"},
    "bias_correction": {"optim.bias_correction": True},
  }
  found = {name: _digest(_lowered(trials, **c)) for name, c in cases.items()}
  _held("lowered", f"jax {jax.__version__}, {trials} trials", found)


def test_a_study_ends_in_the_same_bits(tmp_path, compiled):
  glue = small.write_glue(tmp_path / "glue")
  encoder = small.write_encoder(tmp_path / "encoder")
  config = small.settings(
    glue,
    encoder,
    methods=METHODS,
    trials=len(SEEDS),
  )
  config.data.packing, config.data.row_shapes = True, 1
  small.execute(config, tmp_path / "W")
  workdir, found = Workdir(tmp_path / "W"), {}
  for run in sorted(p.name for p in (tmp_path / "W/runs").iterdir()):
    for seed in SEEDS:
      params, _ = load_params(workdir.params(run, seed))
      found |= {
        f"{run} {seed} {name}": number
        for name, number in fingerprint(params).items()
      }
  assert len(found) > 3 * len(SEEDS) * 20
  _held("study", f"jax {jax.__version__}, probe {_probe()}", found)
