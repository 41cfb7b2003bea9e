"""Rows with several labels at once: every file says the same, or a sentence."""

import json

import numpy as np
import pyarrow as pa
from pyarrow import parquet
import pytest

from bam_jax.data.sources import own as own_files
from bam_jax.tasks import own as own_tasks

NAMES = ["rude", "urgent", "praise"]
SAID = [["urgent", "rude"], [], ["praise"], ["rude"]]
TEXTS = ["you, now", "the shoes", "lovely", "you"]
MARKS = [[1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 0, 0]]


def lines(rows):
  return "".join(json.dumps(row) + "\n" for row in rows)


def listed(wrap=lambda names: names):
  return [
    {"t": t, "l": wrap(names)} for t, names in zip(TEXTS, SAID, strict=True)
  ]


def commas(header, cells):
  rows = [[f'"{t}"', *c] for t, c in zip(TEXTS, cells, strict=True)]
  return "\n".join(",".join(row) for row in [header, *rows]) + "\n"


def marked(words=("0", "1")):
  cells = [[words[mark] for mark in row] for row in MARKS]
  return commas(["t", *NAMES], cells)


def table(tmp_path, data, name="train.jsonl", **keys):
  """Writes a train file; returns the task."""
  if callable(data):
    data(tmp_path / name)
  else:
    (tmp_path / name).write_text(data)
  given = dict(
    kind="multilabel",
    train=name,
    dev=name,
    text="t",
    label="l",
    labels=NAMES,
    metric="micro_f1",
  )
  given = {k: v for k, v in (given | keys).items() if v is not None}
  return own_tasks.table({"flags": given}, tmp_path / "own.toml")["flags"]


COLUMNS = {"label": NAMES, "labels": None}


@pytest.mark.parametrize(
  ("name", "data", "keys"),
  [
    ("a.jsonl", lines(listed()), {}),
    ("a.json", json.dumps(listed(lambda names: {"choices": names})), {}),
    ("a.jsonl", lines(listed("; ".join)), {"separator": ";"}),
    (
      "a.csv",
      commas(["t", "l"], [["|".join(s)] for s in SAID]),
      {"separator": "|"},
    ),
    (
      "a.csv",
      commas(["t", "l"], [['"' + repr(names) + '"'] for names in SAID]),
      {},
    ),
    (
      "a.parquet",
      lambda path: parquet.write_table(pa.Table.from_pylist(listed()), path),
      {},
    ),
    ("a.csv", marked(), COLUMNS),
    ("a.csv", marked(("False", "true")), COLUMNS),
    (
      "a.tsv",
      marked()
      .replace('"', "")
      .replace("you, now", "you now")
      .replace(",", "\t"),
      COLUMNS,
    ),
    (
      "a.csv",
      marked(),
      {"label": NAMES[::-1], "labels": ["kind", "fast", "bad"]},
    ),
    (
      "a.jsonl",
      lines(
        listed(lambda names: ["harsh" if n == "rude" else n for n in names])
      ),
      {"rename": {"harsh": "rude"}},
    ),
  ],
)
def test_files_of_every_form_say_the_same(tmp_path, name, data, keys):
  task = table(tmp_path, data, name, **keys)
  found = own_files.read(task, "train")
  said = np.array(MARKS)
  if task.labels == ("kind", "fast", "bad"):
    said = said[:, ::-1]
  else:
    assert task.labels == tuple(NAMES)
  assert found.labels.dtype == np.float32
  assert found.labels.tolist() == said.tolist()
  one = found.take(np.array([2, 0]))
  assert one.labels.tolist() == said[[2, 0]].tolist()
  assert one.fingerprint != found.fingerprint


