"""Each statistic against an independent computation, and what is tested."""

import gc
import math
import statistics

import numpy as np
import pytest
import scipy.stats

from bam_jax.stats import (
  bootstrap,
  compare,
  crossed,
  multibootstrap,
  paired,
  ranks,
)
from tests.stats.ranks_test import rank_sum_p


def record(*scores, seeds=None, metric="accuracy"):
  seeds = list(range(len(scores))) if seeds is None else seeds
  return {"metric": metric, "scores": list(scores), "seeds": seeds}


def results(**methods):
  names = {
    method.replace("_to_", "->"): tasks for method, tasks in methods.items()
  }
  return {
    "methods": names,
    "average": {m: compare.average(t, list(t)) for m, t in names.items()},
  }


def test_summary_is_of_the_sample():
  scores = [70.4, 69.3, 72.2, 60.0]
  found = compare.summary(scores)
  assert found.median == pytest.approx(statistics.median(scores))
  assert found.mean == pytest.approx(statistics.mean(scores))
  assert found.sd == pytest.approx(statistics.stdev(scores))
  assert found.n == 4
  expected = bootstrap.interval(np.median, scores)
  assert (found.low, found.high) == (expected.low, expected.high)
  assert 60 <= found.low < found.median < found.high <= 72.2


def test_summary_of_scores_that_are_no_numbers_has_no_interval():
  found = compare.summary([70.0, math.nan, 71.0])
  assert math.isnan(found.low) and math.isnan(found.high)


def test_one_trial_has_no_spread():
  found = compare.summary([70.4])
  assert (found.median, found.n) == (70.4, 1)
  assert math.isnan(found.sd)
  assert math.isnan(found.low) and math.isnan(found.high)


def test_summary_refuses_nothing_at_all():
  with pytest.raises(ValueError, match="at least one trial"):
    compare.summary([])


def test_average_pairs_by_seed_not_by_place():
  records = {
    "rte": record(60.0, 70.0, 80.0, seeds=[0, 1, 2]),
    "cola": record(30.0, 10.0, 20.0, seeds=[2, 0, 7]),
    "wnli": record(0.0, 0.0, 0.0),
  }
  # Seed 1 lacks CoLA and seed 7 lacks RTE; WNLI is not asked for.
  assert compare.average(records, ["rte", "cola"]) == [35.0, 55.0]


def test_average_over_fewer_tasks_is_none():
  assert compare.average({"rte": record(60.0)}, ["rte", "cola"]) == []
  assert compare.average({"rte": record(60.0)}, []) == []


def test_holm_steps_down_and_keeps_the_order():
  ps = [0.04, 0.001, 0.03, 0.5, 0.03]
  expected, floor = [0.0] * len(ps), 0.0
  by_size = sorted(range(len(ps)), key=ps.__getitem__)
  for rank, i in enumerate(by_size):
    floor = max(floor, min(1.0, ps[i] * (len(ps) - rank)))
    expected[i] = floor
  assert compare.holm(ps) == pytest.approx(expected)
  assert compare.holm([]) == []


def test_holm_finds_something_in_five_percent_of_empty_families(monkeypatch):
  # statsmodels collects garbage in every call, for most of a tenth of a second.
  monkeypatch.setattr(gc, "collect", lambda: 0)
  rng = np.random.default_rng(2)
  families = [
    compare.holm(
      [ranks.mann_whitney(*rng.normal(60, 2, (2, 20))) for _ in range(5)]
    )
    for _ in range(1000)
  ]
  low, high = scipy.stats.binom.interval(0.99, 1000, 0.05)
  assert low <= sum(min(ps) <= 0.05 for ps in families) <= high


