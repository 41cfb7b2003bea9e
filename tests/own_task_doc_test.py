"""The shell lines of the pages on tasks of one's own, as pasted."""

import json
import os
from pathlib import Path
import re
import subprocess
import sys

import pytest

# Two commands that start, compile and train: 40 s of two cores.
pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent


def pasted(name: str) -> list[str]:
  """Returns the shell blocks of a page, in order."""
  page = (ROOT / "docs" / name).read_text("utf-8")
  return re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def readme() -> str:
  """Returns the README's block on data of one's own."""
  page = (
    (ROOT / "README.md").read_text("utf-8").partition("## Your own data")[2]
  )
  return re.search(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
  """A folder where every block was pasted."""
  folder = tmp_path_factory.mktemp("user")
  # A shell that has this Python as its `python`.
  (folder / "bin").mkdir()
  (folder / "bin" / "python").symlink_to(sys.executable)
  environment = os.environ | {
    # They train for longer than they compile.
    "XLA_FLAGS": "",
    "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
    "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
  }
  (folder / "readme").mkdir()
  kinds = ("tagging", "span", "ranking", "calibration")
  blocks = [(folder, block) for block in pasted("own-task.md")]
  for kind in kinds:
    (folder / kind).mkdir()
    blocks += [(folder / kind, block) for block in pasted(f"{kind}.md")]
  data = "cp ../pairs.csv .\n"
  said = {}
  for place, block in [*blocks, (folder / "readme", data + readme())]:
    ran = subprocess.run(
      ["bash", "-euc", block],
      cwd=place,
      env=environment,
      capture_output=True,
      text=True,
      check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said[place.name] = said.get(place.name, "") + ran.stdout
  for kind in kinds:
    (folder / kind / "said").write_text(said[kind])
  return folder


def results(folder: Path, workdir: str) -> dict:
  return json.loads((folder / workdir / "results.json").read_text())


def test_the_first_block_trains_and_scores_three_methods(folder):
  found = results(folder, "W")["methods"]
  assert list(found) == ["single", "multi", "single->multi"]
  for records in found.values():
    assert list(records) == ["answers"]
    assert records["answers"]["metric"] == "accuracy"
    assert records["answers"]["examples"] == 2


def test_the_second_block_trains_a_student_and_no_teacher(folder):
  assert list(results(folder, "W3")["methods"]) == ["single->multi"]
  runs = [path.name for path in (folder / "W3" / "runs").iterdir()]
  assert runs == ["single-to-multi.reviews"]
  assert not (folder / "W3" / "data" / "teachers").exists()


def test_several_judges_teach_by_weight_and_texts_without_labels_too(folder):
  assert list(results(folder, "W4")["methods"]) == ["single->multi"]
  found = results(folder, "W5")
  assert list(found["methods"]) == ["single", "single->multi"]
  train = found["coverage"]["reviews"]["train"]
  # One of the five texts stands in dev.
  assert (train["rows"], train["unlabelled"]) == (8, 4)


def test_the_report_says_where_rows_and_dev_come_from(folder):
  report = (folder / "W" / "report" / "report.md").read_text("utf-8")
  assert "answers from my_tasks.toml" in report
  assert "dev of answers is 0.25 of its train file, held out" in report


def test_the_readme_trains_exports_and_answers_in_twelve_lines(folder):
  assert len(readme().splitlines()) <= 12
  lines = (folder / "readme" / "answers.jsonl").read_text().splitlines()
  answers = [json.loads(line) for line in lines]
  assert len(answers) == 8
  for answer in answers:
    assert answer["label"] in ("no", "yes")
    assert set(answer["probabilities"]) == {"no", "yes"}
  made = json.loads((folder / "readme" / "model" / "config.json").read_text())
  assert made["id2label"] == {"0": "no", "1": "yes"}


def test_words_are_tagged_and_found_in_the_raw_text(folder):
  found = results(folder / "tagging", "W")["methods"]["single"]["names"]
  assert (found["metric"], found["examples"]) == ("f1", 2)
  said = (folder / "tagging" / "said").read_text().strip().splitlines()
  (spans,) = json.loads(said[-1]).values()
  for span in spans:
    assert "Ann met Oslo."[span["start"] : span["end"]] == span["text"]


def test_a_question_is_answered_by_a_part_of_its_raw_context(folder):
  found = results(folder / "span", "W")["methods"]["single"]["places"]
  assert (found["metric"], found["examples"]) == ("f1", 3)
  assert set(found["all"]) == {"f1", "exact_match"}
  said = (folder / "span" / "said").read_text().strip().splitlines()
  answer = json.loads(said[-1])
  assert set(answer) == {"start", "end", "text", "probability"}
  if answer["start"] is not None:
    part = "Kim slept in Rome."[answer["start"] : answer["end"]]
    assert part == answer["text"]


def test_candidates_are_ranked(folder):
  found = results(folder / "ranking", "W")["methods"]["single->multi"]
  record = found["answers"]
  assert (record["metric"], record["examples"]) == ("mrr", 3)
  said = (folder / "ranking" / "said").read_text().strip().splitlines()
  (best, *_) = json.loads(said[-1])["candidates"]
  assert best["rank"] == 1 and best["probability"] > 1 / 3


def test_a_calibrated_model_says_or_abstains(folder):
  found = results(folder / "calibration", "W")["calibration"]["single"]["mail"]
  assert found["fitted"]["thresholds"]["labels"] == ["billing", "bug"]
  said = (folder / "calibration" / "said").read_text().strip().splitlines()
  for record in map(json.loads, said[-2:]):
    assert set(record["probabilities"]) == {"billing", "bug"}
    assert (record["labels"] is None) == record.get("abstained", False)
