"""Rows whose words are labelled: every file says the same, or one sentence."""

import gzip
import json

import numpy as np
import pyarrow as pa
from pyarrow import parquet
import pytest

from bam_jax.data.sources import own as own_files
from bam_jax.data.sources import tagged
from bam_jax.tasks import own as own_tasks

CONLL = (
  "-DOCSTART-\tO\n\nAnn\tB-PER\nmet\tO\nLee\tB-PER\nKim\tI-PER\n.\tO\n\n"
  "Oslo\tB-LOC\nsleeps\tO\n"
)
WORDS = [["Ann", "met", "Lee", "Kim", "."], ["Oslo", "sleeps"]]
TAGS = [["B-PER", "O", "B-PER", "I-PER", "O"], ["B-LOC", "O"]]
LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
ROWS = [
  {"tokens": words, "ner": tags}
  for words, tags in zip(WORDS, TAGS, strict=True)
]
PARTS = [
  {
    "tokens": "Ann met Lee Kim .",
    "ner": [[8, 15, "PER"], {"start": 0, "end": 3, "label": "PER"}],
  },
  {"tokens": "Oslo sleeps", "ner": [{"start": 0, "end": 4, "labels": ["LOC"]}]},
]
NUMBERS = [
  {**row, "ner": [LABELS.index(tag) for tag in row["ner"]]} for row in ROWS
]


def lines(rows) -> str:
  return "".join(json.dumps(row) + "\n" for row in rows)


def table(tmp_path, data, name="train.tsv", **keys):
  """Writes a train file; returns the task, its labels filled in."""
  if callable(data):
    data(tmp_path / name)
  else:
    data = data if isinstance(data, bytes) else data.encode()
    (tmp_path / name).write_bytes(data)
  given = {"kind": "tagging", "train": name, "dev": name, "metric": "f1"}
  if name.startswith("train."):
    given["format"] = "conll"
  else:
    given |= {"text": "tokens", "label": "ner"}
  path = tmp_path / "ner.toml"
  found = own_files.complete({"ner": given | keys}, path)
  return own_tasks.table(found, path)["ner"]


def parquet_of(rows):
  return lambda path: parquet.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize(
  ("name", "data", "keys"),
  [
    ("train.tsv", CONLL, {}),
    ("train.conll", CONLL.replace("\t", " -X- "), {}),
    ("train.txt.gz", gzip.compress(CONLL.encode(), mtime=0), {}),
    ("train.iob", "\ufeff# sent_id = 1\r\n" + CONLL.replace("\n", "\r\n"), {}),
    ("train.bio", CONLL.replace("B-", "I-"), {}),
    (
      "train.es",
      CONLL.replace("B-PER\nmet", "S-PER\nmet")
      .replace("I-PER", "E-PER")
      .replace("B-LOC", "S-LOC"),
      {},
    ),
    ("rows.jsonl", lines(ROWS), {}),
    ("rows.parquet", parquet_of(ROWS), {}),
    ("rows.jsonl", lines(PARTS), {}),
    ("rows.jsonl", lines(NUMBERS), {"labels": list(LABELS)}),
    ("rows.parquet", parquet_of(NUMBERS), {"labels": list(LABELS)}),
    ("train.tsv", CONLL, {"labels": ["PER", "LOC"]}),
  ],
)
def test_whatever_wrote_them_the_words_and_tags_are_the_same(
  tmp_path, name, data, keys
):
  task = table(tmp_path, data, name, **keys)
  assert task.labels == LABELS
  found = tagged.read(task, "train")
  (texts,) = found.texts
  got = [
    [text[a:b] for a, b in spans]
    for text, spans in zip(texts, found.words, strict=True)
  ]
  assert got == WORDS
  wanted = [LABELS.index(tag) for tags in TAGS for tag in tags]
  assert found.labels.tolist() == wanted


def test_a_part_of_the_rows_can_be_dev(tmp_path):
  data = "".join(f"w{i}\tB-A\nend\tO\n\n" for i in range(20))
  (tmp_path / "train.tsv").write_text(data)
  given = {
    "kind": "tagging",
    "format": "conll",
    "train": "train.tsv",
    "dev_share": 0.25,
    "metric": "accuracy",
  }
  path = tmp_path / "ner.toml"
  task = own_tasks.table(own_files.complete({"ner": given}, path), path)["ner"]
  train, dev = (tagged.read(task, split) for split in ("train", "validation"))
  assert (len(train), len(dev)) == (15, 5)
  assert not {*train.texts[0]} & {*dev.texts[0]}
  assert len(train.labels) == 30 and len(dev.words) == 5


