"""The factorial study: its cells are a design that its report can read."""

import numpy as np
import pytest

from bam_jax.report import write
from bam_jax.runtime.files import flatten
from bam_jax.stages import checks
from bam_jax.stats import factorial
from bam_jax.study import experiment as experiments
from bam_jax.study import results, variants
from bam_jax.study.workdir import Workdir
from configs import best


def planned(arg):
  config = best.get_config(arg)
  experiment = experiments.read(config)
  checks.settings(experiment)
  return experiment


def results_of(experiment):
  """What results.json would hold, all scores equal."""
  one = {"scores": [50.0, 51.0], "seeds": [0, 1]}
  tasks = {task.name: one for task in experiment.trained_tasks}
  config = experiment.config
  return {
    "methods": dict.fromkeys(experiment.methods, tasks),
    "settings": config.to_dict(),
    "variants": {
      name: variants.changed(config, name) for name in config.variants
    },
  }


@pytest.mark.parametrize(
  ("arg", "cells", "tasks", "relation", "words"),
  [
    ("study", 16, 4, ["ABCDE"], ["long", "swa", "fresh", "heat", "ensemble"]),
    ("smoke,sentiment", 8, 1, ["ABCD"], ["long", "swa", "heat", "ensemble"]),
  ],
)
def test_the_cells_are_a_design_and_off_is_as_the_paper_has_it(
  arg, cells, tasks, relation, words
):
  experiment = planned(arg)
  # Teachers, multi, the paper's student, and a student in each cell.
  assert len(experiment.runs) == tasks + 1 + 1 + cells
  (it,) = factorial.effects(results_of(experiment))
  assert (it["method"], it["cells"]) == ("single->multi", cells)
  assert it["relation"] == relation
  own = flatten(experiment.config.to_dict() | {"variants": {}})
  # The report has the letters that the config has.
  for factor, word in zip(it["factors"], words, strict=True):
    assert factor["high"] == flatten(best.FACTORS[word][1])
    assert factor["low"] == {key: own[key] for key in factor["low"]}
    assert all(factor["high"][key] != own[key] for key in factor["high"])


def test_a_finished_study_is_told_by_its_factors(tmp_path):
  config = best.get_config("study,rte,mrpc")
  config.trials = 2
  experiment, workdir = experiments.read(config), Workdir(tmp_path)
  for run in experiment.runs:
    # Twice the epochs give 4 points, whatever else there is.
    mean = 60.0 + 4.0 * ("long" in run.variant)
    for seed in experiment.seeds:
      scores = {task: {"accuracy": mean + seed} for task in run.tasks}
      examples = dict.fromkeys(run.tasks, 40)
      workdir.record(run.name, seed, {"scores": scores, "examples": examples})
  found = results.gather(experiment, workdir)
  (it,) = found["factors"]
  effects = [factor["columns"]["rte"] for factor in it["factors"]]
  np.testing.assert_allclose(effects, [[4.0] * 3, *[[0.0] * 3] * 4], atol=1e-9)
  page = write.write(found, tmp_path).read_text("utf-8")
  assert "| A | Single→Multi | multi.epochs 3.0 | 6.0 |" in page
  assert "![Effect of every factor" in page
  assert (tmp_path / "report/factors.png").exists()
  assert (tmp_path / "report/table_interactions.tex").exists()


def test_the_claims_ask_for_all_of_it_over_the_papers_first():
  experiment = planned("study")
  first, *others = experiment.config.claims.split("; ")
  all_of_it, paper = first.split(" > ")
  assert paper == "single->multi"
  changes = variants.changed(experiment.config, all_of_it.partition("@")[2])
  own = flatten(experiment.config.to_dict())
  assert all(own[key] != value for key, value in changes.items())
  assert others == ["single->multi > multi", "single->multi > single"]


def test_teachers_are_the_same_in_all_cells():
  experiment = planned("study,rte,mrpc")
  teachers = {
    runs[-1].teachers
    for method, runs in experiment.methods.items()
    if method.startswith("single->multi")
  }
  assert teachers == {(("rte", "single.rte"), ("mrpc", "single.mrpc"))}
  seeds = {
    run.variant: experiment.teacher_seeds(run, 3)
    for run in experiment.runs
    if run.teachers
  }
  assert seeds.pop("") == (3,)
  for name, found in seeds.items():
    assert found == ((0, 1, 2, 3, 4) if "ensemble" in name else (3,))
