"""Labels of own rows: one name each, left out on request, or taught."""

import decimal
import json

import numpy as np
import pyarrow as pa
import pytest

from tests.data.sources.own_test import read, table

STARS = [1.0, 5.0, 4.0, 1.0]


def lines(values) -> str:
  rows = [
    {"question": f"q{i}", "answer": "a"}
    | ({} if v is KeyError else {"verdict": v})
    for i, v in enumerate(values)
  ]
  return "\n".join(map(json.dumps, rows))


def parquet(values, kind=None) -> bytes:
  n = len(values)
  return table(
    question=[f"q{i}" for i in range(n)],
    answer=["a"] * n,
    verdict=pa.array(values, kind),
  )


def csv(values, head="question,answer,verdict\n") -> str:
  return head + "".join(f"q{i},a,{v}\n" for i, v in enumerate(values))


@pytest.mark.parametrize(
  "labels",
  [[1, 4, 5], [1.0, 4.0, 5.0], ["1", "4", "5"], ["1.0", "4.0", "5.0"]],
)
@pytest.mark.parametrize(
  ("name", "data"),
  [
    ("a.jsonl", lines(STARS)),
    ("a.jsonl", lines(map(int, STARS))),
    ("a.jsonl", lines(map(str, STARS))),
    ("a.jsonl", lines([[s] for s in STARS])),
    ("a.csv", csv(STARS)),
    ("a.csv", csv(map(int, STARS))),
    ("a.parquet", parquet(STARS)),
    ("a.parquet", parquet(STARS, "float32")),
    ("a.parquet", parquet(list(map(int, STARS)), "uint8")),
    (
      "a.parquet",
      parquet([decimal.Decimal(s) for s in STARS], pa.decimal128(5, 2)),
    ),
    ("a.parquet", parquet([str(s) for s in STARS], "large_string")),
  ],
)
def test_a_whole_number_is_itself_however_it_is_typed(
  tmp_path, name, data, labels
):
  assert read(tmp_path, name, data, labels=labels).labels.tolist() == [
    0,
    2,
    1,
    0,
  ]


@pytest.mark.parametrize(
  "labels", [[False, True], ["false", "true"], ["False", "True"]]
)
@pytest.mark.parametrize(
  ("name", "data"),
  [
    ("a.jsonl", lines([True, False])),
    ("a.csv", csv(["True", "False"])),
    ("a.csv", csv(["TRUE", "FALSE"])),
    ("a.parquet", parquet([True, False])),
  ],
)
def test_truth_is_truth_however_it_is_typed(tmp_path, name, data, labels):
  assert read(tmp_path, name, data, labels=labels).labels.tolist() == [1, 0]


@pytest.mark.parametrize("labels", [[0, 1], ["no", "yes"]])
def test_truth_is_no_number_and_no_word(tmp_path, labels):
  with pytest.raises(ValueError, match=r"no label True; .* the col") as caught:
    read(tmp_path, "a.jsonl", lines([True, False]), labels=labels)
  # No row has any of the labels: to leave rows out would be no cure.
  assert str(caught.value).endswith(
    "has ['false', 'true']; labels are written as the column has them"
  )


@pytest.mark.parametrize(
  ("value", "cure"),
  [
    (None, 'write ignore = [""]'),
    ("", 'write ignore = [""]'),
    (float("nan"), 'write ignore = [""]'),
    ([], 'write ignore = [""]'),
    (KeyError, "there is no column 'verdict'"),
    (-1, "write ignore = [-1]"),
    ("-1.0", "write ignore = [-1]"),
    ("N/A", 'the column has ["N/A", "no", "yes"]; to leave out such rows (2)'),
    (
      ["no", "yes"],
      "(has 2 labels); a row has one label: for several at once write kind",
    ),
    ([["no"]], "(list is no label); a row has one label"),
    (
      {"a": 1},
      "(dict is no label); a row has one label: write the name of the one that",
    ),
  ],
)
def test_a_row_without_a_label_is_refused_with_the_cure(tmp_path, value, cure):
  with pytest.raises(ValueError, match=r"a\.jsonl line 2") as caught:
    read(tmp_path, "a.jsonl", lines(["yes", value, "no", value]))
  assert cure.replace('"N/A", "no", "yes"', "'N/A', 'no', 'yes'") in str(
    caught.value
  )


