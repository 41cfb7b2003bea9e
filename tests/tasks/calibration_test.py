"""Calibrations of heads: what is fitted, what it decides, what it refuses."""

import dataclasses
import json

import numpy as np
import pytest
import scipy

from bam_jax.stats.thresholds import Rule
from bam_jax.tasks import calibration, description
from bam_jax.tasks.calibration import Calibration
from bam_jax.tasks.description import Description, Head
from bam_jax.tasks.table import TASKS

RTE, MNLI, STSB = (TASKS[name] for name in ("rte", "mnli", "stsb"))
TOPICS = dataclasses.replace(
  RTE, name="topics", kind="multilabel", labels=("a", "b", "c")
)
YES = RTE.labels[1]


def rows(task, count=400, seed=6):
  """Logits that are twice too sure, and gold labels."""
  rng = np.random.default_rng(seed)
  logits = rng.normal(0, 1.2, (count, len(task.labels)))
  if task is TOPICS:
    gold = rng.random(logits.shape) < scipy.special.expit(logits - 0.7)
    return (2 * logits).astype(np.float32), gold.astype(np.float32)
  chances = scipy.special.softmax(logits, axis=-1)
  gold = (rng.random((count, 1)) > chances.cumsum(-1)).sum(-1)
  return (2 * logits).astype(np.float32), gold.astype(np.float32)


@pytest.mark.parametrize(
  ("task", "rule"),
  [
    (RTE, None),
    (RTE, Rule("precision", 0.8)),
    (MNLI, None),
    (TOPICS, None),
    (TOPICS, Rule("f1")),
  ],
)
def test_answers_say_what_was_counted_when_it_was_fitted(task, rule):
  logits, gold = rows(task)
  made, notes = calibration.fit(task, logits, gold, rule)
  assert notes == []
  assert 1.2 < made.temperature < 3
  assert bool(made.thresholds) == (rule is not None)
  head = dataclasses.replace(Head.of(task), calibration=made)
  answers = description.answers(head, logits)
  said, sure = made.surely(task, logits)
  np.testing.assert_allclose([each.confidence for each in answers], sure)
  for each, mine in zip(answers, said, strict=True):
    if task is TOPICS:
      assert each.labels == tuple(np.array(task.labels)[mine])
    else:
      assert each.label == task.labels[mine]
  if rule and rule.wanted:
    right = gold[said == 1] == 1
    assert right.mean() >= 0.8
    # Not so by the likelier of the two.
    assert (gold[logits.argmax(-1) == 1] == 1).mean() < 0.8


def test_what_cannot_be_reached_is_said_with_the_best_there_was():
  logits = np.array([[0, 3.0], [0, 2.0], [0, 1.0], [0, -1.0]])
  made, (note,) = calibration.fit(
    RTE, logits, np.array([0.0, 1, 1, 0]), Rule("precision", 0.9)
  )
  assert f"no threshold gives {YES} a precision of 0.9" in note
  assert "the best is 0.67, so it is never said" in note
  head = dataclasses.replace(Head.of(RTE), calibration=made)
  assert {each.label for each in description.answers(head, logits)} == {
    RTE.labels[0]
  }


def test_rows_that_are_all_right_leave_the_temperature_at_one_and_say_so():
  logits = np.array([[3.0, 0], [0, 2.0]])
  made, (note,) = calibration.fit(RTE, logits, np.array([0.0, 1]), None)
  assert made == Calibration()
  assert "the model is right on all 2 held-out rows" in note


def test_a_model_that_is_no_better_than_chance_is_hardly_sure_of_anything():
  logits = np.array([[9.0, 0], [0, 9.0], [9.0, 0], [0, 9.0]])
  made, (note,) = calibration.fit(RTE, logits, np.array([0.0, 1, 1, 0]), None)
  assert "no better than chance on 4 held-out rows" in note
  _, sure = made.surely(RTE, logits)
  assert sure.max() < 0.6


def test_heads_keep_their_calibration_through_json(tmp_path):
  made = Calibration(1.0 / 3, {"a": 0.1 + 0.2, "b": None, "c": 0.5})
  heads = (
    dataclasses.replace(Head.of(TOPICS), calibration=made),
    Head.of(STSB),
  )
  said = Description(
    heads=heads, regression_output="linear", max_length=9, dtype="float32"
  )
  said.save(tmp_path)
  found, raw = description.load(tmp_path / description.FILE)
  assert found == said
  # A head without one is written as it was before there were any.
  assert "calibration" not in raw["heads"][1]


@pytest.mark.parametrize(
  "raw",
  [
    {"temperature": 0.0, "thresholds": {}},
    {"temperature": float("nan"), "thresholds": {}},
    {"temperature": 1.0, "thresholds": {"a": 0.5}},
    {"temperature": 1.0, "thresholds": {YES: "0.5"}},
    {"temperature": 1.0},
    [1.0],
  ],
)
def test_a_calibration_that_is_none_is_refused(raw, tmp_path):
  said = Description(
    heads=(Head.of(RTE),),
    regression_output="linear",
    max_length=9,
    dtype="float32",
  ).record()
  said["heads"][0]["calibration"] = raw
  file = tmp_path / description.FILE
  file.write_text(json.dumps(said))
  with pytest.raises(ValueError, match="does not say what the heads mean"):
    description.load(file)


@pytest.mark.parametrize(
  ("text", "found"),
  [
    ("", {}),
    ("f1", {"rte": Rule("f1"), "topics": Rule("f1")}),
    ("rte=precision=0.9", {"rte": Rule("precision", 0.9)}),
    (
      "topics=f1, precision=0.75",
      {"rte": Rule("precision", 0.75), "topics": Rule("f1")},
    ),
  ],
)
def test_rules_are_of_all_tasks_that_have_thresholds_or_of_one(text, found):
  assert calibration.rules(text, [RTE, MNLI, STSB, TOPICS]) == found


@pytest.mark.parametrize(
  ("text", "error"),
  [
    ("f2", "'f2'; it is f1 or precision=0.9"),
    ("mnli=f1", "'mnli=f1'"),
    ("precision", "'precision'; it is f1, or precision= and a share"),
    ("precision=90", "'precision=90'"),
    ("rte=precision=x", "'precision=x'"),
    ("f1=3", "'f1=3'"),
    ("rte=f1,rte=f1", "once each"),
    ("f1,precision=0.9", "once each"),
  ],
)
def test_rules_that_are_none_are_refused(text, error):
  with pytest.raises(ValueError, match=error):
    calibration.rules(text, [RTE, MNLI, STSB, TOPICS])
  with pytest.raises(ValueError, match="no task has two classes"):
    calibration.rules("f1", [MNLI, STSB])


def test_an_answer_that_is_not_sure_enough_says_nothing():
  head = dataclasses.replace(Head.of(RTE), calibration=Calibration(2.0))
  sure, not_ = description.answers(head, np.array([[8.0, 0], [1.0, 0]]))
  assert sure.unless(0.8) is sure
  record = not_.unless(0.8).record()
  assert record["label"] is None and record["abstained"] is True
  assert record["probabilities"][YES] == pytest.approx(
    scipy.special.expit(-0.5)
  )
  (several,) = description.answers(Head.of(TOPICS), np.array([[3.0, -3, 1]]))
  assert several.confidence == pytest.approx(scipy.special.expit(1))
  assert several.unless(0.8).record()["labels"] is None
  (value,) = description.answers(Head.of(STSB), np.array([[0.3]]))
  assert value.unless(1.0) is value
