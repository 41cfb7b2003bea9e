"""Settings are chosen rung by rung, each method by itself, never on dev."""

import json
from pathlib import Path

import pytest

from bam_jax import tune
from bam_jax.runtime import child
from bam_jax.stages import checks
from bam_jax.study import experiment as experiments
from tests import small

RATES = {"slow": 1e-30, "middle": 1e-3, "fast": 1e-2, "wild": 1.0}
FOUND = {
  "split": "holdout",
  "average": {
    "single": [90.0],
    "single@slow": [50.0, 60.0, 40.0],
    "single@fast": [70.0, 10.0, 80.0],
    "single@wild": [float("nan"), 99.0, 99.0],
    "multi@a": [30.0],
    "multi@b": [31.0],
    "multi@c": [29.0],
  },
}
FOUND["methods"] = {method: {} for method in FOUND["average"]}
FOUND["variants"] = {
  name.partition("@")[2]: {"x": name} for name in FOUND["average"]
}


def config_of(small_run, methods, share, **changes):
  c = small.settings(
    small_run.glue,
    small_run.encoder,
    tasks="stsb",
    methods=methods,
    data__holdout=0.3,
    variants_share=share,
    **changes,
  )
  for name, rate in RATES.items():
    c.variants[name] = {"single": {"rate": rate}}
  return c


@pytest.fixture
def trained(small_run, monkeypatch):
  """What was typed for each rung, which is trained here in this process."""
  typed = []

  def main(args, cache):
    del cache
    said = dict(each.removeprefix("--").split("=", 1) for each in args)
    typed.append(said)
    methods = said.get(
      "config.methods", "single@slow,single@middle,single@fast,single@wild"
    )
    share = float(said["config.variants_share"])
    config = config_of(small_run, methods, share, nonfinite__policy="skip")
    small.execute(config, Path(said["workdir"]))

  monkeypatch.setattr(child, "main", main)
  return typed


def test_the_best_go_on_and_the_last_rung_is_whole(trained, tmp_path, capsys):
  flags = [f"--workdir={tmp_path}/T", "--rungs=2", "--config=c.py"]
  tune.main(flags)
  out = capsys.readouterr().out
  first, last = trained
  assert (first["config.variants_share"], last["config.variants_share"]) == (
    "0.5",
    "1.0",
  )
  assert last["config.reuse"] == first["workdir"]
  found = json.loads((tmp_path / "T/search.json").read_text())
  for rung, steps in zip(found["rungs"], (3, 6), strict=True):
    assert rung["steps"] == steps * len(rung["cells"]["single"])
  ranked, went = (rung["cells"]["single"] for rung in found["rungs"])
  scores = [cell["median"] for cell in ranked]
  assert scores == sorted(scores, reverse=True) and len(set(scores)) > 1
  names = [cell["method"] for cell in ranked[: -(-len(ranked) // 2)]]
  assert sorted(cell["method"] for cell in went) == sorted(names)
  assert last["config.methods"] == ",".join(names)
  best = max(went, key=lambda cell: cell["median"])
  rate = RATES[best["method"].partition("@")[2]]
  assert f"single: --config.single.rate={rate}" in out
  assert (tmp_path / "T/search.png").read_bytes().startswith(b"\x89PNG")
  page = (tmp_path / "T/search.md").read_text()
  assert out.endswith("\n".join(page.splitlines()[:-2]) + "\n")


def test_each_method_is_chosen_from_by_itself():
  found = tune.ranked(FOUND)
  assert {
    base: {cell["method"]: cell["median"] for cell in cells}
    for base, cells in found.items()
  } == {
    "single": {"single@fast": 70.0, "single@slow": 50.0},
    "multi": {"multi@b": 31.0, "multi@a": 30.0, "multi@c": 29.0},
  }
  assert tune.survivors(found, 0.5) == ["single@fast", "multi@b", "multi@a"]
  assert tune.survivors(found, 0.01) == ["single@fast", "multi@b"]
  assert tune.shares(3, 0.5) == [0.25, 0.5, 1.0]


def test_a_share_shortens_the_variants_and_nothing_else(small_run):
  c = config_of(small_run, "single@slow->single@fast", 0.5)
  c.max_steps, c.single.epochs, c.single.min_steps = 7, 3.0, 5
  c.methods = "single,single@fast"
  experiment = experiments.read(c)
  plain, varied = (experiment.settings(run) for run in experiment.runs)
  assert (plain.epochs, plain.min_steps, plain.config.max_steps) == (3.0, 5, 7)
  assert (varied.epochs, varied.min_steps, varied.config.max_steps) == (
    1.5,
    2,
    4,
  )


def test_where_no_task_counts_in_an_average_that_is_said():
  with pytest.raises(ValueError, match="in which none of wnli counts"):
    tune.ranked({"average": {"a": []}, "methods": {"a": {"wnli": {}}}})


def test_where_no_variant_ends_in_a_number_that_is_said():
  found = FOUND | {"average": {"single@wild": [float("nan")]}}
  with pytest.raises(ValueError, match="no variant has a score"):
    tune.ranked(found | {"methods": {"single@wild": {}}})


@pytest.mark.parametrize(
  ("changes", "says"),
  [
    ({"methods": "single"}, "take a config that has some, such as"),
    ({"data__holdout": 0.0}, "--config.data.holdout=0.1"),
  ],
)
def test_what_is_no_search_is_refused_before_it_trains(
  small_run, changes, says
):
  c = config_of(small_run, "single@fast", 0.5)
  for key, value in changes.items():
    c.update_from_flattened_dict({key.replace("__", "."): value})
  with pytest.raises(ValueError, match=says):
    checks.settings(experiments.read(c))


@pytest.mark.parametrize(
  ("flag", "says"),
  [
    ("--rungs=1", "--rungs is 1; it is 2 or more"),
    ("--keep=1", "--keep is 1; it is a share"),
    ("--config.methods=single", "--config.methods is said by the rungs"),
  ],
)
def test_a_flag_that_means_nothing_is_refused(tmp_path, capsys, flag, says):
  with pytest.raises(SystemExit) as ended:
    tune.main(["--config=c.py", f"--workdir={tmp_path}/T", flag])
  assert ended.value.code == 2
  assert says in capsys.readouterr().err
  assert not (tmp_path / "T").exists()
