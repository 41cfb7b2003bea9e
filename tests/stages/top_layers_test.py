"""The last layers and the pooler drawn anew: which, how, and where not."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.hf import directory as hf
from bam_jax.models.multitask import init_params
from bam_jax.runtime.files import flatten
from bam_jax.stages import session, top_layers
from bam_jax.study.workdir import Workdir
from bam_jax.training.checkpoint import load_params
from tests import small, tiny

LAYERS, STD = 3, 0.05
LAST = 2


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
  """GLUE's files, and an encoder in which nothing is as it was drawn."""
  root = tmp_path_factory.mktemp("inputs")
  drawn = small.write_encoder(root / "drawn", layers=LAYERS, init_std=STD)
  shape, params, _ = hf.load_encoder(drawn)
  params = jax.tree.map(lambda x: x + 0.25, params)
  hf.save_encoder(root / "encoder", shape, params, tokenizer=drawn)
  return small.write_glue(root / "glue"), root / "encoder"


def asked(inputs, **changes):
  own = {
    "tasks": "cola",
    "reinit_layers": LAST,
    # Nothing moves: what is kept is what was started from.
    "single__rate": 1e-30,
    "max_steps": 2,
    "optim__weight_decay": 0.0,
  }
  return small.settings(*inputs, **own | changes)


@pytest.fixture(scope="module")
def trained(inputs, compiled, tmp_path_factory):
  """Two trials trained together."""
  del compiled
  workdir = tmp_path_factory.mktemp("trained") / "W"
  config = asked(inputs, methods="single", trials=2, trials_at_once=2)
  small.execute(config, workdir)
  return workdir


def params_of(workdir, run, seed):
  return flatten(load_params(Workdir(workdir).params(run, seed))[0])


def above(name: str) -> bool:
  parts = name.split(".")
  return parts[0] == "pooler" or parts[1] in ("layer_1", "layer_2")


def test_what_is_drawn_is_each_trials_own_and_all_else_is_the_files(
  inputs, trained
):
  theirs = flatten(hf.load_encoder(inputs[1])[1])
  one, two = (params_of(trained, "single.cola", seed) for seed in (0, 1))
  assert any(map(above, theirs))
  for name, value in theirs.items():
    if not above(name):
      np.testing.assert_array_equal(one[name], value, err_msg=name)
      np.testing.assert_array_equal(two[name], value, err_msg=name)
    elif name.endswith("kernel"):
      assert np.abs(one[name] - two[name]).mean() > STD / 2, name
      assert np.abs(one[name] - value).mean() > STD / 2, name
    else:
      # Biases and norms begin as every encoder's do.
      begun = 1.0 if name.endswith("scale") else 0.0
      np.testing.assert_allclose(one[name], begun, atol=1e-6, err_msg=name)
  drawn = [x for name, x in one.items() if above(name) and "kernel" in name]
  drawn = np.concatenate([np.ravel(x) for x in drawn])
  # BERT cuts its normal at two of its deviations.
  assert np.abs(drawn).max() <= 2 * STD + 1e-6
  np.testing.assert_allclose(drawn.std(), 0.88 * STD, rtol=0.05)


def test_a_run_that_goes_on_keeps_what_was_trained(inputs, trained):
  config = asked(inputs, methods="single+finetune,cola+single")
  here = session.opened(config, Workdir(trained))
  names = ("single+finetune.cola", "cola+single.cola")
  for name in names:
    given = flatten(here.given(here.experiment.run(name), [0, 1]))
    for seed in (0, 1):
      before = params_of(trained, "single.cola", seed)
      kept = {k for k in before if name == names[0] or "heads" not in k}
      assert given.keys() == kept
      for key in kept:
        np.testing.assert_array_equal(given[key][seed], before[key])


