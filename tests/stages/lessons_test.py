"""What a run learns from: gold, and where somebody teaches, all rows."""

import numpy as np
import pytest

from bam_jax.stages import checks, lessons
from bam_jax.study import workdir
from bam_jax.study.plan import plan
from bam_jax.training.settings import Settings
from configs import common
from tests import tiny

RUNS = plan(["single->multi"], ["rte", "mrpc"], outside={"rte"}, subsets={})[
  "single->multi"
]
(MULTI,) = [run for run in RUNS if run.kind == "multi"]
(SINGLE,) = plan(["single"], ["rte"], outside={"rte"}, subsets={})["single"]


def test_rows_without_gold_are_learned_from_where_somebody_teaches():
  rows = tiny.features(7, 3)
  assert lessons.learned(SINGLE, "rte", rows) is rows
  rows.labels[[1, 4]] = np.nan
  assert lessons.learned(MULTI, "rte", rows) is rows
  left = lessons.learned(SINGLE, "rte", rows)
  assert left.index.tolist() == np.delete(rows.index, [1, 4]).tolist()
  assert not np.isnan(left.labels).any()


def test_a_run_without_gold_and_teacher_is_refused():
  none, some = np.float32([np.nan] * 3), np.float32([np.nan, 1])
  with pytest.raises(ValueError, match=r"no training row of rte has a label"):
    lessons.check_gold([SINGLE], "rte", none)
  lessons.check_gold([SINGLE], "rte", some)
  lessons.check_gold([MULTI], "rte", none)


@pytest.mark.parametrize(
  ("least", "cap", "steps"),
  # 7 rows by 3 are 3 batches an epoch.
  [(0, 0, 6), (5, 0, 6), (11, 0, 11), (11, 8, 8)],
)
def test_a_small_task_has_least_steps(least, cap, steps):
  c = common.base()
  c.single.epochs, c.single.batch_size, c.max_steps = 2.0, 3, cap
  c.single.min_steps = least
  draw = lessons.order(Settings.of(c, "single"), {"rte": 7})
  drawn = draw(seed=4)
  assert drawn.shape == (steps, 3)
  # Nothing is drawn again before all others were.
  assert np.bincount(drawn[drawn >= 0]).min() >= steps * 3 // 7 - 1


@pytest.mark.parametrize(
  ("said", "steps", "rows"),
  [
    ("rte=2", 8, 2),  # mrpc goes on; 11 rows by 3 are 4 batches an epoch
    ("rte=1,mrpc=2,cola=9", 5, 1),  # 15 examples, and all have ended
    ("mrpc=100", 8, None),
  ],
)
def test_a_task_ends_after_its_epochs(said, steps, rows):
  c = common.base()
  c.multi.epochs, c.multi.batch_size, c.sampling.max_epochs = 2.0, 3, said
  c.sampling.exponent = 4.0  # nearly all that is drawn is rte while it lasts
  draw = lessons.order(Settings.of(c, "multi"), {"rte": 7, "mrpc": 4})
  drawn = draw(seed=4)
  assert drawn.shape == (steps, 3)
  found = np.bincount(drawn.reshape(-1))[:7]
  assert found.tolist() == [rows] * 7 if rows else found.min() > 2


def test_least_steps_that_are_off_are_no_other_settings():
  flat = {"single.rate": 1e-4, "single.min_steps": 0, "kind.min_steps": 0}
  assert workdir.without_neutral(flat) == {"single.rate": 1e-4}
  assert workdir.without_neutral({"multi.min_steps": 9})


def test_tasks_that_end_before_one_step_is_full_are_refused():
  c = common.base()
  c.single.batch_size, c.sampling.max_epochs = 32, "1"
  settings = Settings.of(c, "single")
  with pytest.raises(ValueError, match=r"end after 20 .*single.batch_size=20"):
    checks.drawable(settings, SINGLE, {"rte": 20})
  checks.drawable(settings, SINGLE, {"rte": 32})
  # One that never ends is enough for any step.
  c.sampling.max_epochs = "rte=1"
  checks.drawable(Settings.of(c, "multi"), MULTI, {"rte": 4, "mrpc": 3})


@pytest.mark.parametrize(("each", "steps"), [(False, 7), (True, 14)])
def test_evaluations_are_of_so_many_steps_for_each_task(each, steps):
  c = common.base()
  c.eval_every, c.select.per_task = 7, each
  rows = {"rte": [0] * 5, "mrpc": [0] * 3}
  found = lessons.paced(Settings.of(c, "multi"), rows)
  assert found.config.eval_every == steps and c.eval_every == 7