@pytest.mark.parametrize(
  ("row", "keys", "said"),
  [
    ({"l": ["rde"]}, {}, "no label 'rde'; did you mean 'rude'?"),
    ({"l": "rude,urgent"}, {}, "say what is between them: separator"),
    ({"l": "rude,urg"}, {"separator": ","}, "no label 'urg'; did you mean"),
    ({"l": "rude|urgent"}, {"separator": ";"}, "separator, which is ';' now"),
    ({"l": 3}, {}, "3 is no list of labels"),
    ({"l": None}, {}, "nothing is said of this row; write []"),
    ({"l": [["rude"]]}, {}, "can be no label"),
    (
      dict.fromkeys(NAMES, 2),
      COLUMNS,
      "column 'rude': 2 says neither that 'rude' holds",
    ),
    (
      {"rude": 1, "urgent": "", "praise": 0},
      COLUMNS,
      "column 'urgent': is empty, while other columns",
    ),
    (dict.fromkeys(NAMES), COLUMNS, "nothing is said of this row"),
    ({"rude": 1, "urgent": 0}, COLUMNS, "there is no column 'praise'"),
  ],
)
def test_a_row_that_cannot_be_gets_a_sentence(tmp_path, row, keys, said):
  good = {"t": "x", "l": [], **dict.fromkeys(NAMES, 0)}
  task = table(tmp_path, lines([good, {"t": "y", **row}]), **keys)
  with pytest.raises(ValueError, match=r"train\.jsonl line 2.*") as error:
    own_files.read(task, "train")
  assert said in str(error.value)


@pytest.mark.parametrize(
  ("keys", "said"),
  [
    ({"label": ["rude"]}, "has 3 names for the 1 columns of label"),
    ({"labels": None}, "labels is missing; kind multilabel needs it"),
    ({"label": NAMES, "separator": ","}, "is for labels in one column"),
    ({"label": ["t", "u", "v"]}, "takes one or two text columns, none of them"),
    ({"ignore": ["rude"]}, "has 'rude', which is one of labels"),
    ({"metric": "accuracy"}, "it is one of micro_f1, macro_f1"),
    ({"loss": 3}, "is a text in quotes"),
    ({"kind": "classification", "label": NAMES}, "is a text in quotes"),
    (
      {"kind": "classification", "metric": "accuracy", "separator": ","},
      "is for tasks of other kinds than classification",
    ),
  ],
)
def test_a_task_that_cannot_be_gets_a_sentence(tmp_path, keys, said):
  with pytest.raises(ValueError, match=r"own\.toml") as error:
    table(tmp_path, lines(listed()), **keys)
  assert said in str(error.value)


def test_soft_labels_are_chances_of_each_label(tmp_path):
  rows = [
    {"t": "x", "l": ["rude"], "p": [0.75, 0.5, 0.2]},
    {"t": "y", "l": None, "p": {"praise": 1, "rude": 0.5, "urgent": 0}},
  ]
  dev = tmp_path / "dev.jsonl"
  dev.write_text(lines(rows[:1]))
  task = table(
    tmp_path, lines(rows), soft_columns="p", dev="dev.jsonl", label="l"
  )
  found = own_files.read(task, "train")
  chances = 1 / (1 + np.exp(-np.float64(found.soft)))
  np.testing.assert_allclose(
    chances, [[0.75, 0.5, 0.2], [0.5, 0, 1]], rtol=0, atol=1e-6
  )
  assert found.labels[0].tolist() == [1, 0, 0]
  assert np.isnan(found.labels[1]).all()
  bad = [{**rows[0], "p": [1.5, 0, 0]}]
  task = table(tmp_path, lines(bad), soft_columns="p", dev="dev.jsonl")
  with pytest.raises(ValueError, match=r"from 0 to 1"):
    own_files.read(task, "train")


def test_ignored_rows_are_left_out_and_counted(tmp_path, caplog):
  data = commas(["t", "l"], [["rude|urgent"], ["?"], [""], ["praise"]])
  task = table(tmp_path, data, "train.csv", separator="|", ignore=["?"])
  read = own_files.read(task, "train")
  assert read.texts[0] == [TEXTS[0], *TEXTS[2:]]
  assert read.labels.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
  assert "flags leaves out 1 of the 4 rows" in caplog.text
