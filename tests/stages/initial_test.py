"""Which layers of another model a student starts from."""

import jax
import numpy as np
import pytest

from bam_jax.hf import directory as hf
from bam_jax.stages import initial, session
from bam_jax.study.workdir import Workdir
from bam_jax.training.checkpoint import save_params
from tests import small

LAYERS = 5


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
  return small.write_encoder(
    tmp_path_factory.mktemp("deep") / "encoder", layers=LAYERS
  )


@pytest.mark.parametrize(
  ("every", "layers", "kept"),
  [(1, 2, (0, 1)), (2, 0, (0, 2, 4)), (2, 2, (0, 2)), (3, 0, (0, 3))],
)
def test_a_student_starts_from_the_layers_of_a_run_that_it_keeps(
  encoder, tmp_path, every, layers, kept
):
  _, params, _ = hf.load_encoder(encoder)
  run = tmp_path / "W1" / "runs" / "multi"
  save_params(run / "checkpoints" / "seed-0", params | {"heads": {}}, {})
  config = small.settings(
    small.write_glue(tmp_path / "glue"),
    encoder,
    init_from=str(run),
    encoder_every=every,
    encoder_layers=layers,
    methods="multi",
  )
  here = session.opened(config, Workdir(tmp_path / "W"))
  found = here.given(here.experiment.runs[0], [0])["bert"]
  names = {f"layer_{i}" for i in range(len(kept))}
  assert {name for name in found if name.startswith("layer_")} == names
  for i, old in enumerate(kept):
    jax.tree.map(
      lambda x, y: np.testing.assert_array_equal(x[0], y),
      found[f"layer_{i}"],
      params["bert"][f"layer_{old}"],
    )
  # What was trained with as many was chosen from before.
  once = here.materials.initial
  assert initial.thinned(once, config, len(kept)) is once
