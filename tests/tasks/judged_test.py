"""The names of judged tasks, and those that only look like one."""

import pytest

from bam_jax.tasks import judged
from bam_jax.tasks.table import TASKS, get_tasks


def test_a_name_means_a_task_of_the_suite_with_a_judge():
  (task,) = judged.table(["rte", "entailment_gold5_noise66"]).values()
  assert (task.origin.judge.gold, task.origin.judge.noise) == (0.05, 0.66)
  assert task.labels == TASKS["entailment"].labels
  assert task.name == task.head == "entailment_gold5_noise66"


@pytest.mark.parametrize(
  "name",
  ["sentiment", "rte_gold5_noise5", "similarity_gold5_noise5", "mine_gold5"],
)
def test_other_names_mean_none(name):
  assert judged.judge_of(name) is None and judged.table([name]) == {}
  if name not in TASKS:
    with pytest.raises(ValueError, match="no task"):
      get_tasks([name])


@pytest.mark.parametrize(
  "name", ["sentiment_gold101_noise5", "sentiment_gold5_noise51"]
)
def test_a_share_that_cannot_be_is_refused(name):
  with pytest.raises(ValueError, match="noise from 0 to 50, where a judge gue"):
    judged.table([name])
