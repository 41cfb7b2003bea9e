"""Several judges of a row: where they say it, what they say together."""

import json
import re

import numpy as np
import pytest
import scipy.special

from bam_jax.data.sources import readers
from bam_jax.tasks import own as own_tasks

GPT = {"columns": ["a", "b", "c"], "weight": 2}
CLAUDE = {"file": "claude.jsonl"}
# Texts, gold, gpt's three probabilities; one without gold, one without gpt.
ROWS = """\
text,label,a,b,c
one,cat,0.8,0.1,0.1
two,dog,0.2,0.7,0.1
three,,0.1,0.1,0.8
four,owl,,,
five,owl,0.6,0.2,0.2
six,cat,NaN,nan,
"""
SAID = {0: [0.5, 0.25, 0.25], 2: [0.3, 0.5, 0.2], 3: [0.1, 0.2, 0.7]}


def read(folder, rows=ROWS, said=SAID, split="train", **changes):
  (folder / "a.csv").write_text(rows)
  (folder / "claude.jsonl").write_text(
    "".join(
      json.dumps({"index": i, "probs": p}) + "\n" for i, p in said.items()
    )
  )
  entry = {
    "train": "a.csv",
    "dev": "a.csv",
    "text": "text",
    "label": "label",
    "labels": ["cat", "dog", "owl"],
    "metric": "accuracy",
    "judges": {"gpt": GPT, "claude": CLAUDE},
  } | changes
  entry = {key: value for key, value in entry.items() if value is not None}
  task = own_tasks.table({"pets": entry}, folder / "my.toml")["pets"]
  return readers.load(task, split, glue_dir="", seed=0)


def test_judges_are_averaged_by_weight_and_may_be_silent(tmp_path, caplog):
  found = read(tmp_path)
  assert found.texts[0] == ["one", "two", "three", "four", "five", "six"]
  np.testing.assert_allclose(
    scipy.special.softmax(found.soft, -1)[:5],
    [
      [(2 * 0.8 + 0.5) / 3, (0.2 + 0.25) / 3, (0.2 + 0.25) / 3],
      [0.2, 0.7, 0.1],
      [(0.2 + 0.3) / 3, (0.2 + 0.5) / 3, (1.6 + 0.2) / 3],
      SAID[3],
      [0.6, 0.2, 0.2],
    ],
    rtol=1e-5,
  )
  # Nobody has judged the last one; its gold label is left.
  assert np.isnan(found.soft[5]).all() and found.labels[5] == 0
  np.testing.assert_allclose(found.agreed, [1, 1, 0.5, 1, 1, 0])
  said = caplog.text
  # Gold of one, two and five against gpt; of claude two rows are too few.
  assert "judge gpt has judged 4 of 6 rows of" in said
  assert "accuracy 66.7 on 3 rows with a label" in said
  assert "judge claude has judged 3 of 6 rows of" in said
  assert said.count("accuracy") == 1


def test_two_judges_are_held_against_each_other(tmp_path, caplog):
  read(tmp_path, said={**SAID, 1: [0.1, 0.8, 0.1]})
  assert "judges claude and gpt agree on 66.7% of the 3 rows" in caplog.text


def test_a_row_without_gold_and_judge_is_left_out(tmp_path, caplog):
  found = read(tmp_path, ROWS + "seven,,,,\n")
  assert len(found) == 6
  assert "leaves out 1 rows of" in caplog.text


def test_what_judges_say_is_part_of_the_fingerprint(tmp_path):
  one = read(tmp_path)
  other = read(tmp_path, said=SAID | {0: [0.25, 0.5, 0.25]})
  assert one.fingerprint != other.fingerprint
  # Dev is scored by its labels, whoever judges.
  gold = "".join(row for row in ROWS.splitlines(True) if "three" not in row)
  assert read(tmp_path, gold, split="validation").soft is None


def test_one_judge_alone_may_be_silent_too(tmp_path):
  found = read(tmp_path, judges={"gpt": GPT})
  assert np.isnan(found.soft).all(1).tolist() == [0, 0, 0, 1, 0, 1]
  assert found.agreed is None


def test_judges_of_numbers_are_scaled_and_have_no_votes(tmp_path):
  rows = "text,label,p\none,1,2\ntwo,5,\nthree,3,4\n"
  said = {0: 4.0, 1: 5.0}
  found = (
    read(
      tmp_path,
      rows,
      {},
      labels=None,
      range=[1, 5],
      metric="pearson",
      judges={"a": {"columns": "p"}, "b": {"file": "b.jsonl"}},
    )
    if (tmp_path / "b.jsonl").write_text(
      "".join(f'{{"index": {i}, "value": {v}}}\n' for i, v in said.items())
    )
    else None
  )
  np.testing.assert_allclose(found.soft.ravel(), [0.5, 1, 0.75])
  assert found.agreed is None


@pytest.mark.parametrize(
  ("rows", "said", "sentence"),
  [
    (
      ROWS.replace("0.8,0.1,0.1", "0.8,,0.1"),
      SAID,
      "line 2, columns 'a', 'b', 'c': ['0.8', '', '0.1'] is not whole; where"
      " a judge says nothing",
    ),
    (ROWS.replace("0.8,0.1,0.1", "0.8,0.1,x"), SAID, "'x' is neither a number"),
    (ROWS.replace("0.8,0.1,0.1", "0.8,0.8,0.1"), SAID, "which sum to 1.7"),
    (
      ROWS,
      {0: {"cat": 1, "dog": 0, "cow": 0}},
      "probs names ['cat', 'dog', 'c",
    ),
    (ROWS, {6: [1, 0, 0]}, "index is 6; pets has the rows 0 to 5"),
    (ROWS, {0: [1, 0]}, "pets needs 3 numbers"),
    (ROWS.replace("a,b,c", "a,b,d"), SAID, "there is no column 'c'"),
  ],
)
def test_what_no_judge_may_say_is_refused_with_its_place(
  tmp_path, rows, said, sentence
):
  with pytest.raises(ValueError, match=re.escape(sentence)):
    read(tmp_path, rows, said)


def test_a_judge_of_a_missing_file_is_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match="no file of soft labels"):
    read(tmp_path, judges={"x": {"file": "gone.jsonl"}})
