"""Rows of own tasks: every format gives the same, every fault is placed."""

import gzip
import json

import numpy as np
import pyarrow as pa
from pyarrow import parquet
import pytest

from bam_jax.data.sources import own as own_files
from bam_jax.data.sources import readers, rows
from bam_jax.tasks import own as own_tasks

TEXTS = (['a "b", c\nd', "naïve ", "x"], ["p", "q", "r"])
LABELS = ["yes", "no", "yes"]
CSV = (
  "question,id,answer,verdict\r\n"
  '"a ""b"", c\nd",7,p,yes\r\n\r\n'
  "naïve ,8,q,no\r\nx,9,r,yes\r\n"
)
ENTRY = {
  "train": "pets.csv",
  "dev": "dev.csv",
  "text": ["question", "answer"],
  "label": "verdict",
  "labels": ["no", "yes"],
  "metric": "accuracy",
}


def task_of(folder, **changes):
  entry = {k: v for k, v in (ENTRY | changes).items() if v is not None}
  return own_tasks.table({"pets": entry}, folder / "my_tasks.toml")["pets"]


def read(folder, name, data, split="train", **changes):
  if isinstance(data, str):
    data = data.encode()
  (folder / name).write_bytes(data)
  task = task_of(folder, train=name, **changes)
  return readers.load(task, split, glue_dir="", seed=0)


def table(**columns) -> bytes:
  sink = pa.BufferOutputStream()
  parquet.write_table(pa.table(columns), sink)
  return sink.getvalue().to_pybytes()


def json_lines(labels) -> str:
  return "\n\n".join(
    json.dumps({"question": q, "answer": a, "verdict": label, "id": 1})
    for q, a, label in zip(*TEXTS, labels, strict=True)
  )