def test_what_is_ignored_is_left_out_and_counted(tmp_path, caplog):
  values = ["yes", -1, "no", None, "-", -1.0, ""]
  found = read(tmp_path, "a.jsonl", lines(values), ignore=[-1, "", "-"])
  assert found.texts[0] == ["q0", "q2"]
  assert found.labels.tolist() == [1, 0]
  assert (
    "pets leaves out 5 of the 7 rows of" in caplog.text
    and "2 with the label '-1', 2 with none, 1 with the label '-'"
    in caplog.text
  )


def test_numbers_are_left_out_too(tmp_path):
  changes = {"labels": None, "range": [0, 5], "metric": "pearson"}
  with pytest.raises(ValueError, match=r'write ignore = \[""\]'):
    read(tmp_path, "a.jsonl", lines([1, None, 5]), **changes)
  found = read(tmp_path, "a.jsonl", lines([1, None, 5]), ignore="", **changes)
  assert found.labels.tolist() == pytest.approx([0.2, 1.0])


def test_left_out_rows_come_to_neither_side_of_dev_share(tmp_path):
  values = [["no", "yes", -1][i % 3] for i in range(60)]
  share = {"dev": None, "dev_share": 0.25, "ignore": [-1]}
  train, dev = (
    read(tmp_path, "a.jsonl", lines(values), split, **share)
    for split in ("train", "validation")
  )
  assert (len(train), len(dev)) == (30, 10)
  assert not set(train.texts[0]) & set(dev.texts[0])


def judged(values) -> str:
  return "question,answer,verdict,p,r\n" + "".join(
    f"q{i},a,{v},0.25,0.75\n" for i, v in enumerate(values)
  )


@pytest.mark.parametrize("missing", ["", "-1"])
def test_rows_that_a_teacher_judges_need_no_gold(tmp_path, missing, caplog):
  data = judged(["yes", missing, "no", missing])
  found = read(tmp_path, "a.csv", data, soft_columns=["p", "r"])
  np.testing.assert_array_equal(found.labels, [1, np.nan, 0, np.nan])
  np.testing.assert_allclose(np.exp(found.soft), [[0.25, 0.75]] * 4, atol=1e-6)
  assert "2 of the 4 rows of" in caplog.text
  assert "learn from their soft label alone" in caplog.text
  # On request they are left out all the same.
  found = read(
    tmp_path, "a.csv", data, soft_columns=["p", "r"], ignore=[missing]
  )
  assert found.labels.tolist() == [1, 0]


def test_the_label_column_may_be_missing_where_a_teacher_judges(tmp_path):
  data = "question,answer,p,r\nq,a,0.25,0.75\n"
  found = read(tmp_path, "a.csv", data, soft_columns=["p", "r"])
  assert np.isnan(found.labels).all() and len(found.soft) == 1
  with pytest.raises(ValueError, match="there is no column 'verdict'"):
    read(tmp_path, "a.csv", data)


def test_a_soft_file_judges_rows_without_gold(tmp_path):
  (tmp_path / "s.jsonl").write_text(
    "\n".join(json.dumps({"index": i, "probs": [0.5, 0.5]}) for i in range(3))
  )
  data = csv(["yes", "", "no"])
  found = read(tmp_path, "a.csv", data, soft_labels="s.jsonl")
  np.testing.assert_array_equal(found.labels, [1, np.nan, 0])


def test_dev_needs_gold(tmp_path):
  (tmp_path / "dev.csv").write_text(judged(["yes", "", "no"]))
  with pytest.raises(ValueError, match=r"dev\.csv line 3.* has no label ''"):
    read(
      tmp_path,
      "a.csv",
      judged(["", ""]),
      "validation",
      soft_columns=["p", "r"],
    )
  share = {"dev": None, "dev_share": 0.25, "soft_columns": ["p", "r"]}
  with pytest.raises(
    ValueError, match="has a label, and dev of pets is scored"
  ):
    read(tmp_path, "a.csv", judged(["", ""]), **share)


def test_dev_share_takes_rows_with_gold_and_all_their_equals(tmp_path):
  # Every text comes three times, once without a label.
  lines = [
    f"q{i % 20},a,{'' if i < 20 else 'no'},0.25,0.75\n" for i in range(60)
  ]
  data = "question,answer,verdict,p,r\n" + "".join(lines)
  share = {"dev": None, "dev_share": 0.25, "soft_columns": ["p", "r"]}
  train, dev = (
    read(tmp_path, "a.csv", data, split, **share)
    for split in ("train", "validation")
  )
  assert len(dev) == 10 and len(set(dev.texts[0])) == 5
  assert not np.isnan(dev.labels).any() and dev.soft is None
  assert len(train) == 45 and np.isnan(train.labels).sum() == 15
  assert not set(train.texts[0]) & set(dev.texts[0])
