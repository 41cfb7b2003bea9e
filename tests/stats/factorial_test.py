"""Factors of simulated studies: what was put in is found, and as often."""

import itertools
import json

import numpy as np
import pytest

from bam_jax.stats import factorial
from bam_jax.stats.bootstrap import LEVEL
from configs import _factorial

KEYS = ("optim.average", "teacher.trials", "heat", "multi.epochs", "layers")
VALUES = (
  *(("none", "swa"), ("matched", "ensemble")),
  *((1.0, 2.0), (6.0, 12.0), (0, 1)),
)
TRUE = {"A": 0.6, "B": 0.0, "C": -0.4, "D": 1.1, "E": 0.0}
HALF = ("ABCD", {"E": "ABCD"})


def study(cells, *, seeds, rng, spread=0.7, together=None):
  """Returns the results of a study whose effects are known.

  Args:
    cells: of `_factorial.fraction`.
    seeds: R.
    rng: of the noise.
    spread: of a trial; that of what a seed does to all cells is 5 times that.
    together: two letters -> what they give together.
  """
  offsets = 5 * spread * rng.normal(size=seeds)
  # What a factor gives is another thing for every seed.
  own = {x: TRUE[x] + 0.3 * rng.normal(size=seeds) for x in TRUE}
  methods, average, variants = {}, {}, {}
  for number, cell in enumerate(cells):
    signs = {x: 1 if high else -1 for x, high in cell.items()}
    scores = 80 + offsets + spread * rng.normal(size=seeds)
    scores += sum(own[x] * signs[x] / 2 for x in signs)
    for (one, two), size in (together or {}).items():
      scores += size * signs[one] * signs[two] / 2
    method = f"single->multi@c{number}"
    variants[f"c{number}"] = {
      key: values[cell[x]]
      for x, key, values in zip(TRUE, KEYS, VALUES, strict=False)
      if x in cell
    }
    average[method] = scores.tolist()
    methods[method] = {
      task: {"scores": (scores + more).tolist(), "seeds": [*range(seeds)]}
      for task, more in (("rte", 1.0), ("cola", -1.0))
    }
  return {"methods": methods, "average": average, "variants": variants}


def with_other_methods(results):
  """The same study beside methods that are no cells."""
  one = {"scores": [50.0], "seeds": [0]}
  results["methods"] = {
    "single": {"rte": one},
    "single->multi": {"rte": one},
    **results["methods"],
    "single->multi@slow": {"rte": one},
    "multi@c0": {"rte": one},
  }
  results["variants"]["slow"] = {"multi.rate": 1e-5}
  return results


def test_intervals_hold_what_is_true_as_often_as_they_say():
  rng, cells = np.random.default_rng(5), list(_factorial.fraction(*HALF))
  held, found = [], []
  for _ in range(120):
    (it,) = factorial.effects(study(cells, seeds=5, rng=rng))
    for factor in it["factors"]:
      value, low, high = factor["columns"]["average"]
      true = TRUE[factor["letter"]]
      held.append(low <= true <= high)
      found.append(value - true)
  # Four standard errors of a share of 600.
  assert abs(np.mean(held) - LEVEL) < 0.036
  assert abs(np.mean(found)) < 0.04
  # In as many trials as 16 cells have: each is the mean of 8 differences.
  spread = np.sqrt((0.3**2 + 4 * 0.7**2 / 16) / 5)
  np.testing.assert_allclose(np.std(found), spread, rtol=0.12)


def test_factors_are_told_with_their_values_and_their_relation():
  rng, cells = np.random.default_rng(6), list(_factorial.fraction(*HALF))
  results = study(cells, seeds=9, rng=rng, together={"AD": 2.5})
  results["settings"] = {"optim": {"average": "none"}, "layers": 0}
  (it,) = factorial.effects(with_other_methods(results))
  assert (it["method"], it["cells"], it["resolution"]) == (
    "single->multi",
    16,
    5,
  )
  assert it["relation"] == ["ABCDE"]
  for factor, key, (low, high) in zip(it["factors"], KEYS, VALUES, strict=True):
    assert factor["low"] == {key: low}, key
    assert factor["high"] == {key: high}
    assert set(factor["columns"]) == {"average", "rte", "cola"}
  pairs = {row["letters"]: row["columns"] for row in it["interactions"]}
  assert set(pairs) == {"".join(p) for p in itertools.combinations(TRUE, 2)}
  for letters, columns in pairs.items():
    value, low, high = columns["average"]
    true = 2.5 if letters == "AD" else 0.0
    assert abs(value - true) < 0.5 and low - 0.3 < true < high + 0.3, letters
  # What is written can be read again.
  assert json.loads(json.dumps(it)) == it


