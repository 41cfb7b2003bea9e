"""The paper's studies: every part plans its runs, and shares what it can."""

import json
import re

from ml_collections import ConfigDict
import pytest

from bam_jax.report import tables
from bam_jax.runtime.files import flatten
from bam_jax.stages import checks
from bam_jax.stats import compare
from bam_jax.stats import search as tuning
from bam_jax.study import experiment as experiments
from bam_jax.study import lineage
from bam_jax.study.workdir import Workdir
from configs import common, glue_bam, minilm, paper, quickstart
from tests import small

THREE = "rte,mrpc,cola"


def planned(arg, **changes) -> experiments.Experiment:
  """Returns the checked experiment of a part."""
  config = paper.get_config(arg)
  config.update(changes)
  experiment = experiments.read(config)
  checks.settings(experiment)
  return experiment


@pytest.mark.parametrize("part", [part.__name__ for part in paper.PARTS])
def test_every_part_has_only_keys_of_common_and_can_be(part):
  config = planned(part).config
  known = flatten(common.base().to_dict())
  found = flatten(config.to_dict() | {"variants": {}})
  assert found.keys() == known.keys()
  used = {method.partition("@")[2] for method in config.methods.split(",")}
  assert used - {""} == set(config.variants)


@pytest.mark.parametrize(
  ("arg", "runs"),
  [
    # 3 single, multi, 3 single->single, multi->multi, single->multi, then 3
    # taught by that and the last student.
    (f"table1,{THREE}", 3 + 1 + 3 + 1 + 1 + 3 + 1),
    (f"table3,{THREE}", 1 + 3 + 3 + 1 + 3),
    (f"table4,{THREE}", 3 + 1 + 4),
    # 8 teachers, RTE alone, two beside it, all.
    ("table5", 8 + 1 + 2 + 1),
    # 12 cells of each method, of 3 single ones and two kinds of multi, and the
    # teachers.
    (f"tune,{THREE}", 12 * 3 + 12 + 12 + 3),
  ],
)
def test_what_methods_share_is_planned_once(arg, runs):
  assert len(planned(arg).runs) == runs


def test_tables_in_one_directory_share_their_runs(tmp_path):
  hashes = {}
  for part in ("table1", "table3", "table4"):
    it = planned(f"{part},{THREE}")
    for run in it.runs:
      shaped = lineage.shaped(it, run)
      assert hashes.setdefault(run.name, shaped) == shaped
    Workdir(tmp_path).open(it.config)
  # Table 3 adds its fine-tuning to table 1, table 4 its four variants.
  assert len(hashes) == 13 + 6 + 4


def test_table_1_has_the_papers_methods_and_tasks():
  it = planned("table1")
  assert set(tables.PUBLISHED) <= set(it.methods)
  assert "single->multi->single->multi" in it.methods
  assert len(it.trained_tasks) == 8
  assert it.config.trials == 1


def test_fine_tuning_differs_from_single_in_the_rate_alone():
  configs = [
    common.base(),
    minilm.get_config(),
    quickstart.get_config(),
    *[planned(part.__name__).config for part in paper.PARTS],
  ]
  for config in configs:
    single, tuned = config.single.to_dict(), config.finetune.to_dict()
    assert tuned["rate"] == pytest.approx(single["rate"] / 5)
    assert tuned | {"rate": single["rate"]} == single


def test_table_3_fine_tunes_slowly():
  it = planned("table3")
  assert it.config.finetune.rate == 1e-5
  assert it.config.finetune.epochs == it.config.single.epochs


def test_each_ablation_takes_away_its_part_alone():
  it = planned("table4")
  whole = flatten(glue_bam.get_config().to_dict())
  found = {
    run.variant: {
      key: value
      for key, value in flatten(
        it.settings(run).config.to_dict() | {"variants": {}}
      ).items()
      if value != whole[key] and key != "methods"
    }
    for run in it.runs
    if run.variant
  }
  assert found == {
    "no_layer_rates": {"multi.layer_decay": 1.0},
    "no_task_sampling": {"sampling.kind": "proportional"},
    "lambda_0": {"teacher.schedule": "constant", "teacher.value": 0.0},
    "lambda_half": {"teacher.schedule": "constant"},
  }


def test_table_5_has_the_papers_lines():
  it = planned("table5")
  trained = {m: set(runs[-1].tasks) for m, runs in it.methods.items()}
  assert trained == {
    "single->single@rte": {"rte"},
    "single->multi@rte_mnli": {"rte", "mnli"},
    "single->multi@rte_qqp_cola_sst2": {"rte", "qqp", "cola", "sst2"},
    "single->multi": set(it.config.tasks.split(",")),
  }
  # Some tasks: the lines that can be made of them.
  assert list(planned("table5,rte,mrpc,mnli").methods) == [
    "single->single@rte",
    "single->multi@rte_mnli",
    "single->multi",
  ]
  with pytest.raises(ValueError, match="table5 is about rte"):
    paper.get_config("table5,cola")


