"""Adapters that weights take in: transformers says the same without them."""

import dataclasses

from flax import traverse_util
import numpy as np
import pytest

import bam_jax
from bam_jax.inference import export as directories
from bam_jax.inference import model as inference
from bam_jax.models import adapter_tree
from bam_jax.models.adapted import Adapter
from bam_jax.models.adapters import ADAPTERS
from bam_jax.tasks.description import Adapts
from tests.export_test import TEXTS, quiet, random_model, sigmoid, theirs_on

assert quiet


def adapted(name, folder, kind, *, shared=False):
  """Returns a random model of a family with random adapters."""
  found = random_model(name, folder)
  adapter = Adapter(
    kind, 3 if ADAPTERS[kind].rank else 0, shared, 0.7 * ADAPTERS[kind].alpha
  )
  names = [head.name for head in found.description.heads]
  rng = np.random.default_rng(4)
  flat = {
    path: rng.normal(size=shape, scale=0.5).astype(np.float32)
    for path, shape in adapter_tree.shapes(adapter, found.config, names).items()
  }
  return dataclasses.replace(
    found,
    params=found.params
    | {"adapters": traverse_util.unflatten_dict(flat, sep="/")},
    description=dataclasses.replace(
      found.description, adapter=Adapts(**dataclasses.asdict(adapter))
    ),
  )


@pytest.mark.parametrize(
  ("name", "kind"),
  [("bert", "lora"), ("bert", "lhuc"), ("modernbert", "lora")],
)
def test_each_task_leaves_as_a_model_that_knows_no_adapters(
  name, kind, tmp_path
):
  found = adapted(name, tmp_path / "run", kind)
  model = inference.Model(found)
  # Several heads are asked at once, and each text is encoded for each.
  want = model.logits(["mnli", "stsb"], TEXTS)
  without = dataclasses.replace(
    found, description=dataclasses.replace(found.description, adapter=None)
  )
  plain = inference.Model(without).logits(["mnli"], TEXTS)
  assert np.abs(want["mnli"] - plain["mnli"]).max() > 0.01
  for task in want:
    out = tmp_path / task
    directories.write_classifier(out, found, task, overwrite=False)
    said = theirs_on(out, *TEXTS)
    if task == "stsb":
      said = sigmoid(said)
    assert np.abs(said - want[task]).max() < 1e-5
  assert bam_jax.load(tmp_path / "mnli").net.adapter is None
  with pytest.raises(ValueError, match=r"one by one, --task=mnli"):
    directories.write_heads(tmp_path / "all", found, overwrite=False)
  assert not (tmp_path / "all").exists()


def test_shared_ones_leave_with_all_heads(tmp_path):
  found = adapted("bert", tmp_path / "run", "lora", shared=True)
  want = inference.Model(found).logits(["mnli", "stsb"], TEXTS)
  directories.write_heads(tmp_path / "all", found, overwrite=False)
  got = bam_jax.load(tmp_path / "all").logits(["mnli", "stsb"], TEXTS)
  for task, logits in want.items():
    assert np.abs(got[task] - logits).max() < 1e-5


@pytest.mark.parametrize(
  ("name", "kind", "why"),
  [
    ("bert", "pal", "weights alone take in lora and lhuc"),
    ("modernbert", "lhuc", "has its norms before"),
  ],
)
def test_others_are_refused_with_what_can_be_done(name, kind, why, tmp_path):
  found = adapted(name, tmp_path / "run", kind)
  with pytest.raises(ValueError, match=rf"{why}.*--format=stablehlo"):
    directories.write_classifier(tmp_path / "a", found, "mnli", overwrite=False)
  assert not (tmp_path / "a").exists()
  directories.write_program(tmp_path / "b", found, task="all", overwrite=False)
