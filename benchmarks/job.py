"""Several processes of which one is killed: how the others end, and go on."""

from collections.abc import Sequence
from pathlib import Path
import re
import shutil
import socket
import subprocess
import time
from typing import Any

from bam_jax.runtime.distributed import HEARTBEAT
from bam_jax.runtime.files import read_json, write_json
from benchmarks import study
from benchmarks.bench import HANGS, Bench, end

# Seconds after the bound of the heartbeat.
SLACK = 30.0
# Of a loss, on another number of processes.
TOLERANCE = 2e-6
# jax caches no program for any process but the first: each compiles, in haste.
FLAGS = "--xla_backend_optimization_level=0"
# What a process that ended because of another one says.
LOST = re.compile("another process of this job is gone|coordination service")


def start(
  bench: Bench, args: Sequence[str], count: int
) -> list[subprocess.Popen]:
  """Starts all processes of a job; process K says what it does in work-K.log.

  Args:
    bench: where.
    args: of bam_jax.main.
    count: of processes.
  """
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
  return [
    bench.start(
      [
        *args,
        f"--coordinator=127.0.0.1:{port}",
        f"--processes={count}",
        f"--process={number}",
      ],
      log=log(bench, number),
      flags=FLAGS,
    )
    for number in range(count)
  ]


def log(bench: Bench, number: int) -> Path:
  """Returns the file in which a process of a job says what it does."""
  return bench.out / f"work-{number}.log"


def run(bench: Bench, args: Sequence[str], count: int) -> list[int]:
  """Runs a job to its end; returns the exit codes."""
  return [end(process) for process in start(bench, args, count)]


def gathered(bench: Bench, job: Sequence[subprocess.Popen]) -> float:
  """Returns the time when all processes have found each other."""
  begun = time.monotonic()
  words = f"of {len(job)} processes"
  while words not in log(bench, 0).read_text():
    ended = [p.poll() for p in job if p.poll() is not None]
    if ended or time.monotonic() - begun > HANGS:
      for process in job:
        process.kill()
      raise SystemExit(f"the processes did not gather: {ended}; {bench.log}")
    time.sleep(0.02)
  return time.monotonic()


def reference(bench: Bench, name: str, count: int) -> dict[str, Any]:
  """Runs a job without a fault, if it was not yet.

  Returns:
    `whole`, its working directory, and `seconds` from when its processes have
    found each other to their end.
  """
  place = bench.out / "reference" / f"{name}-{count}"
  whole, done = place / "whole", place / "done.json"
  if not done.exists():
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    bench.fresh()
    job = start(bench, study.arguments(name, whole), count)
    begun = gathered(bench, job)
    codes = [end(process) for process in job]
    if any(codes):
      raise SystemExit(f"without a fault they ended with {codes}")
    write_json(done, {"seconds": time.monotonic() - begun})
  return {"whole": whole} | read_json(done, cure=f"delete {done}")


def ends(job: Sequence[subprocess.Popen], victim: int) -> list[dict[str, Any]]:
  """Waits for the processes of a job of which one was killed just now.

  Returns:
    `process`, `code` ("none": it hangs past the bound, and is killed) and
    `seconds` of each other one.
  """
  begun = time.monotonic()
  found = []
  for i, process in enumerate(job):
    left = begun + HEARTBEAT + SLACK - time.monotonic()
    code: int | str
    try:
      code = process.wait(max(left, 0.01))
    except subprocess.TimeoutExpired:
      process.kill()
      process.wait()
      code = "none"
    if i != victim:
      seconds = round(time.monotonic() - begun, 1)
      found.append({"process": i, "code": code, "seconds": seconds})
  return found


def case(bench: Bench, number: int) -> dict[str, Any]:
  """Kills one of 2 or 4 processes; every fifth job goes on with another number.

  Args:
    bench: where.
    number: of the case.
  """
  dice, name = bench.dice("processes", number), bench.name(0)
  count = (2, 4)[number % 2]
  again = 6 - count if number % 5 == 4 else count
  whole = reference(bench, name, count)
  args = study.arguments(name, bench.work)
  wrong: list[str] = []
  others: list[dict[str, Any]] = []
  # Where all were done, whatever the moment, nothing was lost: again.
  while not any(other["code"] for other in others):
    bench.fresh()
    job = start(bench, args, count)
    after = float(dice.uniform(0, whole["seconds"]))
    moment = gathered(bench, job) + after
    while time.monotonic() < moment and all(p.poll() is None for p in job):
      time.sleep(0.01)
    victim = int(dice.integers(count))
    job[victim].kill()
    others = ends(job, victim)
  for other in others:
    i, code = other["process"], other["code"]
    if code == "none":
      wrong.append(f"process {i} hangs after {victim} was killed")
    elif code and not LOST.search(log(bench, i).read_text()):
      wrong.append(f"process {i} ended with {code} and does not say why")
  half = study.half_written(bench.work)
  codes = run(bench, args, again)
  gap = 0.0
  if any(codes):
    wrong.append(f"the same command again ended with {codes}")
  elif again == count:
    wrong += study.differences(whole["whole"], bench.work)
  else:
    gap = study.gap(whole["whole"], bench.work)
    if gap > TOLERANCE:
      wrong.append(f"a loss differs by {gap} on {again} processes")
  wrong += [f"{x} is left" for x in study.half_written(bench.work)]
  return {
    "study": name,
    "processes": count,
    "victim": victim,
    "after": round(after, 3),
    "others": others,
    "half": half,
    "again": again,
    "gap": gap,
    "wrong": wrong,
  }
