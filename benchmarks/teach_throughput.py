r"""Rows a second of a teacher's logits, beside examples a second of training.

  python -m benchmarks.teach_throughput --encoder=DIR --glue_dir=DIR

The teacher answers the same number of training rows of each task by the loop
that every teacher goes through; what it then writes to disk is not measured.
Both rates are real tokens a second over the mean tokens of the mixture's
examples.
"""

import argparse
from collections.abc import Mapping, Sequence
import contextlib
import json
from pathlib import Path
import sys
import tempfile
from typing import Any

from bam_jax.runtime import command
from benchmarks import mixture, settings, sides


def rows(result: Mapping[str, Any]) -> list[str]:
  """Returns a Markdown table of what `main` returns."""
  return [
    "| teacher, rows/s | training, examples/s | ratio |",
    "|--:|--:|--:|",
    f"| {result['teach']['rows_per_s']:.1f} | "
    f"{result['train']['examples_per_s']:.1f} | {result['ratio']:.2f} |",
  ]


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
  """Measures and prints; returns what it prints with --json."""
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.teach_throughput",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  mixture.add_arguments(parser)
  parser.add_argument("--repeats", type=int, default=sides.REPEATS)
  args = parser.parse_args(argv)
  with (
    tempfile.TemporaryDirectory() as folder,
    contextlib.redirect_stdout(sys.stderr),
  ):
    root = Path(folder)
    mean_length = mixture.Mixture.of(mixture.config(args), root).mean_length
    found = sides.measure(
      {job: mixture.side(args, root, job) for job in ("train", "teach")},
      repeats=args.repeats,
    )
  rates = {
    job: figures["tokens"] / figures["seconds"] / mean_length
    for job, figures in found.items()
  }
  result = {
    "machine": sides.machine("jax"),
    "settings": settings.told(args, (*mixture.SETTINGS, "repeats")),
    "train": {"examples_per_s": rates["train"]},
    "teach": {"rows_per_s": rates["teach"]},
    "ratio": rates["teach"] / rates["train"],
  }
  print(json.dumps(result) if args.json else "\n".join(rows(result)))
  return result


if __name__ == "__main__":
  command.run(main)
