"""Scores by rows: what is one curve, where its points lie, what is drawn."""

import numpy as np
import pytest
import scipy

from bam_jax.report import curves as drawing
from bam_jax.report import rows
from bam_jax.report import write as report
from bam_jax.stats import rows as stats
from tests.outcomes import record, results

VARIANTS = {
  "few": {"data.limit": "mnli=100"},
  "some": {"data.limit": "mnli=1000"},
  "quick": {"single.epochs": 1.0},
  "ten": {"data.limit": "10"},
  "both": {"data.limit": "10", "single.epochs": 1.0},
}
COVERAGE = {"mnli": 40_000, "rte": 2490, "stsb": 25}


def study():
  def scores(at):
    return {
      "rte": record(at, at + 1.0, at + 4.0),
      "stsb": record(at + 20.0, at + 20.0, at + 20.0),
    }

  methods = {
    "mnli+single": scores(66.0),
    "mnli@some+single": scores(64.0),
    "single": scores(60.0),
    "mnli@few+single": scores(61.0),
    "mnli@quick+single": scores(55.0),
    "single@ten": scores(50.0),
    "single@both": scores(40.0),
    "mnli@few+single@quick": scores(30.0),
  }
  read = {"unknown": 0.0, "cut": 0.0, "unlabelled": 0, "repeated": 0}
  read |= {"first": []}
  return results(
    methods,
    variants=VARIANTS,
    coverage={
      task: {"train": read | {"rows": count}, "validation": read | {"rows": 7}}
      for task, count in COVERAGE.items()
    },
  )


def test_methods_that_differ_by_rows_alone_are_one_curve_in_their_order():
  first, last = stats.curves(study())
  assert (first.method, first.first) == ("mnli+single", "mnli")
  assert [point.method for point in first.points] == [
    "mnli@few+single",
    "mnli@some+single",
    "mnli+single",
  ]
  assert (last.method, last.first) == ("single", "")
  assert [point.method for point in last.points] == ["single@ten", "single"]


@pytest.mark.parametrize(
  ("limit", "first", "column", "want"),
  [
    ({"mnli": 100}, "mnli", "rte", 100),
    ({"": 100}, "mnli&stsb", "", 100 + 25),
    ({"mnli": 70, "stsb": 6}, "mnli&stsb", "", 76),
    ({"mnli": 70, "stsb": 6}, "named", "", 76),
    ({}, "mnli&stsb", "", 40_025),
    ({}, "named", "", None),
    ({"": 100}, "", "rte", 100),
    ({"": 100}, "", "stsb", 25),  # it has no more
    ({"rte": 100}, "", "rte", 100),
    ({"rte": 100}, "", "stsb", None),
    ({}, "", "rte", 2490),
  ],
)
def test_a_point_lies_at_the_rows_that_were_there_to_read(
  limit, first, column, want
):
  point = stats.Point("m", limit)
  curve = stats.Curve("m", first, (point,))
  assert stats.count(study(), curve, point, column) == want


def test_every_mean_stands_in_its_line_with_its_interval():
  header, *lines = rows.table(study())
  assert header == ["Method", "Rows of", "Rows", "Avg", "RTE", "STS-B"]
  assert [line[:3] for line in lines] == [
    ["MNLI+Single", "MNLI", "100"],
    ["MNLI+Single", "MNLI", "1,000"],
    ["MNLI+Single", "MNLI", "40,000"],
    ["Single", "each task", "10"],
    ["Single", "each task", "all"],
  ]
  x = np.array([61.0, 62.0, 65.0])
  ends = scipy.stats.t.interval(0.95, 2, x.mean(), x.std(ddof=1) / np.sqrt(3))
  assert lines[0][4] == f"{x.mean():.1f} [{ends[0]:.1f}, {ends[1]:.1f}]"
  assert lines[0][5] == "81.0 [81.0, 81.0]"


def test_the_picture_has_each_point_at_its_rows(monkeypatch, tmp_path):
  seen = []
  monkeypatch.setattr(
    drawing, "grown", lambda *a, **k: seen.append((a, k)) or b"\x89PNG"
  )
  for picture in rows.pictures(study()):
    picture.draw()
  ((first, level), _), ((last, none), said) = seen
  assert list(first) == ["Avg", "RTE", "STS-B"] and list(last) == [
    "RTE",
    "STS-B",
  ]
  at, values, low, _ = first["RTE"]["MNLI+Single"]
  assert at == [100, 1000, 40_000]
  assert values == pytest.approx([62 + 2 / 3, 65 + 2 / 3, 67 + 2 / 3])
  assert low[0] < values[0] and level["RTE"] == pytest.approx(61 + 2 / 3)
  assert last["STS-B"]["Single"][0] == [10, 25] and not none
  assert said["x"] == "training rows of the task itself"


def test_the_report_has_them_and_drops_them_again(tmp_path):
  page = report.write(study(), tmp_path).read_text()
  assert "## Rows and scores" in page and "(rows_first.png)" in page
  for name in ("rows.png", "rows_first.png"):
    assert (tmp_path / "report" / name).read_bytes().startswith(b"\x89PNG")
  alone = results({"single": study()["methods"]["single"]})
  page = report.write(alone, tmp_path).read_text()
  assert "Rows and scores" not in page
  assert not (tmp_path / "report/rows.png").exists()
  assert not (tmp_path / "report/table_rows.tex").exists()


def test_one_trial_has_no_interval_and_is_drawn():
  lines = {"A": ([10, 100], [1.0, 2.0], [np.nan] * 2, [np.nan] * 2)}
  made = drawing.grown({"t": lines}, {"t": 1.5}, x="rows", y="score")
  assert made.startswith(b"\x89PNG")
