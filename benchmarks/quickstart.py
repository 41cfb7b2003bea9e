r"""Whether what the quickstart shows holds for other seeds and other data.

  python -m benchmarks.quickstart --workdir=W --seeds=20 --synthetic_seed=2

It runs the quickstart's own command once for each seed, one after the other,
and writes W/quickstart.md and W/quickstart.png after each, of all seeds that
are done. The same command goes on where it was stopped, and does more seeds
where more are asked for. Other flags go to the quickstart: so settings are
tried, on data that are not those on which they are shown in the end.
"""

import argparse
from collections.abc import Mapping, Sequence
import io
from pathlib import Path
import statistics
import subprocess
import sys

import numpy as np

from bam_jax.report.load import load
from bam_jax.report.plots import DPI, style
from bam_jax.runtime import command
from bam_jax.runtime.console import say
from bam_jax.runtime.files import beside

# A method of results.json, and what it is called.
METHODS = {
  "single": "Single",
  "multi": "Multi",
  "single->multi": "Single→Multi",
}

# Method -> the average of the dev scores of each seed.
Averages = Mapping[str, Sequence[float]]


def differences(averages: Averages, one: str, two: str) -> np.ndarray:
  """Returns how far a method is above another in each seed, f[N]."""
  return np.subtract(averages[one], averages[two])


def spread(values: Sequence[float], sign: str = "") -> str:
  """Says the median and the range of values."""
  low, middle, high = min(values), statistics.median(values), max(values)
  return f"{middle:{sign}.1f} ({low:{sign}.1f} to {high:{sign}.1f})"


def verdicts(averages: Averages) -> list[str]:
  """Returns what the seeds say of the methods, a line of a list each."""
  lines = []
  for one, two in (("multi", "single"), ("single->multi", "multi")):
    found = differences(averages, one, two)
    lines.append(
      f"- {METHODS[one]} is above {METHODS[two]} in {(found > 0).sum()} of "
      f"{len(found)} seeds, by {spread(found, '+')} points: median (range)."
    )
  return lines


def table(results: Mapping[int, Mapping]) -> list[str]:
  """Returns medians and ranges of every column, a line for each method.

  Args:
    results: seed -> what its results.json holds.
  """
  first = next(iter(results.values()))
  tasks = list(first["methods"]["single"])
  lines = [
    f"| | Avg | {' | '.join(tasks)} |",
    f"|---|{'--:|' * (len(tasks) + 1)}",
  ]
  for method, name in METHODS.items():
    columns = [[each["average"][method][0] for each in results.values()]]
    columns += [
      [each["methods"][method][task]["scores"][0] for each in results.values()]
      for task in tasks
    ]
    lines.append(f"| {name} | {' | '.join(map(spread, columns))} |")
  return lines


def seeds_table(seeds: Sequence[int], averages: Averages) -> list[str]:
  """Returns the averages of every seed."""
  above = [
    differences(averages, "multi", "single"),
    differences(averages, "single->multi", "multi"),
  ]
  lines = [
    f"| seed | {' | '.join(METHODS.values())} | Multi − Single | "
    "Single→Multi − Multi |",
    f"|--:|{'--:|' * (len(METHODS) + 2)}",
  ]
  for i, seed in enumerate(seeds):
    scores = [f"{averages[method][i]:.1f}" for method in METHODS]
    gains = [f"{each[i]:+.1f}" for each in above]
    lines.append(f"| {seed} | {' | '.join(scores + gains)} |")
  return lines


def page(results: Mapping[int, Mapping]) -> str:
  """Returns the Markdown of all seeds that are done."""
  averages = averages_of(results)
  said = next(iter(results.values()))
  data = said["settings"]["data"]["synthetic_seed"]
  lines = [
    f"Dev scores x100 of {len(results)} seeds, synthetic suite of seed {data}: "
    "median (range).",
    "",
    *table(results),
    "",
    *verdicts(averages),
    "",
    *seeds_table(list(results), averages),
    "",
    f"Commit {said['commit']}.",
  ]
  return "\n".join(lines) + "\n"


def averages_of(results: Mapping[int, Mapping]) -> dict[str, list[float]]:
  """Returns the averages of every method, seed by seed."""
  return {
    method: [each["average"][method][0] for each in results.values()]
    for method in METHODS
  }


def draw(averages: Averages) -> bytes:
  """Draws every seed's averages, in the order of multi's; a PNG file."""
  from matplotlib.figure import Figure

  figure = Figure((6, 2.8), dpi=DPI, layout="constrained")
  axes = figure.subplots()
  order = np.argsort(averages["multi"])
  for number, (method, name) in enumerate(METHODS.items()):
    look = style(number) | {"linestyle": "none"}
    axes.plot(np.asarray(averages[method])[order], label=name, **look)
  axes.set_xlabel("seeds, in the order of Multi")
  axes.set_xticks([])
  axes.set_ylabel("average on dev, x100")
  axes.grid(axis="y", color="0.9")
  axes.spines[["top", "right"]].set_visible(False)
  figure.legend(loc="outside upper center", frameon=False, ncols=len(METHODS))
  found = io.BytesIO()
  figure.savefig(found, format="png")
  return found.getvalue()


def finished(workdir: Path) -> Mapping | None:
  """Returns what a seed's results.json holds, or None if it is not done."""
  if not (workdir / "results.json").is_file():
    return None
  results = load(workdir)
  done = set(METHODS) <= set(results["average"])
  return results if done else None


def run(workdir: Path, seed: int, synthetic_seed: int, rest: Sequence[str]):
  """Runs the quickstart with a seed.

  Raises:
    ValueError: it ended otherwise than by being done.
  """
  args = [sys.executable, "-m", "bam_jax.main"]
  args += ["--config=configs/quickstart.py", f"--workdir={workdir}"]
  args += [f"--config.seed={seed}"]
  args += [f"--config.data.synthetic_seed={synthetic_seed}", *rest]
  code = subprocess.run(args, check=False).returncode
  if code:
    raise ValueError(f"seed {seed} ended with exit code {code}; see above")


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the seeds that are not done, and writes what all of them say."""
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.quickstart",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("--workdir", type=Path, required=True)
  parser.add_argument("--seeds", type=int, default=20, help="0, 1, ...")
  parser.add_argument("--synthetic_seed", type=int, default=2)
  args, rest = parser.parse_known_args(argv)
  results = {}
  for seed in range(args.seeds):
    place = args.workdir / f"seed-{seed}"
    if finished(place) is None:
      run(place, seed, args.synthetic_seed, rest)
    results[seed] = finished(place)
    if results[seed] is None:
      raise ValueError(
        f"{place} has no results of {', '.join(METHODS)}; leave "
        "--config.methods alone"
      )
    averages = averages_of(results)
    with beside(args.workdir / "quickstart.md") as part:
      part.write_text(page(results), "utf-8")
    with beside(args.workdir / "quickstart.png") as part:
      part.write_bytes(draw(averages))
    say("\n".join(verdicts(averages)))


if __name__ == "__main__":
  command.run(main)
