"""What stands beside the scores: stars, effects, intervals, each class."""

import numpy as np
import pytest

from bam_jax.report import confidence, tables
from bam_jax.report import write as report
from bam_jax.stats import calibration, classes
from tests.outcomes import ODD, complete, read, record, results, three


def only(found, title):
  """Returns the table under a title of report.md."""
  (table,) = read(
    report.markdown(found).split(f"## {title}")[1].split("\n## ")[0]
  )[0]
  return table


def far_apart():
  """Single→Multi is far above both others on RTE, and above one on STS-B."""
  spread = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
  # Seeds favour other methods in turn: differences of a seed vary too.
  rolled, turned = np.roll(spread, 3), spread[::-1]
  scores = {
    "single": {"rte": 60 + spread, "stsb": 80 + spread},
    "multi": {"rte": 65 + rolled, "stsb": 90 + rolled},
    "single->multi": {"rte": 75 + turned, "stsb": 90.5 + turned},
  }
  return {
    m: {t: record(*x.tolist()) for t, x in tasks.items()}
    for m, tasks in scores.items()
  }


def test_stars_are_of_what_beats_both_baselines():
  found = results(far_apart())
  # Multi has only one to beat and has no stars.
  assert tables.stars(found).keys() == {
    ("single->multi", "rte"),
    ("single->multi", "average"),
  }
  text = report.markdown(found)
  assert "| **76.5**∗∗∗ ± 1.1 | **92.0** ± 1.1 |" in text
  assert "∗, ∗∗, ∗∗∗: better than both Single and Multi" in text
  assert "9 paired-t, 9 sign-flip, 9 bootstrap, 9 mann-whitney-u" in text


@pytest.mark.parametrize(
  ("p", "mark"), [(0.0009, "∗∗∗"), (0.009, "∗∗"), (0.049, "∗"), (0.05, None)]
)
def test_stars_by_the_larger_p(p, mark):
  found = results(far_apart())
  for test in found["tests"]:
    test["p_holm"] = p if test["b"] == "multi" else 1e-4
  assert tables.stars(found).get(("single->multi", "rte")) == mark


def test_no_stars_for_a_loss_or_without_both_baselines():
  methods = far_apart()
  methods["single->multi"], methods["single"] = (
    methods["single"],
    methods["single->multi"],
  )
  assert tables.stars(results(methods)) == {}
  methods = far_apart()
  del methods["single"]
  found = results(methods)
  assert found["tests"]
  assert tables.stars(found) == {}
  assert "∗" not in report.markdown(found)


def test_differences_are_those_of_the_file():
  found = results(far_apart())
  row = found["differences"][1]
  assert (row["a"], row["b"], row["task"]) == ("multi", "single", "rte")
  header, *rows = only(found, "Differences")
  assert header == [
    *("Task", "Pair", "Difference", "P(better)"),
    *("paired-t", "sign-flip", "bootstrap", "mann-whitney-u"),
    "Seeds needed",
  ]
  low, high = row["difference"][1:]
  assert rows[1][:3] == [
    *("RTE", "Multi over Single"),
    f"+5.00 [{low:+.2f}, {high:+.2f}]",
  ]
  assert rows[1][3].startswith("1.00 [0.")
  ps = [t for t in found["tests"] if t["a"] == "multi" and t["task"] == "rte"]
  assert rows[1][4:8] == [
    f"{tables.p_value(t['p'])} ({tables.p_value(t['p_holm'])})" for t in ps
  ]
  assert rows[1][8] == str(row["seeds_needed"]) == "4"
  # Files of before have none of it.
  del found["differences"]
  assert "## Differences" not in report.markdown(found)


def test_spread_of_every_cell():
  found = results({"single": {"rte": record(60.0), "cola": record(None)}})
  header, *rows = only(found, "Medians")
  assert header[2:] == ["Trials", "Median", "95 % interval", "Mean ± sd"]
  # A task with a score that is no number has no line.
  assert rows == [["RTE", "Single", "1", "60.00", "–", "60.00"]]
  rows = tables.spread(tables.grid(three()))
  assert rows[4] == [
    *("RTE", "Single", "3", "61.00"),
    *("[60.00, 63.00]", "61.33 ± 1.53"),
  ]


