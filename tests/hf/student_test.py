"""A student of another family, with another tokenizer, taught by example."""

import json

import numpy as np
import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from bam_jax.data import logits as logits_lib
from bam_jax.hf import directory as hf
from bam_jax.hf import weights
from bam_jax.models import bert
from bam_jax.stages import session
from bam_jax.study.workdir import Workdir
from tests import small

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def write_roberta(folder):
  """Writes a directory of a RoBERTa with random weights and its own BPE."""
  backend = tokenizers.Tokenizer(models.BPE())
  backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
  trainer = trainers.BpeTrainer(
    vocab_size=300,
    special_tokens=SPECIAL,
    initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    show_progress=False,
  )
  backend.train_from_iterator([" ".join(small.WORDS)], trainer)
  source = folder.parent / "source"
  source.mkdir(parents=True)
  backend.model.save(str(source))
  changes = dict(family="roberta", types=1, pad_id=1, position_offset=2)
  config = bert.BertConfig(
    vocab_size=backend.get_vocab_size(), **small.SHAPE | changes | {"layers": 2}
  )
  rng = np.random.default_rng(0)
  params = {
    path: rng.normal(size=shape) * 0.05 + path.endswith("scale")
    for path, shape in weights.shapes(config).items()
  }
  tree = hf.traverse_util.unflatten_dict(params, sep="/")
  hf.save_encoder(folder, config, tree, tokenizer=source)
  return folder


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
  return write_roberta(tmp_path_factory.mktemp("student") / "roberta")


def taught(small_run, encoder, teacher, tasks=("cola", "stsb"), **changes):
  """The config of a student of the finished small runs."""
  return small.settings(
    small_run.glue,
    encoder,
    tasks=",".join(tasks),
    methods="single->single",
    teacher__files=",".join(
      f"{task}={teacher}/runs/single.{task}" for task in tasks
    ),
    **changes,
  )


def test_its_teachers_logits_are_those_of_the_same_examples(
  small_run, roberta, tmp_path
):
  config = taught(small_run, roberta, small_run.workdir)
  student = session.opened(config, Workdir(tmp_path / "W"))
  own = session.opened(small_run.config, Workdir(small_run.workdir))
  for run in student.experiment.runs:
    assert run.teachers == ((run.tasks[0], ""),)  # nothing is trained to teach
    (task,) = student.experiment.tasks_of(run)
    ours, theirs = (
      each.materials.corpus.train(task) for each in (student, own)
    )
    assert ours.index.tolist() == theirs.index.tolist()
    assert ours.tokens.tolist() != theirs.tokens.tolist()
    path = Workdir(small_run.workdir).teacher(
      f"single.{task.name}", task.name, 0
    )
    said = logits_lib.read(path, expected={})
    index, logits = said.index, said.values
    want = dict(zip(index.tolist(), logits.tolist(), strict=True))
    found = student.teachers.targets(run, task, (0,))
    assert found.tolist() == [want[i] for i in ours.index.tolist()]
    assert len(np.unique(found)) > 9


def test_it_is_trained_with_every_other_layer(small_run, roberta, tmp_path):
  workdir = tmp_path / "W"
  teacher = small_run.workdir
  config = taught(small_run, roberta, teacher, ("cola",), encoder_every=2)
  small.execute(config, workdir)
  scores = json.loads((workdir / "results.json").read_text())["methods"]
  assert list(scores) == ["single->single"]
  assert set(scores["single->single"]) == {"cola"}
  found = session.opened(config, Workdir(workdir)).finished(
    "single-to-single.cola", [0]
  )
  assert "layer_0" in found["bert"] and "layer_1" not in found["bert"]


def test_a_teacher_of_other_text_or_none_is_refused(
  small_run, roberta, tmp_path
):
  glue = small.write_glue(tmp_path / "glue")
  lines = (glue / "CoLA/train.tsv").read_text().splitlines()
  (glue / "CoLA/train.tsv").write_text("\n".join(lines[::-1]) + "\n")
  config = taught(small_run, roberta, small_run.workdir)
  config.data.glue_dir = str(glue)
  with pytest.raises(ValueError, match="do not fit this run: text is"):
    small.execute(config, tmp_path / "W")
  config = taught(small_run, roberta, small_run.workdir, data__holdout=0.2)
  with pytest.raises(ValueError, match=r"holdout is 0\.0 there and 0\.2"):
    small.execute(config, tmp_path / "W")
  config = taught(small_run, roberta, tmp_path / "nowhere")
  with pytest.raises(ValueError, match=r"not there; .* has taught cola"):
    small.execute(config, tmp_path / "W")
  config = taught(small_run, roberta, small_run.workdir, trials=2)
  config.teacher.trials = "matched"
  with pytest.raises(OSError, match=r"no teacher logits in .*seed-1"):
    small.execute(config, tmp_path / "W")
  assert not (tmp_path / "W").exists()
