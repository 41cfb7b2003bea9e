"""Claims in their order, and non-inferiority, and their rates on nulls."""

import gc

import numpy as np
import pytest
import scipy.stats

from bam_jax.stats import compare, paired
from bam_jax.stats.claims import Claim, noninferiority, sequence

TASKS = ("rte", "cola", "stsb")


def results(**methods):
  """Results of methods f[R, T] on the first tasks, seeds 0, 1, ..."""
  found = {}
  for name, scores in methods.items():
    columns = np.asarray(scores).T
    seeds = list(range(len(scores)))
    found[name.replace("_to_", "->")] = {
      task: {"metric": "accuracy", "scores": x.tolist(), "seeds": seeds}
      for task, x in zip(TASKS, columns, strict=False)
    }
  means = {m: compare.average(x, list(x)) for m, x in found.items()}
  return {"methods": found, "average": means}


def study(rng, seeds=6, *, multi=3.0, taught=3.0):
  base = rng.normal(60, 1, (seeds, 1)) + rng.normal(0, 0.5, (3, seeds, 3))
  return results(
    single=base[0], multi=base[1] + multi, single_to_multi=base[2] + taught
  )


def test_claims_are_tested_in_their_order_until_one_is_not_shown():
  found = study(np.random.default_rng(0))
  claims = [
    Claim("multi", ">", "single"),
    Claim("single->multi", ">", "multi"),
    Claim("single->multi", ">", "single", "cola"),
  ]
  first, second, third = sequence(found, claims, 1.0)
  pairs = found["average"]["multi"], found["average"]["single"]
  assert first["p"] == first["p_gate"] == paired.t_test(*pairs)
  estimate = paired.difference(*pairs)
  assert first["columns"] == {
    "average": [estimate.value, estimate.low, estimate.high]
  }
  assert first["shown"] and not first["why"]
  assert not second["shown"] and second["why"] == "p is not below 0.05"
  # By itself it would be shown, but the gate is closed.
  assert third["p"] < 0.05 and not third["shown"] and third["p_gate"] is None
  assert third["why"] == "not tested, as single->multi > multi was not shown"
  turned = sequence(found, [claims[0], claims[2], claims[1]], 1.0)
  assert [row["shown"] for row in turned] == [True, True, False]
  assert turned[1]["p_gate"] == max(turned[0]["p"], turned[1]["p"])


def test_a_difference_the_other_way_round_is_not_the_claim():
  found = study(np.random.default_rng(0))
  (row,) = sequence(found, [Claim("single", ">", "multi")], 1.0)
  assert row["p"] < 0.05
  assert not row["shown"] and row["why"] == "the other way round"


def test_what_cannot_be_tested_closes_the_gate_and_says_why():
  found = study(np.random.default_rng(0))
  found["methods"]["multi"]["rte"]["seeds"] = [9, 8, 7, 6, 4, 5]
  claims = [
    Claim("multi->multi", ">", "single"),
    Claim("multi", ">", "single", "rte"),
    Claim("multi", ">", "single", "cola"),
  ]
  gone, few, third = sequence(found, claims, 1.0)
  assert gone["why"] == "multi->multi has no scores"
  assert few["why"].startswith("on rte fewer than 3 trials of the same seeds")
  assert [row["p"] for row in (gone, few)] == [None, None]
  assert third["p"] < 0.05 and not third["shown"]


def test_not_worse_is_asked_of_each_task():
  rng = np.random.default_rng(1)
  found = study(rng, multi=0.0)
  claim = Claim("multi", ">=", "single")
  (row,) = sequence(found, [claim], 3.0)
  assert list(row["columns"]) == list(TASKS)
  assert row["shown"] == all(low > -3 for _, low, _ in row["columns"].values())
  assert row["shown"] and row["margin"] == 3.0
  ps = [
    paired.not_below(*compare.shared(found, "multi", "single", task), 3.0)
    for task in TASKS
  ]
  assert row["p"] == max(ps) > min(ps)
  # One task that loses more is enough.
  scores = found["methods"]["multi"]["stsb"]["scores"]
  found["methods"]["multi"]["stsb"]["scores"] = [x - 4 for x in scores]
  (row,) = sequence(found, [claim], 3.0)
  assert not row["shown"] and row["p"] == 1
  (row,) = sequence(found, [Claim("multi", ">=", "single", "rte")], 3)
  assert row["shown"] and list(row["columns"]) == ["rte"]


