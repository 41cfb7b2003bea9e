r"""Examples a second with each adversary, beside a plain step.

  python -m benchmarks.adversary_cost --encoder=DIR --glue_dir=DIR

Each is the step of a real run of the same batches, with the adversary as its
paper has it, in a process of its own; they take turns. Beside what a step takes
stands what its products alone would: passes, in those of one pass forward. A
plain step has three: forward, and back for what comes in and for the weights.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
import contextlib
import json
from pathlib import Path
import sys
import tempfile
from typing import Any

from bam_jax.runtime import command
from bam_jax.training.adversaries import ADVERSARIES
from benchmarks import mixture, settings, sides

# Adversary -> (ascents) -> passes. An ascent of FreeLB is also a step of the
# weights; the others need what comes in alone.
PASSES: Mapping[str, Callable[[int], int]] = {
  "none": lambda ascents: 3,
  "rdrop": lambda ascents: 6,
  "smart": lambda ascents: 6 + 2 * ascents,
  "smart_mtdnn": lambda ascents: 6 + 2 * ascents,
  "vat": lambda ascents: 6 + 2 * ascents,
  "freelb": lambda ascents: 3 * ascents,
}


def rows(result: Mapping[str, Any]) -> list[str]:
  """Returns a Markdown table of what `main` returns."""
  lines = [
    "| adversary | ascents | passes | examples/s | s a step, over plain "
    "| passes, over plain | peak GB |",
    "|---|--:|--:|--:|--:|--:|--:|",
  ]
  sides_ = result["sides"]
  plain = sides_["none"]
  for name, found in sides_.items():
    lines.append(
      f"| `{name}` | {found['ascents'] or ''} | {found['passes']} | "
      f"{found['examples_per_s']:.1f} | "
      f"{found['step_seconds'] / plain['step_seconds']:.2f} | "
      f"{found['passes'] / plain['passes']:.2f} | "
      f"{found['peak_bytes'] / 1e9:.2f} |"
    )
  return lines


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
  """Measures and prints; returns what it prints with --json."""
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.adversary_cost",
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
    line = mixture.side(args, root, "train")
    found = sides.measure(
      {name: [*line, f"--adversary={name}"] for name in ADVERSARIES},
      repeats=args.repeats,
    )
  result = {
    "machine": sides.machine("jax"),
    "settings": settings.told(args, (*mixture.SETTINGS, "repeats")),
    "sides": {
      name: {
        "ascents": (ascents := ADVERSARIES[name].constants.get("steps", 0)),
        "passes": PASSES[name](ascents),
        "examples_per_s": figures["tokens"] / figures["seconds"] / mean_length,
        "step_seconds": figures["step_seconds"],
        "peak_bytes": figures["peak_bytes"],
      }
      for name, figures in found.items()
    },
  }
  print(json.dumps(result) if args.json else "\n".join(rows(result)))
  return result


if __name__ == "__main__":
  command.run(main)
