"""What a report says of claims, of what is not lost, and over all tasks."""

import html

import numpy as np
import pytest

from bam_jax.report import curves, figures
from bam_jax.report import write as report
from bam_jax.report.claims import naming, overall
from bam_jax.stats import aggregates
from bam_jax.stats.claims import Claim, noninferiority, sequence
from tests.outcomes import ODD, complete, read, record, results, three

CLAIMS = [
  Claim("single->multi", ">", "single"),
  Claim("multi", ">=", "single"),
  Claim("single->multi", ">", "multi", "rte"),
]


def named(scored, claims="x > y", margin=1.0, trials=6):
  return {
    "claims": claims,
    "margin": margin,
    "trials": trials,
    "scored": scored,
  }


def study(*history):
  rng = np.random.default_rng(0)
  shift = {"single": 0.0, "multi": 0.0, "single->multi": 4.0}
  found = results(
    {
      method: {
        "rte": record(*(60 + more + rng.normal(0, 1, 6))),
        "stsb": record(*(80 + more + rng.normal(0, 1, 6))),
      }
      for method, more in shift.items()
    }
  )
  return found | {
    "claims_named": list(history or [named(0)]),
    "claims": sequence(found, CLAIMS, 0.5),
    "noninferiority": noninferiority(found, 0.5),
    "overall": aggregates.overall(found["methods"], ["rte", "stsb"]),
  }


def section(text, title):
  return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_claims_stand_first_with_what_became_of_them():
  found = study()
  text = report.markdown(found)
  assert text.index("## Claims") < text.index("## Gains")
  part = section(text, "Claims")
  ((header, *rows),) = read(part)[0]
  assert header == ["Claim", "Column", "Difference", "p", "p so far", "Shown"]
  (value, low, high) = found["claims"][0]["columns"]["average"]
  assert rows[0][:3] == [
    *("Single→Multi > Single", "Avg"),
    f"{value:+.2f} [{low:+.2f}, {high:+.2f}]",
  ]
  assert rows[0][5] == "yes"
  # A line for each task of a claim of all of them; the rest stands once.
  assert rows[1][0] == "Multi ≥ Single − 0.5"
  assert rows[1][5] == "no: p is not below 0.05"
  assert (rows[2][0], rows[2][1], rows[2][3:]) == ("", "STS-B", ["", "", ""])
  assert rows[3][1] == "RTE" and rows[3][4] == "–"
  assert "as multi >= single was not shown" in rows[3][5]
  assert "named before any trial had a score" in part
  assert "exploratory" in part


def test_without_claims_there_is_no_such_section():
  assert "## Claims" not in report.markdown(three())


@pytest.mark.parametrize(
  ("history", "said", "grave"),
  [
    ([named(0)], "named before any trial had a score", False),
    ([named(7)], "named when 7 trials had scores already", True),
    (
      [named(0), named(12, claims="y > x")],
      "named when 12 trials had scores already",
      True,
    ),
    (
      [named(0), named(12, claims="y > x")],
      "changed when 12 trials had scores, from “x > y” (margin 1) to “y > x”",
      True,
    ),
    # More trials later do not make a claim a later one.
    ([named(0), named(9, trials=9)], "before any trial had a score", False),
    ([named(0), named(9, trials=9)], "from 6 to 9 when 9 had scores", True),
    ([named(0), named(0, trials=9)], "from 6 to 9 when 0 had scores", False),
    (
      [named(0), named(4, margin=2.0)],
      "(margin 1) to “x > y” (margin 2)",
      True,
    ),
    # However the claims were changed after it.
    (
      [named(0), named(12, trials=9), named(12, trials=9, claims="y > x")],
      "from 6 to 9 when 12 had scores",
      True,
    ),
  ],
)
def test_how_claims_came_to_be_is_never_left_unsaid(history, said, grave):
  found = {text: g for g, text in naming(study(*history))}
  (text,) = [text for text in found if said in text]
  assert found[text] == grave
  part = section(report.markdown(study(*history)), "Claims")
  assert said in html.unescape(part)


def test_one_model_for_all_tasks_has_both_intervals():
  found = study()
  found["tests"].append(
    {
      "a": "multi",
      "b": "single",
      "task": "rte",
      "p": 0.5,
      "p_holm": 1.0,
      "test": "crossed-effects",
      "difference": [0.1, -2.0, 2.25],
    }
  )
  ((header, *rows),) = read(
    section(report.markdown(found), "One model for all tasks")
  )[0]
  assert header[2:4] == ["Difference", "with other examples"]
  assert [row[:2] for row in rows] == [
    *(["Multi", "RTE"], ["", "STS-B"]),
    *(["Single→Multi", "RTE"], ["", "STS-B"]),
  ]
  assert rows[0][3] == "+0.10 [-2.00, +2.25]" and rows[1][3] == "–"
  assert [rows[0][6], rows[2][6]] == ["not shown (0.5)", "yes (0.5)"]
  multi = found["noninferiority"][0]
  assert rows[0][4:6] == [f"{multi['p']:.3f}", f"{multi['p_holm']:.3f}"]


def test_over_all_tasks_there_is_a_table_and_a_picture(tmp_path):
  found = study()
  ((header, *rows),) = read(section(report.markdown(found), "Over all tasks"))[
    0
  ]
  assert header[2:] == ["Interquartile mean", "Gain over Single"]
  assert [row[0] for row in rows] == ["Single", "Multi", "Single→Multi"]
  assert rows[0][3] == "–" and rows[2][3].startswith("+")
  report.write(found, tmp_path)
  png = (tmp_path / "report/profiles.png").read_bytes()
  assert png.startswith(b"\x89PNG")
  report.write(three(), tmp_path)
  assert not (tmp_path / "report/profiles.png").exists()


def test_one_trial_of_one_task_has_no_profile():
  found = three(trials=1)
  found["overall"] = aggregates.overall(found["methods"], ["rte"])
  assert list(figures.profiles(found)) == []
  assert "[" not in overall(found)[1][2]


def test_odd_names_break_no_picture():
  points = np.array([-1.0, 2.0]), np.array([0.5, 0.0])
  png = curves.profiles({ODD: points, "$x_{$": points}, x=ODD, y="$y_{$")
  assert png.startswith(b"\x89PNG")


def test_everything_is_json_and_complete_has_it_all(tmp_path):
  report.write(complete(), tmp_path)
  names = {path.name for path in (tmp_path / "report").iterdir()}
  assert {"table_claims.tex", "table_overall.tex", "profiles.png"} <= names
  assert "table_noninferiority.tex" in names
