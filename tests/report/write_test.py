"""The report: right numbers, safe from odd text, whole or not there."""

import io
import json
import os

import numpy as np
import pytest
import rich.console

from bam_jax.report import __main__ as command
from bam_jax.report import markdown, notes, plots, tables
from bam_jax.report import write as report
from tests.outcomes import GLUE, ODD, read, record, results, three


def shown(results, width=80):
  console = rich.console.Console(
    file=io.StringIO(), width=width, color_system=None
  )
  console.print(report.table(results))
  return console.file.getvalue()


def test_main_table_is_exactly_this():
  text = report.markdown(three())
  table = text.split("\n\n")[1]
  assert table == (
    "| Method | Trials | Avg | RTE | STS-B |\n"
    "| :-- | --: | --: | --: | --: |\n"
    "| Single | 3 | 73.0 ± 0.8 | 61.0 ± 1.5 | **85.0** ± 0.0 |\n"
    "| Multi | 3 | 76.5 ± 0.9 | 70.0 ± 1.7 | 80.0 ± 1.7 |\n"
    "| Single→Multi | 3 | **78.0** ± 1.0 | **71.0** ± 3.0 | **85.0** ± 1.0 |"
  ), "a golden table; change it only with the format of the report"


def test_gains_are_what_the_reader_subtracts():
  found, _ = read(report.markdown(three()).split("## Gains")[1])
  assert found[0] == [
    ["Method", "Avg", "RTE", "STS-B"],
    ["Multi", "+3.5", "+9.0", "-5.0"],
    ["Single→Multi", "+5.0", "+10.0", "+0.0"],
  ]


def test_one_trial_warns_and_shows_no_spread():
  one, many = three(trials=1), three()
  for written in (report.markdown, shown):
    assert "a single run proves nothing" in " ".join(written(one).split())
    assert "a single run proves nothing" not in written(many)
  assert "60.0 ±" not in report.markdown(one)
  assert "## Tests" not in report.markdown(one)
  assert "too few to test" in report.markdown(three(trials=2))


def test_three_trials_say_that_no_exact_test_can_tell():
  text = report.markdown(three())
  assert "all 9 tests" in text
  assert "no exact test of trials that share their seeds can have a p" in text
  assert "below 0.250, nor below 1.000 when corrected: what is bold" in text
  assert "With fewer than 6 trials" in text
  # Nine trials a side that never overlap leave no such doubt.
  far = results(
    {
      "single": {"rte": record(*range(9))},
      "multi": {"rte": record(*range(20, 28), 29)},
    }
  )
  text = report.markdown(far)
  assert "**+20.0 (&lt;0.001)**" in text
  assert "can have a p" not in text
  assert "With fewer than" not in text


def test_tests_come_from_the_file_and_not_from_elsewhere():
  test = {"a": "multi", "b": "single", "task": "rte", "test": "other-test"}
  found = three() | {"tests": [test | {"p": 0.01, "p_holm": 0.0421}]}
  assert "| Multi over Single | **+9.0 (0.042)** |" in report.markdown(found)
  assert "other-test" in report.markdown(found)
  found["tests"][0]["a"] = "gone"
  with pytest.raises(ValueError, match="tests gone against single on rte"):
    report.markdown(found)


def test_published_numbers_stand_apart():
  text = report.markdown(three())
  ours, theirs = text.split("## Published numbers, not ours")
  assert "BERT-Large" in theirs
  assert "82.8" not in ours
  published = read(theirs)[0][0]
  # The paper's average is over tasks that were not run here.
  assert published[0] == ["Published", "RTE", "STS-B"]
  assert published[-1] == ["Single→Multi", "82.8", "89.7"]


def test_published_average_needs_all_eight_tasks():
  full = results({"single": {task: record(50.0) for task in GLUE}})
  row = tables.published(full)["multi->multi"]
  assert list(row) == ["average", *GLUE]
  assert row["average"] == 85.6


@pytest.mark.parametrize("changes", [{"split": "holdout"}, {}])
def test_published_numbers_keep_away_from_what_they_do_not_fit(changes):
  tasks = {"rte": record(50.0)} | ({} if changes else {"mine": record(1.0)})
  text = report.markdown(results({"single": tasks}, **changes))
  assert "Published" not in text
  assert ("not on dev" in text) == bool(changes)


def test_published_rows_agree_with_their_own_average():
  for scores in tables.PUBLISHED.values():
    # Medians of averages, so they need not agree to the last digit.
    assert np.mean(scores[1:]) == pytest.approx(scores[0], abs=0.16)


def test_mismatched_dev_set_is_a_detail():
  both = {"accuracy": [76.0], "validation_mismatched/accuracy": [77.7]}
  mnli = record(76.0, all=both)
  text = report.markdown(results({"single": {"mnli": mnli}}))
  table, details = text.split("## Every metric")
  assert "77.7" not in table
  assert "MNLI is validation_matched" in table
  assert "| MNLI | accuracy (validation_mismatched) | – | 77.7 |" in details


