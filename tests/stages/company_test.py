"""A trial is the same model whatever is computed beside it, dropout and all.

Real texts, because their lengths differ: other trials then plan other rows and
slots. What is compared are parameters after twenty steps, to what rounding
makes of them (docs/reliability.md).
"""

import shutil

import jax
import numpy as np
import pytest

from bam_jax.stages import lessons
from bam_jax.study.workdir import Workdir
from bam_jax.training.checkpoint import load_params
from bam_jax.training.loop import Stopped
from configs import minilm as settings
from tests import small

RUN = "multi.cola+rte"
# Alone it has room for four examples in a row; beside the others for eight.
SEED = 1
STEPS = 20
# In float32, after so many steps.
ROUNDING = 2e-6


class Cases:
  """Trains the same seed in several ways, from one set of prepared texts."""

  def __init__(self, root, glue, encoder, **changes):
    self.root, self.shapes = root, {}
    self.config = settings.get_config("cola,rte")
    self.config.data.glue_dir, self.config.encoder = str(glue), str(encoder)
    c = self.config
    c.methods, c.stage, c.seed = "multi", "train", SEED
    c.max_length, c.max_steps, c.multi.batch_size = 40, STEPS, 10
    c.trackers, c.encoder_layers, c.data.row_shapes = "", 1, 1
    c.update_from_flattened_dict(changes)
    self.alone = self.train("alone")

  def train(self, name, stop=lambda: False, **changes):
    """Returns the parameters of the seed; keeps the shapes that it had."""
    config = self.config.copy_and_resolve_references()
    config.update_from_flattened_dict(changes)
    workdir, data = self.root / name, self.root / "alone/data"
    if data.exists() and not workdir.exists():
      shutil.copytree(data, workdir / "data")
    plan = lessons.batches

    def kept(*args, **kwargs):
      made = plan(*args, **kwargs)
      self.shapes[name] = (made.examples, made.sizes.tolist())
      return made

    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(lessons, "batches", kept)
      small.execute(config, workdir, stop)
    return load_params(Workdir(workdir).params(RUN, SEED))[0]


@pytest.fixture(scope="module")
def tiny_encoder(glue_dir, tmp_path_factory, compiled):
  """The seed alone, from a tiny encoder, and what trains it otherwise."""
  root = tmp_path_factory.mktemp("company")
  encoder = small.write_encoder(tmp_path_factory.mktemp("tiny") / "encoder")
  return Cases(root, glue_dir, encoder)


def apart(a, b):
  """Returns {parameter: largest difference} of two trees."""
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): float(
      np.abs(x - y).max()
    )
    for (path, x), y in zip(
      jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b), strict=True
    )
  }


def largest(a, b):
  """Returns the parameter that differs most, and by how much."""
  return max(apart(a, b).items(), key=lambda item: item[1])


OTHERS = {
  "last of two": {"seed": 0, "trials": 2, "trials_at_once": 2},
  "first of two": {"trials": 2, "trials_at_once": 2},
  "one of twenty": {"seed": 0, "trials": 20, "trials_at_once": 20},
  "micro-batches": {"micro_rows": 2, "data.row_shapes": 3},
  "unpacked": {"data.packing": False},
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_trial_is_the_same_in_any_company(tiny_encoder, name):
  found = tiny_encoder.train(name.replace(" ", "-"), **OTHERS[name])
  shapes = tiny_encoder.shapes
  assert shapes["alone"] != shapes[name.replace(" ", "-")]
  parameter, difference = largest(tiny_encoder.alone, found)
  assert difference < ROUNDING, parameter


def test_a_trial_is_the_same_when_it_was_stopped(tiny_encoder):
  asked = iter(range(1, STEPS))
  with pytest.raises(Stopped):
    tiny_encoder.train("stopped", stop=lambda: next(asked) == 9)
  found = tiny_encoder.train("stopped", micro_rows=3)
  parameter, difference = largest(tiny_encoder.alone, found)
  assert difference < ROUNDING, parameter


def test_a_real_encoder_is_the_same_in_any_company(
  glue_dir, minilm, tmp_path, compiled
):
  cases = Cases(tmp_path, glue_dir, minilm)
  found = cases.train("other", **OTHERS["last of two"], micro_rows=2)
  assert cases.shapes["alone"] != cases.shapes["other"]
  parameter, difference = largest(cases.alone, found)
  assert difference < ROUNDING, parameter
