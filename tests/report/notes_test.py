"""What a report says of its tables: selection, costs, the command."""

import json
from pathlib import Path
import subprocess
import sys

import pytest

from bam_jax.report import notes, tables
from bam_jax.report import write as report
from tests.outcomes import complete, read, three

ROOT = Path(__file__).resolve().parents[2]


def chosen(by, patience=0, **changes):
  settings = {"select": {"by": by, "patience": patience}, "eval_every": 20}
  return list(notes.selection(three() | {"settings": settings} | changes))


def test_last_step_is_no_selection():
  assert chosen("last") == [
    "Selection: none; the model of the last step, as in the paper."
  ]
  # Nobody knows it of results from before.
  assert list(notes.selection(three())) == []


@pytest.mark.parametrize(
  ("by", "patience", "split", "words"),
  [
    ("average", 0, "dev", "on dev, one every 20 steps, by the mean of the run"),
    ("stsb", 0, "dev", "by STS-B, or the mean of the run's headline scores"),
    ("average", 3, "dev", "ends after 3 evaluations without a gain."),
    ("average", 0, "holdout", "on the held-out part of train, one every"),
  ],
)
def test_selection_says_that_its_rows_give_the_score_too(
  by, patience, split, words
):
  first, second = chosen(by, patience, split=split)
  assert words in first
  assert ("ends after" in first) == bool(patience)
  start = "Dev" if split == "dev" else "The held-out part of train"
  assert second.startswith(
    f"{start} chose the step and gives the score as well"
  )
  found = three() | {
    "split": split,
    "settings": {"select": {"by": by, "patience": patience}, "eval_every": 20},
  }
  assert f"- {second}" in report.markdown(found)


@pytest.mark.parametrize(
  ("average", "said"),
  [
    ("none", None),
    ("swa", "the last 25% of each run's steps (swa)"),
    ("ema", "the last 25% of each run's steps (ema, decay 0.99)"),
  ],
)
def test_the_mean_of_weights_is_said(average, said):
  optim = dict(average=average, average_start=0.75, average_decay=0.99)
  found = three() | {"settings": {"optim": optim}}
  lines = [x for x in notes.reading(found) if x.startswith("Kept weights")]
  assert [*lines] == (
    [f"Kept weights: the mean of those of {said}"] * bool(said)
  )


def test_costs_show_what_is_known_and_no_more():
  found = complete()
  header, *rows = tables.costs(found)
  assert header == ["Run", "Trials", "Step kept", "Seconds a trial"]
  assert rows[0] == ["single.rte", "3", "40", "2.0"]
  found["flops"] = {"single.rte": [2.5e12, 2.5e12, 2.7e12]}
  header, *rows = tables.costs(found)
  assert header[4:] == ["FLOPs a trial"]
  assert [row[4] for row in rows[:2]] == ["2.50e+12", "–"]


def test_schedules_and_curves_say_whose_they_are():
  text = report.markdown(complete())
  assert "(single: single.rte, 3 steps, multi: multi.x, 3 steps)" in text
  assert "The rate is that of the heads" in text
  assert "Scores are of evaluations every 20 steps." in text
  for name in ("curves", "losses", "schedules", "gains"):
    assert f"]({name}.png)" in text


def test_a_command_is_typed_as_it_was_whatever_is_in_it():
  command = "python -m x '```' '--config.tasks=a|b_c'"
  text = report.markdown(complete() | {"command": command})
  assert f"\n````sh\n{command}\n````\n" in text
  kinds = read(text)[1]
  assert "fence" in kinds
  assert "html_inline" not in kinds
  # Old results have none.
  assert "How to make it again" not in report.markdown(three())


def test_every_file_of_the_report_is_known_as_its_own(tmp_path):
  report.write(complete(), tmp_path)
  names = {path.name for path in (tmp_path / "report").iterdir()}
  assert names - {"report.md", "report.html"} <= report.OWN
  mine = tmp_path / "report/mine.png"
  mine.write_bytes(b"")
  report.write(three(trials=1), tmp_path)
  assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
    *("gains.png", "mine.png", "report.html", "report.md", "scores.png"),
    *("table_gains.tex", "table_metrics.tex", "table_published.tex"),
    *("table_scores.tex", "table_spread.tex"),
  ]


def test_the_whole_report_is_made_without_jax(tmp_path):
  (tmp_path / "results.json").write_text(json.dumps(complete()))
  code = (
    "import sys\n"
    "from bam_jax.report import __main__ as report\n"
    f"code = report.main(['--workdir={tmp_path}'])\n"
    "sys.exit(code or 'jax' in sys.modules)"
  )
  ran = subprocess.run(
    [sys.executable, "-c", code],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert ran.returncode == 0, ran.stderr
  report.write(complete(), tmp_path / "again")
  for path in (tmp_path / "again/report").iterdir():
    assert (tmp_path / "report" / path.name).read_bytes() == path.read_bytes()


def test_what_the_encoder_reads_is_a_table_and_much_unread_a_warning(tmp_path):
  report.write(complete(), tmp_path)
  text = (tmp_path / "report/report.md").read_text()
  part = text.split("What the encoder reads")[1].split("##")[0]
  assert "7% of the tokens of RTE" in part and "12% of RTE" in part
  assert "are cut at 128 tokens; raise" in part
  tables, _ = read(part)
  assert tables[0][1:] == [
    ["RTE", "train", "2,490", "7.1%", "12.3%", "0"],
    ["RTE", "validation", "277", "0.1%", "–", "3"],
  ]
