"""Answers as the course CS224N reads them."""

import numpy as np
import pytest

from bam_jax.stages import evaluate
from bam_jax.stats import compare
from bam_jax.tasks import coursework
from bam_jax.tasks.table import TASKS

LOGITS = np.array([[0.1, 0.9, 0, 0, 0, 7], [0, 0, 0, 0.5, 2, 9]])


def test_the_file_is_what_the_courses_code_writes(tmp_path):
  path = tmp_path / "cs224n" / "sst-dev-output.csv"
  coursework.write(path, TASKS["sst5"], LOGITS, ["ab", "cd"])
  expected = b"id \t Predicted_Sentiment \nab , 1 \ncd , 4 \n"
  assert path.read_bytes() == expected
  assert coursework.check(path, TASKS["sst5"], ["ab", "cd"]) == []
  path = tmp_path / "sts-dev-output.csv"
  coursework.write(path, TASKS["sts"], np.array([[0.5], [1.5]]), ["x", "y"])
  expected = b"id \t Predicted_Similiary \nx , 2.500 \ny , 5.000 \n"
  assert path.read_bytes() == expected


def test_answers_of_other_rows_are_not_written(tmp_path):
  path = tmp_path / "sst-test-output.csv"
  with pytest.raises(ValueError, match="2 predictions for the 3 rows of sst-"):
    coursework.write(path, TASKS["sst5"], LOGITS, ["a", "b", "c"])
  assert not path.exists()


def test_what_the_course_would_refuse_is_said(tmp_path):
  path, task = tmp_path / "para-dev-output.csv", TASKS["quora"]
  assert "is missing" in coursework.check(path, task, ["a"])[0]
  path.write_text("id\tanswer\na , 2 \na , 1 \nb 1\nz , 0 \n", "utf-8")
  said = "\n".join(coursework.check(path, task, ["a", "c"]))
  for part in (
    "line 1: the header is",
    "line 4 is no ID , ANSWER",
    "line 3: the id 'a' is there twice",
    "line 2: the answer is '2'; quora has 0, 1",
    "lacks ids, 1 in all: 'c'",
    "has unknown ids, 1 in all: 'z'",
  ):
    assert part in said


@pytest.mark.parametrize(
  ("scores", "overall"),
  # Tables 1, 2 and 6 of "Less is More".
  [
    ((49.5, 85.9, 73.3), 74.0),
    ((51.1, 88.7, 84.1), 77.3),
    ((39.1, 69.5, 31.7), 58.2),
    ((51.1, 88.7, 88.1), 78.0),
  ],
)
def test_the_average_is_the_papers_overall_score(scores, overall):
  by_task = dict(zip(("sst5", "quora", "sts"), scores, strict=True))
  records = {
    name: {"scores": [score], "seeds": [3]} for name, score in by_task.items()
  }
  records["sts"]["counts_as"] = TASKS["sts"].counts_as
  (found,) = compare.average(records, list(records))
  assert found == pytest.approx(overall, abs=0.06)
  # By it the best step is chosen, too.
  assert evaluate.average(TASKS, by_task) == pytest.approx(found)
