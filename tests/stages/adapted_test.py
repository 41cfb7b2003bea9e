"""Adapters through a whole study, and the commands that cannot have them."""

import shutil

import jax
import numpy as np
import pytest

import bam_jax
from bam_jax import features
from bam_jax.hf import directory as hf
from bam_jax.runtime.files import flatten
from bam_jax.stages import adapted, parameters, session, values
from bam_jax.study.workdir import Workdir
from bam_jax.tasks import description
from bam_jax.training import adapting
from bam_jax.training.checkpoint import load_params
from tests import small, tiny

MULTI = "multi.rte+stsb"


@pytest.fixture(scope="module")
def run(small_run, tmp_path_factory):
  """A finished study of both tasks together and each alone from there."""
  root = tmp_path_factory.mktemp("adapted")
  config = settings(small_run)
  small.execute(config, root / "W")
  return root / "W", config


def settings(small_run, **changes):
  asked = {
    "tasks": "rte,stsb",
    "methods": "multi+finetune",
    "trials": 2,
    "trials_at_once": 2,
    "max_steps": 4,
    "encoder_frozen": True,
    "adapter__kind": "lora",
    "adapter__rank": 3,
  }
  return small.settings(small_run.glue, small_run.encoder, **asked | changes)


def params_of(workdir, name, seed):
  return load_params(Workdir(workdir).params(name, seed))[0]


def test_adapters_are_trained_kept_and_handed_on_task_by_task(run):
  workdir, config = run
  (after,) = (
    path.name
    for path in (workdir / "runs").iterdir()
    if path.name != MULTI and "stsb" in path.name.rpartition(".")[2]
  )
  for seed in (0, 1):
    both, alone = (params_of(workdir, name, seed) for name in (MULTI, after))
    first = small_encoder(config)
    # Frozen, it is in all trials what was read, to the bit.
    for tree in (both, alone):
      jax.tree.map(np.testing.assert_array_equal, tree["bert"], first)
    assert both["adapters"]["layer_0"].keys() == {"rte", "stsb"}
    assert alone["adapters"]["layer_0"].keys() == {"stsb"}
    up = flatten(both["adapters"])["layer_0.rte.query.up.kernel"]
    assert np.abs(up).max() > 0
    # Fine-tuned at a rate of nothing: what it began with is what it was given.
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
      alone["adapters"]["layer_0"]["stsb"],
      both["adapters"]["layer_0"]["stsb"],
    )


def small_encoder(config):
  return hf.load_encoder(config.encoder)[1]["bert"]


def test_a_model_answers_with_each_tasks_own(run):
  model = bam_jax.load(run[0] / "runs" / MULTI, trial=1)
  texts = (["the old dog sees", "no"], ["a cat", "the red bird"])
  both = model.logits(["rte", "stsb"], texts)
  for task in both:
    alone = model.logits([task], texts)[task]
    np.testing.assert_allclose(alone, both[task], atol=1e-6)


def test_a_file_from_before_alpha_could_be_said_means_the_published_one(run):
  file = Workdir(run[0]).model(MULTI) / description.FILE
  now, raw = description.load(file)
  assert raw["adapter"].pop("alpha") == 8.0
  before = description.parse(raw, file)
  assert adapting.adapter_of(before.adapter) == adapting.adapter_of(now.adapter)
  raw["adapter"]["alpha"] = "8"
  with pytest.raises(ValueError, match="does not say what the heads mean"):
    description.parse(raw, file)


def test_what_a_model_holds_is_counted(run, small_run, tmp_path):
  here = session.opened(settings(small_run), Workdir(tmp_path / "W"))
  said = parameters.told(here)
  trees = params_of(run[0], MULTI, 0)
  size = {
    name: sum(x.size for x in jax.tree.leaves(tree))
    for name, tree in trees.items()
  }
  # D = 16, r = 3, one layer, queries and values, two tasks.
  assert size["adapters"] == 2 * 1 * 2 * (2 * 16 * 3)
  whole = sum(size.values())
  assert (
    f"multi {whole:,} ({size['adapters']:,} in adapters, "
    f"{whole - size['bert']:,} trained)" in said
  )


@pytest.mark.parametrize(
  ("changes", "sentence"),
  [
    ({"adapter.rank": 4}, r"adapter.rank is 4, .* --config.adapter.kind="),
    ({"adapter.shared": True}, r"adapter.shared is True"),
    ({"adapter.kind": "lhuc", "adapter.rank": 4}, r"has no narrow product"),
    ({"adapter.kind": "pal", "adapter.alpha": 4.0}, r"has no alpha.* lora"),
    ({"adapter.kind": "pall"}, r"did you mean 'pal'"),
  ],
)
def test_keys_that_nothing_reads_are_refused(changes, sentence):
  with pytest.raises(ValueError, match=sentence):
    values.check(tiny.config(**changes))


@pytest.mark.parametrize("kind", ["deberta", "bilstm", "eurobert"])
def test_encoders_that_take_none_are_named_with_those_that_do(
  kind, small_run, tmp_path
):
  here = session.opened(settings(small_run), Workdir(tmp_path / "W"))
  asked = adapted.of(here.experiment, here.experiment.runs[0])
  with pytest.raises(ValueError, match=rf"is a {kind}, which .* RoBERTa"):
    adapted.fits(here.experiment, asked, tiny.ENCODERS[kind])


def test_a_stage_does_not_change_them(small_run, tmp_path):
  config = settings(small_run, methods="multi+finetune@plain")
  config.variants = {"plain": {"adapter": {"kind": "none", "rank": 0}}}
  with pytest.raises(ValueError, match=r"adapters lora of rank 3, and has no"):
    small.execute(config, tmp_path / "W")
  assert not (tmp_path / "W" / "runs").exists()


def test_init_from_says_what_becomes_of_them(run, small_run, tmp_path, capsys):
  start = str(run[0] / "runs" / MULTI)
  plain = {"adapter__kind": "none", "adapter__rank": 0, "trials": 1}
  config = settings(small_run, init_from=start, init_part="all", **plain)
  with pytest.raises(
    ValueError, match=r"and multi.rte\+stsb, which .* has none; set"
  ):
    small.execute(config, tmp_path / "W")
  here = session.opened(
    settings(small_run, init_from=start, **plain), Workdir(tmp_path / "W")
  )
  adapted.check(here.materials, here.materials.encoder.shape)
  assert "they are left there" in " ".join(capsys.readouterr().out.split())
  given = here.given(here.experiment.run(MULTI), [0])
  assert "adapters" not in given


def test_vectors_without_them_are_refused(run, tmp_path):
  texts = tmp_path / "texts.csv"
  texts.write_text("text\nthe dog\n")
  with pytest.raises(SystemExit) as stopped:
    features.main(
      [
        *("--run", str(run[0] / "runs" / MULTI), "--layers=-1"),
        *("--input", str(texts), "--out", str(tmp_path / "a.parquet")),
      ]
    )
  assert stopped.value.code == 2


def test_adapters_that_do_not_fit_what_is_said_of_them_are_refused(
  run, tmp_path
):
  shutil.copytree(run[0], tmp_path / "W")
  file = tmp_path / "W/runs" / MULTI / "model/heads.json"
  text = file.read_text()
  assert '"rank": 3' in text
  found, _ = description.load(file)
  assert (found.adapter.kind, found.adapter.rank) == ("lora", 3)
  file.write_text(text.replace('"rank": 3', '"rank": -3'))
  with pytest.raises(ValueError, match="does not say what the heads mean"):
    description.load(file)
