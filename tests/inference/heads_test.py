"""Heads that tasks choose leave, come back and answer as they are."""

import dataclasses

from flax import traverse_util
import jax
from jax import export as jax_export
import numpy as np
import pytest

import bam_jax
from bam_jax.hf import transfer
from bam_jax.inference import export as directories
from bam_jax.inference import model as inference
from bam_jax.inference import rows as rows_lib
from bam_jax.models import encoders
from bam_jax.models.shapes import shapes
from bam_jax.tasks import description
from bam_jax.tasks.learn import Learn
from bam_jax.tasks.table import TASKS
from bam_jax.training import heads
from tests.export_test import TEXTS, random_model, theirs_on

CHOICES = {
  "mnli": Learn(head="san:turns=2"),
  "rte": Learn(head="mlp:width=7"),
  "qnli": Learn(head="mlp:width=7", head_of="rte"),
  "stsb": Learn(head="tower"),
  "mrpc": Learn(),
  "qqp": Learn(head_of="mrpc"),
  "wnli": Learn(head="project:width=5", layers="mix"),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
  """A model with a head of every way to build one, two of them shared."""
  plain = random_model(
    "bert", tmp_path_factory.mktemp("heads") / "run", tasks=tuple(CHOICES)
  )
  tasks = [
    dataclasses.replace(TASKS[name], learn=choice)
    for name, choice in CHOICES.items()
  ]
  said = dataclasses.replace(
    plain.description, heads=tuple(map(description.Head.of, tasks))
  )
  rng = np.random.default_rng(3)
  specs = heads.specs(said.heads, regression_output="sigmoid")
  layers = encoders.mixed(plain.config)
  params = traverse_util.unflatten_dict(
    {
      name: rng.normal(size=shape, scale=0.3).astype(np.float32)
      for name, shape in shapes(
        specs, plain.config.width, layers=layers
      ).items()
    },
    sep="/",
  )
  assert params.keys() == {"mnli", "rte", "stsb", "mrpc", "wnli"}
  return dataclasses.replace(
    plain, params=plain.params | {"heads": params}, description=said
  )


def test_all_heads_come_back_to_the_bit(found, tmp_path):
  directories.write_heads(tmp_path / "all", found, overwrite=False)
  files = {path.stem for path in (tmp_path / "all/heads").iterdir()}
  assert files == {"mnli", "rte", "stsb", "mrpc", "wnli"}
  model = bam_jax.load(tmp_path / "all")
  assert model.trained.description == found.description
  jax.tree.map(
    np.testing.assert_array_equal, model.trained.params, found.params
  )
  tasks = list(CHOICES)
  want = inference.Model(found).logits(tasks, TEXTS)
  got = model.logits(tasks, TEXTS)
  jax.tree.map(np.testing.assert_array_equal, got, want)
  for name in ("mnli", "rte", "stsb", "wnli"):
    assert np.ptp(want[name], axis=0).max() > 1e-4


def test_heads_answer_alone_as_they_do_together(found):
  model = inference.Model(found)
  together = model.logits(list(CHOICES), TEXTS)
  for name in CHOICES:
    alone = model.logits([name], TEXTS)[name]
    np.testing.assert_allclose(alone, together[name], atol=1e-6)


@pytest.mark.parametrize("name", ["mnli", "rte", "qnli", "stsb", "wnli"])
def test_what_transformers_has_not_is_refused_by_what_to_do(
  found, name, tmp_path
):
  with pytest.raises(
    ValueError,
    match=r"computes what the head (san|mlp|tower|project) of .*does; bam_",
  ):
    directories.write_classifier(tmp_path / "a", found, name, overwrite=False)
  assert not (tmp_path / "a").exists()


def test_a_shared_layer_leaves_for_transformers(found, tmp_path):
  directories.write_classifier(tmp_path / "a", found, "qqp", overwrite=False)
  want = inference.Model(found).logits(["qqp"], TEXTS)["qqp"]
  assert np.abs(theirs_on(tmp_path / "a", *TEXTS) - want).max() < 1e-5
  again = bam_jax.load(tmp_path / "a").logits(["qqp"], TEXTS)["qqp"]
  np.testing.assert_array_equal(again, want)


def test_the_program_answers_for_all(found, tmp_path):
  directories.write_program(tmp_path / "a", found, task="all", overwrite=False)
  program = jax_export.deserialize(
    bytearray((tmp_path / "a" / directories.PROGRAM).read_bytes())
  )
  model = inference.Model(found)
  rows = inference.featurise(
    model.tokenizer, [list(c) for c in TEXTS], None, max_length=30
  )
  batch = rows_lib.lay_out(
    rows, np.array([0]), size=len(rows), width=int(rows.lengths.max())
  )
  got = program.call(*(batch[name] for name in directories.INPUTS))
  want = model.logits(list(CHOICES), TEXTS)
  assert got.keys() == want.keys()
  for name, each in want.items():
    np.testing.assert_allclose(got[name], each, atol=1e-5)


def test_a_file_of_another_head_is_refused(found, tmp_path):
  directories.write_heads(tmp_path / "all", found, overwrite=False)
  folder = tmp_path / "all/heads"
  (folder / "rte.safetensors").write_bytes(
    (folder / "mnli.safetensors").read_bytes()
  )
  with pytest.raises(ValueError, match="do not fit what is written beside"):
    bam_jax.load(tmp_path / "all")


def test_a_start_takes_a_head_that_is_built_alike(found, tmp_path):
  directories.write_heads(tmp_path / "all", found, overwrite=False)

  def start(choice):
    task = dataclasses.replace(TASKS["rte"], learn=choice)
    return transfer.read(
      tmp_path / "all", "", [task], regression_output="sigmoid"
    )["heads"]

  jax.tree.map(
    np.testing.assert_array_equal,
    start(CHOICES["rte"]),
    {"rte": found.params["heads"]["rte"]},
  )
  for other in (Learn(), Learn(head="mlp")):
    with pytest.raises(ValueError, match="gives a head that is mlp, and that"):
      start(other)


def test_a_head_of_nobody_is_refused(found, tmp_path):
  directories.write_heads(tmp_path / "all", found, overwrite=False)
  file = tmp_path / "all" / description.FILE
  file.write_text(file.read_text().replace("san:turns=2", "saint"))
  with pytest.raises(ValueError, match="has a head 'saint', which is none"):
    bam_jax.load(tmp_path / "all")
