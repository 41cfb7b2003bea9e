"""Studies of judges: the right numbers by gold and noise."""

import math

import pytest

from bam_jax.report import judged, tables
from bam_jax.report import write as report
from tests.outcomes import record, results

GOLD, NOISE = (0, 20, 100), (5, 35)


def study():
  def score(gold, noise, seed):
    return 60.0 + gold / 5 - noise / 10 + seed

  def taught(less):
    return {
      f"sentiment_gold{g}_noise{n}": record(
        *(score(g, n, seed) - less for seed in (0, 1, 2))
      )
      for g in GOLD
      for n in NOISE
    }

  return results(
    {
      "single@gold": {
        f"sentiment_gold{g}_noise5": record(50.0, 51.0 + g / 10)
        for g in (20, 100)
      },
      "single->single": taught(0),
      "single->single@half": taught(7),
    }
  )


def test_every_number_is_in_its_column():
  found = study()
  header, *rows = judged.rows(found, tables.grid(found))
  assert header[3:] == ["0 % gold", "20 % gold", "100 % gold"]
  assert [row[:3] for row in rows] == [
    ["Single, gold", "sentiment", tables.NONE],
    ["Single→Single", "sentiment", "5 %"],
    ["Single→Single", "sentiment", "35 %"],
    ["Single→Single, half", "sentiment", "5 %"],
    ["Single→Single, half", "sentiment", "35 %"],
  ]
  assert rows[0][3:] == [tables.NONE, "51.5 ± 2.1", "55.5 ± 7.8"]
  assert rows[2][3:] == ["57.5 ± 1.0", "61.5 ± 1.0", "77.5 ± 1.0"]


def test_a_panel_has_its_judges_and_what_gold_does_alone(monkeypatch):
  seen = {}
  monkeypatch.setattr(
    judged.curves, "bands", lambda panels, **_: seen.update(panels) or b""
  )
  (picture,) = judged.pictures(study())
  picture.draw()
  assert list(seen) == ["Single→Single", "Single→Single, half"]
  lines = seen["Single→Single, half"]
  assert list(lines) == [
    "judge wrong in 5 %",
    "judge wrong in 35 %",
    "Single, gold, no judge",
  ]
  shares, values = lines["judge wrong in 35 %"]
  assert shares == [0, 20, 100]
  assert values[2] == [51.5, 55.5, 71.5]
  assert lines["Single, gold, no judge"] == (
    [20, 100],
    [[50.0, 50.0], [53.0, 61.0]],
  )


def test_a_report_of_other_tasks_has_no_such_section(tmp_path):
  found = study()
  text = report.write(found, tmp_path).read_text("utf-8")
  assert "## Gold and judges" in text and "judged.png" in text
  assert (tmp_path / "report" / "judged.png").is_file()
  other = results({"single": {"rte": record(60.0, 61.0)}})
  text = report.write(other, tmp_path).read_text("utf-8")
  assert "judges" not in text
  assert not (tmp_path / "report" / "judged.png").exists()


def test_what_has_not_been_trained_is_left_out():
  found = study()
  for tasks in found["methods"].values():
    tasks.pop("sentiment_gold100_noise35", None)
  rows = judged.rows(found, tables.grid(found))
  assert rows[3][5] == tables.NONE
  assert list(judged.pictures(found))


@pytest.mark.parametrize("column", ["mine_gold5_noise5", "average"])
def test_columns_that_are_no_judges_are_no_cells(column):
  found = results({"single": {column: record(60.0, math.pi)}})
  assert judged.cells(found) == {}