@pytest.mark.parametrize(
  ("arg", "said"),
  [
    ("tabel4,rte", "did you mean table4?"),
    ("", "study '' is none of table1, table3"),
  ],
)
def test_another_part_is_told_the_nearest(arg, said):
  with pytest.raises(ValueError, match=re.escape(said)):
    paper.get_config(arg)


def test_every_line_of_a_table_is_tested_against_what_it_changes():
  def asked(*methods):
    return list(compare._pairs(dict(methods)))

  eight, four = {"rte": 0, "mnli": 0}, {"rte": 0}
  assert asked(
    ("multi", eight),
    ("multi+finetune", eight),
    ("single->multi", eight),
    ("single->multi+finetune", eight),
  ) == [
    ("multi+finetune", "multi"),
    ("single->multi", "multi"),
    ("single->multi+finetune", "multi"),
    ("single->multi+finetune", "single->multi"),
  ]
  assert asked(
    ("single->multi", eight),
    ("single->multi@a", eight),
    ("single->multi@b", eight),
  ) == [
    ("single->multi@a", "single->multi"),
    ("single->multi@b", "single->multi"),
  ]
  lines = ("single->single@a", "single->multi@b", "single->multi")
  pairs = asked(
    (lines[0], four), (lines[1], {"rte": 0, "a": 0}), (lines[2], eight)
  )
  # Table 5: all pairs, each once.
  assert {frozenset(pair) for pair in pairs} == {
    frozenset(p) for p in zip(lines, (*lines[1:], lines[0]), strict=True)
  }
  assert len(pairs) == 3


def test_tune_gives_every_method_as_many_cells_and_never_sees_dev():
  it = planned(f"tune,{THREE}")
  cells = {}
  for method, runs in it.methods.items():
    base = method.partition("@")[0]
    c = it.settings(runs[-1])
    cell = c.rate, c.layer_decay, c.epochs
    cells.setdefault(base, set()).add(cell)
  assert {base: len(found) for base, found in cells.items()} == {
    "single": 12,
    "multi": 12,
    "single->multi": 12,
  }
  paper_values = glue_bam.get_config()
  for kind in ("single", "multi"):
    c = paper_values[kind]
    assert (c.rate, c.layer_decay, c.epochs) in cells[kind]
  assert it.config.data.holdout == 0.1


def searched(scores, **more):
  """Returns results of cells a to c of multi, and of single."""
  return {
    "split": "holdout",
    "variants": {v: {"multi.rate": float(len(v))} for v in ("a", "bb", "ccc")},
    "methods": {method: {} for method in scores},
    "average": scores,
  } | more


def test_the_best_cell_is_that_of_the_best_median_and_told_as_flags():
  found = searched(
    {
      "multi": [99.0],
      "multi@a": [50.0, 51.0, 90.0],
      "multi@bb": [60.0, 61.0, 62.0],
      "multi@ccc": [61.0, 61.0, 61.0],
      "single@a": [1.0],
      "single@bb": [float("nan")],
    }
  )
  search = tuning.search(found)
  # Of equals the first; what is not varied, or is alone, is no search.
  assert list(search) == ["multi"]
  order = [cell["method"] for cell in search["multi"]]
  assert order == ["multi@bb", "multi@ccc", "multi@a"]
  assert tuning.flags(search["multi"][0]) == "--config.multi.rate=2.0"
  (told,) = tuning.budget(search)
  assert "multi 3 settings with 9 trials" in told
  assert tuning.rows(search)[1] == [
    "multi",
    "1",
    "multi.rate 2.0",
    "3",
    "61.00",
  ]


def test_settings_are_never_chosen_on_dev():
  scores = {"multi@a": [1.0], "multi@bb": [2.0]}
  assert tuning.search(searched(scores))
  assert tuning.search(searched(scores, split="dev")) == {}


def test_unequal_budgets_and_single_trials_are_told():
  search = tuning.search(
    searched(
      {
        "multi@a": [1.0],
        "multi@bb": [2.0],
        "single@a": [1.0, 2.0],
        "single@bb": [1.0, 2.0],
      }
    )
  )
  _, *warnings = tuning.budget(search)
  assert "budgets differ" in warnings[0]
  assert "One trial" in warnings[1] or "one trial" in warnings[1]


def test_a_search_ends_in_the_flags_of_the_best(small_run, tmp_path, capsys):
  config = small.settings(
    small_run.glue,
    small_run.encoder,
    tasks="cola",
    methods="single@slow,single@fast",
    data__holdout=0.2,
  )
  config.variants = ConfigDict(
    {"slow": {"single": {"rate": 1e-30}}, "fast": {"single": {"rate": 2e-2}}}
  )
  small.execute(config, tmp_path / "W")
  found = json.loads((tmp_path / "W" / "results.json").read_text())
  (cells,) = found["search"].values()
  best = cells[0]["changes"]["single.rate"]
  assert f"best settings of single: --config.single.rate={best}" in (
    capsys.readouterr().out
  )
  report = (tmp_path / "W" / "report" / "report.md").read_text()
  assert "Budget: single 2 settings with 2 trials" in report
  assert report.count("single.rate") >= 2
