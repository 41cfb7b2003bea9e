r"""Seconds of a train step for each of R trials that are trained at once.

  python -m benchmarks.trials --encoder=DIR --glue_dir=DIR --trials=1,2,4

The batch of one trial may be too small for a device; R trials by vmap share
every launch. Each has a batch of its own. The R take turns; medians are shown.
On a CPU there is nothing to gain.
"""

import argparse
from collections.abc import Mapping, Sequence
import contextlib
import json
from pathlib import Path
import statistics
import sys
import tempfile
import time
from typing import Any

import jax

from bam_jax.runtime import command
from bam_jax.runtime.console import bar
from benchmarks import settings, sides, steps

SETTINGS = ("tasks", "batch_size", "max_length", "dtype", "steps", "repeats")


def numbers(text: str) -> list[int]:
  """Returns the numbers of "1,2,4".

  Raises:
    ArgumentTypeError: they are no numbers from 1 on.
  """
  found = text.split(",")
  if not all(each.isdecimal() and int(each) for each in found):
    raise argparse.ArgumentTypeError(
      f"{text!r} is no row of numbers from 1 on, such as 1,2,4"
    )
  return list(map(int, found))


def measure(
  args: argparse.Namespace, counts: Sequence[int], workdir: Path
) -> dict[str, dict[str, float]]:
  """Returns the figures of every number of trials.

  Args:
    args: of the command line.
    counts: numbers of trials.
    workdir: where what is tokenised is kept.
  """
  config = settings.config(args)
  config.trials = max(counts)
  # One program for each number of trials.
  config.data.row_shapes = 1
  session = steps.session_of(config, workdir, rows=args.rows)
  with bar("steps", len(counts) * (1 + args.repeats), text="") as advance:
    sides_ = {}
    for count in counts:
      side = sides_[count] = steps.Steps.of(session, count)
      side.one(side.put(0))
      side.wait()
      advance(1)
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(args.repeats):
      for count, side in sides_.items():
        ready = [side.put(k) for k in range(args.steps)]
        begin = time.perf_counter()
        for batch in ready:
          side.one(batch)
        side.wait()
        seconds[count].append((time.perf_counter() - begin) / args.steps)
        advance(1)
  found = {}
  for count, side in sides_.items():
    step = statistics.median(seconds[count])
    held = [side.examples(k) for k in range(args.steps)]
    found[str(count)] = {
      "step_seconds": step,
      "seconds_per_trial": step / count,
      "examples_per_s": statistics.mean(held) / step,
      "rows": int(side.batches.shapes[0]),
    }
  return found


def rows(result: Mapping[str, Any]) -> list[str]:
  """Returns a Markdown table of what `main` returns."""
  lines = [
    "| trials at once | step, s | step of one trial, s | over the first | "
    "examples/s |",
    "|--:|--:|--:|--:|--:|",
  ]
  for count, figures in result["trials"].items():
    lines.append(
      f"| {count} | {figures['step_seconds']:.4f} | "
      f"{figures['seconds_per_trial']:.4f} | {figures['ratio']:.2f} | "
      f"{figures['examples_per_s']:.1f} |"
    )
  return [*lines, "", f"On {result['device']}."]


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
  """Measures and prints; returns what it prints with --json."""
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.trials",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  settings.add_arguments(parser, tasks="rte", batch_size=32)
  parser.add_argument(
    "--rows", type=int, default=20_000, help="of each task; 0 = all"
  )
  parser.add_argument(
    "--trials",
    type=numbers,
    default=[1, 2, 4],
    help="numbers of them: 1,2,4",
  )
  parser.add_argument(
    "--steps", type=int, default=3, help="in each measurement"
  )
  parser.add_argument("--repeats", type=int, default=sides.REPEATS)
  args = parser.parse_args(argv)
  with (
    tempfile.TemporaryDirectory() as folder,
    contextlib.redirect_stdout(sys.stderr),
  ):
    found = measure(args, args.trials, Path(folder))
  first = found[str(args.trials[0])]["seconds_per_trial"]
  for figures in found.values():
    figures["ratio"] = figures["seconds_per_trial"] / first
  result = {
    "machine": sides.machine("jax"),
    "device": jax.devices()[0].device_kind,
    "settings": settings.told(args, SETTINGS),
    "trials": found,
  }
  print(json.dumps(result) if args.json else "\n".join(rows(result)))
  return result


if __name__ == "__main__":
  command.run(main)
