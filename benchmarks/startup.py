r"""Seconds until a training process begins to train.

  python -m benchmarks.startup --encoder=DIR --glue_dir=DIR

Imports: a new process that imports what training imports, beside one that
imports what the same needs of transformers and PyTorch. First step: from the
start of `python -m bam_jax.main` until the first line of metrics.jsonl, with an
empty compilation cache ("cold": the text is tokenised too) and with the one
that the first left in its working directory ("warm"). One more process tells
which modules it loads, and what it compiles that no cache held.
"""

import argparse
from collections.abc import Mapping, Sequence
import contextlib
import importlib.util
import json
import os
from pathlib import Path
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from bam_jax.runtime import command
from bam_jax.runtime.console import bar
from benchmarks import settings, sides

ROOT = Path(__file__).resolve().parent.parent
# What no process that trains may load.
HEAVY = ("torch", "tensorflow", "matplotlib", "transformers", "pandas")
IMPORTS = {
  "ours": "from bam_jax import main; from bam_jax.stages import recipe",
  "peer": "import torch; from transformers import AutoTokenizer, "
  "AutoModelForSequenceClassification",
}
SETTINGS = ("tasks", "batch_size", "max_length", "dtype", "repeats")
# Seconds; nothing here takes so long unless it hangs.
HANGS = 600.0


def imported(repeats: int) -> dict[str, float]:
  """Returns the seconds of a process that imports, ours and the peer's."""
  there = importlib.util.find_spec("torch") is not None
  names = [name for name in IMPORTS if there or name == "ours"]
  seconds: dict[str, list[float]] = {name: [] for name in names}
  with bar("imports", repeats * len(names)) as advance:
    for _ in range(repeats):
      for name in names:
        begin = time.perf_counter()
        subprocess.run(
          [sys.executable, "-c", IMPORTS[name]], check=True, cwd=ROOT
        )
        seconds[name].append(time.perf_counter() - begin)
        advance(1, name)
  return {name: statistics.median(each) for name, each in seconds.items()}


def first_step(
  args: argparse.Namespace, workdir: Path, *, python: Sequence[str] = (), **more
) -> tuple[float, str]:
  """Starts a run and ends it after its first step.

  Args:
    args: of the command line.
    workdir: its working directory; what was trained there is deleted.
    python: flags of the interpreter.
    **more: variables of the environment.

  Returns:
    Seconds until the first step was done, and what the process said.

  Raises:
    ValueError: it ended before; what it said last is told.
  """
  shutil.rmtree(workdir / "runs", ignore_errors=True)
  command = [
    *(sys.executable, *python, "-m", "bam_jax.main"),
    f"--config={ROOT / 'configs' / 'glue_multi.py'}:{args.tasks}",
    f"--workdir={workdir}",
    f"--config.encoder={args.encoder}",
    f"--config.data.glue_dir={args.glue_dir}",
    f"--config.multi.batch_size={args.batch_size}",
    f"--config.max_length={args.max_length}",
    f"--config.dtype={args.dtype}",
    "--config.log_every=1",
  ]
  # The cache is to be the one that a run has by itself.
  environment = {
    name: value
    for name, value in os.environ.items()
    if name != "JAX_COMPILATION_CACHE_DIR"
  }
  log = workdir.with_suffix(".log")
  with log.open("w") as file:
    begin = time.perf_counter()
    process = subprocess.Popen(
      command,
      cwd=ROOT,
      env=environment | more,
      stdout=file,
      stderr=subprocess.STDOUT,
    )
    try:
      while not done(workdir):
        if process.poll() is not None or time.perf_counter() - begin > HANGS:
          last = log.read_text().strip().splitlines()[-1:]
          raise ValueError(f"no step was trained: {''.join(last)}")
        time.sleep(0.005)
      seconds = time.perf_counter() - begin
    finally:
      process.kill()
      process.wait()
  return seconds, log.read_text()


def done(workdir: Path) -> bool:
  """Tells whether a step's line has been written."""
  found = workdir.glob("runs/*/metrics.jsonl")
  return any(path.stat().st_size for path in found)


def loaded(said: str) -> dict[str, float]:
  """Returns the seconds that importing each package took, the slowest first.

  Args:
    said: by a process under -X importtime.
  """
  seconds: dict[str, float] = {}
  for own, name in re.findall(r"import time: +(\d+) \| +\d+ \| +(\S+)", said):
    package = name.partition(".")[0]
    seconds[package] = seconds.get(package, 0.0) + int(own) / 1e6
  return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def compiled(said: str) -> dict[str, int]:
  """Returns how many programs there were, and how many the cache held.

  Args:
    said: by a process with JAX_LOG_COMPILES=1.
  """
  return {
    "programs": len(re.findall("Finished XLA compilation of", said)),
    "from_cache": len(re.findall("compilation cache hit", said)),
  }


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
  """Returns all figures."""
  seconds: dict[str, list[float]] = {"cold": [], "warm": []}
  with bar("first steps", 2 * args.repeats + 1) as advance:
    for number in range(args.repeats):
      workdir = folder / str(number)
      for name, each in seconds.items():
        each.append(first_step(args, workdir)[0])
        advance(1, name)
    _, said = first_step(
      args, workdir, python=["-X", "importtime"], JAX_LOG_COMPILES="1"
    )
    advance(1)
  packages = loaded(said)
  return {
    "first_step_seconds": {k: statistics.median(v) for k, v in seconds.items()},
    "compiled_warm": compiled(said),
    # A name alone may be an import that was refused.
    "heavy": [name for name in HEAVY if f" {name}." in said],
    "slowest_imports": dict(list(packages.items())[:10]),
  }


def rows(result: Mapping[str, Any]) -> list[str]:
  """Returns a Markdown table of what `main` returns."""
  lines = ["| seconds from the start of a process | |", "|---|--:|"]
  for name, seconds in result["import_seconds"].items():
    lines.append(f"| all is imported, {name} | {seconds:.2f} |")
  for name, seconds in result["first_step_seconds"].items():
    lines.append(f"| the first step is done, {name} cache | {seconds:.2f} |")
  heavy = ", ".join(result["heavy"]) or "none"
  slowest = ", ".join(
    f"{name} {seconds:.2f}"
    for name, seconds in result["slowest_imports"].items()
  )
  found = result["compiled_warm"]
  return [
    *lines,
    "",
    f"Of {', '.join(HEAVY)} a training process loads {heavy}. Slowest imports "
    f"(timed one by one, which is slower): {slowest}.",
    f"Programs until the end of a warm first step: {found['programs']}, of "
    f"which {found['from_cache']} from the cache.",
  ]


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
  """Measures and prints; returns what it prints with --json."""
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.startup",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  settings.add_arguments(parser, tasks="rte", batch_size=32)
  parser.add_argument("--repeats", type=int, default=sides.REPEATS)
  args = parser.parse_args(argv)
  with (
    tempfile.TemporaryDirectory() as folder,
    contextlib.redirect_stdout(sys.stderr),
  ):
    found = {"import_seconds": imported(args.repeats)}
    found |= measure(args, Path(folder))
  result = {
    "machine": sides.machine("jax"),
    "settings": settings.told(args, SETTINGS),
    **found,
  }
  print(json.dumps(result) if args.json else "\n".join(rows(result)))
  return result


if __name__ == "__main__":
  command.run(main)
