"""What is said to evaluations that nothing reads, or that none can do."""

from types import SimpleNamespace

import pytest

from bam_jax.stages import selection
from configs import common

EXPERIMENT = SimpleNamespace(
  trained_tasks=[SimpleNamespace(name="rte")],
  runs=[
    SimpleNamespace(kind="multi", first=False, variant=""),
    SimpleNamespace(kind="single", first=True, variant=""),
  ],
)
FALLS = {
  "optim.schedule": "plateau",
  "select.by": "average",
  "eval_every": 10,
}


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"plateau.patience": 3}, "plateau.patience is 3, but optim.schedule is"),
    (FALLS | {"select.by": "last"}, "select.by=last keeps no best"),
    (FALLS | {"optim.warmup_join": "bert"}, "a rate that falls step by step"),
    (FALLS | {"multi.rate": 1e-7}, r"multi.rate is 1e-07 .*least=1e-09"),
    (FALLS | {"first.rate": 1e-7}, r"first.rate is 1e-07 .*least=1e-09"),
    (FALLS | {"eval_every": 0}, "needs evaluations to choose among"),
    ({"select.patience": 3}, "select.by=last the last"),
    ({"select.by": "cola"}, "it is one of last, average, rte"),
  ],
)
def test_it_is_refused(changes, said):
  c = common.base()
  c.update_from_flattened_dict(changes)
  with pytest.raises(ValueError, match=said):
    selection.check(EXPERIMENT, c)


def test_a_rate_of_a_kind_that_is_not_run_may_be_anything():
  c = common.base()
  c.update_from_flattened_dict(FALLS | {"finetune.rate": 1e-9})
  selection.check(EXPERIMENT, c)
