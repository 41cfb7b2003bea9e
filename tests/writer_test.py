"""metrics.jsonl row by row, and what a terminal and a log show."""

import io
import json

import numpy as np
import pytest
import rich.console

from bam_jax import writer


def sums(loss, count, trials=2):
  """One step's sums of R trials and the tasks of `loss`."""
  return {
    "loss": np.float32([loss] * trials),
    "count": np.float32([count] * trials),
    "grad_norm": np.full(trials, 3.0),
    "lambda": np.full(trials, 0.25),
    "rate": np.full(trials, 1e-4),
  }


def rows_of(path):
  return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_row_means_over_examples_not_over_steps_or_tasks(tmp_path):
  path = tmp_path / "metrics.jsonl"
  record = writer.Writer(path, "multi", ["rte", "stsb", "cola"], [4, 7])
  with record.progress(0, 2):
    record.steps(2, [sums([6, 1, 0], [2, 1, 0]), sums([2, 0, 0], [6, 0, 0])])
  first, second = rows_of(path)
  assert (first["seed"], second["seed"]) == (4, 7)
  assert first["step"] == 2
  assert first["loss"] == pytest.approx(9 / 9)
  assert first["task_loss"] == {"rte": 1.0, "stsb": 1.0}
  assert first["task_count"] == {"rte": 8, "stsb": 1, "cola": 0}
  assert {"time", "seconds"}.isdisjoint(first)


def test_going_on_forgets_only_its_own_later_rows_and_a_torn_line(tmp_path):
  path = tmp_path / "metrics.jsonl"
  kept = [{"step": s, "seed": 0} for s in (2, 4)] + [{"step": 9, "seed": 1}]
  lost = [{"step": 6, "seed": 0}]
  lines = [json.dumps(row) for row in kept + lost]
  path.write_text("\n".join(lines) + '\n{"step": 8, "se')
  with writer.Writer(path, "x", ["rte"], [0]).progress(4, 9):
    pass
  assert rows_of(path) == kept


@pytest.fixture
def screen(monkeypatch):
  def make(**options):
    console = rich.console.Console(file=io.StringIO(), **options)
    monkeypatch.setattr(writer, "CONSOLE", console)
    return console.file

  return make


def test_a_terminal_of_80_columns_shows_step_loss_speed_and_time(screen):
  out = screen(force_terminal=True, width=80, color_system=None)
  name = "single-to-multi.entailment+sentiment+paraphrase+similarity"
  with writer.bar(name, 1234, text="compiling") as advance:
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
  with writer.bar("multi.rte", 8, done=2) as advance:
    for _ in range(4):
      advance(1, "loss 0.5")
  assert out.getvalue().splitlines() == [
    "multi.rte 4/8 loss 0.5 40 s left",
    "multi.rte 6/8 loss 0.5 20 s left",
  ]


def test_brackets_are_text_and_long_lines_stay_whole(screen):
  out = screen(width=30)
  writer.say("[bold]W[/bold] " + "x" * 50)
  assert out.getvalue() == "[bold]W[/bold] " + "x" * 50 + "\n"


def test_jobs_that_call_back_are_shown_one_after_the_other(screen, monkeypatch):
  monkeypatch.setattr(writer, "LINE_EVERY", -1)
  shown = screen(width=100)
  bars = writer.Bars()
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
