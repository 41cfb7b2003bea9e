"""The same study is the same numbers, alone, beside others, or resumed."""

import json

import jax
import numpy as np
import pytest

from bam_jax.study.workdir import Workdir
from bam_jax.training import loop
from bam_jax.training.checkpoint import load_params
from tests import small

# A batched product sums in another order than a single one: parameters of size
# 1 differ by rounding, which six steps of Adam at a rate of 1e-2 spread.
BESIDE = 2e-4
RUN = "multi.cola+stsb"


def study(run, workdir, **changes):
  config = small.settings(run.glue, run.encoder, methods="multi", **changes)
  small.execute(config, workdir)
  return Workdir(workdir)


def params(workdir, seed):
  return load_params(workdir.params(RUN, seed))[0]


@pytest.fixture(scope="module")
def one_by_one(small_run):
  """Four trials, each trained alone."""
  return study(small_run, small_run.root / "one-by-one", trials=4)


def test_the_same_study_twice_has_the_same_results_but_for_times(
  small_run, one_by_one, tmp_path
):
  again = study(small_run, tmp_path / "W", trials=4)
  both = [
    json.loads((place.path / "results.json").read_text())
    for place in (one_by_one, again)
  ]
  for found in both:
    for key in ("seconds", "joules"):
      assert set(found.pop(key)) == {RUN}
  assert both[0] == both[1]


def test_a_trial_is_the_same_alone_and_among_four_at_once(
  small_run, one_by_one, tmp_path
):
  together = study(small_run, tmp_path / "W", trials=4, trials_at_once=4)
  for seed in range(4):
    jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, atol=BESIDE, rtol=BESIDE),
      params(one_by_one, seed),
      params(together, seed),
    )
  # And they do differ from each other by more than that.
  first, second = (
    params(one_by_one, seed)["pooler"]["kernel"] for seed in (0, 1)
  )
  assert abs(first - second).max() > 10 * BESIDE
  hashes = [
    [place.scores(RUN)[str(seed)]["content"] for seed in range(4)]
    for place in (one_by_one, together)
  ]
  assert hashes[0] == hashes[1]
  assert len(set(hashes[0])) == 4


def test_a_trial_alone_in_its_study_is_bit_for_bit_the_same(
  small_run, one_by_one, tmp_path
):
  alone = study(small_run, tmp_path / "W", seed=2)
  jax.tree.map(
    np.testing.assert_array_equal, params(alone, 2), params(one_by_one, 2)
  )


def test_a_trial_that_was_stopped_is_bit_for_bit_the_same(
  small_run, one_by_one, tmp_path
):
  config = small.settings(
    small_run.glue, small_run.encoder, methods="multi", seed=3
  )
  asked = iter(range(100))
  with pytest.raises(loop.Stopped):
    small.execute(config, tmp_path / "W", stop=lambda: next(asked) == 3)
  small.execute(config, tmp_path / "W")
  jax.tree.map(
    np.testing.assert_array_equal,
    params(Workdir(tmp_path / "W"), 3),
    params(one_by_one, 3),
  )
