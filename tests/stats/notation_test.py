"""What a method adds to, as comparisons read its name."""

import pytest

from bam_jax.stats import compare, notation


@pytest.mark.parametrize(
  ("method", "origin"),
  [
    ("single", ""),
    ("single->multi", ""),
    ("single->multi@slow", "single->multi"),
    ("multi+finetune", "multi"),
    ("mnli+single+finetune", "mnli+single"),
    ("mnli&qnli+single", "single"),
    ("qnli+mnli@slow+multi", "multi"),
    ("contrast+single->multi", "single->multi"),
    ("contrast+single->multi@slow", "contrast+single->multi"),
  ],
)
def test_what_is_added_is_taken_away_again(method, origin):
  assert notation.origin(method) == origin


def test_what_comes_first_is_compared_with_the_same_chain_without():
  names = ("single", "multi", "single->multi", "contrast+single->multi")
  methods = {name: {"rte": {}} for name in names}
  pairs = list(compare._pairs(methods))
  assert ("contrast+single->multi", "single->multi") in pairs
