"""Files as teams have them: no header, other marks, other names of labels."""

import gzip
import re

import numpy as np
import pytest

from bam_jax.data.sources import readers
from bam_jax.runtime import notices
from bam_jax.tasks import own as own_tasks

ENTRY = {
  "train": "pets.csv",
  "dev": "dev.csv",
  "text": ["question", "answer"],
  "label": "verdict",
  "labels": ["no", "yes"],
  "metric": "accuracy",
}
USUAL = "question,answer,verdict\na,p,yes\nb,q,no\nc,r,yes\n"
PART = {"column": "part", "train": "train", "dev": ["valid", "val"]}


def task_of(folder, **changes):
  entry = {k: v for k, v in (ENTRY | changes).items() if v is not None}
  return own_tasks.table({"pets": entry}, folder / "my_tasks.toml")["pets"]


def read(folder, data, which="train", name="pets.csv", **changes):
  data = data.encode() if isinstance(data, str) else data
  (folder / name).write_bytes(data)
  task = task_of(folder, train=name, **changes)
  return readers.load(task, which, glue_dir="", seed=0)


@pytest.mark.parametrize(
  ("data", "name", "changes"),
  [
    (
      "7,yes,a,p\n8,no,b,q\n9,yes,c,r\n",
      "pets.csv",
      {"columns": ["id", "verdict", "question", "answer"]},
    ),
    (
      "yes\ta\tp\nno\tb\tq\nyes\tc\tr\n",
      "pets.tsv",
      {"columns": ["verdict", "question", "answer"]},
    ),
    (USUAL.replace(",", ";"), "pets.csv", {"delimiter": ";"}),
    ("sep=;\n" + USUAL.replace(",", ";"), "pets.csv", {"delimiter": ";"}),
    (USUAL.replace(",", "\t"), "pets.csv", {"delimiter": "\t"}),
    # No suffix of ours: who names the mark says that there are columns.
    (USUAL.replace(",", "|"), "pets.txt", {"delimiter": "|"}),
    (USUAL.encode("utf-16"), "pets.csv", {"encoding": "utf-16"}),
    (
      gzip.compress(USUAL.encode("utf-16-le"), mtime=0),
      "pets.csv.gz",
      {"encoding": "utf-16-le"},
    ),
    (
      USUAL.replace("yes", "j").replace("no", "0"),
      "pets.csv",
      {"rename": {"j": "yes", "0": "no"}},
    ),
    # Merged: two names of one label.
    (
      USUAL.replace("a,p,yes", "a,p,Yes").replace("c,r,yes", "c,r,1"),
      "pets.csv",
      {"rename": {"Yes": "yes", "1.0": "yes"}},
    ),
  ],
)
def test_a_file_of_another_dialect_gives_the_same_rows(
  tmp_path, data, name, changes
):
  found = read(tmp_path, data, name=name, **changes)
  assert found.texts == (["a", "b", "c"], ["p", "q", "r"])
  np.testing.assert_array_equal(found.labels, [1, 0, 1])


def test_letters_of_another_encoding_are_the_letters(tmp_path):
  text = "question,answer,verdict\nnaïve café,über,yes\nx,y,no\n"
  found = read(tmp_path, text.encode("latin-1"), encoding="latin-1")
  assert found.texts == (["naïve café", "x"], ["über", "y"])


def test_letters_are_whole_where_blocks_of_a_file_meet(tmp_path, monkeypatch):
  from bam_jax.data.sources import lines

  monkeypatch.setattr(lines, "_BLOCK", 3)
  text = "question,answer,verdict\n😀é,ü,yes\nx,y,no\n"
  found = read(tmp_path, text.encode("utf-16-le"), encoding="utf-16-le")
  assert found.texts == (["😀é", "x"], ["ü", "y"])


def test_dev_may_be_a_file_of_another_kind(tmp_path):
  (tmp_path / "dev.jsonl").write_text(
    '{"question": "d", "answer": "s", "verdict": "no"}\n', "utf-8"
  )
  changes = {
    "columns": ["verdict", "question", "answer"],
    "encoding": "cp1252",
    "dev": "dev.jsonl",
  }
  train = read(tmp_path, "yes,é,p\n".encode("cp1252"), **changes)
  dev = read(tmp_path, b"yes,e,p\n", "validation", **changes)
  assert train.texts[0] == ["é"]
  assert dev.texts == (["d"], ["s"])


def test_a_column_says_which_split_a_row_is_of(tmp_path, caplog):
  notices.once.cache_clear()
  rows = "a,p,yes,train b,q,no,valid c,r,yes,train d,s,no,val e,t,yes,spare"
  data = "question,answer,verdict,part\n" + rows.replace(" ", "\n") + "\n"
  changes = {"split": PART, "dev": None}
  train = read(tmp_path, data, **changes)
  dev = read(tmp_path, data, "validation", **changes)
  assert train.texts == (["a", "c"], ["p", "r"])
  assert dev.texts == (["b", "d"], ["q", "s"])
  np.testing.assert_array_equal(dev.labels, [0, 0])
  assert "leaves out 1 of the 5 rows" in caplog.text
  assert "1 with 'spare'" in caplog.text