def test_notes_say_how_the_numbers_came_about():
  found = results(
    {"single": {"wnli": record(50.0), "cola": record(3.0, metric="matthews")}},
    seconds={"single-cola": [3600.0, 60.0], "single-wnli": [59.6]},
    settings={
      "single": {"epochs": 3.0, "rate": 5e-05},
      "multi": {"epochs": 6.0},
      "encoder_layers": 2,
      "encoder_every": 3,
      "max_steps": 40,
      "data": {"glue_dir": "glue"},
    },
    device={"kind": "cpu", "count": 2, "jax": "0.10.2"},
  )
  lines = list(notes.reading(found))
  for line in (
    "Metrics: accuracy for WNLI; matthews for CoLA",
    "WNLI does not count in Avg.",
    "Encoder: some/encoder, one layer in 3, its first 2 layers",
    "Data: GLUE from glue",
    "Single: epochs 3.0, rate 5e-05",
    "Every run was capped at 40 steps.",
    "Trials: 1 (seeds 0)",
    "Training time: 1 h 02 min for 3 models",
    "Device of the last command: 2 x cpu, jax 0.10.2",
    "Commit: 0123abc",
  ):
    assert line in lines
  # No method here trains a multi-task model.
  assert not [line for line in lines if line.startswith("Multi")]


def test_odd_text_breaks_neither_markdown_nor_terminal():
  odd = {
    method: {task: record(60.0, 61.0, 62.0) for task in (ODD, "rte")}
    for method in ("single", ODD)
  }
  device = {"kind": ODD, "count": 1, "jax": "[red]x"}
  found = results(odd, encoder=ODD, data=ODD, commit=ODD, device=device)
  parsed, kinds = read(report.markdown(found))
  name = "A" + " ".join(ODD.split())[1:]
  assert [len({len(row) for row in table}) for table in parsed] == [1] * 6
  for table in parsed[:3]:
    assert name in {row[0].split(" over ")[0] for row in table}
  for table in parsed[3:5]:
    assert name in {row[1].split(" over ")[0] for row in table}
  assert not kinds & {"html_inline", "html_block", "em_open", "link_open"}
  assert not kinds & {"code_inline", "s_open", "fence"}
  assert "[red]" in shown(
    results({"[red]x": {"[b]": record(1.0)}, "single": {"[b]": record(1.0)}})
  )
  # Half a formula, which a picture must not try to set.
  plots.strips({ODD: {"$odd_{$": [1.0, 2.0]}, "$x_{$": {"$odd_{$": [1.0]}})


def test_escaping_leaves_paths_readable():
  assert markdown.escape("my_models/mini_lm") == "my_models/mini_lm"


def test_nine_tasks_fit_a_terminal_of_80_columns():
  methods = ("single", "single->multi->single->multi", "single->multi+finetune")
  tasks = {task: record(70.04, 81.16, 93.3) for task in GLUE}
  tasks["wnli"] = record(70.0, 81.2, 93.3)
  text = shown(results(dict.fromkeys(methods, tasks)))
  assert "…" not in text
  assert text.count("81.2") == 3 * 10
  assert text.count("±12") == 3 * 10
  assert max(map(len, text.splitlines())) <= 80


def test_missing_scores_are_a_dash_and_never_the_best():
  found = results(
    {
      "single": {"rte": record(60.0, None), "cola": record(30.0, 31.0)},
      "multi": {"rte": record(50.0, 51.0)},
      "multi->multi": {},
    }
  )
  table = read(report.markdown(found))[0][0]
  assert table[1:] == [
    ["Single", "2", "–", "–", "30.5 ± 0.7"],
    ["Multi", "2", "–", "50.5 ± 0.7", "–"],
  ]


def test_no_scores_at_all_is_said():
  for methods in ({}, {"single": {}}):
    with pytest.raises(ValueError, match="no scores yet"):
      report.markdown(results(methods))


def test_picture_is_the_same_for_the_same_scores():
  panels = {"RTE": {"Single": [60.0, 61.0], "Multi": []}}
  png = plots.strips(panels)
  assert png.startswith(b"\x89PNG")
  assert plots.strips(panels) == png
  assert plots.strips({"RTE": {"Single": [60.0, 62.0], "Multi": []}}) != png


def test_write_leaves_the_old_report_when_it_fails(tmp_path, monkeypatch):
  path = report.write(three(), tmp_path)
  assert path == tmp_path / "report/report.md"
  assert path.read_text() == report.markdown(three())
  kept = sorted(path.parent.iterdir())
  before = [file.read_bytes() for file in kept]

  def fail(*_):
    raise OSError("disk full")

  for module, name in ((plots, "strips"), (os, "replace")):
    with monkeypatch.context() as patch:
      patch.setattr(module, name, fail)
      with pytest.raises(OSError, match="disk full"):
        report.write(three(trials=1), tmp_path)
    assert [file.read_bytes() for file in kept] == before
  report.write(three(trials=1), tmp_path)
  names = {file.name for file in path.parent.iterdir()}
  # One trial has no tests.
  assert names == {file.name for file in kept} - {
    *("table_tests.tex", "table_differences.tex"),
  }


def test_command_writes_the_report_and_prints_the_table(tmp_path, capsys):
  (tmp_path / "results.json").write_text(json.dumps(three()))
  assert command.main([f"--workdir={tmp_path}"]) == 0
  assert "Single→Multi" in capsys.readouterr().out
  assert (tmp_path / "report/report.md").read_text() == report.markdown(three())


@pytest.mark.parametrize(
  ("text", "message"),
  [
    (None, "train first"),
    ("{", "is not JSON"),
    ("[]", "schema None"),
    ('{"schema": 2}', "schema 2 and 1 is read here"),
    ('{"schema": 1, "methods": {}}', "no scores yet"),
  ],
)
def test_bad_results_are_one_sentence_and_no_report(
  tmp_path, capsys, text, message
):
  if text is not None:
    (tmp_path / "results.json").write_text(text)
  assert command.main([f"--workdir={tmp_path}"]) == 2
  error = capsys.readouterr().err
  assert message in error
  assert error.count("\n") == 1
  assert not (tmp_path / "report").exists()
