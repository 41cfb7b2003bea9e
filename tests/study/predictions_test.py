"""Kept dev logits come back equal, or the error names the file."""

import os

import numpy as np
import pytest

from bam_jax.study import predictions
from bam_jax.study.predictions import Predictions
from bam_jax.tasks import metrics
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import get_tasks


def rows(seed=0, examples=5, classes=4):
  rng = np.random.default_rng(seed)
  index = rng.permutation(examples) + 10
  logits = rng.normal(size=(examples, classes)).astype(np.float32)
  return Predictions(index, logits, (index % classes).astype(np.float32))


def test_what_is_written_comes_back(tmp_path):
  file = predictions.path(tmp_path / "runs/single.rte", 3)
  assert file == tmp_path / "runs/single.rte/dev_logits/seed-3.npz"
  kept = {
    ("mnli", "validation_matched"): rows(),
    ("mnli", "validation_mismatched"): rows(1, 3),
    ("stsb", "validation"): rows(2, 7, 1),
  }
  predictions.write(file, kept)
  found = predictions.read(file)
  assert list(found) == list(kept)
  for key, one in kept.items():
    for field, dtype in (
      ("index", "<i8"),
      ("logits", "<f4"),
      ("labels", "<f4"),
    ):
      value = getattr(found[key], field)
      assert value.dtype == np.dtype(dtype)
      np.testing.assert_array_equal(value, getattr(one, field))
  assert [path.name for path in file.parent.iterdir()] == ["seed-3.npz"]


def test_words_stay_with_their_rows(tmp_path):
  # Rows 12, 10 and 11 with two, no and three words.
  logits = np.arange(10, dtype=np.float32).reshape(5, 2)
  labels = np.arange(5, dtype=np.float32)
  one = Predictions(np.array([12, 10, 11]), logits, labels, np.array([2, 0, 3]))
  file = predictions.path(tmp_path, 0)
  predictions.write(file, {("ner", "validation"): one})
  found = predictions.read(file)["ner", "validation"]
  assert found.words.tolist() == [2, 0, 3]
  # The same as another trial kept it, in another order of the rows.
  mine = [2, 3, 4, 0, 1]
  other = Predictions(
    np.array([11, 10, 12]), logits[mine] + 50, labels[mine], np.array([3, 0, 2])
  )
  both = predictions.together({"a": found, "b": other})
  assert both.index.tolist() == [10, 11, 12]
  assert both.words.tolist() == [0, 3, 2]
  assert both.labels.tolist() == [2, 3, 4, 0, 1]
  np.testing.assert_array_equal(both.logits[0], logits[mine])
  np.testing.assert_array_equal(both.logits[1], logits[mine] + 50)


@pytest.mark.parametrize("words", [[3, 0, 3], [2, 3], [5, 0, 1]])
def test_words_that_do_not_fit_the_rows_are_refused(tmp_path, words):
  one = Predictions(
    np.array([2, 0, 1]), np.zeros((5, 2)), np.zeros(5), np.array(words)
  )
  with pytest.raises(ValueError, match=r"of words \[M, C\], \[N\] and \[M\]"):
    predictions.write(predictions.path(tmp_path, 0), {("ner", "dev"): one})


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
  file = predictions.path(tmp_path, 0)
  predictions.write(file, {("rte", "validation"): rows()})
  before = file.read_bytes()

  def fail(*_, **__):
    raise OSError("disk full")

  for module, name in ((np, "savez"), (os, "replace")):
    with monkeypatch.context() as patch:
      patch.setattr(module, name, fail)
      with pytest.raises(OSError, match="disk full"):
        predictions.write(file, {("rte", "validation"): rows(1)})
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
  "damage", ["missing", "cut", "text", "other", "pickle"]
)
def test_what_cannot_be_read_names_the_file_and_the_cure(tmp_path, damage):
  file = predictions.path(tmp_path, 0)
  predictions.write(file, {("rte", "validation"): rows()})
  if damage == "missing":
    file.unlink()
  elif damage == "cut":
    file.write_bytes(file.read_bytes()[:300])
  elif damage == "text":
    file.write_text("seed 0")
  elif damage == "other":
    np.savez(file, weights=np.zeros(3))
  else:
    half = {f"rte/validation/{k}": np.zeros(2) for k in ("index", "labels")}
    odd = np.array([None, []], dtype=object)
    np.savez(file, **half, **{"rte/validation/logits": odd})
  with pytest.raises(ValueError, match=r"--config\.stage=evaluate") as error:
    predictions.read(file)
  assert str(file) in str(error.value)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (
      {"labels": np.zeros(4)},
      r"logits \(5, 4\), index \(5,\) and labels \(4,\)",
    ),
    ({"logits": np.zeros(5)}, r"\[N, C\], \[N\] and \[N\] are allowed"),
    ({"index": np.zeros(5)}, "an example twice"),
  ],
)
def test_what_does_not_fit_is_not_written(tmp_path, changes, message):
  one = Predictions(**(vars(rows()) | changes))
  file = predictions.path(tmp_path, 0)
  with pytest.raises(ValueError, match=f"rte/validation has .*{message}"):
    predictions.write(file, {("rte", "validation"): one})
  assert not file.exists()


def test_trials_stand_together_in_the_order_of_the_examples():
  one = rows()
  order = np.array([3, 1, 4, 0, 2])
  other = Predictions(
    one.index[order], 2 * one.logits[order], one.labels[order]
  )
  found = predictions.together({"a": one, "b": other})
  assert found.index.tolist() == [10, 11, 12, 13, 14]
  assert found.logits.shape == (2, 5, 4)
  np.testing.assert_array_equal(found.logits[1], 2 * found.logits[0])
  np.testing.assert_array_equal(found.labels, found.index % 4)
  np.testing.assert_array_equal(
    found.logits[0], one.logits[one.index.argsort()]
  )


@pytest.mark.parametrize(
  "changes",
  [
    {"index": np.arange(5)},
    {"labels": np.zeros(5, np.float32)},
    {"logits": np.zeros((5, 2), np.float32)},
  ],
)
def test_trials_of_other_examples_do_not_stand_together(changes):
  other = Predictions(**(vars(rows()) | changes))
  with pytest.raises(
    ValueError, match=r"a.npz .* and b.npz .* not of the same"
  ):
    predictions.together({"a.npz": rows(), "b.npz": other})


@pytest.mark.parametrize("name", ["rte", "stsb"])
def test_predicted_is_what_is_scored(name):
  (task,) = get_tasks([name])
  one = rows(3, 9, task.classes)
  labels = np.arange(9, dtype=np.float32) % max(2, task.classes)
  found = KINDS[task.kind].predicted(task, one.logits, None)
  scores = metrics.scores(task, one.logits, labels)
  assert scores[task.headline] == pytest.approx(
    100 * metrics.METRICS[task.headline](found, labels)
  )
