"""Files from outside: right ones are read, wrong ones named to the line."""

import contextlib
import dataclasses
from decimal import Decimal
import json

import numpy as np
import pyarrow as pa
from pyarrow import parquet
import pytest

from bam_jax.data import soft_labels
from bam_jax.tasks import table as tasks

_RTE, _MNLI, _STSB = tasks.get_tasks(["rte", "mnli", "stsb"])


def _write(path, rows):
  if path.suffix == ".parquet":
    parquet.write_table(pa.Table.from_pylist(rows), path)
  else:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
  return path


def _softmax(logits):
  exp = np.exp(logits - logits.max(1, keepdims=True))
  return exp / exp.sum(1, keepdims=True)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("kind", ["probs", "logits"])
def test_rows_come_in_order_of_index_and_of_the_labels(
  tmp_path, suffix, named, kind
):
  want = np.array(
    [[0.2, 0.5, 0.3], [1, 0, 0], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]]
  )
  values = want if kind == "probs" else np.log(want + 1e-6)
  rows = []
  for index in (2, 0, 3, 1):
    value = values[index].tolist()
    if named:
      pairs = zip(_MNLI.labels, value, strict=True)
      value = dict(sorted(pairs, reverse=True))
    rows.append({"index": index, kind: value, "text": "is not read"})
  path = _write(tmp_path / f"soft{suffix}", rows)
  said = soft_labels.read_soft_labels(path, task=_MNLI, rows=4, shared={})
  index, logits = said.index, said.values
  np.testing.assert_array_equal(index, np.arange(4), strict=True)
  assert logits.dtype == np.float32 and np.isfinite(logits).all()
  np.testing.assert_allclose(_softmax(logits), want, atol=1e-5)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_regression_values_are_scaled_from_the_tasks_range(tmp_path, suffix):
  rows = [{"index": 1, "value": 5.0}, {"index": 0, "value": 1.25}]
  path = _write(tmp_path / f"soft{suffix}", rows)
  logits = soft_labels.read_soft_labels(
    path, task=_STSB, rows=2, shared={}
  ).values
  np.testing.assert_allclose(logits, [[0.25], [1.0]])


_GOOD = {"index": 1, "probs": [0.5, 0.5]}


@pytest.mark.parametrize(
  ("row", "words"),
  [
    ("{", "is not JSON"),
    ("[1]", r"is not a JSON object: \[1\]"),
    ({"probs": [0.5, 0.5]}, "index is None; rte has the rows 0 to 1"),
    ({"index": 2, "probs": [0.5, 0.5]}, "index is 2; rte has the rows 0 to 1"),
    ({"index": -1, "probs": [0.5, 0.5]}, "index is -1"),
    ({"index": "0", "probs": [0.5, 0.5]}, "index is '0'"),
    ({"index": True, "probs": [0.5, 0.5]}, "index is True"),
    (_GOOD, "index 1 is at .*soft.jsonl line 1 already"),
    ({"index": 0}, "has no soft label; a row of rte has probs or logits"),
    ({"index": 0, "value": 3.0}, "has value; a row of rte has probs"),
    ({"index": 0, "probs": [1, 0], "logits": [1, 0]}, "has probs and logits"),
    ({"index": 0, "probs": [1.0]}, r"probs is \[1.0\]; rte needs 2 numbers"),
    ({"index": 0, "probs": 1.0}, "probs is 1.0; rte needs 2 numbers"),
    ({"index": 0, "probs": ["1", 0]}, "not finite numbers"),
    ({"index": 0, "logits": [float("nan"), 0]}, "not finite numbers"),
    ({"index": 0, "logits": [float("inf"), 0]}, "not finite numbers"),
    ({"index": 0, "probs": [1.2, -0.2]}, "probabilities are not negative"),
    ({"index": 0, "probs": [0.5, 0.489]}, "sum to 0.989; probabilities are"),
    ({"index": 0, "probs": [97, 3]}, "sum to 100; .*divide percentages by 1"),
    ({"index": 0, "probs": [0.3, 0.4]}, "give them with more decimals, or"),
    ({"index": 0, "probs": [1.5, -0.5]}, 'what may be negative is "logits"'),
    (
      {"index": 0, "probs": {"entailment": 1, "not": 0}},
      r"probs names \[.entailm",
    ),
    ({"index": 0, "probs": {"entailment": 1}}, "the labels of rte are entail"),
  ],
)
def test_wrong_row_is_named_with_file_and_line(tmp_path, row, words):
  # The empty line counts as one.
  path = _write(tmp_path / "soft.jsonl", [_GOOD, "", row])
  with pytest.raises(ValueError, match=words) as caught:
    soft_labels.read_soft_labels(path, task=_RTE, rows=2, shared={})
  assert str(caught.value).startswith(f"{path} line 3")