def test_soft_labels_are_counted_over_the_whole_file(tmp_path):
  data = "question,answer,verdict,part\na,p,yes,valid\nb,q,no,train\n"
  data += "c,r,yes,train\n"
  (tmp_path / "soft.jsonl").write_text(
    "".join(
      f'{{"index": {i}, "probs": {{"no": {p}, "yes": {1 - p}}}}}\n'
      for i, p in enumerate((0.5, 0.25, 0.75))
    ),
    "utf-8",
  )
  (tmp_path / "pets.csv").write_text(data, "utf-8")
  task = task_of(tmp_path, split=PART, dev=None, soft_labels="soft.jsonl")
  found = readers.load(task, "train", glue_dir="", seed=0)
  assert found.texts[0] == ["b", "c"]
  soft = np.exp(found.soft) / np.exp(found.soft).sum(-1, keepdims=True)
  np.testing.assert_allclose(soft[:, 0], [0.25, 0.75], atol=1e-6)


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"columns": ["question", "answer"]}, "has no 'verdict', which is read"),
    ({"columns": ["question", "answer", "Verdict"]}, "did you mean 'Verdict'"),
    ({"columns": ["question", "question"]}, "is a list of different names"),
    ({"delimiter": ";;"}, "is one character"),
    ({"delimiter": '"'}, "is one character"),
    ({"encoding": "utf-9"}, "is no encoding that Python knows"),
    ({"encoding": "zlib"}, "is no encoding that Python knows"),
    (
      {"train": "a.parquet", "dev": "b.parquet", "encoding": "cp1252"},
      "means nothing in files that are .parquet",
    ),
    (
      {"train": "a.jsonl", "dev": "b.jsonl", "columns": ["question"]},
      "columns",
    ),
    (
      {"train": "a.tsv", "dev": "b.tsv", "delimiter": ";"},
      "means nothing in files that are .tsv",
    ),
    ({"rename": {"j": "ja"}}, "makes 'j' 'ja', which is none of labels"),
    ({"rename": {"no": "yes"}}, "has 'no', which is one of labels itself"),
    ({"rename": {}}, 'is {old = "new"}'),
    ({"rename": ["j"]}, 'is {old = "new"}'),
    ({"rename": {"j": "yes"}, "ignore": ["j"]}, "which ignore leaves out"),
    ({"split": "part"}, 'is {column = "part"'),
    ({"split": {"column": "part", "train": "t"}}, 'is {column = "part"'),
    ({"split": PART}, "and split both say which rows these are"),
    ({"split": PART, "dev": None, "dev_share": 0.5}, "and split both say"),
    (
      {"split": PART | {"dev": "train"}, "dev": None},
      "names a value twice, or none",
    ),
    ({"split": PART | {"tset": "x"}, "dev": None}, 'is {column = "part"'),
    (
      {
        "labels": None,
        "range": [0, 1],
        "metric": "spearman",
        "kind": "regression",
        "rename": {"a": "b"},
      },
      "is for tasks of other kinds than regression",
    ),
  ],
)
def test_what_a_task_cannot_say_is_one_sentence(tmp_path, changes, said):
  where = r"my_tasks\.toml: pets\..*"
  with pytest.raises(ValueError, match=where + re.escape(said)):
    task_of(tmp_path, **changes)


@pytest.mark.parametrize(
  ("data", "changes", "said"),
  [
    (
      USUAL,
      {"columns": ["question", "answer", "verdict"]},
      "line 1 names the columns, so that is no file without a header",
    ),
    (
      "yes,a\n",
      {"columns": ["verdict", "question", "answer"]},
      "line 1: 2 columns instead of 3",
    ),
    (
      "question,answer,verdict\na,\x81,yes\n".encode("latin-1"),
      {"encoding": "cp1252"},
      "line 2 is not cp1252: b'\\x81' stands for nothing in it",
    ),
    (USUAL, {"delimiter": ";"}, "there is no column 'question'"),
    (
      USUAL.replace("yes", "Yes"),
      {"rename": {"j": "yes"}},
      "has no label 'Yes'; did you mean 'yes'",
    ),
    (USUAL, {"split": PART, "dev": None}, "there is no column 'part'"),
    (
      "question,answer,verdict,part\na,p,yes,Train\n",
      {"split": PART, "dev": None},
      "column 'part' is never 'train', it has ['Train']",
    ),
  ],
)
def test_what_a_file_is_not_is_one_sentence(tmp_path, data, changes, said):
  with pytest.raises(ValueError, match=r"pets\.csv.*" + re.escape(said)):
    read(tmp_path, data, **changes)
