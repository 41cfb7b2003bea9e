"""Questions with contexts: every file says the same, or one sentence."""

import csv
import gzip
import io
import json

import pyarrow as pa
from pyarrow import parquet
import pytest

from bam_jax.data.sources import own as own_files
from bam_jax.data.sources import squad
from bam_jax.tasks import own as own_tasks

CONTEXT = "Ann met Lee\u00a0Kim in \U0001f600 Oslo, in 1957."
OTHER = "Snow fell."
ROWS = [
  ("Who met Kim?", CONTEXT, [("Ann", 0)]),
  ("Where?", CONTEXT, [("Oslo", 21), ("in \U0001f600 Oslo", 16)]),
  ("What fell?", OTHER, [("Snow", 0)]),
]
NONE = ("Who fell?", OTHER, [])


def document(rows=ROWS, version="1.1", **entry) -> str:
  """Returns SQuAD's JSON, one article for each context."""
  articles = []
  for context in dict.fromkeys(row[1] for row in rows):
    qas = [
      {
        "id": f"q{number}",
        "question": question,
        "answers": [{"text": t, "answer_start": at} for t, at in answers],
        **({"is_impossible": not answers} if version != "1.1" else {}),
        **entry,
      }
      for number, (question, where, answers) in enumerate(rows)
      if where == context
    ]
    paragraphs = [{"context": context, "qas": qas}]
    articles.append({"title": context[:4], "paragraphs": paragraphs})
  return json.dumps({"version": version, "data": articles})


def nested(rows=ROWS) -> list[dict]:
  """Returns rows as data sets of the hub have them."""
  return [
    {
      "question": question,
      "context": context,
      "answers": {
        "text": [text for text, _ in answers],
        "answer_start": [at for _, at in answers],
      },
    }
    for question, context, answers in rows
  ]


def listed(rows=ROWS) -> list[dict]:
  return [
    {
      **row,
      "answers": [
        {"text": text, "answer_start": at}
        for text, at in zip(*row["answers"].values(), strict=True)
      ],
    }
    for row in nested(rows)
  ]


def flat(rows=ROWS) -> list[dict]:
  """Returns rows of one answer each, its place in a column of its own."""
  return [
    {
      "question": question,
      "context": context,
      "answers": answers[0][0] if answers else "",
      "answers_start": answers[0][1] if answers else None,
    }
    for question, context, answers in rows
  ]


def lines(rows) -> str:
  return "".join(json.dumps(row) + "\n" for row in rows)


def commas(rows) -> str:
  file = io.StringIO()
  writer = csv.DictWriter(file, rows[0])
  writer.writeheader()
  for row in rows:
    cells = {
      k: json.dumps(v) if isinstance(v, dict) else v for k, v in row.items()
    }
    writer.writerow(cells)
  return file.getvalue()


def table_of(rows):
  return lambda path: parquet.write_table(pa.Table.from_pylist(rows), path)


def task_of(tmp_path, data, name="train.json", **keys):
  """Writes a train file; returns the task, its labels filled in."""
  if callable(data):
    data(tmp_path / name)
  else:
    data = data if isinstance(data, bytes) else data.encode()
    (tmp_path / name).write_bytes(data)
  given = {"kind": "span", "train": name, "dev": name, "metric": "f1"}
  if name.startswith("train."):
    given["format"] = "squad"
  else:
    given |= {"text": ["question", "context"], "label": "answers"}
  path = tmp_path / "qa.toml"
  found = own_files.complete({"qa": given | keys}, path)
  return own_tasks.table(found, path)["qa"]


