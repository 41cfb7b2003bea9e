"""Teacher logits: joined by example, averaged, refused where unfit."""

import json

import numpy as np
import pytest
import scipy.special

from bam_jax.data import logits as logits_lib
from bam_jax.data import teachers
from bam_jax.data.features import Features
from bam_jax.data.logits import Logits
from bam_jax.runtime import sealed
from bam_jax.tasks.table import get_tasks

RTE, STSB, MNLI = get_tasks(["rte", "stsb", "mnli"])


def rows(index, labels=None):
  """Features of one token each."""
  index = np.asarray(index, np.int64)
  n = len(index)
  return Features(
    tokens=np.arange(n, dtype=np.int32) + 7,
    types=np.zeros(n, np.int8),
    offsets=np.arange(n + 1),
    index=index,
    labels=np.zeros(n, np.float32) if labels is None else labels,
  )


def test_probabilities_are_averaged_not_logits():
  a = np.array([[4.0, 0.0, -1.0], [0.0, 0.0, 9.0]], np.float32)
  b = np.array([[0.0, 3.0, 0.0], [1.0, -5.0, 0.0]], np.float32)
  by_hand = (scipy.special.softmax(a, -1) + scipy.special.softmax(b, -1)) / 2
  mean = teachers.average([a, b], MNLI, rows([0, 1]))
  np.testing.assert_allclose(scipy.special.softmax(mean, -1), by_hand, 1e-6)
  assert mean.dtype == np.float32
  off = scipy.special.softmax((a + b) / 2, -1) - by_hand
  assert abs(off).max() > 0.01  # the case tells the two apart


def test_a_regression_ensemble_is_the_mean_value():
  two = [np.float32([[0.2]]), np.float32([[0.6]])]
  mean = teachers.average(two, STSB, rows([0]))
  np.testing.assert_allclose(mean, [[0.4]], 1e-6)


def test_one_teacher_is_left_as_it_is():
  logits = np.float32([[3, 1]])
  assert teachers.average([logits], RTE, rows([0])) is logits


def test_logits_follow_their_examples_not_their_order(tmp_path):
  logits = np.float32([[10], [30], [20]])
  said = Logits(np.array([1, 3, 2]), logits)
  found = teachers.align(said, rows([3, 1, 1]), tmp_path / "x", "")
  assert found.ravel().tolist() == [30, 10, 10]


def test_a_row_without_logits_is_named(tmp_path):
  said = Logits(np.array([0, 1]), np.zeros((2, 1)))
  with pytest.raises(sealed.IntegrityError, match=r"example 5.*teach") as error:
    teachers.align(said, rows([1, 5]), tmp_path / "lost", "teach again")
  assert "1 of 2" in str(error.value)
  assert "lost" in str(error.value)


META = dict(teacher="t0", tokenizer="k0")


def metadata(task, features, **changes):
  shared = {"labels": list(task.labels), "text": "x0", "holdout": 0.0}
  shared = {key: changes.pop(key, shared[key]) for key in shared}
  return teachers.metadata(features, shared=shared, **META | changes)


def written(path, features, task=RTE, **changes):
  logits_lib.write(
    path,
    index=features.index,
    logits=np.arange(len(features) * 2, dtype=np.float32).reshape(-1, 2),
    metadata=metadata(task, features, **changes),
  )
  return path


def test_a_subset_of_rows_may_be_read(tmp_path):
  everything = rows(range(6))
  path = written(tmp_path / "seed-0", everything)
  (found,) = teachers.read(
    everything.take(np.array([4, 1])),
    made={path: metadata(RTE, everything)},
  )
  assert found.tolist() == [[8, 9], [2, 3]]


@pytest.mark.parametrize(
  ("task", "features", "changes", "said"),
  [
    (RTE, rows(range(6)), {"teacher": "t1"}, "teacher is 't0' there and 't1'"),
    (RTE, rows(range(6)), {"tokenizer": "k1"}, "tokenizer is 'k0' there"),
    (RTE, rows(range(5)), {}, "rows is 6 there and 5 here"),
    (RTE, rows(range(6)), {"text": "x1"}, "text is 'x0' there and 'x1' here"),
    (RTE, rows(range(6)), {"holdout": 0.1}, "holdout is 0.0 there and 0.1"),
    (RTE, rows(range(6), np.ones(6, np.float32)), {}, "source is"),
    (
      get_tasks(["wnli"])[0],
      rows(range(6)),
      {},
      "labels is ['entailment', 'not_entailment'] there and "
      "['not_entailment', 'entailment'] here",
    ),
  ],
)
def test_logits_of_something_else_are_refused_naming_both_sides(
  tmp_path, task, features, changes, said
):
  path = written(tmp_path / "seed-0", rows(range(6)))
  with pytest.raises(sealed.IntegrityError) as error:
    teachers.read(
      features,
      made={path: metadata(task, features, **changes)},
    )
  assert said in str(error.value)
  assert "delete" in str(error.value)