def test_each_task_is_each_that_counts_and_none_may_lack():
  found = study(np.random.default_rng(1), multi=0.0)
  claim = Claim("multi", ">=", "single")
  # Of a study that is not done: multi is, and single of two tasks.
  del found["methods"]["single"]["stsb"]
  (row,) = sequence(found, [claim], 3.0)
  assert not row["shown"] and row["why"] == "single has no scores of stsb"
  assert not noninferiority(found, 3.0)
  # Nor is a model of some tasks one for all.
  found = study(np.random.default_rng(1), multi=0.0)
  del found["methods"]["multi"]["stsb"]
  assert [row["a"] for row in noninferiority(found, 3.0)] == ["single->multi"]
  # As WNLI, where both say the larger class in every trial.
  found = study(np.random.default_rng(1), multi=0.0)
  for each in ("single", "multi"):
    found["methods"][each]["stsb"]["scores"] = [56.3] * 6
  (row,) = sequence(found, [claim], 3.0)
  assert "on stsb all seeds differ by the same" in row["why"]
  (row,) = sequence(found | {"counted": ["rte", "cola"]}, [claim], 3.0)
  assert row["shown"] and list(row["columns"]) == ["rte", "cola"]


def test_noninferiority_is_of_models_for_all_tasks():
  found = study(np.random.default_rng(2), multi=0.5, taught=-5)
  base = found["methods"]["single"]
  found["methods"] |= {"single->single": base, "multi+finetune": base}
  multi, taught = noninferiority(found, 2.0)
  assert (multi["a"], taught["a"]) == ("multi", "single->multi")
  assert [multi["p_holm"], taught["p_holm"]] == pytest.approx(
    compare.holm([multi["p"], taught["p"]])
  )
  assert multi["shown"] and not taught["shown"]
  del found["methods"]["single"]
  assert noninferiority(found, 2.0) == []


def rejected(studies, seeds, shown):
  """How often something false is shown; every study has seeds of its own."""
  return sum(
    shown(np.random.default_rng([seeds, k]), seeds) for k in range(studies)
  )


CLAIMS = [
  Claim("multi", ">", "single"),
  Claim("single->multi", ">", "multi"),
  Claim("single->multi", ">", "single", "rte"),
]


@pytest.mark.parametrize("seeds", [5, 10, 20])
@pytest.mark.parametrize(
  ("multi", "taught", "true"), [(0.0, 0.0, 0), (9.0, 9.0, 1)]
)
def test_a_false_claim_is_shown_in_no_more_than_five_percent(
  seeds, multi, taught, true
):
  """With nothing true, and with the first claim true and the second false."""

  def shown(rng, seeds):
    found = study(rng, seeds, multi=multi, taught=taught)
    rows = sequence(found, CLAIMS, 1.0)
    return any(row["shown"] for row in rows[true : true + 2 - true])

  wrong = rejected(300, seeds, shown)
  # Claims have a direction, so it is half of 5 %.
  low, high = scipy.stats.binom.interval(0.999, 300, 0.025)
  assert low <= wrong <= high


@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_at_the_margin_on_one_task_few_pass(seeds, monkeypatch):
  # statsmodels collects garbage in every call, for most of a tenth of a second.
  monkeypatch.setattr(gc, "collect", lambda: 0)

  def shown(rng, seeds):
    found = study(rng, seeds, multi=np.array([5.0, 5.0, -1.0]))
    return noninferiority(found, 1.0)[0]["shown"]

  wrong = rejected(300, seeds, shown)
  # Holm's correction over the two methods halves it once more.
  _, high = scipy.stats.binom.interval(0.999, 300, 0.025)
  assert 0 < wrong <= high


def test_more_seeds_show_more():
  shown = [
    np.mean(
      [
        sequence(
          study(np.random.default_rng(k), seeds, multi=0.3),
          [Claim("multi", ">", "single")],
          1.0,
        )[0]["shown"]
        for k in range(100)
      ]
    )
    for seeds in (5, 10, 20)
  ]
  assert shown[0] + 0.1 < shown[1] < shown[2] - 0.1


def test_a_seed_that_a_task_outside_the_average_lacks_is_no_less_a_pair():
  found = study(np.random.default_rng(0))
  found["counted"] = ["rte", "cola"]
  wnli = found["methods"]["single"]["stsb"]
  wnli["seeds"], wnli["scores"] = wnli["seeds"][:-1], wnli["scores"][:-1]
  for method, records in found["methods"].items():
    found["average"][method] = compare.average(records, found["counted"])
  assert list(compare.by_seed(found, "single", "average")) == [*range(6)]
  assert len(compare.shared(found, "multi", "single", "average")[0]) == 6
