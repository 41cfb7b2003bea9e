"""Several processes on loopback: one job, whatever ends one of them."""

import contextlib
import json
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time

import pytest

from bam_jax.runtime import distributed
from tests import small

ROOT = Path(__file__).resolve().parents[2]
RUN = "multi.cola+stsb"


def free_port() -> int:
  with socket.socket() as found:
    found.bind(("127.0.0.1", 0))
    return found.getsockname()[1]


@contextlib.contextmanager
def started(run, workdir, compiled, *, processes, **changes):
  """Starts the processes of a job; none of them outlives the test."""
  config = run.config
  values = {
    "data.glue_dir": run.glue,
    "encoder": run.encoder,
    "methods": "multi",
    "checkpoint_every": 2,
    **{key: config[key] for key in ("max_length", "log_every", "max_steps")},
    "eval_batch_size": config.eval_batch_size,
    "data.packing": config.data.packing,
    **{
      f"{kind}.{key}": config[kind][key]
      for kind in small.STAGES
      for key in ("batch_size", "rate")
    },
    **changes,
  }
  port, flags = free_port(), [f"--config.{k}={v}" for k, v in values.items()]
  environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(compiled)}
  job = [
    subprocess.Popen(
      [
        *(sys.executable, "-m", "bam_jax.main"),
        *("--config=configs/glue_bam.py:cola,stsb", f"--workdir={workdir}"),
        *(f"--coordinator=127.0.0.1:{port}", f"--processes={processes}"),
        *(f"--process={number}", *flags),
      ],
      cwd=ROOT,
      env=environment,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for number in range(processes)
  ]
  try:
    yield job
  finally:
    for process in job:
      process.kill()
      process.communicate()


def when_training(job, workdir) -> None:
  """Returns once the job has saved a state."""
  place = workdir / "runs" / RUN / "checkpoints" / "training-0-0"
  while all(p.poll() is None for p in job) and not list(place.glob("[0-9]")):
    time.sleep(0.01)


def ends(job) -> list[tuple[int, str, str]]:
  """Returns code, output and errors of every process."""
  said = [process.communicate(timeout=200) for process in job]
  return [(p.returncode, *text) for p, text in zip(job, said, strict=True)]


def curve(workdir) -> list[dict]:
  text = (workdir / "runs" / RUN / "metrics.jsonl").read_text()
  return [json.loads(line) for line in text.splitlines()]


def assert_same_curve(workdir, other) -> None:
  mine, theirs = curve(workdir), curve(other)
  assert [row["step"] for row in mine] == [row["step"] for row in theirs]
  for row, want in zip(mine, theirs, strict=True):
    assert row["loss"] == pytest.approx(want["loss"], abs=2e-6)
    assert row["task_count"] == want["task_count"]


def test_processes_stop_together_and_one_alone_goes_on(
  small_run, compiled, tmp_path
):
  changes = {"log_every": 5, "max_steps": 60, "multi.epochs": 10.0}
  config = small.settings(small_run.glue, small_run.encoder, methods="multi")
  config.update_from_flattened_dict(changes)
  workdir = tmp_path / "W"
  with started(small_run, workdir, compiled, processes=2, **changes) as job:
    when_training(job, workdir)
    job[1].send_signal(signal.SIGTERM)
    found = ends(job)
  assert [code for code, _, _ in found] == [3, 3], found
  assert "2 x cpu of 2 processes" in found[0][1]
  assert "stopped after step" in found[0][1]
  assert "stopped" not in found[1][1], "only one process speaks"
  small.execute(config, workdir)
  small.execute(config, tmp_path / "alone")
  assert_same_curve(workdir, tmp_path / "alone")


def test_a_dead_process_ends_the_others_with_a_sentence(
  small_run, compiled, tmp_path
):
  workdir = tmp_path / "W"
  changes = {"max_steps": 4000, "multi.epochs": 1000.0}
  with started(small_run, workdir, compiled, processes=2, **changes) as job:
    when_training(job, workdir)
    job[1].kill()
    code, _, said = ends(job[:1])[0]
  assert code == 4, said
  assert "error: another process of this job is gone" in said
  assert "Traceback" not in said


@pytest.mark.slow
def test_four_processes_have_the_losses_of_one(small_run, compiled, tmp_path):
  with started(small_run, tmp_path / "W", compiled, processes=4) as job:
    found = ends(job)
  assert [code for code, _, _ in found] == [0, 0, 0, 0], found
  assert_same_curve(tmp_path / "W", small_run.workdir)
  results = json.loads((tmp_path / "W" / "results.json").read_text())
  assert list(results["methods"]) == ["multi"]


@pytest.mark.parametrize(
  ("environment", "several"),
  [
    ({}, False),
    ({"SLURM_NTASKS": "4"}, False),  # in a batch script, outside srun
    ({"SLURM_NTASKS": "4", "SLURM_STEP_ID": "0"}, True),
    ({"SLURM_NTASKS": "1", "SLURM_STEP_ID": "0"}, False),
    ({"OMPI_COMM_WORLD_SIZE": "2"}, True),
    ({"TPU_WORKER_HOSTNAMES": "10.0.0.1,10.0.0.2"}, True),
    ({"TPU_WORKER_HOSTNAMES": "localhost"}, False),
    ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False),
    (
      {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "0"},
      True,
    ),
  ],
)
def test_the_environment_tells_whether_there_are_others(environment, several):
  assert distributed.several(environment) is several


@pytest.mark.parametrize(
  ("given", "said"),
  [
    (("h:1", 2, None), "give all three or none"),
    ((None, 2, 0), "give all three or none"),
    (("h", 2, 0), "HOST:PORT"),
    (("h:1", 2, 2), "--process is 2 of 2; it is 0 to 1"),
    (("h:1", 0, 0), "--process is 0 of 0"),
  ],
)
def test_a_wrong_address_is_refused_before_anything_starts(given, said):
  with pytest.raises(ValueError, match=said):
    distributed.start(*given)