def test_every_method_meets_both_baselines_once():
  def tasks(shift):
    return {
      "rte": record(60.0 + shift, 61.0 + shift, 62.0 + shift),
      "cola": record(30.0, 31.0, 33.0 - shift),
    }

  found = results(multi=tasks(1), single_to_multi=tasks(4), single=tasks(0))
  every = compare.compare(found)
  expected = [
    (a, b, task)
    for a, b in [
      ("multi", "single"),
      ("single->multi", "single"),
      ("single->multi", "multi"),
    ]
    for task in ("average", "rte", "cola")
  ]
  kinds = ("paired-t", "sign-flip", "bootstrap", "mann-whitney-u")
  assert [(t["test"], t["a"], t["b"], t["task"]) for t in every] == [
    (kind, *row) for kind in kinds for row in expected
  ]
  by_hand = {
    "paired-t": paired.t_test,
    "sign-flip": paired.sign_flip,
    "bootstrap": bootstrap.difference_test,
    "mann-whitney-u": rank_sum_p,
  }
  for kind, function in by_hand.items():
    tests = [t for t in every if t["test"] == kind]
    ps = [
      function(
        *(
          found["average"][t[side]]
          if t["task"] == "average"
          else found["methods"][t[side]][t["task"]]["scores"]
          for side in "ab"
        )
      )
      for t in tests
    ]
    assert [t["p"] for t in tests] == pytest.approx(ps)
    # One family a kind: the correction is for its nine, not per pair or task.
    assert [t["p_holm"] for t in tests] == pytest.approx(compare.holm(ps))
    assert {t["family"] for t in tests} == {9}
  assert [
    (row["a"], row["b"], row["task"]) for row in compare.differences(found)
  ] == expected


def test_one_method_more_changes_no_p():
  def tasks(shift):
    return {"rte": record(*(60 + shift + x for x in (0.0, 1.0, 2.5, 3.0)))}

  few = results(single=tasks(0), multi=tasks(1))
  many = results(multi_to_multi=tasks(2), single=tasks(0), multi=tasks(1))
  ps = {(t["test"], t["a"], t["b"]): t["p"] for t in compare.compare(many)}
  for t in compare.compare(few):
    assert ps[t["test"], t["a"], t["b"]] == t["p"]
  assert compare.compare(few) == compare.compare(few)
  assert compare.compare(few) != compare.compare(few, seed=1)


def test_pairs_are_of_the_same_seed_whatever_their_place():
  a = record(60.0, 70.0, 80.0, 65.0, seeds=[0, 1, 2, 3])
  b = record(81.0, 60.5, 70.5, 99.0, seeds=[2, 0, 1, 9])
  tests = compare.compare(results(single={"rte": b}, multi={"rte": a}))
  (found,) = [t for t in tests if t["test"] == "paired-t"]
  pairs = [60.0, 70.0, 80.0], [60.5, 70.5, 81.0]
  assert found["p"] == paired.t_test(*pairs)
  assert tests[0] == found
  # Two seeds in common are too few: nothing is paired, nor the primary test.
  b["seeds"][0] = 8
  tests = compare.compare(results(single={"rte": b}, multi={"rte": a}))
  assert [t["test"] for t in tests] == ["bootstrap", "mann-whitney-u"]


def test_one_pair_without_common_seeds_makes_the_bootstrap_primary():
  def tasks(*seeds):
    return {"rte": record(60.0, 61.0, 63.0, 60.5, seeds=seeds)}

  found = results(
    single=tasks(0, 1, 2, 3),
    multi=tasks(1, 0, 2, 3),
    single_to_multi=tasks(4, 5, 6, 3),
  )
  kinds = [t["test"] for t in compare.compare(found)]
  assert kinds == [
    *(["bootstrap"] * 3 + ["paired-t", "sign-flip"]),
    *(["mann-whitney-u"] * 3),
  ]


def test_average_is_paired_by_the_seeds_it_has():
  def tasks(*seeds):
    scores = [60.0 + 3 * seed % 7 for seed in seeds]
    return {"rte": record(*scores, seeds=seeds), "cola": record(*scores)}

  found = results(single=tasks(0, 1, 2), multi=tasks(2, 0, 1))
  assert list(compare.by_seed(found, "multi", "average")) == [2, 0, 1]
  assert compare.by_seed(found, "single", "rte") == {0: 60.0, 1: 63.0, 2: 66.0}
  found["methods"]["multi"]["cola"] = record(1.0, 2.0, seeds=[1, 2])
  found["average"]["multi"] = [1.5, 2.5]
  assert compare.by_seed(found, "multi", "average") == {2: 1.5, 1: 2.5}
  found["average"]["multi"].pop()  # as a task that does not count would do
  assert compare.by_seed(found, "multi", "average") == {}


