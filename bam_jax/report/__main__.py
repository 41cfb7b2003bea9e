"""Writes a report anew: python -m bam_jax.report --workdir=W."""

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys

import rich.console

from bam_jax.report.load import load
from bam_jax.report.write import table, write


def main(argv: Sequence[str] | None = None) -> int:
  """Writes the report of --workdir and prints its table."""
  parser = argparse.ArgumentParser(
    prog="python -m bam_jax.report",
    description="Writes W/report from W/results.json and prints the table.",
  )
  parser.add_argument(
    "--workdir",
    type=Path,
    required=True,
    help="the working directory of a run, the one with results.json",
  )
  workdir = parser.parse_args(argv).workdir
  try:
    results = load(workdir)
    path = write(results, workdir)
  except (ValueError, OSError) as error:
    print(error, file=sys.stderr)
    return 2
  rich.console.Console().print(table(results))
  print(f"report: {path}")
  return 0


if __name__ == "__main__":
  sys.exit(main())