@pytest.mark.parametrize(
  ("name", "data", "golds"),
  [
    ("train.json", document(), "all"),
    ("train.json", document(version="v2.0"), "all"),
    ("train.json.gz", gzip.compress(document().encode(), mtime=0), "all"),
    ("train.json", "\ufeff" + document(), "all"),
    ("rows.jsonl", lines(nested()), "all"),
    ("rows.json", json.dumps(listed()), "all"),
    ("rows.parquet", table_of(nested()), "all"),
    ("rows.parquet", table_of(listed()), "all"),
    ("rows.csv", commas(nested()), "all"),
    ("rows.csv", commas(flat()), "first"),
    ("rows.jsonl", lines(flat()), "first"),
    ("rows.parquet", table_of(flat()), "first"),
  ],
)
def test_whatever_wrote_them_the_questions_are_the_same(
  tmp_path, name, data, golds
):
  task = task_of(tmp_path, data, name)
  assert (task.labels, task.classes) == (("answer",), 2)
  assert task.metrics == ("f1", "exact_match")
  found = own_files.READERS["question context"](task, "train")
  assert found.texts == ([row[0] for row in ROWS], [row[1] for row in ROWS])
  want = [row[2] if golds == "all" else row[2][:1] for row in ROWS]
  assert [[tuple(x) for x in each] for each in found.answers] == want
  for context, each in zip(found.texts[1], found.answers, strict=True):
    assert all(context[at : at + len(text)] == text for text, at in each)
  assert found.labels.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
  ("name", "data"),
  [
    ("train.json", document([*ROWS, NONE], "v2.0")),
    ("rows.jsonl", lines(nested([*ROWS, NONE]))),
    ("rows.jsonl", lines(listed([*ROWS, NONE]))),
    ("rows.csv", commas(flat([*ROWS, NONE]))),
    ("rows.parquet", table_of(flat([*ROWS, NONE]))),
  ],
)
def test_a_question_may_have_no_answer(tmp_path, name, data):
  task = task_of(tmp_path, data, name)
  assert task.labels == ("answer", "none")
  found = squad.read(task, "train")
  assert found.labels.tolist() == [0, 0, 0, 1] and found.answers[3] == []
  part = found.take(found.labels == 1)
  assert part.texts == (["Who fell?"], [OTHER]) and part.answers == [[]]
  assert part.fingerprint != found.fingerprint
  moved = document([("Who met Kim?", CONTEXT, [("Oslo", 21)])])
  other = squad.read(task_of(tmp_path, moved), "train")
  first = squad.read(task_of(tmp_path, document(ROWS[:1])), "train")
  assert other.texts == first.texts
  assert other.fingerprint != first.fingerprint


def test_questions_about_one_text_stay_together(tmp_path):
  rows = [
    (
      f"Where {i}?",
      f"Town {i // 3} is old.",
      [("old", len(f"Town {i // 3} is "))],
    )
    for i in range(30)
  ]
  given = {
    "kind": "span",
    "format": "squad",
    "train": "train.json",
    "dev_share": 0.3,
    "metric": "f1",
  }
  (tmp_path / "train.json").write_text(document(rows))
  path = tmp_path / "qa.toml"
  task = own_tasks.table(own_files.complete({"qa": given}, path), path)["qa"]
  train, dev = (squad.read(task, split) for split in ("train", "validation"))
  assert (len(train), len(dev)) == (21, 9)
  assert not {*train.texts[1]} & {*dev.texts[1]}
  assert task.group == "groups" and len(set(dev.groups)) == 3


def one(**changes) -> str:
  """Returns a document of one question, an entry of it changed."""
  return document(ROWS[:1], **changes)


