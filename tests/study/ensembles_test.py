"""Trials that answer together: the mean in the space that answers live in."""

import dataclasses

import numpy as np
import pytest
import scipy

from bam_jax.study import ensembles
from bam_jax.study.predictions import Predictions
from bam_jax.tasks.table import TASKS


def rows(trials, classes, *, n=23):
  rng = np.random.default_rng(3)
  logits = rng.normal(scale=2, size=(trials, n, classes)).astype(np.float32)
  labels = rng.integers(0, max(classes, 2), n).astype(np.float32)
  return Predictions(np.arange(n), logits, labels)


def test_classes_are_averaged_as_probabilities():
  given = rows(3, 3)
  mean = scipy.special.softmax(given.logits, -1).mean(0)
  want = 100 * (mean.argmax(-1) == given.labels).mean()
  found = ensembles.scores(TASKS["mnli"], given)
  assert found["accuracy"] == pytest.approx(want)
  # Not what the mean of the logits would say.
  assert (mean.argmax(-1) != given.logits.mean(0).argmax(-1)).any()


def test_one_trial_is_no_ensemble():
  assert ensembles.scores(TASKS["mnli"], rows(1, 3)) is None


def test_an_average_lacks_where_a_task_does():
  record = {"metric": "accuracy", "scores": [1.0, 2.0], "seeds": [4, 5]}
  records = {"rte": record, "mrpc": record}
  found = {"rte": {"accuracy": 60.0}, "mrpc": {"accuracy": 80.0}}
  assert ensembles.average(records, found, ["rte", "mrpc"]) == 70.0
  del found["mrpc"]
  assert ensembles.average(records, found, ["rte", "mrpc"]) is None


def test_methods_answer_together_and_each_task_by_its_best():
  one, two = rows(2, 3), rows(1, 3)
  both = {"a": one, "b": dataclasses.replace(two, logits=two.logits + 1)}
  mean = scipy.special.softmax(
    np.concatenate([rows.logits for rows in both.values()]), -1
  ).mean(0)
  everyone = ensembles.scores_of_all(TASKS["mnli"], both)
  want = 100 * (mean.argmax(-1) == one.labels).mean()
  assert everyone["accuracy"] == pytest.approx(want)

  def record(metric, *scores, **more):
    seeds = list(range(len(scores)))
    return {"metric": metric, "scores": [*scores], "seeds": seeds} | more

  methods = {
    "a": {
      "mnli": record("accuracy", 60.0, 62.0),
      "sts": record("pearson", 20.0, 40.0, counts_as="unit"),
    },
    "b": {
      "mnli": record("accuracy", 59.0),
      "sts": record("pearson", 50.0, counts_as="unit"),
    },
  }
  found = ensembles.across(methods, {"mnli": everyone}, ["mnli", "sts"])
  assert found["All methods"]["trials"] == 3
  assert found["All methods"]["scores"]["average"] is None
  assert found["Best of each task"]["scores"] == {
    "average": (61 + 75) / 2,
    "mnli": 61.0,
    "sts": 50.0,
  }
  assert ensembles.across(methods, {}, ["mnli", "sts"]) == {}
