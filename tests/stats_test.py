"""Each statistic against an independent computation, and what is tested."""

import itertools
import math
import statistics

import pytest

from bam_jax import stats


def record(*scores, seeds=None, metric="accuracy"):
  seeds = list(range(len(scores))) if seeds is None else seeds
  return {"metric": metric, "scores": list(scores), "seeds": seeds}


def results(**methods):
  names = {
    method.replace("_to_", "->"): tasks for method, tasks in methods.items()
  }
  return {
    "methods": names,
    "average": {m: stats.average(t, list(t)) for m, t in names.items()},
  }


def test_summary_is_of_the_sample():
  scores = [70.4, 69.3, 72.2, 60.0]
  found = stats.summary(scores)
  assert found.median == pytest.approx(statistics.median(scores))
  assert found.mean == pytest.approx(statistics.mean(scores))
  assert found.sd == pytest.approx(statistics.stdev(scores))
  assert found.n == 4


def test_one_trial_has_no_spread():
  found = stats.summary([70.4])
  assert (found.median, found.n) == (70.4, 1)
  assert math.isnan(found.sd)


def test_summary_refuses_nothing_at_all():
  with pytest.raises(ValueError, match="at least one trial"):
    stats.summary([])


def test_average_pairs_by_seed_not_by_place():
  records = {
    "rte": record(60.0, 70.0, 80.0, seeds=[0, 1, 2]),
    "cola": record(30.0, 10.0, 20.0, seeds=[2, 0, 7]),
    "wnli": record(0.0, 0.0, 0.0),
  }
  # Seed 1 lacks CoLA and seed 7 lacks RTE; WNLI is not asked for.
  assert stats.average(records, ["rte", "cola"]) == [35.0, 55.0]


def test_average_over_fewer_tasks_is_none():
  assert stats.average({"rte": record(60.0)}, ["rte", "cola"]) == []
  assert stats.average({"rte": record(60.0)}, []) == []


def rank_sum_p(a, b):
  """Counts every way of dealing the scores to the two sides."""

  def wins(x, y):
    return sum((p > q) + (p == q) / 2 for p in x for q in y)

  pool, seen = [*a, *b], wins(a, b)
  dealt = []
  for chosen in itertools.combinations(range(len(pool)), len(a)):
    rest = [pool[i] for i in range(len(pool)) if i not in chosen]
    dealt.append(wins([pool[i] for i in chosen], rest))
  below = sum(u <= seen for u in dealt) / len(dealt)
  above = sum(u >= seen for u in dealt) / len(dealt)
  return min(1.0, 2 * min(below, above))


@pytest.mark.parametrize(
  ("a", "b"),
  [
    ([3.0, 5.0, 9.0], [1.0, 2.0, 4.0, 7.0]),
    ([3.0, 5.0, 9.0], [10.0, 12.0, 14.0]),
    ([3.0, 5.0, 5.0], [5.0, 2.0, 3.0, 1.0]),
    ([5.0, 5.0, 6.0, 7.0, 8.0], [5.0, 4.0, 4.0, 3.0, 2.0]),
    ([5.0, 5.0, 5.0], [5.0, 5.0, 5.0]),
  ],
)
def test_mann_whitney_counts_every_deal_with_and_without_ties(a, b):
  assert stats.mann_whitney(a, b) == pytest.approx(rank_sum_p(a, b))
  assert stats.mann_whitney(b, a) == pytest.approx(rank_sum_p(a, b))


def test_many_tied_trials_take_the_corrected_normal_approximation():
  a, b = [1, 2, 2, 3, 5] * 4, [2, 3, 4, 5, 5] * 4
  n = len(a)
  u = sum((p > q) + (p == q) / 2 for p in a for q in b)
  ties = sum((a + b).count(x) ** 3 - (a + b).count(x) for x in set(a + b))
  variance = n * n / 12 * (2 * n + 1 - ties / (2 * n * (2 * n - 1)))
  z = (abs(u - n * n / 2) - 0.5) / math.sqrt(variance)
  expected = math.erfc(z / math.sqrt(2))
  assert stats.mann_whitney(a, b) == pytest.approx(expected)


