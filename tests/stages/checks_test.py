"""What cannot be is refused in one sentence before anything is written."""

from pathlib import Path
import shutil

import pytest

from bam_jax.stages import checks
from bam_jax.study import experiment
from tests import small


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
  root = tmp_path_factory.mktemp("inputs")
  return small.write_glue(root / "glue"), small.write_encoder(root / "encoder")


def refusal(config, workdir: Path) -> str:
  """Returns why a config is refused, having seen that nothing was written."""
  with pytest.raises((ValueError, OSError)) as error:
    small.execute(config, workdir)
  assert not workdir.exists()
  said = str(error.value)
  assert "\n" not in said
  return said


@pytest.mark.parametrize(
  ("key", "value", "said"),
  [
    ("tasks", "cola,rtte", "did you mean 'rte'"),
    ("tasks", "", "no task named"),
    ("tasks", "cola,cola", "named twice"),
    ("tasks", "ax", "nothing to train on"),
    ("methods", "singel", "did you mean 'single'"),
    ("methods", "", "name each once"),
    ("stage", "trian", "did you mean 'train'?"),
    ("stage", "report", "nothing in"),
    ("stage", "teach", "--config.stage=train"),
    ("dtype", "float23", "did you mean 'float32'?"),
    ("trials", 0, "trials is 0; it is 1 or more"),
    ("log_every", 0, "log_every is 0"),
    ("max_steps", -1, "max_steps is -1"),
    ("multi.rate", -1.0, "multi.rate is -1.0; it is above 0"),
    ("single.epochs", float("nan"), "single.epochs is nan"),
    ("optim.warmup", 1.5, "warmup 1.5"),
    ("optim.warmup_join", "brt", "did you mean 'bert'"),
    ("teacher.schedule", "linaer", "did you mean 'linear'"),
    ("teacher.trials", "all", "first, matched, ensemble"),
    ("teacher.files", "rte=x.jsonl", "a task of cola,stsb"),
    (
      "teacher.files",
      "cola=nowhere.jsonl",
      "nowhere.jsonl, which is not there",
    ),
    ("sampling.kind", "pwoer", "did you mean 'power'?"),
    ("sampling.loss_scale", "log", "uniform, proportional, power"),
    ("loss.reduction", "max", "sum or mean"),
    ("data.holdout", 1.0, "a share, from 0 to below 1"),
    ("data.holdout", 0.001, "leave some on both sides"),
    ("data.fold", -1, "data.fold is -1; it is 0 or more"),
    ("data.fold", 1, "data.holdout=0 makes 1 fold, counted from 0"),
    ("calibration.share", 1.0, "a share, from 0 to below 1"),
    ("calibration.share", 0.001, "calibration.share=0.001 holds out 0 of"),
    ("calibration.threshold", "f1", "set --config.calibration.share=0.1"),
    ("micro_rows", 3, "multi.batch_size=8 without packing does not divide"),
    ("max_length", 41, "has 40 positions; try --config.max_length=40"),
    ("max_length", 2, "max_length is 2"),
    ("encoder", "/nowhere/at/all", "is not a directory"),
    ("encoder_layers", 2, "has 1; give 1 to 1"),
    ("encoder_every", 2, "has 1 layers; give 1 to 1"),
    ("data.glue_dir", "/nowhere/glue", "there is no GLUE folder /nowhere/glue"),
    ("init_from", "/nowhere/runs/x", "holds no finished run"),
    ("init_part", "heads", "encoder or all"),
    ("mesh.data", 3, "does not divide over 1 devices"),
  ],
)
def test_a_setting_that_cannot_be(inputs, tmp_path, key, value, said):
  config = small.settings(*inputs, **{key: value})
  assert said in refusal(config, tmp_path / "W")


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"data.holdout": 0.1}, "choose them first, and then leave data.holdout"),
    ({"tasks": "stsb"}, "stsb is of kind regression, and probabilities of"),
    ({"tasks": "stsb,cola", "calibration.threshold": "stsb=f1"}, "'stsb=f1'"),
  ],
)
def test_rows_held_out_for_calibration_are_for_something(
  inputs, tmp_path, changes, said
):
  config = small.settings(*inputs, calibration__share=0.2, **changes)
  assert said in refusal(config, tmp_path / "W")