@pytest.mark.parametrize(
  ("task", "probs"),
  [
    (_RTE, [0.5, 0.49]),
    (_MNLI, [0.33, 0.33, 0.33]),
    (_MNLI, [0.67, 0.17, 0.17]),
    (_MNLI, [Decimal("0.33")] * 3),
  ],
)
def test_probabilities_rounded_to_two_decimals_count_by_proportion(
  tmp_path, task, probs
):
  path = tmp_path / "soft.parquet"
  parquet.write_table(pa.table({"index": [0], "probs": [probs]}), path)
  logits = soft_labels.read_soft_labels(
    path, task=task, rows=1, shared={}
  ).values
  want = np.array([probs], float) / float(sum(probs))
  np.testing.assert_allclose(_softmax(logits), want, rtol=1e-6)


def test_many_rounded_labels_are_off_by_no_more_than_a_twentieth(tmp_path):
  labels = tuple(f"l{i}" for i in range(77))
  task = dataclasses.replace(_RTE, labels=labels)
  for share, fine in ((0.9501 / 77, True), (0.949 / 77, False)):
    path = _write(
      tmp_path / "soft.jsonl", [{"index": 0, "probs": [share] * 77}]
    )
    with (
      contextlib.nullcontext()
      if fine
      else pytest.raises(ValueError, match="sum")
    ):
      soft_labels.read_soft_labels(path, task=task, rows=1, shared={})


def test_wrong_parquet_row_is_named(tmp_path):
  rows = [_GOOD, {"index": 0, "probs": [0.5, 0.6]}]
  path = _write(tmp_path / "soft.parquet", rows)
  with pytest.raises(ValueError, match=r"soft\.parquet row 1: probs is"):
    soft_labels.read_soft_labels(path, task=_RTE, rows=2, shared={})


@pytest.mark.parametrize(
  ("row", "words"),
  [
    ({"index": 0, "value": 5.1}, "value is 5.1; stsb goes from 0 to 5"),
    ({"index": 0, "probs": [1.0]}, "has probs; a row of stsb has value"),
    ({"index": 0, "value": [1.0]}, "not finite numbers"),
    ({"index": 0, "value": {"a": 1}}, "not finite numbers"),
  ],
)
def test_wrong_regression_row_is_named(tmp_path, row, words):
  path = _write(tmp_path / "soft.jsonl", [row])
  with pytest.raises(ValueError, match=words):
    soft_labels.read_soft_labels(path, task=_STSB, rows=1, shared={})


def test_examples_without_a_row_are_named(tmp_path):
  path = _write(tmp_path / "soft.jsonl", [_GOOD])
  with pytest.raises(ValueError, match=r"soft\.jsonl lack rows: 0, 2 of 3"):
    soft_labels.read_soft_labels(path, task=_RTE, rows=3, shared={})


def test_file_that_is_not_what_its_name_says_is_refused(tmp_path):
  path = tmp_path / "soft.parquet"
  with pytest.raises(FileNotFoundError, match="no file of soft labels"):
    soft_labels.read_soft_labels(path, task=_RTE, rows=1, shared={})
  path.write_text("{}")
  with pytest.raises(ValueError, match="is not a whole Parquet file"):
    soft_labels.read_soft_labels(path, task=_RTE, rows=1, shared={})
  path = path.rename(tmp_path / "soft.csv")
  with pytest.raises(ValueError, match=r"from \.jsonl and \.parquet"):
    soft_labels.read_soft_labels(path, task=_RTE, rows=1, shared={})
  path = path.rename(tmp_path / "soft.jsonl")
  path.write_bytes(b'{"index": 0, "text": "\xff"}')
  with pytest.raises(ValueError, match="line 1 is not UTF-8"):
    soft_labels.read_soft_labels(path, task=_RTE, rows=1, shared={})