@pytest.mark.parametrize(
  ("name", "data", "keys", "said"),
  [
    (
      "train.json",
      document([("Who?", CONTEXT, [("Ann", 1)])]),
      {},
      "qas[0] ('Who?'): the answer 'Ann' is not at letter 1 of its context, w"
      "here 'nn ' stands; it begins at 0",
    ),
    (
      "train.json",
      document([("Who?", CONTEXT, [("Bob", 0)])]),
      {},
      "where 'Ann' stands; it is nowhere in the context, whose letters",
    ),
    (
      "train.json",
      document([("Who?", CONTEXT, [("Ann", -5)])]),
      {},
      "is not at letter -5",
    ),
    (
      "train.json",
      document([("Who?", " ", [("Ann", 0)])]),
      {},
      "('Who?') has an empty context; take it out",
    ),
    (
      "train.json",
      document([("", OTHER, [("Snow", 0)])]),
      {},
      "an empty quest",
    ),
    (
      "train.json",
      document([("Who?", OTHER, [(" ", 4)])]),
      {},
      "has an empty answer among others",
    ),
    (
      "train.json",
      document([*ROWS, NONE]),
      {},
      "('Who fell?') has no answer, and the file says that it is version 1.1",
    ),
    (
      "train.json",
      document([*ROWS, NONE], "v2.0", is_impossible=False),
      {},
      'has no answer; if there is none in the context, say "is_impossible": t',
    ),
    (
      "train.json",
      one(is_impossible=True),
      {},
      "has an answer, and is_impossible says that there is none",
    ),
    (
      "train.json",
      one(is_impossible="no"),
      {},
      "is_impossible is 'no', not tr",
    ),
    (
      "train.json",
      one(answers=["Ann"]),
      {},
      "'Ann' is no answer; it is {\"tex",
    ),
    ("train.json", one(answers="Ann"), {}, "answers is 'Ann', not a list"),
    ("train.json", document([NONE], "v2.0"), {}, "no question of"),
    ("train.json", document([]), {}, "holds no questions"),
    ("train.json", document()[:-9], {}, "line 1 is not JSON"),
    ("train.json", "[]", {}, "is not SQuAD's JSON, which is {"),
    ("train.json", '{"data": [3]}', {}, "data[0] is 3, not an object"),
    (
      "train.json",
      '{"data": [{"paragraph": []}]}',
      {},
      "data[0] has no 'paragraphs', only ['paragraph']; did you mean",
    ),
    (
      "train.json",
      document().replace("Snow fell.", r"Snow \ud800"),
      {},
      "its context holds half a character",
    ),
    (
      "train.json",
      document(),
      {"labels": ["yes", "no"]},
      "labels of qa are ['yes', 'no']; they are ['answer'] where each",
    ),
    (
      "train.json",
      document([*ROWS, NONE], "v2.0"),
      {"labels": ["answer"]},
      "has no answer, and of the training questions of qa each has one",
    ),
    (
      "train.json",
      document(),
      {"metric": ["f1", "no_answer"]},
      "metric of qa has no_answer, but each question of",
    ),
    (
      "rows.jsonl",
      lines([{**flat()[0], "answers_start": None}]),
      {},
      "'Ann' begins at None; a column 'answers_start' says at which letter",
    ),
    (
      "rows.csv",
      commas([{**flat()[0], "answers_start": "1.0"}]),
      {},
      "'Ann' begins at '1.0'",
    ),
    (
      "rows.jsonl",
      lines([{**flat()[0], "answers": 3}]),
      {},
      "column 'answers': 3 is no answer; it is a text, with its place in",
    ),
    (
      "rows.jsonl",
      lines([{**flat()[0], "question": 3}]),
      {},
      "column 'question': 3 is not text",
    ),
    (
      "rows.jsonl",
      lines([{"question": "a", "context": "b", "answer": "b"}]),
      {},
      "has no column 'answers', only",
    ),
    ("rows.jsonl", lines([{"question": "a"}]), {}, "no column 'context'"),
  ],
)
def test_what_is_no_question_is_one_sentence(tmp_path, name, data, keys, said):
  with pytest.raises(ValueError, match=r"qa|train|rows") as caught:
    squad.read(task_of(tmp_path, data, name, **keys), "train")
  assert said in str(caught.value)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
  ("keys", "said"),
  [
    ({"kind": "spam"}, "did you mean 'span'"),
    ({"format": "squat"}, "is none of kind span, which has squad; the suffix"),
    ({"range": [0, 1]}, "is for tasks of other kinds than span"),
    ({"soft_columns": "p"}, "is for tasks of other kinds than span"),
    ({"group": "id"}, "is for tasks of other kinds than span"),
    ({"text": ["question"]}, "takes the columns of question and context, none"),
    ({"text": ["a", "b", "c"]}, "takes one or two text columns"),
    ({"metric": "accuracy"}, "with kind span it is one of f1, exact_match"),
  ],
)
def test_keys_that_a_kind_does_not_take_are_named(tmp_path, keys, said):
  with pytest.raises(ValueError, match="qa") as caught:
    task_of(tmp_path, document(), **keys)
  assert said in str(caught.value)
