"""Texts read apart in a study: taught from, answered as they were scored."""

import json

from ml_collections import ConfigDict
import numpy as np

import bam_jax
from bam_jax.data.sources import readers
from bam_jax.study import predictions
from bam_jax.tasks.table import TASKS
from tests import small
from tests.stages.ranking_test import write

TEACHER, STUDENT = "single.stsb", "single-to-multi@together.cola+stsb"


def test_a_head_that_reads_apart_teaches_one_that_does_not(small_run, tmp_path):
  config = small.settings(
    small_run.glue,
    small_run.encoder,
    methods="single->multi@together",
    learn__head="stsb=siamese:width=7",
    sampling__kind="sequential_epochs",
    data__packing=True,
    max_steps=4,
  )
  config.variants = ConfigDict({"together": {"learn": {"head": ""}}})
  small.execute(config, tmp_path / "W")
  dev = readers.load(
    TASKS["stsb"], "validation", glue_dir=str(small_run.glue), seed=0
  )
  for name, layers in ((TEACHER, {"hidden", "out"}), (STUDENT, None)):
    folder = tmp_path / "W" / "runs" / name
    (kept,) = (
      rows
      for (task, _), rows in predictions.read(
        predictions.path(folder, 0)
      ).items()
      if task == "stsb"
    )
    model = bam_jax.load(folder)
    head = model.trained.params["heads"]["stsb"]
    assert head.keys() == (layers or {"kernel", "bias"})
    got = model.logits(["stsb"], dev.texts)["stsb"][kept.index]
    assert np.abs(got - kept.logits).max() < 1e-5


def test_candidates_are_scored_beside_a_question_that_is_read_alone(
  small_run, tmp_path
):
  config = small.settings(
    small_run.glue,
    small_run.encoder,
    tasks_file=str(write(tmp_path)),
    tasks="best",
    methods="single",
    learn__head="bilinear:width=5",
    max_length=14,
    max_steps=4,
    data__packing=True,
  )
  small.execute(config, tmp_path / "W")
  folder = tmp_path / "W" / "runs" / "single.best"
  kept = predictions.read(predictions.path(folder, 0))["best", "validation"]
  model = bam_jax.load(folder)
  answer = model.trained.params["heads"]["best"]["answer"]
  assert answer["kernel"].shape == (1, 5, 5) and answer["bias"].shape == (1,)
  lines = (tmp_path / "best-dev.jsonl").read_text().splitlines()
  pairs = [
    (row["question"], candidate)
    for row in map(json.loads, lines)
    for candidate in row["candidates"]
  ]
  got = model.logits(["best"], [*map(list, zip(*pairs, strict=True))])["best"]
  assert np.ptp(got) > 1e-3
  assert np.abs(got - kept.logits).max() < 1e-5