def test_a_damaged_shard_is_refused_with_file_and_cure(tmp_path):
  features = rows(range(6))
  path = written(tmp_path / "seed-0", features)
  (shard,) = path.glob("*array_record*")
  data = bytearray(shard.read_bytes())
  data[len(data) // 2] ^= 1
  shard.write_bytes(data)
  with pytest.raises(sealed.IntegrityError) as error:
    teachers.read(
      features,
      made={path: metadata(RTE, features)},
    )
  assert shard.name in str(error.value)
  assert f"delete {path}" in str(error.value)


def test_a_swapped_copy_is_taught_what_its_original_is(tmp_path):
  file = tmp_path / "soft.jsonl"
  file.write_text(
    "".join(
      json.dumps({"index": i, "value": float(i)}) + "\n" for i in (2, 0, 1)
    )
  )
  # Rows 3, 4, 5 are the copies of 0, 1, 2.
  (found,) = teachers.read_elsewhere(
    STSB, rows([0, 2, 4, 5]), paths=[file], rows=3, shared={}
  )
  np.testing.assert_allclose(found.ravel(), [0, 0.4, 0.2, 0.4], 1e-6)


SHARED = dict(labels=list(RTE.labels), text="x0", holdout=0.0)


def elsewhere(paths, index, rows_there, shared=SHARED):
  """Logits of other tokens than the teacher's, from other directories."""
  own = rows(index)
  each = teachers.read_elsewhere(
    RTE, own, paths=paths, rows=rows_there, shared=shared
  )
  return teachers.average(each, RTE, own)


def test_another_tokenizers_student_joins_by_example(tmp_path):
  # The teacher's tokens, tokenizer and settings are its own affair.
  path = written(tmp_path / "seed-0", rows([2, 0, 1]), tokenizer="other")
  found = elsewhere([path], [1, 2], 3)
  assert found.tolist() == [[4, 5], [0, 1]]


def test_a_copys_logits_are_its_own_if_the_teacher_saw_it(tmp_path):
  with_copies = written(tmp_path / "a", rows([0, 1, 2, 3]))
  assert elsewhere([with_copies], [3, 0], 2).tolist() == [[6, 7], [0, 1]]
  without = written(tmp_path / "b", rows([0, 1]))
  assert elsewhere([without], [3, 0], 2).tolist() == [[2, 3], [0, 1]]


def test_teachers_elsewhere_are_averaged(tmp_path):
  one, other = (
    written(tmp_path / name, rows(index))
    for name, index in (("a", [0, 1]), ("b", [1, 0]))
  )
  want = teachers.average(
    [np.float32([[0, 1], [2, 3]]), np.float32([[2, 3], [0, 1]])],
    RTE,
    rows([0, 1]),
  )
  np.testing.assert_array_equal(elsewhere([one, other], [0, 1], 2), want)


@pytest.mark.parametrize("key", ["labels", "text", "holdout"])
def test_another_text_label_order_or_holdout_elsewhere_is_refused(
  tmp_path, key
):
  path = written(tmp_path / "seed-0", rows([0, 1]))
  with pytest.raises(sealed.IntegrityError, match=f"fit this run: {key} is"):
    elsewhere([path], [0, 1], 2, SHARED | {key: ["other"]})
  with pytest.raises(FileNotFoundError, match="no teacher logits"):
    elsewhere([tmp_path / "seed-1"], [0, 1], 2)


def lacking(path):
  written(path, rows([0, 1, 2]))


def damaged(path):
  written(path, rows([0, 1, 3]))
  (shard,) = path.glob("*array_record*")
  shard.write_bytes(shard.read_bytes()[:-7])


def of_another_text(path):
  written(path, rows([0, 1, 3]), text="x1")


@pytest.mark.parametrize(
  ("spoil", "said"),
  [
    (lacking, "has no logits for 1 of 2 training rows (first: example 3)"),
    (damaged, "is damaged: "),
    (of_another_text, "text is 'x1' there and 'x0' here"),
  ],
)
def test_what_another_directory_holds_is_never_one_to_delete(
  tmp_path, spoil, said
):
  path = tmp_path / "seed-0"
  spoil(path)
  with pytest.raises(sealed.IntegrityError) as error:
    elsewhere([path], [1, 3], 4)
  assert said in str(error.value)
  assert "delete" not in str(error.value)
  assert f"--config.teacher.files another in place of {path}" in str(
    error.value
  )