def test_calibration_has_a_table_and_a_picture(tmp_path):
  rng = np.random.default_rng(0)
  labels = rng.integers(2, size=60)
  kept = [
    calibration.summary(rng.normal(0, n, (2, 60, 2)), labels) for n in (1, 3)
  ]
  found = three() | {
    "calibration": {
      "single": {"rte": kept[0]},
      "multi->multi->multi": {"rte": kept[1], ODD: kept[1]},
    }
  }
  table = only(found, "Calibration")
  assert table[0][2:] == ["ECE", "ECE, equal mass", "Brier", "NLL"]
  assert table[1][:2] == ["RTE", "Single"]
  values = 100 * np.array(kept[0]["ece"])
  assert table[1][2] == f"{np.median(values):.2f} ± {values.std(ddof=1):.2f}"
  assert table[1][5].startswith(f"{np.median(kept[0]['nll']):.2f} ")
  report.write(found, tmp_path)
  png = (tmp_path / "report/calibration.png").read_bytes()
  assert png.startswith(b"\x89PNG")
  report.write(found, tmp_path)
  assert (tmp_path / "report/calibration.png").read_bytes() == png
  found["calibration"]["single"]["rte"] = kept[1]
  report.write(found, tmp_path)
  assert (tmp_path / "report/calibration.png").read_bytes() != png
  # A report without it leaves no picture of another time behind.
  report.write(three(), tmp_path)
  assert not (tmp_path / "report/calibration.png").exists()


def test_what_was_fitted_has_two_tables_and_a_picture(tmp_path):
  found = complete()
  header, row, *_ = confidence.temperature(found)
  assert header[2:4] == ["Rows", "Temperature"] and header[-1] == "AURC"
  assert row[2:4] == ["1,234", "1.75"] and row[-1] == "6.00"
  before = np.median(found["calibration"]["single"]["rte"]["nll"])
  assert row[7] == f"{before:.2f} → 0.20"
  _, *rows = confidence.thresholds(found)
  assert [line[1] for line in rows[:4]] == [
    *("yes", ODD, "all (micro)", "all (macro)"),
  ]
  assert [line[3] for line in rows[:4]] == [
    *("0.38, never in 1 of 3", "never", "–", "–"),
  ]
  assert rows[0][4:] == ["50.00 → 50.00"] * 3
  report.write(found, tmp_path)
  assert (tmp_path / "report/abstention.png").is_file()
  report.write(three(), tmp_path)
  assert not (tmp_path / "report/abstention.png").exists()


def test_each_class_has_a_line_and_a_confusion_its_picture(tmp_path):
  rng = np.random.default_rng(1)
  two, three_ = (rng.integers(c, size=50) for c in (2, 3))
  told = [
    classes.summary(rng.normal(size=(2, 50, 2)), two, ("no", "yes")),
    classes.summary(rng.normal(size=(2, 50, 3)), three_, ("a|b", "b", ODD)),
  ]
  found = three() | {"classes": {"single": {"rte": told[0], ODD: told[1]}}}
  table = only(found, "Each class")
  assert table[0][:4] == ["Task", "Class", "Method", "Rows"]
  assert [row[1] for row in table[1:3]] == ["no", "yes"]
  assert table[1][3] == str((two == 0).sum())
  recall = 100 * np.array(told[0]["recall"][1])
  assert table[2][5] == f"{np.median(recall):.1f} ± {recall.std(ddof=1):.1f}"
  report.write(found, tmp_path)
  picture = tmp_path / "report/confusion.png"
  png = picture.read_bytes()
  assert png.startswith(b"\x89PNG")
  found["classes"]["single"][ODD]["confusion"][0][1] += 40
  report.write(found, tmp_path)
  assert picture.read_bytes() != png
  # Of two classes the table says all.
  del found["classes"]["single"][ODD]
  report.write(found, tmp_path)
  assert not picture.exists()
  # A search compares settings.
  assert tables.classes(found | {"search": {"rounds": []}}) == [table[0]]
