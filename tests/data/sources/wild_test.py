"""Files as other programs leave them: read as they mean, or refused."""

import json
import re

import pytest

from bam_jax.data.sources import own as own_files
from tests.data.sources.own_test import task_of

TEXTS, LABELS = ["a b", "c", "d e f"], ["yes", "no", "yes"]


def read(folder, name, data, split="train", **changes):
  data = data.encode() if isinstance(data, str) else data
  (folder / name).write_bytes(data)
  changes = {"train": name, "text": "text"} | changes
  return own_files.read(task_of(folder, **changes), split)


def lines(*rows) -> str:
  return "\n".join(map(json.dumps, rows))


def prodigy(answers, **more):
  return lines(
    *(
      {"text": t, "verdict": x, "answer": answer, "_task_hash": 7} | more
      for t, x, answer in zip(TEXTS, LABELS, answers, strict=True)
    )
  )


def test_what_prodigy_was_told_to_reject_is_no_row(tmp_path):
  accepted = ["accept"] * 3
  assert len(read(tmp_path, "a.jsonl", prodigy(accepted))) == 3
  for answer in ("reject", "ignore"):
    with pytest.raises(ValueError, match="line 2: its 'answer' is") as caught:
      read(tmp_path, "a.jsonl", prodigy(["accept", answer, "accept"]))
    assert "keep the rows whose 'answer' is 'accept'" in str(caught.value)
  # Where the answer is the label it is one.
  found = read(
    tmp_path,
    "a.jsonl",
    prodigy(["accept", "reject", "accept"]),
    label="answer",
    labels=["reject", "accept"],
  )
  assert found.labels.tolist() == [1, 0, 1]
  # Another program's column of this name is its own affair.
  rows = prodigy(["yes", "no", "no"]).replace("_task_hash", "id")
  assert len(read(tmp_path, "a.jsonl", rows)) == 3


def test_what_annotators_disagree_on_is_counted_and_said(tmp_path, caplog):
  data = "text,verdict\na,yes\nb,no\nc,no\nb,yes\na,yes\nb,no\n"
  assert len(read(tmp_path, "a.csv", data)) == 6
  assert "3 of 6 rows of pets have the texts of another row" in caplog.text
  assert "first rows 1 and 3 of those read, counted from 0" in caplog.text
  caplog.clear()
  assert len(read(tmp_path, "a.csv", data.replace("b,yes", "b,no"))) == 6
  assert "annotators" not in caplog.text


def test_rows_without_a_text_are_counted_and_said(tmp_path, caplog):
  data = "text,verdict\na,yes\n,no\nb,no\n  ,yes\n"
  assert len(read(tmp_path, "a.csv", data)) == 4
  assert "2 of 4 rows of pets have no text in column 1 of 1" in caplog.text
  assert "to read: 1, 3, counted from 0" in caplog.text


@pytest.mark.parametrize(
  ("name", "data", "said"),
  [
    (
      "a.csv",
      "3,Wall St.,x\n1,b,y\n",
      "if that is a row, put a line that names",
    ),
    ("a.csv", "text,verdict\na\n", "a text with a line end in double quotes"),
    ("a.csv", "text,verdict\n'a, b',no\n", "with a comma in double quotes"),
    (
      "a.csv",
      "text,verdict\n<<<<<<< HEAD\na,no\n",
      "line 2: .*; it is what git left of two versions: take one of them",
    ),
    ("a.csv", "<!DOCTYPE html>\n<html>", "is a web page; fetch the file that"),
    ("a.jsonl", "// rows\n", "not JSON: .*; JSON has no comments"),
    ("a.ndjson", "{}", "suffix '.ndjson'; .*; name it .jsonl"),
    ("a.txt", b"\xff\xfet\0", "suffix '.txt'; .*, and it is UTF-16 text; save"),
    ("a.xlsx", b"PK\3\4", "suffix '.xlsx'; .*, and it is a ZIP archive, as Ex"),
    ("a.bz2", b"BZh9", "suffix '.bz2'; .*, and it is compressed by bzip2; un"),
    ("a.pkl", b"\x80\x04\x95", "and it is a pickle; in pandas: read_pickle"),
    ("a.csv", b"\x80\x05\x95", "a.csv is a pickle; in pandas: read_pickle"),
    ("a.arrow", b"\xff" * 4, "Dataset.from_file.FILE..to_parquet"),
    (
      "a.jsonl",
      lines({"text": "a", "verdict": "Y"}),
      r"the column has \['Y'\]; labels are written as the column has them",
    ),
  ],
)
def test_what_no_reader_knows_is_refused_with_the_cure(
  tmp_path, name, data, said
):
  with pytest.raises(ValueError, match=said) as caught:
    read(tmp_path, name, data)
  assert "delete" not in str(caught.value)


def test_a_decimal_comma_is_refused_with_the_cure(tmp_path):
  data = 'text,verdict\na,2.5\nb,"1,5"\n'
  with pytest.raises(ValueError, match=r"line 3.*'1,5'.* a point, no comma"):
    read(tmp_path, "a.csv", data, labels=None, range=[0, 5], metric="pearson")


def test_a_spreadsheets_file_is_mended_refusal_by_refusal(tmp_path):
  spam = (
    "v1,v2,,,\nham,Ok,,,\nspam,You have won \u00a3900,,,\nham,On my way,,,\n"
  ).encode("latin-1")
  task = {"text": "v2", "label": "v1", "labels": ["ham", "spam"]}
  with pytest.raises(
    ValueError, match=r"column 3 of 5 has no name; .* leave it"
  ):
    read(tmp_path, "spam.csv", spam, **task)
  spam = re.sub(rb",,,$", b"", spam, flags=re.MULTILINE)
  with pytest.raises(ValueError, match=r"line 3 is not UTF-8 .*\\xa3.*save it"):
    read(tmp_path, "spam.csv", spam, **task)
  found = read(tmp_path, "spam.csv", spam.decode("latin-1"), **task)
  assert found.texts[0] == ["Ok", "You have won \u00a3900", "On my way"]
  assert found.labels.tolist() == [0, 1, 0]


def test_a_test_split_without_labels_is_one_to_answer(tmp_path):
  data = lines(*({"text": t, "verdict": -1} for t in TEXTS))
  for split, cure in (("test", "answer it by: python -m bam_jax"), ("dev", "")):
    (tmp_path / "ok.jsonl").write_text(lines({"text": "a", "verdict": "no"}))
    with pytest.raises(
      ValueError, match=r"-1; .*, and no row has one"
    ) as caught:
      read(
        tmp_path,
        "a.jsonl",
        data,
        "test" if split == "test" else "validation",
        **{"train": "ok.jsonl", "dev": "ok.jsonl"} | {split: "a.jsonl"},
      )
    assert cure in str(caught.value) and "ignore" not in str(caught.value)
