"""Pairs and MT-DNN's lines become questions, or one sentence."""

import re

import numpy as np
import pytest

from bam_jax.data.sources import own as own_files
from bam_jax.runtime import notices
from bam_jax.tasks import own as own_tasks
from tests.data.sources.grouped_test import read

# As GLUE writes QNLI: quotes are literal, questions may lie apart.
QNLI = """\
index\tquestion\tsentence\tlabel
0\tWho sleeps?\tThe "dog" does.\tentailment
1\tIs it red?\tIt is green.\tentailment
2\tWho sleeps?\tIt rains.\tnot_entailment
3\tWhy?\tNo.\tnot_entailment
4\tWhy?\tAt six.\tnot_entailment
5\tWhen?\tAt six.\tnot_entailment
6\tWhen?\tNo.\tentailment
7\tWho sleeps?\tAll do.\tentailment
"""
LINES = "0\t4,5\t1\tWho?\ta dog\tAnn\n1\t6,7,8\t0,2,1\tWhen?\tno\tat six\tat\n"


def task(tmp_path, data, name="train.tsv", **keys):
  """Writes a train file; returns the task."""
  (tmp_path / name).write_text(data, "utf-8")
  given = dict(kind="ranking", train=name, dev=name, metric="accuracy")
  given = {k: v for k, v in (given | keys).items() if v is not None}
  path = tmp_path / "rank.toml"
  found = own_files.complete({"answers": given}, path)
  return own_tasks.table(found, path)["answers"]


def qnli(tmp_path, data=QNLI, **keys):
  usual = dict(text=["question", "sentence"], label="label")
  usual["relevant"] = "entailment"
  return task(tmp_path, data, **usual | keys)


def mtdnn(tmp_path, data=LINES, **keys):
  return task(tmp_path, data, format="mtdnn", **keys)


def unpacked(examples):
  """Returns the question, the candidates and the labels of each row."""
  labels = iter(examples.labels.tolist())
  return [
    (question, [text[a:b] for a, b in spans], [next(labels) for _ in spans])
    for question, text, spans in zip(
      *examples.texts, examples.words, strict=True
    )
  ]


def test_pairs_of_one_question_are_a_row_of_it(tmp_path, caplog):
  notices.once.cache_clear()
  found = unpacked(read(qnli(tmp_path)))
  assert found == [
    ("Who sleeps?", ['The "dog" does.', "It rains.", "All do."], [1, 0, 1]),
    ("When?", ["At six.", "No."], [0, 1]),
  ]
  assert "answers leaves out 2 of the 4 questions of" in caplog.text
  turned = unpacked(read(qnli(tmp_path, relevant=["not_entailment"])))
  assert [each[2] for each in turned] == [[0, 1, 0], [1, 0]]


def test_questions_of_two_groups_are_two(tmp_path):
  rows = ["d\tq\ts\tr"]
  rows += [f"{n}\tWhy?\t{x}{n}\t{x == 'a'}" for n in (0, 1) for x in "ab"]
  keys = dict(text=["q", "s"], label="r", relevant=True)
  data = "\n".join(rows) + "\n"
  (one,) = unpacked(read(qnli(tmp_path, data, **keys)))
  assert one[1] == ["a0", "b0", "a1", "b1"]
  two = unpacked(read(qnli(tmp_path, data, **keys, group="d")))
  assert [each[1] for each in two] == [["a0", "b0"], ["a1", "b1"]]


def test_a_line_of_mtdnn_is_a_question(tmp_path):
  assert unpacked(read(mtdnn(tmp_path))) == [
    ("Who?", ["a dog", "Ann"], [0, 1]),
    ("When?", ["no", "at six", "at"], [0, 2, 1]),
  ]


@pytest.mark.parametrize(
  ("make", "old", "new", "said"),
  [
    (mtdnn, "\tAnn", "", "line 1 has 5 columns; it has six or more (number,"),
    (mtdnn, "\t1\t", "\t2\t", "line 1: '2' does not say which of 2 candidates"),
    (mtdnn, "0,2,1", "0,2", "line 2: '0,2' does not say which of 3 candidates"),
    (mtdnn, "0,2,1", "0,x,1", "it is the place of the right one, 0 to 2, or"),
    (mtdnn, "0,2,1", "0,0,0", "no candidate of this question is relevant"),
    (mtdnn, "\tno\t", "\t\t", "candidate 1 is empty; take it out of its list"),
    (
      qnli,
      "\tentailment",
      "\t",
      "line 2, column 'label': the label is m",
    ),
    (qnli, "\tAll do.", "\t", "column 'sentence', candidate 3 is empty"),
    (qnli, "entailment", "yes", "has a candidate that is right and one that"),
    (qnli, "sentence", "answer", "has no column 'sentence', only"),
  ],
)
def test_what_is_no_question_is_one_sentence(tmp_path, make, old, new, said):
  data = LINES if make is mtdnn else QNLI
  with pytest.raises(ValueError, match=re.escape(said)):
    read(make(tmp_path, data.replace(old, new)))


@pytest.mark.parametrize(
  ("keys", "said"),
  [
    ({"relevant": []}, "relevant = [] is the label, or a list of them"),
    ({"relevant": [None]}, "is the label, or a list of them, of the pairs"),
    ({"kind": "choice"}, "is for tasks of other kinds than choice"),
    (
      {"format": "mtdnn", "text": None},
      "is no matter of files with a format of",
    ),
  ],
)
def test_keys_that_do_not_go_together_are_one_sentence(tmp_path, keys, said):
  with pytest.raises(ValueError, match=re.escape(said)):
    qnli(tmp_path, **keys)


def test_qnlis_own_rows_are_questions(glue_dir, tmp_path):
  folder = next(p for p in (glue_dir / "QNLI").iterdir() if "dev" in p.name)
  keys = dict(text=["question", "sentence"], label="label", metric="mrr")
  path = tmp_path / "rank.toml"
  given = dict(kind="ranking", train=str(folder), dev=str(folder), **keys)
  found = {"answers": given | {"relevant": "entailment"}}
  examples = read(own_tasks.table(found, path)["answers"])
  # One or two right ones among two or three sentences.
  assert len(examples.texts[0]) == len({*examples.texts[0]}) > 1000
  counts = np.array([len(each) for each in examples.words])
  assert counts.min() == 2 and examples.labels.sum() >= len(counts)
