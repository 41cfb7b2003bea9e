"""Who may read what is written, and what is said where one may not."""

import os
from pathlib import Path
import shutil
import tempfile

import numpy as np
import pytest

from bam_jax.hf import directory as hf
from bam_jax.runtime import sealed
from bam_jax.training import checkpoint
from tests import small

NOBODY = 65534


@pytest.fixture(scope="module")
def made():
  """A folder that everybody may enter, with an encoder."""
  # pytest's own folders are the user's alone.
  with tempfile.TemporaryDirectory() as name:
    root = Path(name)
    root.chmod(0o755)
    small.write_encoder(root / "encoder")
    yield root


@pytest.fixture
def root(made, tmp_path_factory):
  """A copy of it that a test may spoil."""
  copy = made / "copies" / tmp_path_factory.mktemp("copy").name
  shutil.copytree(made / "encoder", copy / "encoder")
  return copy


@pytest.fixture
def nobody():
  """Becomes another user for a while; root alone can."""
  if os.geteuid() != 0:
    pytest.skip("only root can become another user, and may read all itself")
  groups = os.getgroups()

  def become(mine: bool) -> None:
    if mine:
      os.seteuid(0)
      os.setegid(0)
      os.setgroups(groups)
    else:
      os.setgroups([])
      os.setegid(NOBODY)
      os.seteuid(NOBODY)

  yield lambda: become(False)
  become(True)


def refused(work, path, nobody) -> str:
  """Does the work as another user; returns what it said of the path."""
  nobody()
  with pytest.raises(ValueError, match="cannot be read") as error:
    work()
  said = str(error.value)
  assert said.startswith(f"{path} cannot be read (Permission denied); let")
  # Nothing is wrong with it.
  for word in ("delete", "download", "damaged", "whole", "JSON", "no such"):
    assert word not in said
  return said


def test_an_encoder_that_is_written_can_be_read_by_others(root, nobody):
  config, params, folder = hf.load_encoder(root / "encoder")
  before = os.umask(0o022)
  try:
    hf.save_encoder(root / "saved", config, params, tokenizer=folder)
  finally:
    os.umask(before)
  modes = {p.name: p.stat().st_mode & 0o777 for p in (root / "saved").iterdir()}
  assert len(modes) >= 3
  assert modes == dict.fromkeys(modes, 0o644)
  nobody()
  _, found, _ = hf.load_encoder(root / "saved")
  np.testing.assert_array_equal(
    found["pooler"]["kernel"], params["pooler"]["kernel"]
  )


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_of_another_user_is_said_to_be_unreadable(root, nobody, name):
  file = root / "encoder" / name
  file.chmod(0o600)
  refused(lambda: hf.load_encoder(file.parent), file, nobody)


def test_a_directory_that_nobody_may_enter_is_said_to_be_so(root, nobody):
  folder = root / "encoder"
  folder.chmod(0o644)
  file = folder / "adapter_config.json"  # the first that is looked for
  refused(lambda: hf.load_encoder(folder), file, nobody)
  os.seteuid(0)
  folder.chmod(0o755)
  root.chmod(0o644)
  refused(lambda: hf.load_encoder(folder), folder, nobody)


def test_parameters_of_another_user_are_not_called_damaged(root, nobody):
  path = root / "seed-0"
  checkpoint.save_params(path, {"a": np.ones(3, np.float32)}, {"step": 1})
  path.chmod(0o700)
  for work in (checkpoint.load_params, checkpoint.verify, checkpoint.read_meta):
    os.seteuid(0)
    refused(lambda work=work: work(path), path, nobody)


def test_a_sealed_folder_of_another_user_is_not_called_damaged(root, nobody):
  with sealed.beside(root / "data") as folder:
    (folder / "x").write_text("a")
  file = root / "data" / sealed.DIGESTS
  file.chmod(0o600)
  refused(lambda: sealed.verify(root / "data"), file, nobody)


def test_trials_that_nobody_may_list_are_not_called_none(root, nobody):
  (root / "checkpoints" / "seed-3").mkdir(parents=True)
  (root / "checkpoints" / "seed-12").mkdir()
  (root / "checkpoints" / "seed-3.orbax-checkpoint-tmp").mkdir()
  assert checkpoint.trials(root / "checkpoints") == [3, 12]
  assert checkpoint.trials(root / "none") == []
  (root / "checkpoints").chmod(0o711)
  nobody()
  with pytest.raises(PermissionError):
    checkpoint.trials(root / "checkpoints")
