"""Profiles and compilations of a run's step, and what a process loads."""

import gzip
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from bam_jax.runtime import tracing
from bam_jax.stages.checks import settings
from bam_jax.study import experiment
from tests import small


@jax.jit
def step(state, batch):
  return state + batch["tokens"].sum(), {}


def batch(rows):
  return {"tokens": jnp.ones((2, rows, 5), jnp.int32)}


@pytest.mark.parametrize("text", ["5", "a:b", "3:3", "4:2", "-1:2", "1:2:3"])
def test_a_wrong_span_is_one_sentence(small_run, tmp_path, text):
  config = small.settings(small_run.glue, small_run.encoder, profile=text)
  with pytest.raises(ValueError, match="it is START:STOP") as error:
    settings(experiment.read(config))
  assert "\n" not in str(error.value)


def test_a_run_leaves_a_trace_of_the_steps_that_were_asked_for(
  small_run, tmp_path, monkeypatch, capsys
):
  calls = []
  start, stop = jax.profiler.start_trace, jax.profiler.stop_trace
  monkeypatch.setattr(
    jax.profiler,
    "start_trace",
    lambda *a, **k: (calls.append("start"), start(*a, **k)),
  )
  monkeypatch.setattr(
    jax.profiler, "stop_trace", lambda: (calls.append("stop"), stop())
  )
  config = small.settings(
    small_run.glue,
    small_run.encoder,
    tasks="cola",
    methods="single",
    profile="2:4",
  )
  small.execute(config, tmp_path / "W")
  folder = tmp_path / "W" / "runs" / "single.cola" / "profile"
  assert calls == ["start", "stop"]
  names = {path.name for path in folder.rglob("*") if path.is_file()}
  assert any(name.endswith(".xplane.pb") for name in names)
  (trace,) = folder.rglob("perfetto_trace.json.gz")
  events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
  assert any("next batch" in event.get("name", "") for event in events)
  assert f"wrote {folder}" in capsys.readouterr().out


@pytest.mark.parametrize(
  ("steps", "start", "want"),
  [
    (range(2, 4), 0, ["start", 2, 3, "stop"]),
    (range(2, 4), 3, ["start", 3, "stop"]),  # a resumed run
    (range(4, 90), 0, ["start", 4, "stop"]),  # a run that ends before
    (range(7, 9), 0, []),
    (range(0), 0, []),
  ],
)
def test_only_the_asked_steps_are_traced(
  monkeypatch, tmp_path, capsys, steps, start, want
):
  seen, on = [], []
  monkeypatch.setattr(
    jax.profiler,
    "start_trace",
    lambda *a, **k: (seen.append("start"), on.append(1)),
  )
  monkeypatch.setattr(
    jax.profiler, "stop_trace", lambda: (seen.append("stop"), on.clear())
  )

  def one(state, number):
    if on:
      seen.append(number)
    return state, {}

  with tracing.profiled(
    one, start=start, steps=steps, path=tmp_path
  ) as watched:
    for number in range(start, 5):
      watched(0, number)
  assert seen == want
  said = capsys.readouterr().out
  assert ("no step from 7 on was trained" in said) == (steps.start == 7)


def test_a_run_that_fails_among_the_asked_steps_leaves_what_it_has(
  monkeypatch, tmp_path, capsys
):
  seen = []
  monkeypatch.setattr(
    jax.profiler, "start_trace", lambda *a, **k: seen.append("start")
  )
  monkeypatch.setattr(jax.profiler, "stop_trace", lambda: seen.append("stop"))

  def one(state, number):
    if number == 3:
      raise FloatingPointError("not finite")

  def run():
    steps = range(2, 5)
    with tracing.profiled(one, start=0, steps=steps, path=tmp_path) as watched:
      for number in range(5):
        watched(0, number)

  with pytest.raises(FloatingPointError):
    run()
  assert seen == ["start", "stop"]
  assert f"wrote {tmp_path}" in capsys.readouterr().out


def test_a_fourth_compilation_is_told_with_its_shape(capsys):
  jax.clear_caches()
  watched = tracing.counted(step)
  for rows in (3, 4, 6, 3, 4):
    watched(jnp.int32(0), batch(rows))
  assert capsys.readouterr().out == ""
  watched(jnp.int32(0), batch(7))
  watched(jnp.int32(0), batch(7))
  said = capsys.readouterr().out
  assert said.count("compilation 4") == 1
  assert "2 x 7 rows of 5 tokens" in said


def test_a_training_process_loads_no_other_framework():
  code = (
    "import sys; from bam_jax import main; "
    "from bam_jax.stages import recipe, forecast; "
    "print(sorted({'torch', 'tensorflow', 'matplotlib', 'transformers', "
    "'pandas', 'sklearn', 'scipy.stats'} & set(sys.modules)))"
  )
  ran = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert ran.stdout.strip() == "[]"
