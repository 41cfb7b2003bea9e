"""Studies on rows held out of train: what is taught, trained on and scored."""

import numpy as np

from bam_jax.stages import session
from bam_jax.study.workdir import Workdir
from bam_jax.tasks.table import TASKS
from tests import small

STSB = TASKS["stsb"]


def write_long(glue, row: int) -> None:
  """Makes both sentences of a training row of STS-B far longer than others."""
  file = glue / "STS-B" / "train.tsv"
  lines = file.read_text().splitlines()
  index, _, _, score = lines[1 + row].split("\t")
  long = " ".join(small.WORDS * 2)[:-5]
  lines[1 + row] = "\t".join([index, long, long, score])
  file.write_text("\n".join(lines) + "\n")


def test_a_held_out_row_may_be_longer_than_all_that_are_trained_on(
  tmp_path, compiled
):
  glue = small.write_glue(tmp_path / "glue")
  encoder = small.write_encoder(tmp_path / "encoder")
  config = small.settings(
    glue,
    encoder,
    tasks="stsb",
    methods="single->single",
    max_length=40,
    max_steps=2,
    data__holdout=0.25,
  )

  def opened(where):
    return session.opened(config, Workdir(tmp_path / where))

  out = opened("before").materials.corpus.scored(STSB)["holdout"].index
  write_long(glue, int(out[0]))
  small.execute(config, tmp_path / "W")
  it = opened("W")
  teacher, student = it.experiment.runs
  corpus, width = it.materials.corpus, it.materials.width
  # Every row is taught, at the width of the longest, which no run trains on.
  assert width(teacher) == width(student) == 32
  rows = corpus.taught(STSB)
  assert rows.lengths.max() > 32
  assert out[0] in corpus.scored(STSB)["holdout"].index
  logits = it.teachers.targets(student, STSB, [0])
  assert len(logits) == len(corpus.train(STSB))
  assert np.isfinite(logits).all()


def test_logits_of_one_fold_do_not_fit_another(small_run, tmp_path):
  shared = []
  for fold in (0, 1):
    config = small.settings(
      small_run.glue,
      small_run.encoder,
      data__holdout=0.25,
      data__fold=fold,
    )
    it = session.opened(config, Workdir(tmp_path / str(fold)))
    shared.append(it.teachers.shared(STSB))
    assert it.materials.texts.holdout(STSB, it.experiment.held).mask.sum() in (
      12,
      13,
    )
  assert shared[0] == shared[1] | {"holdout": 0.25}
  assert shared[1]["holdout"] == [0.25, 1]
