"""What Beam's workers make of a study's data is what the study has made."""

import importlib.util
import shutil

import pytest

from bam_jax.stages import evaluate
from tests import small

pytestmark = [
  pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None,
    reason="pip install 'bam_jax[beam]'",
  ),
  # What of Beam itself warns, not of ours.
  pytest.mark.filterwarnings("ignore"),
]
THREADS = (
  "DirectRunner --direct_num_workers=2 --direct_running_mode=multi_threading"
)


def _files(root):
  return {
    str(path.relative_to(root)): path.read_bytes()
    for path in root.rglob("*")
    if path.is_file()
  }


def test_features_and_teachers_answers_are_the_bytes_of_the_study(
  small_run, tmp_path, monkeypatch
):
  workdir = shutil.copytree(small_run.workdir, tmp_path / "W")
  made = _files(workdir / "data")
  shutil.rmtree(workdir / "data")

  def nobody(*args, **kwargs):
    raise AssertionError("this process has answered")

  monkeypatch.setattr(evaluate, "logits", nobody)
  config = small.settings(
    small_run.glue, small_run.encoder, stage="teach", data__beam=THREADS
  )
  small.execute(config, workdir)
  found = _files(workdir / "data")
  assert any("logits-train" in name for name in found)
  assert any("features-train" in name for name in found)
  # Teaching reads the training rows alone.
  assert [name for name in found if found[name] != made.get(name)] == []
