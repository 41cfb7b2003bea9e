"""metrics.jsonl row by row, and what a terminal and a log show."""

import io
import json

import numpy as np
import pytest
import rich.console

from bam_jax.runtime import console
from bam_jax.training import writer


def sums(loss, count, trials=2):
  """One step's sums of R trials and the tasks of `loss`."""
  return {
    "loss": np.float32([loss] * trials),
    "count": np.float32([count] * trials),
    "grad_norm": np.full(trials, 3.0),
    "lambda": np.full(trials, 0.25),
    "rate": np.full(trials, 1e-4),
    "bad": np.zeros(trials, np.int32),
  }


def rows_of(path):
  return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_row_means_over_examples_not_over_steps_or_tasks(tmp_path):
  path = tmp_path / "metrics.jsonl"
  record = writer.Writer(path, "multi", ["rte", "stsb", "cola"], [4, 7])
  with record.progress(0, 2, {}):
    record.add([sums([6, 1, 0], [2, 1, 0]), sums([2, 0, 0], [6, 0, 0])])
    record.log(2)
  first, second = rows_of(path)
  assert (first["seed"], second["seed"]) == (4, 7)
  assert first["step"] == 2
  assert first["loss"] == pytest.approx(9 / 9)
  assert first["task_loss"] == {"rte": 1.0, "stsb": 1.0}
  assert first["task_count"] == {"rte": 8, "stsb": 1, "cola": 0}
  assert {"time", "seconds"}.isdisjoint(first)


def test_a_distance_of_passes_is_told_beside_the_loss(tmp_path):
  step = sums([6, 1, 0], [2, 1, 0])
  step["distance"] = np.tile([3.0, 0.5, 0.0], (len(step["loss"]), 1))
  path = tmp_path / "metrics.jsonl"
  record = writer.Writer(path, "multi", ["rte", "stsb", "cola"], [4, 7])
  with record.progress(0, 4, {}):
    record.add([step, step])
    window = json.loads(json.dumps(record.window()))
  record = writer.Writer(path, "multi", ["rte", "stsb", "cola"], [4, 7])
  with record.progress(2, 4, window):
    record.add([step])
    record.log(3)
  assert rows_of(path)[1]["task_distance"] == {"rte": 1.5, "stsb": 0.5}


def test_going_on_forgets_only_its_own_later_rows_and_a_torn_line(tmp_path):
  path = tmp_path / "metrics.jsonl"
  kept = [{"step": s, "seed": 0} for s in (2, 4)] + [{"step": 9, "seed": 1}]
  lost = [{"step": 6, "seed": 0}]
  lines = [json.dumps(row) for row in kept + lost]
  path.write_text("\n".join(lines) + '\n{"step": 8, "se')
  with writer.Writer(path, "x", ["rte"], [0]).progress(4, 9, {}):
    pass
  assert rows_of(path) == kept


def test_a_stop_between_two_lines_changes_no_byte(tmp_path):
  steps = [sums([x / 7, x / 3, 0], [2, 1, 0]) for x in range(1, 6)]
  path, paused = tmp_path / "whole.jsonl", tmp_path / "paused.jsonl"
  record = writer.Writer(path, "x", ["rte", "stsb", "cola"], [4, 7])
  with record.progress(0, 5, {}):
    record.add(steps)
    record.log(5)
  first = writer.Writer(paused, "x", ["rte", "stsb", "cola"], [4, 7])
  with first.progress(0, 5, {}):
    first.add(steps[:3])
    # As a checkpoint keeps it.
    window = json.loads(json.dumps(first.window()))
  second = writer.Writer(paused, "x", ["rte", "stsb", "cola"], [4, 7])
  with second.progress(3, 5, window):
    second.add(steps[3:])
    second.log(5)
  assert paused.read_bytes() == path.read_bytes()
  assert second.seconds > window["seconds"] > 0


def test_a_step_that_is_not_finite_is_not_counted(tmp_path):
  path = tmp_path / "metrics.jsonl"
  record = writer.Writer(path, "multi", ["rte", "cola"], [0, 1])
  bad = sums([5.0, 3.0], [1, 1])
  bad["loss"][1, 0] = np.nan
  bad["bad"][1] = 1
  with record.progress(0, 2, {}):
    record.add([sums([2.0, 0.0], [4, 0]), bad])
    record.log(2)
  first, second = rows_of(path)
  assert "skipped" not in first
  assert first["task_count"] == {"rte": 5, "cola": 1}
  assert second["skipped"] == 1
  assert second["task_count"] == {"rte": 4, "cola": 0}
  assert (second["loss"], second["grad_norm"]) == (0.5, 3.0)


def test_scores_are_lines_of_their_own(tmp_path):
  path = tmp_path / "metrics.jsonl"
  record = writer.Writer(path, "multi", ["rte"], [0, 1])
  with record.progress(0, 2, {}):
    record.scores(2, [{"rte": 51.5}, {"rte": 60.0}])
  assert rows_of(path)[1] == {"step": 2, "seed": 1, "scores": {"rte": 60.0}}


@pytest.fixture
def screen(monkeypatch):
  def make(**options):
    made = rich.console.Console(file=io.StringIO(), **options)
    monkeypatch.setattr(console, "CONSOLE", made)
    return made.file

  return make


def test_a_terminal_of_80_columns_shows_step_loss_speed_and_time(screen):
  out = screen(force_terminal=True, width=80, color_system=None)
  name = "single-to-multi.entailment+sentiment+paraphrase+similarity"
  with console.bar(name, 1234, text="compiling") as advance:
    advance(10, "loss 0.272 lambda 0.67 1234 ex/s")
  shown = out.getvalue()
  assert "single-to-multi" in shown
  assert "compiling" in shown
  assert "10/1234" in shown
  assert "loss 0.272 lambda 0.67 1234 ex/s" in shown
  assert "…" not in shown


def test_a_log_gets_a_line_now_and_then_and_no_control_codes(
  screen, monkeypatch
):
  out, clock = screen(force_terminal=False, width=80), iter(range(0, 90, 10))
  monkeypatch.setattr(writer.time, "monotonic", lambda: next(clock))
  with console.bar("multi.rte", 8, done=2) as advance:
    for _ in range(4):
      advance(1, "loss 0.5")
  assert out.getvalue().splitlines() == [
    "multi.rte 4/8 loss 0.5 40 s left",
    "multi.rte 6/8 loss 0.5 20 s left",
  ]


def test_brackets_are_text_and_long_lines_stay_whole(screen):
  out = screen(width=30)
  console.say("[bold]W[/bold] " + "x" * 50)
  assert out.getvalue() == "[bold]W[/bold] " + "x" * 50 + "\n"


def test_jobs_that_call_back_are_shown_one_after_the_other(screen, monkeypatch):
  monkeypatch.setattr(console, "LINE_EVERY", -1)
  shown = screen(width=100)
  bars = console.Bars()
  for name, total in (("rte train", 7), ("rte dev", 3)):
    bars(name, 2, total)
    bars(name, total, total)
  lines = [line.split("  ")[0] for line in shown.getvalue().splitlines()]
  assert lines == [
    "rte train 2/7",
    "rte train 7/7",
    "rte dev 2/3",
    "rte dev 3/3",
  ]
