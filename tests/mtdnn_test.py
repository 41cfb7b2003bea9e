"""The studies of the MT-DNN toolkit: every part plans its runs."""

import pytest

from bam_jax.runtime.files import flatten
from bam_jax.stages import checks
from bam_jax.study import experiment as experiments
from configs import common, mtdnn

TWO = "rte,mrpc"


@pytest.mark.parametrize(
  ("part", "runs"),
  [
    # Alone and together; alone with an adversary.
    ("table2", 2 + 1 + 2),
    # Alone, together, then each alone, and the student; all of it again.
    ("workflows", 2 * (2 + 1 + 2 + 1)),
  ],
)
def test_every_part_can_be_and_is_planned_once(part, runs):
  config = mtdnn.get_config(f"{part},{TWO}")
  known = flatten(common.base().to_dict())
  assert flatten(config.to_dict() | {"variants": {}}).keys() == known.keys()
  experiment = experiments.read(config)
  checks.settings(experiment)
  assert len(experiment.runs) == runs
  kinds = {
    experiment.settings(run).config.adversary.kind for run in experiment.runs
  }
  assert kinds == {"none", "smart"}


def test_a_part_that_is_none_names_the_nearest():
  with pytest.raises(ValueError, match="did you mean table2"):
    mtdnn.get_config("table3")
