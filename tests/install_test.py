"""What is installed works outside the checkout, with its configs."""

import os
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
  """The package as a wheel would install it, and nothing of the checkout."""
  pytest.importorskip("setuptools", reason="builds the package")
  lib = tmp_path_factory.mktemp("installed")
  base = tmp_path_factory.mktemp("build")
  subprocess.run(
    [
      *(sys.executable, "setup.py", "-q"),
      *("egg_info", f"--egg-base={base}"),
      *("build", f"--build-base={base}", f"--build-lib={lib}"),
    ],
    cwd=ROOT,
    check=True,
    capture_output=True,
  )
  return lib


def run(installed, cwd, *flags) -> subprocess.CompletedProcess:
  return subprocess.run(
    [sys.executable, "-m", "bam_jax.main", *flags],
    cwd=cwd,
    env=os.environ | {"PYTHONPATH": str(installed)},
    capture_output=True,
    text=True,
    check=False,
  )


def test_help_lists_the_configs_and_their_keys(installed, tmp_path):
  done = run(installed, tmp_path, "--help")
  assert done.returncode == 0 and done.stderr == ""
  assert "  configs/glue_bam.py\n" in done.stdout
  assert "  --config.teacher.schedule = " in done.stdout


def test_a_config_is_found_and_its_keys_checked(installed, tmp_path):
  config = "--config=configs/quickstart.py:paraphrase"
  flags = config, "--workdir=W", "--config.trials=0"
  done = run(installed, tmp_path, *flags)
  assert done.stderr == "error: trials is 0; it is 1 or more\n"
  assert done.returncode == 2 and not any(tmp_path.iterdir())
  done = run(
    installed, tmp_path, "--config=configs/quikstart.py", "--workdir=W"
  )
  assert "did you mean configs/quickstart.py?" in done.stderr


def test_what_it_reads_of_the_checkout_is_installed(installed, tmp_path):
  flags = "--config=configs/quickstart.py:paraphrase", "--workdir=W"
  done = run(installed, tmp_path, *flags, "--config.max_steps=1", "--dry_run")
  assert done.returncode == 0, done.stderr
  assert "single.paraphrase" in done.stdout
  code = (
    "from bam_jax.data.sources.examples import manifest; print(len(manifest()))"
  )
  read = subprocess.run(
    [sys.executable, "-c", code],
    cwd=tmp_path,
    env=os.environ | {"PYTHONPATH": str(installed)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert read.returncode == 0, read.stderr


def test_a_config_of_ones_own_comes_first(installed, tmp_path):
  folder = tmp_path / "configs"
  folder.mkdir()
  (folder / "quickstart.py").write_text(
    "from configs import common\n"
    "def get_config(arg=''):\n"
    "  c = common.base()\n"
    "  c.trials = -7\n"
    "  return c\n"
  )
  flags = "--config=configs/quickstart.py", "--workdir=W"
  done = run(installed, tmp_path, *flags)
  assert done.stderr == "error: trials is -7; it is 1 or more\n"
