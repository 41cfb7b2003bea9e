"""What becomes of measured figures: tables, goals and the page."""

import json
import subprocess

import pytest

from benchmarks import goals, run


def side(rate, peak=2.0):
  """Returns the figures of a side that trains."""
  return {
    "examples_per_s": rate,
    "real_tokens_per_s": 30 * rate,
    "step_seconds": 128 / rate,
    "peak_bytes": peak,
  }


def results():
  """Returns what two benchmarks may have printed."""
  modes = {"eager": side(20.0, peak=4.0), "compiled": side(25.0)}
  train = {
    "machine": {"cpu": "a processor", "cores": 3, "jax": "1.2"},
    "settings": {"dtype": "float32", "matmul_dtype": "float32"},
    "ours": side(100.0, peak=3.0),
    "peer_a": {"float32": modes, "bfloat16": {"eager": side(50.0)}},
    "peer_b": {
      "float32": {"eager": side(80.0)},
      "bfloat16": {"eager": side(200.0)},
    },
    "matmul_flops_per_s": 4e11,
    "peer_matmul_flops_per_s": {},
    "useful_flops_share": 0.44,
  }
  teach = {
    "machine": {"cpu": "a processor", "cores": 3},
    "settings": {"steps": 3},
    "train": {"examples_per_s": 100.0},
    "teach": {"rows_per_s": 350.0},
    "ratio": 3.5,
  }
  return {"train_throughput": train, "teach_throughput": teach}


def test_goals_are_held_against_the_fastest_of_a_peer():
  table = {
    cells[1]: cells[3:5]
    for line in goals.rows(results())[2:]
    if (cells := [cell.strip() for cell in line.split("|")])
  }
  assert table["examples/s over peer (a), f32"] == ["4.00", "no"]
  assert table["examples/s over peer (a), bf16"] == ["2.00", "no"]
  assert table["examples/s over peer (b), f32"] == ["1.25", "yes"]
  assert table["examples/s over peer (b), its best type"] == ["0.50", "no"]
  assert table["peak memory over peer (a), f32"] == ["0.75", "yes"]
  assert table["a teacher's rows/s over training's examples/s"][1] == "yes"
  assert table["seconds to import all that trains"] == ["not measured", ""]


@pytest.fixture
def page(tmp_path):
  """A copy of the page without its tables."""
  text = run.PAGE.read_text("utf-8")
  for name in (*run.BENCHMARKS, "goals"):
    text = run.place(text, name, "")
  copy = tmp_path / "performance.md"
  copy.write_text(text, "utf-8")
  return copy


def asked(*names):
  """Returns a command line."""
  return [*names, "--encoder=SECRET/PLACE", "--glue_dir=SECRET/GLUE"]


def test_the_page_keeps_its_prose_and_the_figures_of_before(page, monkeypatch):
  found = results()
  monkeypatch.setattr(run, "measure", lambda name, flags: found[name])
  before = page.read_text()
  for _ in range(2):
    assert run.main([*asked("train_throughput"), f"--page={page}"]) == 0
  assert run.main([*asked("teach_throughput"), f"--page={page}"]) == 0
  text = page.read_text()
  assert "examples/s over peer (a), f32 | at least 4.5 | 4.00 | no |" in text
  assert text.count("3 x a processor, jax 1.2. Settings: dtype float32") == 1
  assert "| 350.0 | 100.0 | 3.50 |" in text
  assert "SECRET" not in text and "--encoder=DIR" in text
  prose = [line for line in before.splitlines() if line and line[0] not in "<|"]
  assert set(prose) <= set(text.splitlines())
  assert json.loads(page.with_suffix(".json").read_text()) == found


def test_one_that_fails_leaves_its_part_and_the_others_go_on(page, monkeypatch):
  def measure(name, flags):
    if name == "teach_throughput":
      return results()[name]
    raise subprocess.CalledProcessError(1, name)

  monkeypatch.setattr(run, "measure", measure)
  names = ("train_throughput", "teach_throughput")
  assert run.main([*asked(*names), f"--page={page}"]) == 1
  text = page.read_text()
  assert "| 350.0 | 100.0 | 3.50 |" in text and "| ours, " not in text


def test_what_cannot_be_asked_is_said(capsys):
  for line in ([], ["--all"], asked(), asked("nothing")):
    with pytest.raises(SystemExit) as ended:
      run.main(line)
    assert ended.value.code == 2
  assert "train_throughput, teach_throughput" in capsys.readouterr().err


def test_the_page_has_a_place_for_every_benchmark():
  text = run.PAGE.read_text("utf-8")
  for name in (*run.BENCHMARKS, "goals"):
    text = run.place(text, name, "new")
  with pytest.raises(ValueError, match="no marks"):
    run.place(text, "another", "new")
