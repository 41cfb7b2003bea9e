"""Measures sides against each other: processes of one run that take turns.

Each side is a process of its own, so that neither's threads, allocator or
compiler is in the other's way; it gets ready, then does one measurement
whenever it is asked. Sides that are not asked wait without using the machine,
and give back the memory that they have freed: all sides would not fit at once.
So a measurement begins with a step before the clock starts.
"""

from collections.abc import Callable, Mapping, Sequence
import contextlib
import ctypes
import gc
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from typing import Any

from bam_jax.runtime.console import bar

# Measurements of each side; the median is told.
REPEATS = 5


def serve(measure: Callable[[], Mapping[str, Any]]) -> None:
  """Is a side: measures once for every line of standard input.

  Args:
    measure: one measurement -> its figures. Called once before, to warm up.
  """
  # What libraries print is not an answer.
  answers, sys.stdout = sys.stdout, sys.stderr
  sys.stdin.readline()
  measure()
  # Later it would hold what giving back costs: a heap with holes.
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
  _give_back()
  print(json.dumps({}), file=answers, flush=True)
  for _ in sys.stdin:
    found = dict(measure())
    _give_back()
    print(json.dumps({**found, "peak_bytes": peak}), file=answers, flush=True)


def measure(
  sides: Mapping[str, Sequence[str]], *, repeats: int = REPEATS
) -> dict[str, dict[str, Any]]:
  """Returns the median of every figure of every side, which take turns.

  Args:
    sides: name -> arguments of python, for a process that calls `serve`.
    repeats: measurements of each.

  Raises:
    RuntimeError: a side ended; what it printed last is told.
  """
  processes = {}
  found = {name: [] for name in sides}
  try:
    with bar("measures", (repeats + 1) * len(sides), text="") as advance:
      # One after the other, so that none warms up beside another.
      for name, arguments in sides.items():
        processes[name] = subprocess.Popen(
          [sys.executable, *arguments],
          # Sides share a GPU; none may take its memory beforehand.
          env={"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} | os.environ,
          stdin=subprocess.PIPE,
          stdout=subprocess.PIPE,
          text=True,
        )
        _answer(name, processes[name])
        advance(1)
      for _ in range(repeats):
        for name, process in processes.items():
          found[name].append(_answer(name, process))
          advance(1)
  finally:
    for process in processes.values():
      process.kill()
      process.communicate()
  return {name: _medians(rows) for name, rows in found.items()}


def machine(*packages: str) -> dict[str, Any]:
  """Returns what the figures depend on: the machine and the versions.

  Args:
    packages: whose versions are told.
  """
  model = platform.processor() or platform.machine()
  if os.path.exists("/proc/cpuinfo"):
    with open("/proc/cpuinfo") as lines:
      names = [line for line in lines if line.startswith("model name")]
    model = names[0].partition(":")[2].strip() if names else model
  return {
    "cpu": model,
    "cores": len(os.sched_getaffinity(0)),
    "python": platform.python_version(),
    **{name: importlib.metadata.version(name) for name in packages},
  }


def _give_back() -> None:
  """Returns freed memory to the system, where the C library can."""
  gc.collect()
  trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
  if trim:
    trim(0)


def _answer(name: str, process: subprocess.Popen) -> dict[str, Any]:
  with contextlib.suppress(BrokenPipeError):
    process.stdin.write("\n")
    process.stdin.flush()
  line = process.stdout.readline()
  if not line:
    raise RuntimeError(
      f"{name} ended with code {process.wait()}; what it printed is above"
    )
  return json.loads(line)


def _medians(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """Returns the median of what is a number, the first of what is not."""
  return {
    key: statistics.median(row[key] for row in rows)
    if isinstance(value, (int, float))
    else value
    for key, value in rows[0].items()
  }
