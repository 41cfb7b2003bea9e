r"""Runs the benchmarks and writes their tables into docs/performance.md.

  python -m benchmarks.run --all --encoder=DIR --glue_dir=GLUE
  python -m benchmarks.run --encoder=DIR --glue_dir=GLUE train_throughput

Only what lies between the marks of the page is written anew; all other words
stay. The figures themselves are kept in docs/performance.json, from which the
table of goals takes what is not measured now. Nothing else should run
meanwhile.
"""

import argparse
from collections.abc import Mapping, Sequence
import importlib
import json
import os
from pathlib import Path
import re
import subprocess
import sys
from typing import Any

from bam_jax.runtime.console import say
from bam_jax.runtime.files import read_json, write_json
from benchmarks import goals

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/performance.md"
REAL = ("--encoder={encoder}", "--glue_dir={glue_dir}")
# Module -> flags. Each prints one JSON object with --json and has `rows`, which
# makes Markdown of it.
BENCHMARKS: Mapping[str, Sequence[str]] = {
  "train_throughput": (*REAL, "--compile"),
  "teach_throughput": REAL,
  "adversary_cost": REAL,
  "trials": REAL,
  "input_pipeline": REAL,
  "startup": REAL,
  "scaling": (
    "--config=configs/minilm.py",
    "--config.encoder={encoder}",
    "--config.dtype=bfloat16",
    "--rows_per_chip=64",
  ),
}


def measure(name: str, flags: Sequence[str]) -> dict[str, Any]:
  """Returns what a benchmark prints, run as a process of its own.

  Raises:
    subprocess.CalledProcessError: it failed; what it said was shown.
  """
  line = [sys.executable, "-m", f"benchmarks.{name}", *flags, "--json"]
  done = subprocess.run(
    line, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
  )
  return json.loads(done.stdout)


def section(name: str, result: Mapping[str, Any]) -> str:
  """Returns the generated part of a benchmark: command, machine, table."""
  flags = [
    flag.format(encoder="DIR", glue_dir="GLUE") for flag in BENCHMARKS[name]
  ]
  machine = dict(result.get("machine", {}))
  words = [f"{machine.pop('cores')} x {machine.pop('cpu')}"] if machine else []
  words += [f"{package} {version}" for package, version in machine.items()]
  settings = result.get("settings", {}).items()
  said = ", ".join(f"{key} {value}" for key, value in settings)
  return "\n".join(
    [
      f"    python -m benchmarks.{name} {' '.join(flags)}",
      "",
      *([f"{', '.join(words)}. Settings: {said}.", ""] if words else []),
      *importlib.import_module(f"benchmarks.{name}").rows(result),
    ]
  )


def place(text: str, name: str, part: str) -> str:
  """Returns a page with the part between its marks written anew.

  Raises:
    ValueError: the page has no such marks.
  """
  begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
  pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
  if not pattern.search(text):
    raise ValueError(f"{PAGE.name} has no marks {begin} and {end}; add them")
  return pattern.sub(lambda _: f"{begin}\n\n{part}\n\n{end}", text)


def main(argv: Sequence[str] | None = None) -> int:
  """Measures and writes; returns the exit code."""
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.run",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("names", nargs="*", help=", ".join(BENCHMARKS))
  parser.add_argument("--all", action="store_true", help="every benchmark")
  parser.add_argument(
    "--encoder", default=os.environ.get("ENCODER", ""), help="default: $ENCODER"
  )
  parser.add_argument(
    "--glue_dir",
    default=os.environ.get("GLUE_DIR", ""),
    help="default: $GLUE_DIR; without it, GLUE from the hub",
  )
  parser.add_argument("--page", type=Path, default=PAGE)
  args = parser.parse_args(argv)
  names = list(BENCHMARKS) if args.all else args.names
  if not names or not args.encoder or not set(names) <= BENCHMARKS.keys():
    parser.error(
      f"give --all or some of {', '.join(BENCHMARKS)}, and --encoder=DIR"
    )
  kept = args.page.with_suffix(".json")
  results = read_json(kept, cure=f"delete {kept}")
  failed = []
  for number, name in enumerate(names, 1):
    say(f"{number}/{len(names)} {name}")
    flags = [
      flag.format(encoder=args.encoder, glue_dir=args.glue_dir)
      for flag in BENCHMARKS[name]
    ]
    try:
      results[name] = measure(name, flags)
    except subprocess.CalledProcessError as error:
      say(f"{name} ended with code {error.returncode}; its part stays")
      failed.append(name)
      continue
    text = args.page.read_text("utf-8")
    text = place(text, name, section(name, results[name]))
    text = place(text, "goals", "\n".join(goals.rows(results)))
    # After each, so that a long row of them that is stopped is not lost.
    args.page.write_text(text, "utf-8")
    write_json(kept, results)
  return int(bool(failed))


if __name__ == "__main__":
  sys.exit(main())