def test_whose_layers_stay_is_said_and_their_hash_asks_their_start(
  inputs, tmp_path, capsys
):
  def made(last):
    config = asked(
      inputs, methods="single+finetune,rte+single", reinit_layers=last
    )
    here = session.opened(config, Workdir(tmp_path / "W"))
    top_layers.check(here.experiment, here.materials.encoder.shape)
    return {
      run.name: here.lineage.made_of(run, 0) for run in here.experiment.runs
    }

  none = made(0)
  assert "reinit" not in capsys.readouterr().out
  two = made(LAST)
  said = capsys.readouterr().out
  going_on = ("single+finetune.cola", "rte+single.cola")
  assert f"encoder; {', '.join(going_on)} go on with all layers" in said
  for name, found in two.items():
    key = "settings.reinit_layers"
    assert (key in found) == (name not in going_on)
    # Off, a trial is the one that it was before there was the key.
    assert key not in none[name]
    start = found["start"] != none[name]["start"]
    assert start == (name in going_on)


@pytest.mark.parametrize("kind", tiny.ENCODERS)
def test_every_family_keeps_what_is_below(kind):
  shape = dataclasses.replace(tiny.ENCODERS[kind], layers=LAYERS)
  if kind == "bert":
    # As ModernBERT has one behind its last layer.
    shape = dataclasses.replace(shape, pre_norm=True)
  model = dataclasses.replace(tiny.model(), config=shape, dtype=jnp.float32)
  whole = jax.eval_shape(lambda: init_params(model, jax.random.key(0)))
  read = {name: whole[name] for name in (kind, "pooler")}
  assert top_layers.kept(read, layers=LAYERS, last=0) == read
  found = top_layers.kept(read, layers=LAYERS, last=LAST)
  assert found.keys() == {kind}
  gone = read[kind].keys() - found[kind].keys()
  assert gone - {"norm"} == {"layer_1", "layer_2"}
  assert ("norm" in gone) == ("norm" in read[kind])
  for name in found[kind]:
    assert flatten(found[kind][name]) == flatten(read[kind][name])


@pytest.mark.parametrize(
  ("changes", "says"),
  [
    ({"reinit_layers": -1}, "reinit_layers is -1; it is 0 or more"),
    ({"reinit_layers": 4}, "has 3 layers here; try --config.reinit_layers=1"),
    (
      {"encoder_every": 2, "reinit_layers": 3},
      "has 2 layers here; try --config.reinit_layers=1",
    ),
    ({"encoder_frozen": True}, "encoder of single.cola is frozen, so what is"),
    ({"methods": "frozen"}, "encoder of frozen.cola is frozen, so what is"),
    ({"init_from": "W/runs/multi"}, "init_from is W/runs/multi, and it is"),
    ({"encoder": "scratch"}, "whose layers are all drawn anew; leave it out"),
    (
      {
        "reinit_layers": 0,
        "methods": "single+finetune@fresh",
        "variants": {"fresh": {"reinit_layers": 1}},
      },
      "single+finetune@fresh.cola starts from single.cola, whose layers are",
    ),
    (
      {
        "reinit_layers": 0,
        "methods": "random+single@fresh",
        "variants": {"fresh": {"reinit_layers": 1}},
      },
      "starts from random weights, whose layers are taken as they are",
    ),
  ],
)
def test_what_cannot_be_drawn_is_refused(inputs, tmp_path, changes, says):
  with pytest.raises(ValueError, match=re.escape(says)) as error:
    small.execute(asked(inputs, **changes), tmp_path / "W")
  assert "\n" not in str(error.value)
  assert not (tmp_path / "W").exists()


def test_a_variant_draws_where_the_config_does_not(inputs, tmp_path):
  config = asked(
    inputs,
    methods="single,single@fresh",
    reinit_layers=0,
    variants={"fresh": {"reinit_layers": 1}},
  )
  here = session.opened(config, Workdir(tmp_path / "W"))
  whole, fresh = (here.given(run, [0, 1]) for run in here.experiment.runs)
  assert "pooler" in whole and "pooler" not in fresh
  assert whole["bert"].keys() - fresh["bert"].keys() == {"layer_2"}
