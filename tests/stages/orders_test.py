"""Tasks in turns: a command that goes on reads the batches it would have."""

import jax
import numpy as np
import pytest

from bam_jax.data import sampling
from bam_jax.stages import session
from bam_jax.study.workdir import Workdir
from tests import small


@pytest.mark.parametrize("kind", sampling.SAMPLING)
def test_each_step_is_the_same_whoever_asks_and_from_where(small_run, kind):
  config = small.settings(
    small_run.glue,
    small_run.encoder,
    methods="multi",
    sampling__kind=kind,
    # Enough that one task after the other comes to the last.
    max_steps=40,
  )
  whole, later = (
    session.opened(config, Workdir(small_run.workdir)) for _ in range(2)
  )
  (run,) = whole.experiment.runs
  first, second = (each.batches(run, [3]) for each in (whole, later))
  before = [first[k] for k in range(len(first))]
  # Whoever goes on begins in the middle, and has not asked for what was before.
  for k in (27, 28, 39):
    jax.tree.map(np.testing.assert_array_equal, second[k], before[k])
  alike = [np.array_equal(before[0]["index"], x["index"]) for x in before[1:]]
  assert not all(alike)