def test_scratch_is_checked_before_its_tokenizer_is_trained(inputs, tmp_path):
  config = small.settings(inputs[0], "scratch", scratch__heads=7)
  assert "not a multiple of its 7 heads" in refusal(config, tmp_path / "W")


def test_reference_sizes_know_no_other_tasks(inputs, tmp_path):
  changes = {"sampling.kind": "copies", "sampling.reference_sizes": True}
  config = small.settings(*inputs, tasks="cola,wnli", **changes)
  assert "not wnli" in refusal(config, tmp_path / "W")


def test_an_empty_folder_and_a_missing_split(inputs, tmp_path):
  (tmp_path / "empty").mkdir()
  config = small.settings(tmp_path / "empty", inputs[1])
  assert "is empty" in refusal(config, tmp_path / "W")
  glue = shutil.copytree(inputs[0], tmp_path / "glue")
  (glue / "STS-B" / "dev.tsv").unlink()
  config = small.settings(glue, inputs[1])
  said = refusal(config, tmp_path / "W")
  assert "lacks the validation split of stsb" in said


def test_a_label_outside_the_list_names_file_and_line(inputs, tmp_path):
  glue = shutil.copytree(inputs[0], tmp_path / "glue")
  path = glue / "CoLA" / "train.tsv"
  lines = path.read_text().splitlines()
  lines[4] = "src\tyes\t\tthe dog"
  path.write_text("\n".join(lines))
  said = refusal(small.settings(glue, inputs[1]), tmp_path / "W")
  assert f"{path} line 5: cola has no label 'yes'" in said


def test_a_tokenizer_that_does_not_fit_the_vocabulary(inputs, tmp_path):
  encoder = shutil.copytree(inputs[1], tmp_path / "encoder")
  with (encoder / "vocab.txt").open("a") as file:
    file.write("more\n")
  said = refusal(small.settings(inputs[0], encoder), tmp_path / "W")
  assert "ids up to 15, the model's embedding only 15 rows" in said


def on_devices(monkeypatch, rows, inputs, **changes):
  monkeypatch.setattr(checks.sharding, "row_multiple", lambda mesh: rows)
  config = small.settings(*inputs, **changes)
  checks.batches(experiment.read(config), None)


def test_padded_batches_must_divide_over_devices(monkeypatch, inputs):
  # Packed rows are rounded up.
  on_devices(monkeypatch, 6, inputs, data__packing=True)
  with pytest.raises(ValueError, match=r"multi\.batch_size=8 .*=12"):
    on_devices(monkeypatch, 6, inputs)


def test_micro_batches_must_divide_over_devices(monkeypatch, inputs):
  packed = {"data__packing": True}
  on_devices(monkeypatch, 6, inputs, micro_rows=12, **packed)
  with pytest.raises(ValueError, match=r"over 6 devices .*micro_rows=12"):
    on_devices(monkeypatch, 6, inputs, micro_rows=8, **packed)
  with pytest.raises(ValueError, match=r"eval_batch_size=65 .*=72"):
    on_devices(monkeypatch, 8, inputs, eval_batch_size=65)


def test_passes_that_would_be_the_same_are_refused(inputs, tmp_path):
  config = small.settings(*inputs, adversary__kind="rdrop", head_dropout=0.0)
  config.encoder, config.scratch.dropout = "scratch", 0.0
  said = refusal(config, tmp_path / "W")
  assert "has none; set --config.head_dropout=0.1" in said
  config.attention_dropout = 0.2
  shape = checks.scratch(config, 30, 0)
  checks.redrawn(experiment.read(config), shape)
