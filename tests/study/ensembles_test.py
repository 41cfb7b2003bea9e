"""Trials that answer together: the mean in the space that answers live in."""

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
