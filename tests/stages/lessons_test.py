"""What a run learns from: gold, and where somebody teaches, all rows."""

import numpy as np
import pytest

from bam_jax.stages import lessons
from bam_jax.study.plan import plan
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