def test_last_bits_do_not_break_a_tie():
  assert 0.1 + 0.2 != 0.3
  a, b = [0.1 + 0.2, 5.0, 6.0], [0.3, 1.0, 2.0]
  assert stats.mann_whitney(a, b) == stats.mann_whitney([0.3, 5.0, 6.0], b)


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 2), (3, 3), (3, 5), (8, 8)])
def test_smallest_p_is_two_of_all_deals(n_a, n_b):
  expected = 2 / math.comb(n_a + n_b, n_a)
  assert stats.smallest_p(n_a, n_b) == pytest.approx(expected)


def test_fewer_trials_than_tested_could_never_tell():
  few = stats.MIN_TRIALS - 1
  assert stats.smallest_p(few, few) > 0.3


def test_holm_steps_down_and_keeps_the_order():
  ps = [0.04, 0.001, 0.03, 0.5, 0.03]
  expected, floor = [0.0] * len(ps), 0.0
  by_size = sorted(range(len(ps)), key=ps.__getitem__)
  for rank, i in enumerate(by_size):
    floor = max(floor, min(1.0, ps[i] * (len(ps) - rank)))
    expected[i] = floor
  assert stats.holm(ps) == pytest.approx(expected)
  assert stats.holm([]) == []


def test_every_method_meets_both_baselines_once():
  def tasks(shift):
    return {
      "rte": record(60.0 + shift, 61.0 + shift, 62.0 + shift),
      "cola": record(30.0, 31.0, 33.0 - shift),
    }

  found = results(multi=tasks(1), single_to_multi=tasks(4), single=tasks(0))
  tests = stats.compare(found)
  assert [(t["a"], t["b"], t["task"]) for t in tests] == [
    (a, b, task)
    for a, b in [
      ("multi", "single"),
      ("single->multi", "single"),
      ("single->multi", "multi"),
    ]
    for task in ("average", "rte", "cola")
  ]
  assert {t["test"] for t in tests} == {"mann-whitney-u"}
  by_hand = [
    rank_sum_p(
      *(
        found["average"][t[side]]
        if t["task"] == "average"
        else found["methods"][t[side]][t["task"]]["scores"]
        for side in "ab"
      )
    )
    for t in tests
  ]
  assert [t["p"] for t in tests] == pytest.approx(by_hand)
  # One family: the correction is for all nine, not per pair or per task.
  assert [t["p_holm"] for t in tests] == pytest.approx(stats.holm(by_hand))


def test_too_few_or_missing_scores_are_not_tested():
  found = results(
    single={
      "rte": record(1.0, 2.0, 3.0),
      "cola": record(1.0, 2.0, 3.0),
      "stsb": record(1.0, 2.0, None),
    },
    multi={
      "rte": record(4.0, 5.0, 6.0),
      "cola": record(4.0, 5.0),
      "stsb": record(4.0, 5.0, 6.0),
    },
  )
  assert math.isnan(found["average"]["single"][2])
  assert [t["task"] for t in stats.compare(found)] == ["rte"]


def test_average_of_one_task_is_not_tested_twice():
  one = results(
    single={"rte": record(1.0, 2.0, 3.0)}, multi={"rte": record(4.0, 5.0, 6.0)}
  )
  assert stats.columns(one) == ["rte"]
  assert [t["task"] for t in stats.compare(one)] == ["rte"]
  assert stats.columns(one | {"average": {}}) == ["rte"]


def test_a_method_that_has_not_run_is_left_out():
  found = results(single={}, multi={"rte": record(4.0, 5.0, 6.0)})
  assert stats.columns(found) == ["rte"]
  assert stats.compare(found) == []