@pytest.mark.parametrize(
  ("name", "data"),
  [
    ("pets.csv", CSV),
    ("pets.csv", "\ufeff" + CSV),
    ("pets.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
    ("pets.jsonl", json_lines(LABELS)),
    (
      "pets.parquet",
      table(verdict=LABELS, answer=TEXTS[1], question=TEXTS[0]),
    ),
    (
      "pets.parquet",
      table(
        verdict=pa.array(LABELS).dictionary_encode(),
        answer=pa.array(TEXTS[1], pa.large_string()),
        question=TEXTS[0],
      ),
    ),
  ],
)
def test_every_format_gives_the_same_rows(tmp_path, name, data):
  found = read(tmp_path, name, data)
  assert found.texts == TEXTS
  assert found.labels.tolist() == [1, 0, 1]
  assert found.origin == str(tmp_path / name) and found.soft is None


def test_quotes_of_a_tsv_are_literal(tmp_path):
  found = read(
    tmp_path, "pets.tsv", 'question\tanswer\tverdict\n"a\tb", c\tno\n'
  )
  assert found.texts == (['"a'], ['b", c'])


def test_class_names_of_the_hub_are_taken_for_its_numbers(tmp_path):
  names = {"verdict": {"names": ["yes", "no"]}, "question": {}}
  made = pa.table(
    {"question": TEXTS[0], "answer": TEXTS[1], "verdict": [0, 1, 0]}
  ).replace_schema_metadata(
    {"huggingface": json.dumps({"info": {"features": names}})}
  )
  parquet.write_table(made, tmp_path / "a.parquet")
  data = (tmp_path / "a.parquet").read_bytes()
  assert read(tmp_path, "a.parquet", data).labels.tolist() == [1, 0, 1]


def test_numbers_are_scaled_from_their_range(tmp_path):
  data = "question,answer,verdict\na,b,1\nc,d,4.0\ne,f,7\n"
  found = read(
    tmp_path, "a.csv", data, labels=None, range=[1, 7], metric="pearson"
  )
  assert found.labels.tolist() == [0, 0.5, 1]


HEAD = "question,answer,verdict\n"
FAULTS = [
  ("a.csv", "", "a.csv is empty; its first line names the columns"),
  ("a.csv", HEAD, "a.csv holds no rows"),
  (
    "a.csv",
    HEAD + "a,b,ja\n",
    "line 2, column 'verdict': pets has no label 'j",
  ),
  ("a.csv", HEAD + '"a\nb",b,no\na,b,yess\n', "line 4, column 'verdict': pets"),
  ("a.csv", HEAD + "a,b,yess\n", "did you mean 'yes'? the labels in"),
  ("a.csv", HEAD + "a,b,\n", "line 2, column 'verdict': pets has no label ''"),
  ("a.csv", HEAD + "a,b\n", "line 2: 2 columns instead of 3, which are ['ques"),
  ("a.csv", HEAD + "\na,b,c,no\n", "line 3: 4 columns instead of 3"),
  ("a.csv", HEAD + 'a,"b,no\n', "line 2 is not CSV"),
  ("a.csv", HEAD + '"a" b,c,no\n', "line 2 is not CSV"),
  ("a.csv", HEAD.encode() + b"a,\xff,no\n", "line 2 is not UTF-8"),
  ("a.csv", HEAD.encode("utf-16"), "a.csv is UTF-16 text; save it again as"),
  ("a.csv", "question,verdict\na,no\n", "line 1: there is no column 'answer'"),
  ("a.csv", HEAD.replace("n,a", "n, a"), "did you mean ' answer'?"),
  ("a.csv", "x,x," + HEAD, "line 1: the column 'x' is there twice"),
  ("a.csv", "," + HEAD, "line 1: column 1 of 4 has no name; give it one"),
  ("a.csv", HEAD.replace(",", ";"), "the columns are separated by ';'; a .csv"),
  ("a.csv", HEAD + " ,b,no\n,b,no\n", "no text in any row, column 1 of 2"),
  ("a.csv.gz", b"x", "is not compressed, though its name ends in .gz"),
  (
    "a.jsonl.gz",
    gzip.compress(json_lines(LABELS).encode())[:-9],
    "cannot be read after line",
  ),
  ("a.tsv", HEAD.replace(",", "\t") + "a\tb\n", "line 2: 2 columns instead of"),
  ("a.jsonl", '{"question": "a"}', "line 1: there is no column 'answer'"),
  ("a.jsonl", "{", "line 1 is not JSON"),
  ("a.jsonl", '{"a": 1, "a": 2}', "the name 'a' comes twice"),
  (
    "a.jsonl",
    json_lines([1.5] * 3),
    "line 1, column 'verdict': pets has no la",
  ),
  ("a.jsonl", json_lines([[], 0, 0]), "line 1, column 'verdict': pets has no"),
  (
    "a.jsonl",
    json_lines(LABELS).replace('"q"', "null"),
    "line 3, column 'answer': None is not text",
  ),
  ("a.parquet", b"PAR1", "is not a whole Parquet file"),
  (
    "a.parquet",
    table(question=["a"], answer=["b"], verdict=[None]),
    "row 0, column 'verdict': pets has no label None; the labels in",
  ),
  ("a.parquet", table(question=["a"]), "a.parquet: there is no column 'answer"),
  (
    "a.xlsx",
    b"PK",
    "has the suffix '.xlsx'; rows are read from .csv, .json, .jsonl",
  ),
]


@pytest.mark.parametrize(
  ("name", "data", "said"), FAULTS, ids=[fault[2] for fault in FAULTS]
)
def test_a_fault_is_named_with_its_place(tmp_path, name, data, said):
  with pytest.raises(ValueError, match=f"^{tmp_path}/{name}") as caught:
    read(tmp_path, name, data)
  assert said in str(caught.value)


@pytest.mark.parametrize("value", ["8", "nan", "", "1,5"])
def test_a_number_out_of_its_range_is_named_with_its_place(tmp_path, value):
  data = json_lines([1, value, 2])
  with pytest.raises(ValueError, match="line 3, column 'verdict': pets has no"):
    read(tmp_path, "a.jsonl", data, labels=None, range=[1, 7], metric="pearson")


def test_a_label_that_no_row_has_is_told(tmp_path, caplog):
  labels = ["no", "maybe", "yes", "never"]
  assert len(read(tmp_path, "a.csv", CSV, labels=labels)) == 3
  assert "no training row of pets in " in caplog.text
  assert "has the label maybe, never" in caplog.text


def test_a_dev_of_one_label_is_told(tmp_path, caplog):
  labels = ["no", "maybe", "yes"]
  both = {"labels": labels, "dev": "a.jsonl", "dev_share": None}
  mixed, even = (json_lines([x, "no", "no"]) for x in ("yes", "no"))
  read(tmp_path, "a.jsonl", mixed, "validation", **both)
  assert "always says so" not in caplog.text
  read(tmp_path, "a.jsonl", even, "validation", **both)
  assert "all labels of pets that are validation in " in caplog.text
  assert "are no: no score on them tells a model from one" in caplog.text


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"no file .*/pets\.csv"):
    own_files.read(task_of(tmp_path), "train")


def many(count: int) -> str:
  lines = [f"q{i % 40},a,{'no' if i % 3 else 'yes'}" for i in range(count)]
  return HEAD + "\n".join(lines) + "\n"


def test_dev_share_cuts_the_train_file_in_two(tmp_path):
  share = {"dev": None, "dev_share": 0.25}
  parts = [
    read(tmp_path, "a.csv", many(100), split, **share)
    for split in ("train", "validation")
  ]
  train, dev = (part.texts[0] for part in parts)
  assert len(train) + len(dev) == 100 and len(set(dev)) == 10
  # Equal rows do not come to both sides.
  assert not set(train) & set(dev)
  again = read(tmp_path, "a.csv", many(100), "validation", **share)
  assert again.fingerprint == parts[1].fingerprint
  with pytest.raises(ValueError, match=r"makes 0 of the 3 rows .* dev; leave"):
    read(tmp_path, "a.csv", many(3), dev=None, dev_share=0.1)


