"""An encoder is trained on a task first: what is taken, and what is new."""

import json

import jax
import numpy as np
import pytest

from bam_jax.stages import checks
from bam_jax.study import experiment as experiments
from bam_jax.training.checkpoint import load_params
from configs import sesame
from tests import small

METHODS = "single,rte+single,rte+stsb+single,rte+frozen"


@pytest.fixture(scope="module")
def workdir(small_run, tmp_path_factory):
  """RTE comes first and is no task of the study; nothing then moves."""
  workdir = tmp_path_factory.mktemp("intermediate") / "W"
  config = small.settings(
    small_run.glue,
    small_run.encoder,
    methods=METHODS,
    variants={"still": {"single": {"rate": 1e-30}}},
    data__limit="rte=20",
  )
  config.methods += ",rte+single@still"
  small.execute(config, workdir)
  return workdir


def params(workdir, run):
  return load_params(workdir / "runs" / run / "checkpoints/seed-0")[0]


def test_the_encoder_is_that_of_the_first_task_and_the_head_is_new(workdir):
  before = params(workdir, "single.rte")
  still = params(workdir, "rte+single@still.cola")
  for part in ("bert", "pooler"):
    jax.tree.map(np.testing.assert_array_equal, still[part], before[part])
  assert set(still["heads"]) == {"cola"}
  moved = params(workdir, "rte+single.cola")
  one, two = (
    each["bert"]["layer_0"]["up"]["kernel"] for each in (moved, still)
  )
  assert np.abs(one - two).max() > 1e-3


def test_each_run_is_trained_once_whatever_builds_on_it(workdir):
  runs = {path.name for path in (workdir / "runs").iterdir()}
  assert runs == {
    *("single.cola", "single.stsb", "single.rte"),
    *("rte+single.cola", "rte+single.stsb", "rte+single@still.cola"),
    *("rte+single@still.stsb", "rte+stsb+single.cola", "rte+stsb+single.stsb"),
    *("rte+frozen.cola", "rte+frozen.stsb"),
  }


def test_a_frozen_encoder_is_the_first_tasks_to_the_bit_and_its_head_learns(
  workdir,
):
  before = params(workdir, "single.rte")
  after = params(workdir, "rte+frozen.cola")
  still = params(workdir, "rte+single@still.cola")
  jax.tree.map(np.testing.assert_array_equal, after["bert"], before["bert"])
  (one,), (two,) = (tree["heads"].values() for tree in (after, still))
  assert set(after["heads"]) == {"cola"}
  assert np.abs(one["kernel"] - two["kernel"]).max() > 1e-3


def test_what_only_comes_first_is_no_column_of_the_results(workdir):
  found = json.loads((workdir / "results.json").read_text())
  assert list(found["methods"]) == [*METHODS.split(","), "rte+single@still"]
  for records in found["methods"].values():
    assert list(records) == ["cola", "stsb"]
  assert (workdir / "report/atlas.png").exists()
  page = (workdir / "report/report.md").read_text("utf-8")
  assert "| RTE+STS-B |" in page and "RTE+Single" in page


def test_a_limit_of_what_comes_first_is_kept(workdir):
  found = json.loads((workdir / "results.json").read_text())
  assert found["coverage"]["rte"]["train"]["rows"] == 20


def test_a_head_of_its_own_is_new_where_the_task_was_first(small_run):
  config = small.settings(
    small_run.glue, small_run.encoder, methods="cola+single"
  )
  runs = experiments.read(config).runs
  assert [(run.name, run.fresh) for run in runs] == [
    ("single.cola", False),
    ("cola+single.cola", True),
    ("cola+single.stsb", True),
  ]


@pytest.mark.parametrize(
  ("arg", "runs"),
  [
    ("atlas,rte,mrpc", 2 + 4),
    ("smoke", 2 + 2 + 4),
    # Heads over a random encoder, each alone, each first, both first.
    ("table2,rte,cola", 2 + 2 + 2 + 4 + 1 + 2),
    ("table3,rte,cola", 2 + 4 + 1 + 2),
    ("correlations,rte,cola", 2 + 4 + 1 + 2),
    # MNLI alone and after each of nine and all.
    ("diagnostic", 1 + 8 + 9 + 1 + 1),
    ("table6", 6 * 4),
    ("table6,sst2,cola,rte", 6 * 2),
    ("table7", 4 * 3),
    ("samplers", 6 * 2),
    ("samplers,rte,sst2,cola", 6),
    ("curves", 1 + 3 + 1 + 1 + 3 * 2 + 3),
  ],
)
def test_every_part_of_the_study_plans_its_runs(arg, runs):
  found = experiments.read(sesame.get_config(arg))
  checks.settings(found)
  assert len(found.runs) == runs


def test_samplers_name_the_subsets_where_none_is_whole():
  with pytest.raises(ValueError, match="none of the paper's subsets whole"):
    sesame.get_config("samplers,rte,mrpc")
  with pytest.raises(ValueError, match="did you mean 'cola'"):
    sesame.get_config("samplers,sst2,colaa")


def test_samplers_say_that_they_mix_no_tasks_of_a_file(tmp_path):
  file = tmp_path / "outside.toml"
  file.write_text(
    '[joined]\ntrain = "d.csv"\ndev_share = 0.1\ntext = "a"\nlabel = "b"\n'
    'labels = ["x", "y"]\nmetric = "accuracy"\n'
  )
  with pytest.raises(
    ValueError, match="table6 mixes GLUE's tasks alone; leave"
  ):
    sesame.get_config(f"table6,rte,mrpc,{file}")


def test_tasks_of_a_file_come_first_and_are_no_targets(tmp_path):
  file = tmp_path / "outside.toml"
  (tmp_path / "d.csv").write_text("first,second,word\na,b,and\nc,d,but\n")
  file.write_text(
    """[dissent]
    train = "d.csv"
    dev_share = 0.5
    text = ["first", "second"]
    label = "word"
    labels = ["and", "but"]
    metric = "accuracy"
    [wiki]
    kind = "mlm"
    train = "w.txt"
    """
  )
  (tmp_path / "w.txt").write_text("one\n\ntwo\n")
  found = experiments.read(sesame.get_config(f"table3,rte,cola,{file}"))
  assert [task.name for task in found.tasks] == ["rte", "cola"]
  assert [*found.methods] == [
    *("single", "rte+single", "cola+single", "dissent+single", "wiki+single"),
    *("glue+single", "outside+single", "all+single"),
  ]
  assert found.run("multi.rte+cola+dissent+wiki").kind == "multi"
  # Appendix B: text is written at ten times the rate.
  rates = experiments.read(sesame.get_config(f"table2,rte,cola,{file}"))
  heads = {task.name: task.learn for task in rates.trained_tasks}
  assert heads["rte"].head == "pair:width=128:answer_dropout=0.4"
  assert (heads["cola"].head, heads["cola"].layers) == (
    "project:width=256",
    "mix",
  )
  for run, rate in (
    ("first.dissent", 1e-4),
    ("first@text.wiki", 1e-3),
    ("dissent+frozen.rte", 3e-4),
  ):
    assert rates.settings(rates.run(run)).rate == rate