def test_multi_bootstrap_needs_ten_trials_on_both_sides():
  rng = np.random.default_rng(3)
  labels = rng.integers(2, size=60)
  say = [
    np.where(rng.random((trials, 60)) < share, labels, 1 - labels)
    for trials, share in ((10, 0.7), (11, 0.8), (9, 0.8))
  ]
  full, drawn = multibootstrap.resample_examples(
    np.concatenate(say), labels, "accuracy", draws=199
  )
  methods = ("multi", "single", "multi->multi")
  ends = (slice(0, 10), slice(10, 21), slice(21, 30))
  found = results(
    **{m: {"rte": record(*full[k])} for m, k in zip(methods, ends, strict=True)}
  )
  resampled = {
    (m, "rte"): (full[k], drawn[:, k])
    for m, k in zip(methods, ends, strict=True)
  }
  tests = compare.compare(found, resampled)
  (multi,) = [t for t in tests if t["test"] == "multi-bootstrap"]
  expected = multibootstrap.multi_bootstrap(
    say[0], say[1], labels, "accuracy", paired_seeds=False, draws=199
  )
  assert (multi["a"], multi["b"], multi["family"]) == ("multi", "single", 1)
  assert multi["p"] == multi["p_holm"] == expected.p
  d = expected.difference
  assert multi["difference"] == [d.value, d.low, d.high]


def test_tests_over_examples_pair_the_seeds_that_both_have():
  rng = np.random.default_rng(5)
  a, b = record(*rng.normal(60, 1, 10)), record(*rng.normal(60, 1, 10))
  a["seeds"] = [*range(3, 10), 0, 1, 11]
  found = results(single={"rte": b}, multi={"rte": a})
  pseudo = {(m, "rte"): rng.normal(60, 9, (10, 7)) for m in ("single", "multi")}
  rows = {t["test"]: t for t in compare.compare(found, None, pseudo)}
  mine = pseudo["multi", "rte"][:9], pseudo["single", "rte"][a["seeds"][:9]]
  assert rows["crossed-effects"]["p"] == crossed.compare(*mine).p
  # Of other seeds the multi-bootstrap draws for each method by itself.
  full = pseudo["multi", "rte"][:, 0]
  resampled = {
    (m, "rte"): (full, full + rng.normal(0, 1, (199, 10))) for m, _ in pseudo
  }
  for seeds, paired_seeds in ((a["seeds"], False), (range(10), True)):
    a["seeds"] = list(seeds)
    rows = {t["test"]: t for t in compare.compare(found, resampled)}
    expected = multibootstrap.resample_seeds(
      *(resampled[m, "rte"] for m in ("multi", "single")),
      paired_seeds=paired_seeds,
    )
    assert rows["multi-bootstrap"]["p"] == expected.p


def test_differences_have_intervals_and_seeds():
  a, b = [64.0, 63.0, 66.0, 65.5], [60.0, 61.0, 62.5, 60.5]
  (row,) = compare.differences(
    results(single={"rte": record(*b)}, multi={"rte": record(*a)})
  )
  assert row["difference"][0] == pytest.approx(64.75 - 60.75)
  value, low, high = row["difference"]
  assert low < value < high
  assert row["superiority"][0] == row["superiority"][2] == 1
  assert 4 <= row["seeds_needed"] <= 6


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
  assert {t["task"] for t in compare.compare(found)} == {"rte"}


def test_average_of_one_task_is_not_tested_twice():
  one = results(
    single={"rte": record(1.0, 2.0, 3.0)}, multi={"rte": record(4.0, 5.0, 6.0)}
  )
  assert compare.columns(one) == ["rte"]
  kinds = [t["test"] for t in compare.compare(one)]
  assert kinds == ["paired-t", "sign-flip", "bootstrap", "mann-whitney-u"]
  assert compare.columns(one | {"average": {}}) == ["rte"]


def test_a_method_that_has_not_run_is_left_out():
  found = results(single={}, multi={"rte": record(4.0, 5.0, 6.0)})
  assert compare.columns(found) == ["rte"]
  assert compare.compare(found) == []