def test_a_changed_file_has_another_fingerprint(tmp_path):
  first = read(tmp_path, "a.csv", CSV).fingerprint
  assert read(tmp_path, "a.csv", CSV).fingerprint == first
  for old, new in (("8,q,no", "8,q,yes"), ("naïve", "naive")):
    changed = read(tmp_path, "a.csv", CSV.replace(old, new))
    assert changed.fingerprint != first


PROBS = np.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])


def soft_csv(cells) -> str:
  lines = [f'q{i},a,no,"{a}","{b}"' for i, (a, b) in enumerate(cells)]
  return "question,answer,verdict,p,r\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
  ("name", "data", "columns"),
  [
    ("a.csv", soft_csv(PROBS), ["p", "r"]),
    ("a.csv", soft_csv(PROBS[:, ::-1]), ["r", "p"]),
    ("a.csv", soft_csv([(p, 0) for p in PROBS.tolist()]), "p"),
    (
      "a.jsonl",
      "\n".join(
        json.dumps(
          {"question": f"q{i}", "answer": "a", "verdict": "no"}
          | {"p": {"yes": p[1], "no": p[0]}}
        )
        for i, p in enumerate(PROBS.tolist())
      ),
      "p",
    ),
    (
      "a.parquet",
      table(
        question=["q0", "q1", "q2"],
        answer=["a"] * 3,
        verdict=["no"] * 3,
        p=PROBS.tolist(),
      ),
      ["p"],
    ),
  ],
)
def test_soft_columns_are_probabilities_by_label(tmp_path, name, data, columns):
  found = read(tmp_path, name, data, soft_columns=columns)
  assert found.soft.dtype == np.float32
  np.testing.assert_allclose(np.exp(found.soft), PROBS, atol=1e-6)
  other = read(tmp_path, name, data)
  assert other.soft is None and other.fingerprint != found.fingerprint


def test_soft_columns_of_numbers_are_scaled(tmp_path):
  data = soft_csv([(1, 1), (4, 1)]).replace("no", "2")
  found = read(
    tmp_path,
    "a.csv",
    data,
    labels=None,
    range=[1, 7],
    metric="spearman",
    soft_columns="p",
  )
  assert found.soft.tolist() == [[0.0], [0.5]]


@pytest.mark.parametrize("kind", ["soft_columns", "soft_labels"])
def test_soft_labels_stay_with_their_rows_when_dev_is_cut_off(tmp_path, kind):
  values = np.linspace(0.01, 0.99, 20)
  pairs = [(1 - p, p) for p in values]
  changes = {"dev": None, "dev_share": 0.25, "soft_columns": ["p", "r"]}
  if kind == "soft_labels":
    changes |= {"soft_columns": None, "soft_labels": "soft.jsonl"}
    (tmp_path / "soft.jsonl").write_text(
      "\n".join(
        json.dumps({"index": i, "probs": pair}) for i, pair in enumerate(pairs)
      )
    )
  found = read(tmp_path, "a.csv", soft_csv(pairs), **changes)
  mine = [int(text[1:]) for text in found.texts[0]]
  assert len(mine) == 15
  np.testing.assert_allclose(np.exp(found.soft[:, 1]), values[mine], rtol=1e-5)
  dev = read(tmp_path, "a.csv", soft_csv(pairs), "validation", **changes)
  assert dev.soft is None and len(dev) == 5


@pytest.mark.parametrize(
  ("cells", "said"),
  [
    ([(0.5, 0.6)], "line 2, columns 'p', 'r': probs is [0.5, 0.6], which"),
    ([(0.5, "x")], "line 2, columns 'p', 'r': 'x' is neither a number nor"),
    ([(0.5, "")], "line 2, columns 'p', 'r': '' is neither a number nor"),
    ([(0.5, "NaN")], "[0.5, nan], not finite numbers"),
  ],
)
def test_a_wrong_soft_label_is_named_with_its_place(tmp_path, cells, said):
  with pytest.raises(ValueError, match=r"a\.csv line 2") as caught:
    read(tmp_path, "a.csv", soft_csv(cells), soft_columns=["p", "r"])
  assert said in str(caught.value)


def test_rows_say_where_they_stand(tmp_path):
  (tmp_path / "a.csv").write_text(CSV)
  found = [where for where, _ in rows.read(tmp_path / "a.csv", ["id"])]
  assert found == [f"{tmp_path / 'a.csv'} line {n}" for n in (2, 5, 6)]
