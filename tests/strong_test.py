"""The study of small tasks beside large ones: every part plans its runs."""

import pytest

from bam_jax.stages import checks
from bam_jax.study import experiment as experiments
from configs import strong


@pytest.mark.parametrize(
  ("arg", "runs", "limits"),
  [
    ("tune_single", 3 * 4, ""),
    ("tune_multi,rte,mnli", 3, "mnli=20000"),
    ("study", 8 + 1 + 1, "mnli=20000,qnli=20000,qqp=20000,sst2=20000"),
    ("study,mrpc,qqp", 2 + 1 + 1, "qqp=20000"),
  ],
)
def test_every_part_plans_its_runs_and_limits_its_own_tasks(arg, runs, limits):
  config = strong.get_config(arg)
  experiment = experiments.read(config)
  checks.settings(experiment)
  assert len(experiment.runs) == runs
  assert config.data.limit == limits


def test_a_search_changes_nothing_but_what_it_searches():
  config = strong.get_config("tune_single,rte")
  experiment = experiments.read(config)
  rates = {experiment.settings(run).rate for run in experiment.runs}
  assert rates == set(strong.RATES["single"])
  assert config.data.holdout == 0.1
  least = {experiment.settings(run).min_steps for run in experiment.runs}
  assert least == {strong.get_config("study").single.min_steps}


def test_a_claim_about_rte_is_made_where_rte_is():
  assert "on rte" in strong.get_config("study,rte,mnli").claims
  assert "rte" not in strong.get_config("study,mrpc,mnli").claims
