"""Texts read apart in a study: taught from, answered as they were scored."""

from ml_collections import ConfigDict
import numpy as np

import bam_jax
from bam_jax.data.sources import readers
from bam_jax.study import predictions
from bam_jax.tasks.table import TASKS
from tests import small

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
