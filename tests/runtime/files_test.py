"""Files that appear whole, for whom the umask lets, and pointers to others."""

import json
import os
import socket
import subprocess
import sys

import pytest

from bam_jax.runtime import files


def test_a_json_file_is_replaced_whole(tmp_path):
  file = tmp_path / "new" / "x.json"
  files.write_json(file, {"a": 1})
  with pytest.raises(TypeError):
    files.write_json(file, {"a": object()})
  assert json.loads(file.read_text()) == {"a": 1}
  assert [path.name for path in file.parent.iterdir()] == ["x.json"]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
def test_a_files_mode_is_the_umasks_whoever_writes_it(tmp_path, umask):
  before = os.umask(umask)
  try:
    with files.beside(tmp_path / "mine") as part:
      part.write_text("a")
    with files.beside(tmp_path / "theirs") as part:
      # As safetensors does: a file of the owner's alone, renamed.
      other = part.with_name("other")
      other.write_text("b")
      other.chmod(0o600)
      os.replace(other, part)
  finally:
    os.umask(before)
  modes = {
    path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()
  }
  assert modes == dict.fromkeys(("mine", "theirs"), 0o666 & ~umask)


def test_what_the_dead_have_left_goes_and_what_the_living_write_stays(tmp_path):
  dead = subprocess.Popen([sys.executable, "-c", ""])
  dead.wait()
  host = socket.gethostname()
  stale = f".x.json.{host}.{dead.pid}.tmp"
  living = [
    f".x.json.{host}.{os.getppid()}.tmp",
    ".x.json.elsewhere.1.tmp",
    f".y.json.{host}.{dead.pid}.tmp",
    f".x.json.{host}.mine.txt",
  ]
  for name in (stale, *living):
    (tmp_path / name).write_text("{")
  files.write_json(tmp_path / "x.json", {"a": 1})
  found = sorted(path.name for path in tmp_path.iterdir())
  assert found == sorted(["x.json", *living])
