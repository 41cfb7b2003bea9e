"""Each statistic against an independent computation, and what is tested."""

import gc
import itertools
import math
import statistics

import numpy as np
import pytest
import scipy.stats

from bam_jax.stats import bootstrap, multibootstrap
from bam_jax.stats import compare as stats


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
  expected = bootstrap.interval(np.median, scores)
  assert (found.low, found.high) == (expected.low, expected.high)
  assert 60 <= found.low < found.median < found.high <= 72.2


def test_summary_of_scores_that_are_no_numbers_has_no_interval():
  found = stats.summary([70.0, math.nan, 71.0])
  assert math.isnan(found.low) and math.isnan(found.high)


def test_one_trial_has_no_spread():
  found = stats.summary([70.4])
  assert (found.median, found.n) == (70.4, 1)
  assert math.isnan(found.sd)
  assert math.isnan(found.low) and math.isnan(found.high)


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


@pytest.mark.parametrize("ties", [False, True])
def test_mann_whitney_rejects_five_percent_of_nulls(ties):
  rng = np.random.default_rng(3)

  def trials():
    if ties:
      return np.round(rng.normal(166, 4, 20)) * 100 / 277
    return rng.normal(60, 2, 20)

  rejected = sum(
    stats.mann_whitney(trials(), trials()) <= 0.05 for _ in range(3000)
  )
  low, high = scipy.stats.binom.interval(0.99, 3000, 0.05)
  assert low <= rejected <= high


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


def test_holm_finds_something_in_five_percent_of_empty_families(monkeypatch):
  # statsmodels collects garbage in every call, for most of a tenth of a second.
  monkeypatch.setattr(gc, "collect", lambda: 0)
  rng = np.random.default_rng(2)
  families = [
    stats.holm(
      [stats.mann_whitney(*rng.normal(60, 2, (2, 20))) for _ in range(5)]
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
  every = stats.compare(found)
  expected = [
    (a, b, task)
    for a, b in [
      ("multi", "single"),
      ("single->multi", "single"),
      ("single->multi", "multi"),
    ]
    for task in ("average", "rte", "cola")
  ]
  kinds = ("bootstrap", "mann-whitney-u", "paired-bootstrap")
  assert [(t["test"], t["a"], t["b"], t["task"]) for t in every] == [
    (kind, *row) for kind in kinds for row in expected
  ]
  by_hand = {
    "bootstrap": bootstrap.difference_test,
    "mann-whitney-u": rank_sum_p,
    "paired-bootstrap": bootstrap.paired_test,
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
    assert [t["p_holm"] for t in tests] == pytest.approx(stats.holm(ps))
    assert {t["family"] for t in tests} == {9}
  assert [
    (row["a"], row["b"], row["task"]) for row in stats.differences(found)
  ] == expected


def test_one_method_more_changes_no_p():
  def tasks(shift):
    return {"rte": record(*(60 + shift + x for x in (0.0, 1.0, 2.5, 3.0)))}

  few = results(single=tasks(0), multi=tasks(1))
  many = results(multi_to_multi=tasks(2), single=tasks(0), multi=tasks(1))
  ps = {(t["test"], t["a"], t["b"]): t["p"] for t in stats.compare(many)}
  for t in stats.compare(few):
    assert ps[t["test"], t["a"], t["b"]] == t["p"]
  assert stats.compare(few) == stats.compare(few)
  assert stats.compare(few) != stats.compare(few, seed=1)


def test_pairs_are_of_the_same_seed_whatever_their_place():
  a = record(60.0, 70.0, 80.0, 65.0, seeds=[0, 1, 2, 3])
  b = record(81.0, 60.5, 70.5, 99.0, seeds=[2, 0, 1, 9])
  tests = stats.compare(results(single={"rte": b}, multi={"rte": a}))
  (paired,) = [t for t in tests if t["test"] == "paired-bootstrap"]
  assert paired["p"] == bootstrap.paired_test(
    [60.0, 70.0, 80.0], [60.5, 70.5, 81.0]
  )
  # Two seeds in common are too few, and so nothing is paired.
  b["seeds"][0] = 8
  tests = stats.compare(results(single={"rte": b}, multi={"rte": a}))
  assert {t["test"] for t in tests} == {"bootstrap", "mann-whitney-u"}


def test_average_is_paired_by_the_seeds_it_has():
  def tasks(*seeds):
    scores = [60.0 + 3 * seed % 7 for seed in seeds]
    return {"rte": record(*scores, seeds=seeds), "cola": record(*scores)}

  found = results(single=tasks(0, 1, 2), multi=tasks(2, 0, 1))
  assert list(stats.by_seed(found, "multi", "average")) == [2, 0, 1]
  assert stats.by_seed(found, "single", "rte") == {0: 60.0, 1: 63.0, 2: 66.0}
  found["methods"]["multi"]["cola"] = record(1.0, 2.0, seeds=[1, 2])
  found["average"]["multi"] = [1.5, 2.5]
  assert stats.by_seed(found, "multi", "average") == {2: 1.5, 1: 2.5}
  found["average"]["multi"].pop()  # as a task that does not count would do
  assert stats.by_seed(found, "multi", "average") == {}


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
  tests = stats.compare(found, resampled)
  (multi,) = [t for t in tests if t["test"] == "multi-bootstrap"]
  expected = multibootstrap.multi_bootstrap(
    say[0], say[1], labels, "accuracy", paired_seeds=False, draws=199
  )
  assert (multi["a"], multi["b"], multi["family"]) == ("multi", "single", 1)
  assert multi["p"] == multi["p_holm"] == expected.p
  d = expected.difference
  assert multi["difference"] == [d.value, d.low, d.high]


def test_differences_have_intervals_and_seeds():
  a, b = [64.0, 63.0, 66.0, 65.5], [60.0, 61.0, 62.5, 60.5]
  (row,) = stats.differences(
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
  assert {t["task"] for t in stats.compare(found)} == {"rte"}


def test_average_of_one_task_is_not_tested_twice():
  one = results(
    single={"rte": record(1.0, 2.0, 3.0)}, multi={"rte": record(4.0, 5.0, 6.0)}
  )
  assert stats.columns(one) == ["rte"]
  kinds = [t["test"] for t in stats.compare(one)]
  assert kinds == ["bootstrap", "mann-whitney-u", "paired-bootstrap"]
  assert stats.columns(one | {"average": {}}) == ["rte"]


def test_a_method_that_has_not_run_is_left_out():
  found = results(single={}, multi={"rte": record(4.0, 5.0, 6.0)})
  assert stats.columns(found) == ["rte"]
  assert stats.compare(found) == []
