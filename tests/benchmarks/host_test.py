"""The benchmarks of the host in small: that what they tell is what they did."""

import json

import pytest

from benchmarks import input_pipeline, startup, trials


def arguments(run, *more):
  """Returns a command line for a benchmark on the tiny run's data."""
  return [
    f"--encoder={run.encoder}",
    f"--glue_dir={run.glue}",
    "--tasks=cola,stsb",
    "--batch_size=6",
    "--max_length=32",
    "--json",
    *more,
  ]


def test_the_input_is_measured_on_every_row_of_every_task(small_run, capsys):
  result = input_pipeline.main(
    arguments(small_run, "--rows=40", "--batches=5", "--steps=2", "--repeats=2")
  )
  said = capsys.readouterr().out
  assert json.loads(said) == result
  assert "\n" not in said.strip()
  # STS-B's with their swapped copies.
  tasks = result["tasks"]
  assert {name: each["rows"] for name, each in tasks.items()} == {
    "cola": 40,
    "stsb": 80,
  }
  seconds = tasks["stsb"]["cpu_seconds"]
  assert result["pairs_per_s_per_core"] == pytest.approx(80 / seconds)
  seconds = tasks["cola"]["cpu_seconds"]
  assert result["sentences_per_s_per_core"] == pytest.approx(40 / seconds)
  both = 1 / result["planned_per_s"] + 1 / result["read_per_s"]
  assert result["examples_per_s"] == pytest.approx(1 / both)
  assert result["over_train"] == pytest.approx(
    result["examples_per_s"] / result["train_examples_per_s"]
  )
  assert set(result["waiting_share"]) == {"ahead", "directly"}
  assert all(0 < share < 1 for share in result["waiting_share"].values())
  assert any("waits" in line for line in input_pipeline.rows(result))


def test_a_given_appetite_needs_no_step(small_run, capsys, monkeypatch):
  monkeypatch.setattr(input_pipeline, "training", None)
  args = arguments(small_run, "--train_examples_per_s=2.5", "--repeats=1")
  result = input_pipeline.main([*args, "--batches=3"])
  assert result["over_train"] == result["examples_per_s"] / 2.5
  assert "waiting_share" not in result


def test_every_number_of_trials_is_told_for_one_of_them(small_run, capsys):
  args = arguments(small_run, "--trials=1,3", "--steps=2", "--repeats=2")
  result = trials.main(args)
  assert json.loads(capsys.readouterr().out) == result
  one, three = result["trials"]["1"], result["trials"]["3"]
  assert three["seconds_per_trial"] == three["step_seconds"] / 3
  assert three["ratio"] * one["seconds_per_trial"] == pytest.approx(
    three["seconds_per_trial"]
  )
  # Each trial has a whole batch of its own.
  for count, each in ((1, one), (3, three)):
    held = each["examples_per_s"] * each["step_seconds"]
    assert held == pytest.approx(6 * count)
  assert len(trials.rows(result)) == 6


@pytest.mark.slow
def test_a_run_starts_from_its_own_cache_and_without_other_frameworks(
  small_run, capsys
):
  result = startup.main(arguments(small_run, "--repeats=1"))
  assert json.loads(capsys.readouterr().out) == result
  assert result["heavy"] == []
  found = result["compiled_warm"]
  assert found["programs"] == found["from_cache"] > 1
  assert set(result["first_step_seconds"]) == {"cold", "warm"}
  assert "jax" in result["slowest_imports"]
  assert "loads none" in "\n".join(startup.rows(result))


def test_what_a_process_said_is_counted():
  said = (
    "import time:       300 |       1400 |   one.two\n"
    "import time:      1000 |       9999 | one\n"
    "import time:   2000000 |    2000000 | three\n"
    "W1 Persistent compilation cache hit for 'jit_a' with key 'k'\n"
    "W1 Finished XLA compilation of jit(a) in 0.1 sec\n"
    "W1 Finished XLA compilation of jit(b) in 0.1 sec\n"
  )
  assert list(startup.loaded(said).items()) == [
    ("three", 2.0),
    ("one", pytest.approx(0.0013)),
  ]
  assert startup.compiled(said) == {"programs": 2, "from_cache": 1}
