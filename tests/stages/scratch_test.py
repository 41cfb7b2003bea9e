"""Students of a shape of their own, and one that transformers does not know."""

import json

import numpy as np
import pytest

import bam_jax
from bam_jax import export
from bam_jax.inference import trained
from bam_jax.stages import session
from bam_jax.study.workdir import Workdir
from tests import small


def student(small_run, kind, **changes):
  """The config of a student of the finished small runs."""
  tasks = ("cola", "stsb")
  return small.settings(
    small_run.glue,
    "scratch",
    methods="single->multi",
    teacher__files=",".join(
      f"{task}={small_run.workdir}/runs/single.{task}" for task in tasks
    ),
    **{
      "scratch__kind": kind,
      "scratch__tokenizer": str(small_run.encoder),
      "scratch__width": 12,
      "scratch__heads": 3,
      "scratch__layers": 2,
      "scratch__mlp": 20,
    }
    | changes,
  )


def test_a_narrower_student_reads_by_its_teachers_tokenizer(
  small_run, tmp_path
):
  config = student(small_run, "bert")
  here = session.opened(config, Workdir(tmp_path / "W"))
  found = here.materials.encoder
  assert (found.shape.width, found.shape.layers) == (12, 2)
  assert found.folder == small_run.encoder and not found.params
  teacher = session.opened(small_run.config, Workdir(small_run.workdir))
  there = teacher.materials.encoder
  assert found.tokenizer.digest == there.tokenizer.digest
  assert found.shape.vocab_size == there.shape.vocab_size
  task = here.experiment.trained_tasks[0]
  ours, theirs = (each.materials.corpus.train(task) for each in (here, teacher))
  assert ours.tokens.tolist() == theirs.tokens.tolist()


def test_a_bilstm_learns_from_transformers(small_run, tmp_path, capsys):
  workdir = tmp_path / "W"
  # By the letters of their words, with a skip connection: 12 and 7 wide.
  small.execute(
    student(
      small_run,
      "bilstm",
      scratch__directions="apart",
      scratch__filters=20,
      scratch__words_width=7,
      scratch__skip=True,
    ),
    workdir,
  )
  scores = json.loads((workdir / "results.json").read_text())["methods"]
  assert set(scores["single->multi"]) == {"cola", "stsb"}
  assert not (workdir / "data" / "tokenizer").exists()
  (run,) = (workdir / "runs").iterdir()
  found = trained.load(run, trial=None, tasks=())
  assert found.params.keys() == {"bilstm", "pooler", "heads"}
  assert (found.config.kind, found.config.width) == ("bilstm", 19)
  assert found.config.pieces.split("\n")[5:7] == small.WORDS[:2]
  # It answers from its own directory, and each text by itself.
  model = bam_jax.load(run)
  texts = ["the old dog", "a red bird sees no cat here"]
  said = model("cola", texts)
  for text, each in zip(texts, said, strict=True):
    alone = model("cola", [text])[0].probabilities
    assert each.probabilities == pytest.approx(alone, abs=1e-5)
  for task in ("cola", "all"):
    out = tmp_path / task
    flags = [f"--run={run}", f"--task={task}", f"--out={out}"]
    with pytest.raises(SystemExit) as ended:
      export.main(flags)
    assert ended.value.code == 2 and not out.exists()
    said = capsys.readouterr().err
    assert "transformers has no bilstm, so nothing" in said
  out = tmp_path / "program"
  export.main(
    [f"--run={run}", "--task=cola", f"--out={out}", "--format=stablehlo"]
  )
  from jax import export as jax_export

  program = jax_export.deserialize((out / "forward.stablehlo").read_bytes())
  ids = np.array([[2, 5, 6, 7, 3, 0]], np.int32)
  here = (ids > 0).astype(np.int32)
  logits = program.call(ids, 0 * ids, np.arange(6)[None].astype("i4"), here)
  assert logits["cola"].shape == (1, 2)