@pytest.mark.parametrize(
  ("name", "data", "keys", "said"),
  [
    ("train.tsv", "Ann\n", {}, "train.tsv line 1 is 'Ann', without a tag; a"),
    ("train.tsv", "a\tX\tO\nb\tO\n", {}, "line 2 has 2 columns, lines before"),
    ("train.tsv", "a\t\n", {}, "line 1 has an empty tag"),
    ("train.tsv", "\n\n", {}, "holds no rows"),
    ("train.tsv", "a\tO\nb\tO\n", {}, "has the tag 'O' alone, so there is n"),
    (
      "train.tsv",
      "a\tO\nb\tI-LOC\n\nc\tB-LOC\n",
      {},
      "line 2: the tag 'I-LOC' does not go on with an entity LOC; the file is",
    ),
    (
      "train.tsv",
      CONLL,
      {"labels": ["PER"]},
      "line 9: ner has no tag 'B-LOC'",
    ),
    (
      "train.tsv",
      CONLL,
      {"labels": ["B-PER", "I-PER"]},
      "labels of ner begin with 'B-PER'; O comes first, or give the types",
    ),
    (
      "rows.jsonl",
      lines([{"tokens": ["a", "b"], "ner": ["O"]}]),
      {},
      "column 'ner': 1 tags for 2 words; each word has one",
    ),
    (
      "rows.jsonl",
      lines(NUMBERS),
      {},
      "is no tag; tags are names, or numbers where labels of ner has",
    ),
    (
      "rows.jsonl",
      lines([{"tokens": "a b", "ner": [[2, 9, "X"]]}]),
      {},
      "is no part of its 3 letters; it is",
    ),
    (
      "rows.jsonl",
      lines([{"tokens": "a b", "ner": [[0, 3, "X"], [2, 3, "Y"]]}]),
      {},
      "overlaps another; a word is in one part",
    ),
    ("rows.jsonl", lines([{"token": [], "ner": []}]), {}, "no column 'tokens'"),
    (
      "rows.jsonl",
      lines([{"tokens": 3, "ner": ["O"]}]),
      {},
      "column 'tokens': 3 is neither a text nor a list of words",
    ),
    (
      "rows.jsonl",
      lines([{"tokens": "a", "ner": "O"}]),
      {},
      "'O' is no list; a row has a list of words and one of tags",
    ),
  ],
)
def test_what_is_no_row_of_tags_is_one_sentence(
  tmp_path, name, data, keys, said
):
  with pytest.raises(ValueError, match=r"ner|train|rows") as caught:
    tagged.read(table(tmp_path, data, name, **keys), "train")
  assert said in str(caught.value)


@pytest.mark.parametrize(
  ("keys", "said"),
  [
    ({"kind": "taging"}, "did you mean 'tagging'"),
    ({"format": "iob"}, "is none of kind tagging, which has conll; the suff"),
    ({"symmetric": True}, "is for tasks of other kinds than tagging"),
    ({"soft_columns": "p"}, "is for tasks of other kinds than tagging"),
    ({"range": [0, 1]}, "is for tasks of other kinds than tagging"),
    ({"text": ["a", "b"]}, "takes one text column, none of them label"),
    ({"metric": "matthews"}, "with kind tagging it is one of f1, precision"),
    ({"kind": "regression"}, "range is missing; kind regression needs it"),
    ({"kind": "classification"}, "labels is missing; kind classification"),
  ],
)
def test_keys_that_a_kind_does_not_take_are_named(tmp_path, keys, said):
  with pytest.raises(ValueError, match="ner") as caught:
    table(tmp_path, CONLL, **keys)
  assert said in str(caught.value)


def test_a_part_that_ends_inside_a_word_is_said(tmp_path, caplog):
  rows = [{"tokens": "Oslo sleeps", "ner": [[0, 3, "LOC"]]}]
  task = table(tmp_path, lines(rows), "rows.jsonl")
  found = tagged.read(task, "train")
  assert "[0, 3, 'LOC'] begins or ends inside a word" in caplog.text
  assert np.array(task.labels)[found.labels.astype(int)].tolist() == [
    "B-LOC",
    "O",
  ]
