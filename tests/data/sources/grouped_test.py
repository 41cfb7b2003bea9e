"""Rows with candidates: every file says the same, or one sentence."""

import json

import numpy as np
import pyarrow as pa
from pyarrow import parquet
import pytest

from bam_jax.data.holdout import hold_out
from bam_jax.data.sources import candidates
from bam_jax.data.sources import own as own_files
from bam_jax.tasks import own as own_tasks

ROWS = [
  {"q": "who?", "c": ["Ann", "the dog", "no"], "r": [1, 0, 0.5]},
  {"q": "where?", "c": ["here", "Oslo, in May"], "r": [0, 2]},
]
CHOICES = [{**row, "r": right} for row, right in zip(ROWS, (2, 0), strict=True)]


def lines(rows) -> str:
  return "".join(json.dumps(row) + "\n" for row in rows)


def commas(rows) -> str:
  def cell(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return '"' + text.replace('"', '""') + '"'

  body = [",".join(cell(row[key]) for key in "qcr") for row in rows]
  return "\n".join(["q,c,r", *body]) + "\n"


def read(task, split="train"):
  return own_files.READERS["question candidates"](task, split)


def parquet_of(rows):
  return lambda path: parquet.write_table(pa.Table.from_pylist(rows), path)


def table(tmp_path, data, name="train.jsonl", **keys):
  """Writes a train file; returns the task."""
  if callable(data):
    data(tmp_path / name)
  else:
    (tmp_path / name).write_text(data)
  given = dict(
    kind="ranking",
    train=name,
    dev=name,
    text=["q", "c"],
    label="r",
    metric="accuracy",
  )
  path = tmp_path / "rank.toml"
  given = {k: v for k, v in (given | keys).items() if v is not None}
  found = own_files.complete({"answers": given}, path)
  return own_tasks.table(found, path)["answers"]


@pytest.mark.parametrize(
  ("name", "data"),
  [
    ("a.jsonl", lines(ROWS)),
    ("a.json", json.dumps(ROWS)),
    ("a.csv", commas(ROWS)),
    (
      "a.parquet",
      parquet_of([{**r, "r": [*map(float, r["r"])]} for r in ROWS]),
    ),
  ],
)
def test_files_of_every_format_say_the_same(tmp_path, name, data):
  found = read(table(tmp_path, data, name))
  assert found.texts[0] == ["who?", "where?"]
  questions, texts = candidates.apart(found.texts, found.words)
  assert questions == ["who?"] * 3 + ["where?"] * 2
  assert texts == ROWS[0]["c"] + ROWS[1]["c"]
  assert found.labels.tolist() == [1, 0, 0.5, 0, 2]
  # Every bound between candidates is part of the digest.
  other = json.loads(json.dumps(ROWS))
  other[0]["c"] = ["Ann the", "dog", "no"]
  moved = read(table(tmp_path, lines(other)))
  assert moved.fingerprint != found.fingerprint


@pytest.mark.parametrize(
  ("name", "rows", "made"),
  [
    ("a.jsonl", CHOICES, lines),
    ("a.csv", CHOICES, commas),
    ("a.jsonl", [{**ROWS[0], "r": "no"}, {**ROWS[1], "r": "here"}], lines),
    ("a.csv", [{**ROWS[0], "r": "no"}, {**ROWS[1], "r": "0"}], commas),
  ],
)
def test_the_right_one_is_told_by_its_place_or_its_text(
  tmp_path, name, rows, made
):
  task = table(tmp_path, made(rows), name, kind="choice")
  found = read(task)
  assert found.labels.tolist() == [0, 0, 1, 1, 0]


WRONG = (
  # id, kind, what the second row has, what is said
  ("no-list", "ranking", {"c": "here"}, "'here' is no list of candidates"),
  ("one", "ranking", {"c": ["x"], "r": [1]}, "the row has 1 candidate, and"),
  ("none", "ranking", {"c": [], "r": []}, "the row has no candidates, and"),
  ("number", "ranking", {"c": ["x", 3]}, "candidate 2: 3 is not text"),
  ("empty", "ranking", {"c": ["x", " "]}, "candidate 2 is empty; take it out"),
  ("question", "ranking", {"q": 5}, "column 'q': 5 is not text"),
  ("relevance", "ranking", {"r": 1}, "1 is no list; each candidate has"),
  ("fewer", "ranking", {"r": [1]}, "1 numbers for 2 candidates"),
  ("negative", "ranking", {"r": [1, -1]}, "candidate 2: -1 is no relevance"),
  ("word", "ranking", {"r": ["yes", 1]}, "candidate 1: 'yes' is no relevance"),
  ("nan", "ranking", {"r": [1, float("nan")]}, "2: nan is no relevance"),
  ("null", "ranking", {"r": [1, None]}, "candidate 2: None is no relevance"),
  ("no-positive", "ranking", {"r": [0, 0]}, "no candidate of this question is"),
  ("outside", "choice", {"r": 2}, "2 is none of the candidates; it is the pl"),
  ("below", "choice", {"r": -1}, "-1 is none of the candidates; it is the"),
  ("text", "choice", {"r": "her"}, "did you mean 'here'? it is the place of"),
  ("two", "choice", {"r": [0, 1]}, "is a list; of a choice one candidate is"),
  ("same", "choice", {"c": ["x", "x"], "r": "x"}, "may be candidate 0 or 1"),
  ("both", "choice", {"c": ["1", "x"], "r": "1"}, "may be candidate 0 or 1"),
  ("half", "choice", {"r": 0.5}, "0.5 is none of the candidates; it is the"),
)


@pytest.mark.parametrize(
  ("kind", "row", "said"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG]
)
def test_a_wrong_row_is_told_with_its_place(tmp_path, kind, row, said):
  first = ROWS[0] if kind == "ranking" else CHOICES[0]
  data = lines([first, {**ROWS[1], **row}])
  task = table(tmp_path, data, kind=kind)
  with pytest.raises(ValueError, match=r"train\.jsonl line 2") as error:
    read(task)
  assert said in str(error.value)


def test_a_column_that_is_not_there(tmp_path):
  task = table(tmp_path, lines(ROWS), text=["q", "cs"])
  with pytest.raises(ValueError, match="has no column 'cs', only"):
    read(task)


@pytest.mark.parametrize(
  ("keys", "said"),
  [
    ({"text": "q"}, "takes the columns of question and candidates"),
    ({"text": ["q", "r"]}, "takes one or two text columns, none of them label"),
    ({"labels": ["a", "b"]}, "is for tasks of other kinds than ranking"),
    ({"soft_columns": "s"}, "is for tasks of other kinds than ranking"),
    ({"soft_labels": "s"}, "is for tasks of other kinds than ranking"),
    ({"symmetric": True}, "is for tasks of other kinds than ranking"),
    ({"format": "conll"}, "is none of kind ranking"),
    ({"metric": "f1"}, "it is one of mrr, map, ndcg, accuracy"),
    ({"kind": "choice", "metric": "mrr"}, "it is one of accuracy"),
    ({"dev": None, "dev_share": 0.1}, "makes 0 of the 2 rows of"),
  ],
)
def test_a_tasks_file_that_cannot_be(tmp_path, keys, said):
  with pytest.raises(ValueError, match=r"rank\.toml") as error:
    read(table(tmp_path, lines(ROWS), **keys))
  assert said in str(error.value)


def test_all_rows_of_a_question_are_on_one_side(tmp_path):
  rows = [
    {"q": f"what {n // 3}?", "c": ["a", "b" * (n + 1)], "r": [0, 1]}
    for n in range(30)
  ]
  task = table(tmp_path, lines(rows), dev_share=0.3, dev=None)
  train, dev = read(task, "train"), read(task, "validation")
  assert not {*train.texts[0]} & {*dev.texts[0]}
  assert len(train) + len(dev) == 30 and len(dev) in (6, 9)
  mask = hold_out(task, train.texts, 0.3).mask
  held = np.array(train.texts[0])
  assert mask.any() and not {*held[mask]} & {*held[~mask]}
