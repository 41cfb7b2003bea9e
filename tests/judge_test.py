"""The study of judges: who is taught what, by the config as it is shipped."""

import numpy as np

from bam_jax.stages import session
from bam_jax.study import experiment
from bam_jax.study.plan import OUTSIDE
from bam_jax.study.workdir import Workdir
from configs import judge


def test_nothing_is_trained_only_to_teach():
  found = experiment.read(judge.get_config())
  assert len(found.runs) == 4 + 2 * 15
  for run in found.runs:
    assert {name for _, name in run.teachers} <= {OUTSIDE}
  assert len(found.seeds) == 3
  alone = [run for run in found.runs if not run.teachers]
  assert all("gold0" not in run.name for run in alone) and len(alone) == 4


def test_students_read_the_judge_and_the_others_only_gold(tmp_path):
  config = judge.get_config("sentiment_gold0_noise35,sentiment_gold20_noise5")
  config.variants.alone = {"tasks": "sentiment_gold20_noise5"}
  config.methods = "single@alone,single->single,single->single@half"
  config.trials, config.trials_at_once = 1, 1
  it = session.opened(config, Workdir(tmp_path))
  pools = {
    run.name: it.batches(run, [0])._pools[0] for run in it.experiment.runs
  }
  alone = pools.pop("single@alone.sentiment_gold20_noise5")
  assert 0 < len(alone.lengths) < 200
  for name, pool in pools.items():
    learned = pool.learned["example"]
    assert len(pool.lengths) == 500 and learned.has_teacher.all()
    gold = 0 if "gold0" in name else len(alone.lengths)
    assert pool.has_gold.sum() == gold
    assert np.isfinite(learned.teacher).all()
    assert learned.teacher.any(1).all()
