"""The study of small tasks beside large ones: every part plans its runs."""

import collections
import itertools

import pytest

from bam_jax.runtime.files import flatten
from bam_jax.stages import checks
from bam_jax.study import experiment as experiments
from configs import _factorial, best, strong

CELLS = 16


@pytest.mark.parametrize(
  ("arg", "runs", "limits"),
  [
    ("tune_single", CELLS * 4, ""),
    ("tune_multi,rte,mnli", CELLS, "mnli=20000"),
    ("tune_student,rte,mnli", CELLS + 2, "mnli=20000"),
    ("rates_single", 3 * 4, ""),
    ("rates_multi,rte,mnli", 3, "mnli=20000"),
    ("study", 8 + 1 + 1, "mnli=20000,qnli=20000,qqp=20000,sst2=20000"),
    ("study,mrpc,qqp", 2 + 1 + 1, "qqp=20000"),
    # Two teachers, the student, what takes from it, multi and its student.
    ("ablations,mrpc,qqp", 2 + 1 + 4 + 2, "qqp=20000"),
  ],
)
def test_every_part_plans_its_runs_and_limits_its_own_tasks(arg, runs, limits):
  config = strong.get_config(arg)
  experiment = experiments.read(config)
  checks.settings(experiment)
  assert len(experiment.runs) == runs
  assert config.data.limit == limits


@pytest.mark.parametrize("part", ["tune_single", "tune_multi", "tune_student"])
def test_a_search_tries_each_value_with_each_of_all_else(part):
  config = strong.get_config(f"{part},rte")
  assert config.data.holdout == 0.1
  experiment = experiments.read(config)
  cells = [
    flatten(config.variants[run.variant].to_dict())
    for run in experiment.runs
    if run.variant
  ]
  assert len(cells) == CELLS
  kinds = {key: {cell[key] for cell in cells} for key in cells[0]}
  rate = next(key for key in kinds if key.endswith(".rate"))
  assert len(kinds.pop(rate)) == 4
  # Every way of each pair of factors is there as often as any other.
  for one, two in itertools.combinations([rate, *kinds], 2):
    counts = collections.Counter((cell[one], cell[two]) for cell in cells)
    ways = (4 if one == rate else 2) * 2
    assert set(counts.values()) == {CELLS // ways}, (one, two)
    assert len(counts) == ways
  searched = {key.rpartition(".")[2] for key in kinds}
  assert searched - {"epochs", "min_steps"} == {
    *("layer_decay", "warmup", "bias_correction", "reinit_layers")
  }
  assert searched & {"epochs", "min_steps"}


@pytest.mark.parametrize("of", [strong, best])
def test_both_kinds_have_the_rate_that_the_searches_found(of):
  config = of.get_config("study")
  assert config.single.rate == config.multi.rate == 1e-4


def test_a_search_leaves_all_else_as_it_is_in_the_study():
  whole = flatten(strong.get_config("study,rte").to_dict())
  config = strong.get_config("tune_single,rte")
  found = flatten(config.to_dict() | {"variants": {}})
  differ = {k for k, v in found.items() if v != whole.get(k)}
  assert differ == {"data.holdout", "methods", "claims"}


@pytest.mark.parametrize(
  ("free", "made", "least"),
  [("ABCD", {"E": "ABCD"}, 5), (strong.FREE, strong.MADE, 4)],
)
def test_a_fraction_confounds_no_fewer_factors_than_it_says(free, made, least):
  cells = list(_factorial.fraction(free, made))
  assert len(cells) == 2 ** len(free)
  words = [
    chosen
    for size in range(1, len(cells[0]) + 1)
    for chosen in itertools.combinations(cells[0], size)
    if len({sum(cell[x] for x in chosen) % 2 for cell in cells}) == 1
  ]
  assert min(map(len, words)) == least
  # The cell where all are high: the sign that was made is a product.
  assert any(all(cell.values()) for cell in cells)


def test_each_ablation_takes_away_what_is_there():
  config = strong.get_config("ablations,rte,mnli")
  own = flatten(config.to_dict() | {"variants": {}})
  for name, changes in config.variants.to_dict().items():
    differ = {k for k, v in flatten(changes).items() if own[k] != v}
    assert differ, name
    assert f"single->multi@{name}" in config.claims


def test_a_claim_about_rte_is_made_where_rte_is():
  assert "on rte" in strong.get_config("study,rte,mnli").claims
  assert "rte" not in strong.get_config("study,mrpc,mnli").claims