def test_the_configs_own_value_is_the_first():
  rng, cells = np.random.default_rng(7), list(_factorial.fraction(*HALF))
  results = study(cells, seeds=4, rng=rng)
  results["settings"] = {"heat": 2.0}
  (it,) = factorial.effects(results)
  heat = it["factors"][2]
  assert (heat["low"], heat["high"]) == ({"heat": 2.0}, {"heat": 1.0})
  other = factorial.effects(results | {"settings": {"heat": 1.0}})
  value, low, high = heat["columns"]["rte"]
  np.testing.assert_allclose(
    other[0]["factors"][2]["columns"]["rte"], [-value, -high, -low]
  )


def test_keys_that_change_together_are_one_factor():
  rng, cells = np.random.default_rng(8), list(_factorial.fraction("ABC", {}))
  results = study(cells, seeds=3, rng=rng)
  for changes in results["variants"].values():
    changes["optim.average_start"] = 0.5 + 0.25 * (
      changes["optim.average"] == "swa"
    )
    changes["fixed"] = 3
  (it,) = factorial.effects(results)
  assert [factor["high"] for factor in it["factors"]] == [
    {"optim.average": "swa", "optim.average_start": 0.75},
    {"teacher.trials": "ensemble"},
    {"heat": 2.0},
  ]
  assert (it["relation"], it["resolution"]) == ([], None)
  assert it["same"] == {"fixed": 3}


def test_with_four_letters_confounded_two_together_are_not_told():
  rng = np.random.default_rng(9)
  cells = list(_factorial.fraction("ABC", {"D": "ABC"}))
  (it,) = factorial.effects(study(cells, seeds=3, rng=rng))
  assert (it["relation"], it["resolution"]) == (["ABCD"], 4)
  assert not it["interactions"]


def test_a_seed_counts_where_all_cells_have_it_and_one_has_no_interval():
  rng, cells = np.random.default_rng(10), list(_factorial.fraction("AB", {}))
  results = study(cells, seeds=3, rng=rng)
  one, two = list(results["methods"])[:2]
  results["methods"][one]["rte"] = {"scores": [1.0, 2.0], "seeds": [2, 0]}
  results["methods"][two]["rte"] = {
    "scores": [None, 5.0, 7.0],
    "seeds": [0, 1, 2],
  }
  (it,) = factorial.effects(results)
  value, *ends = it["factors"][0]["columns"]["rte"]
  last = [x["rte"]["scores"][-1] for x in results["methods"].values()]
  # Cells in the order of Yates: A changes fastest, and the first has 1.0.
  low, high = 1.0 + last[2], 7.0 + last[3]
  assert value == pytest.approx((high - low) / 2)
  assert ends == [None, None]


@pytest.mark.parametrize(
  "spoil",
  [
    # A cell is missing, is there twice, or a value is a third one.
    lambda methods, variants: methods.pop("single->multi@c3"),
    lambda methods, variants: variants.update(c3=variants["c2"]),
    lambda methods, variants: variants["c3"].update(heat=4.0),
    lambda methods, variants: [methods.pop(m) for m in list(methods)[3:]],
  ],
)
def test_what_is_not_balanced_is_no_design(spoil):
  rng, cells = np.random.default_rng(11), list(_factorial.fraction("ABC", {}))
  results = study(cells, seeds=3, rng=rng)
  spoil(results["methods"], results["variants"])
  assert factorial.effects(results) == []


@pytest.mark.parametrize(
  "cells",
  [
    # Each low in one cell, and both columns are orthogonal for all that.
    [(False, True), (True, False), (True, True), (True, True)],
    # One factor, and nothing that it is crossed with.
    [(False, True), (True, True), (False, True), (True, True)],
  ],
)
def test_one_option_at_a_time_is_no_design(cells):
  rng = np.random.default_rng(12)
  named = [dict(zip("AB", cell, strict=True)) for cell in cells]
  assert factorial.effects(study(named, seeds=3, rng=rng)) == []
