"""The rows of a table: the same texts for all tasks, labels with gaps."""

import csv
import json

import numpy as np
import pytest

from bam_jax.data import limits
from bam_jax.data.holdout import hold_out
from bam_jax.data.sources import own as own_files
from bam_jax.tasks import own as own_tasks
from tests.tasks.wide_test import WIDE

ROWS = [
  ("Too dear, you fool.", "price", "rude", 2),
  ("Nobody came.", "service", "urgent|rude", ""),
  ("It is blue.", "other", "", 3),
  ("What does it cost?", "", "", ""),
  ("Come today!", "service", "urgent", 4.5),
  ("Fine.", "-", "", 5),
  ("Fine.", "other", "", 4),
  ("Thank you.", "", "", 5),
]


def table(tmp_path, text=WIDE, rows=ROWS):
  with (tmp_path / "texts.csv").open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["review", "topic", "marks", "score"])
    writer.writerows(rows)
  path = tmp_path / "wide.toml"
  path.write_text(text.replace("other", "other", 1), "utf-8")
  return own_tasks.table(own_tasks.read(path), path)


def ignoring(text=WIDE):
  labels = 'labels = ["price", "service", "other"]'
  return text.replace(labels, f'{labels}\nignore = ["-"]')


def test_all_tasks_of_a_table_have_all_of_its_texts(tmp_path, caplog):
  tasks = table(tmp_path, ignoring())
  splits = {
    split: [own_files.read(task, split) for task in tasks.values()]
    for split in ("train", "validation")
  }
  texts = [each.texts[0] for each in splits["train"]]
  assert texts[0] == texts[1] == texts[2]
  # Kept once, whichever task has read them.
  assert all(a is b for a, b in zip(*texts[:2], strict=True))
  both = [*texts[0], *splits["validation"][0].texts[0]]
  assert sorted(both) == sorted(row[0] for row in ROWS)
  # Equal texts are on one side, for all tasks.
  assert not {*texts[0]} & {*splits["validation"][0].texts[0]}
  said = {
    name: dict(zip(texts[0], each.labels, strict=True))
    for name, each in zip(tasks, splits["train"], strict=True)
  }
  for text, topic, marks, score in ROWS:
    if text not in said["topic"] or text == "Fine.":
      continue
    want = {"price": 0, "service": 1, "other": 2}.get(topic, np.nan)
    np.testing.assert_equal(said["topic"][text], np.float32(want))
    flags = [float(flag in marks) for flag in ("rude", "urgent")]
    np.testing.assert_equal(said["flags"][text], np.float32(flags))
    want = np.nan if score == "" else (score - 1) / 4
    np.testing.assert_equal(said["score"][text], np.float32(want))
  assert "topic: 3 of the 8 rows" in caplog.text


def some(row: int) -> list[tuple]:
  """Returns rows of which one has a score."""
  return [
    (text, "price", marks, 3 if n == row else "")
    for n, (text, _, marks, _) in enumerate(ROWS)
  ]


@pytest.mark.parametrize(
  ("text", "rows", "said"),
  [
    # A label that is none is refused as it is anywhere.
    (WIDE, ROWS, "line 7, column 'topic': topic has no label '-'"),
    (ignoring(), some(-1), "no row of .* has a label, and dev of score"),
    (ignoring(), some(2), r"none of the \d rows .* has a label of score"),
    (ignoring(), some(4), r"none of the \d rows .* has a label of score"),
    (ignoring(), [], "holds no rows"),
  ],
)
def test_columns_without_labels_are_refused(tmp_path, text, rows, said):
  tasks = table(tmp_path, text, rows)

  def read():
    for task in tasks.values():
      own_files.read(task, "train")
      own_files.read(task, "validation")

  with pytest.raises(ValueError, match=said):
    read()


def test_a_column_that_is_not_there_is_refused(tmp_path):
  text = ignoring().replace('"marks"', '"flags"')
  with pytest.raises(ValueError, match="flags"):
    own_files.read(table(tmp_path, text)["flags"], "train")


def test_a_table_is_held_out_by_its_texts(tmp_path):
  tasks = table(tmp_path, ignoring())
  texts = [[f"text {n}" for n in range(40)]]
  masks = [hold_out(task, texts, 0.25).mask for task in tasks.values()]
  np.testing.assert_array_equal(masks[0], masks[1])
  np.testing.assert_array_equal(masks[0], masks[2])


def test_a_table_has_one_limit(tmp_path):
  tasks = [*table(tmp_path, ignoring()).values()]
  limits.check_tables("data.limit", {task.name: 5 for task in tasks}, tasks)
  with pytest.raises(ValueError, match="topic, flags, score label the texts"):
    limits.check_tables("data.limit", {"topic": 5}, tasks)


def test_soft_columns_may_be_empty_in_a_table(tmp_path):
  text = ignoring().replace(
    "range = [1, 5]", 'range = [1, 5]\nsoft_columns = ["guess"]'
  )
  rows = [(*row, guess) for row, guess in zip(ROWS, "3 24 51 ", strict=False)]
  with (tmp_path / "texts.csv").open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["review", "topic", "marks", "score", "guess"])
    writer.writerows(
      (*row[:4], row[4].strip()) for row in [*rows, (*ROWS[-1], "")]
    )
  (tmp_path / "wide.toml").write_text(text)
  path = tmp_path / "wide.toml"
  task = own_tasks.table(own_tasks.read(path), path)["score"]
  train = own_files.read(task, "train")
  told = dict(zip(train.texts[0], train.soft[:, 0], strict=True))
  guesses = {row[0]: row[4].strip() for row in rows}
  for text, value in told.items():
    if text != "Fine." and text in guesses:
      want = (float(guesses[text]) - 1) / 4 if guesses[text] else np.nan
      np.testing.assert_allclose(value, want, rtol=1e-6)


def sparse(tmp_path, names=("review", "topic", "marks", "score")):
  """The same rows as objects that name what they have a label of."""
  tasks = table(tmp_path, ignoring().replace("texts.csv", "texts.jsonl"))
  lines = [
    {
      name: cell
      for name, cell in zip(names, row, strict=True)
      # Of several labels none may hold, which is to be said.
      if cell != "" or name == "marks"
    }
    for row in ROWS
  ]
  text = "\n".join(map(json.dumps, lines)) + "\n"
  (tmp_path / "texts.jsonl").write_text(text, "utf-8")
  return tasks


def test_an_object_need_not_name_what_it_has_no_label_of(tmp_path):
  (tmp_path / "a").mkdir()
  (tmp_path / "b").mkdir()
  want = table(tmp_path / "a", ignoring())
  for name, task in sparse(tmp_path / "b").items():
    mine, theirs = (
      own_files.read(each, "train") for each in (task, want[name])
    )
    assert mine.texts == theirs.texts
    np.testing.assert_array_equal(mine.labels, theirs.labels)


def test_a_column_that_no_object_names_is_misspelt(tmp_path):
  task = sparse(tmp_path, ("review", "topik", "marks", "score"))["topic"]
  with pytest.raises(
    ValueError, match=r"'topic', only .*; did you mean 'topik'"
  ):
    own_files.read(task, "train")
