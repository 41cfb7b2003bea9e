"""A disk that is full, a directory in use: a sentence, and nothing is lost."""

import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys

import pytest

from bam_jax.study import locks
from tests import small
from tests.runtime.distributed_test import assert_same_curve

ROOT = Path(__file__).resolve().parents[2]
FIELD = """
import sys, time
from pathlib import Path
from bam_jax.study import locks
with locks.lock(Path(sys.argv[1])):
  print("held", flush=True)
  time.sleep(600)
"""


def held(workdir) -> subprocess.Popen:
  """Starts a process that holds the lock."""
  process = subprocess.Popen(
    [sys.executable, "-c", FIELD, str(workdir)],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == "held\n"
  return process


def test_a_directory_in_use_names_who_uses_it(tmp_path):
  process = held(tmp_path)
  try:
    said = rf"in use by process {process.pid} on .* since .*another --workdir"
    with pytest.raises(ValueError, match=said), locks.lock(tmp_path):
      pass
  finally:
    process.send_signal(signal.SIGKILL)
    process.communicate()
  # A killed owner leaves no lock behind.
  with locks.lock(tmp_path):
    assert "process" in (tmp_path / "lock").read_text()
  assert (tmp_path / "lock").read_text() == ""


def test_a_refused_command_leaves_the_other_alone(small_run, tmp_path):
  process = held(tmp_path)
  try:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match="in use by process"):
      small.execute(small_run.config, tmp_path)
    assert sorted(tmp_path.iterdir()) == before
  finally:
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
  ("largest", "first"), [(9_000, "data/cola"), (20_000, "training-0-0")]
)
def test_a_full_disk_is_a_sentence_and_the_run_goes_on_when_there_is_room(
  largest, first, small_run, compiled, tmp_path
):
  # No file may grow past this size; `first` is the first that would.
  workdir = tmp_path / "W"
  if "training" in first:
    shutil.copytree(small_run.workdir / "data", workdir / "data")
  code = f"""
import resource
import sys
from pathlib import Path
from absl import app
from bam_jax import main
resource.setrlimit(resource.RLIMIT_FSIZE, ({largest}, {largest}))
sys.argv = ["bam_jax.main", *sys.argv[1:]]
app.run(main.main, flags_parser=main.parse_flags)
"""
  config = small_run.config
  values = {
    "data.glue_dir": small_run.glue,
    "encoder": small_run.encoder,
    "methods": "multi",
    **{key: config[key] for key in ("max_length", "log_every", "max_steps")},
    "eval_batch_size": config.eval_batch_size,
    "data.packing": config.data.packing,
    "checkpoint_every": 4,
    **{
      f"{kind}.{key}": config[kind][key]
      for kind in small.STAGES
      for key in ("batch_size", "rate")
    },
  }
  done = subprocess.run(
    [
      *(sys.executable, "-c", code),
      *("--config=configs/glue_bam.py:cola,stsb", f"--workdir={workdir}"),
      *[f"--config.{key}={value}" for key, value in values.items()],
    ],
    cwd=ROOT,
    env=os.environ | {"JAX_COMPILATION_CACHE_DIR": str(compiled)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 2, done.stderr
  said = done.stderr.splitlines()[-1]
  assert said.startswith("error: ")
  assert first in said
  assert "cannot be written (" in said
  assert "File too large" in said
  assert "Traceback" not in done.stderr
  assert not list((workdir / "runs").rglob("seed-0"))
  small.execute(
    small.settings(small_run.glue, small_run.encoder, methods="multi"), workdir
  )
  assert_same_curve(workdir, small_run.workdir)
