r"""Chooses settings by successive halving, on rows held out of train.

  python -m bam_jax.tune --config=configs/strong.py:tune_single --workdir=T \
      --rungs=3 --keep=0.5 --config.trials=3 --config.encoder=DIR

The config has variants and data.holdout, as configs/paper.py:tune has. In the
first of --rungs all variants of a method are trained, for a part of their
steps; the best --keep of them go on to the next rung, from the start and for
more steps, and the last rung is at full length (Jamieson and Talwalkar 2016).
Every method is chosen from by itself, so that all get the same: as much as
there are variants of it. The same command goes on where the last one stopped.
T/rung-K are working directories; T/search.json, search.md and search.png have
what came out. Whatever bam_jax.main reads may be typed too.

Exit codes: those of bam_jax.main.
"""

import argparse
from collections.abc import Mapping, Sequence
import io
import math
from pathlib import Path
import sys
from typing import Any

from bam_jax.runtime import child, command
from bam_jax.runtime.files import beside, write_json

# What the rungs say, and so nobody else.
_TAKEN = ("config.variants_share", "config.methods", "config.share")


def parser() -> argparse.ArgumentParser:
  """Returns the flags; all others are those of bam_jax.main."""
  found = argparse.ArgumentParser(
    prog="python -m bam_jax.tune",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = found.add_argument
  add("--config", required=True, help="with variants, and data.holdout")
  add("--workdir", required=True, help="where the rungs go")
  add("--rungs", type=int, default=3, help="2 or more; default: 3")
  add(
    "--keep",
    type=float,
    default=0.5,
    help="share of the variants that go on, and by which rungs are shorter "
    "than the next; default: 0.5",
  )
  return found


def check(flags: argparse.Namespace, rest: Sequence[str]) -> None:
  """Refuses flags that mean nothing, before anything is trained.

  Raises:
    ValueError: one of them.
  """
  if flags.rungs < 2:
    raise ValueError(
      f"--rungs is {flags.rungs}; it is 2 or more, and bam_jax.main does with "
      "variants what one rung would"
    )
  if not 0 < flags.keep < 1:
    raise ValueError(
      f"--keep is {flags.keep:g}; it is a share, above 0 and below 1"
    )
  names = [each.lstrip("-").partition("=")[0] for each in rest]
  if taken := [name for name in names if name in _TAKEN]:
    raise ValueError(f"--{taken[0]} is said by the rungs; leave it out")


def shares(rungs: int, keep: float) -> list[float]:
  """Returns what part of its steps a variant is trained for in each rung."""
  return [keep ** (rungs - 1 - rung) for rung in range(rungs)]


def ranked(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
  """Returns the variants of each method, the best first; see `search.cells`.

  Args:
    results: of a rung, what results.json holds.

  Raises:
    ValueError: no task counts, or all variants ended in what is no number.
  """
  from bam_jax.stats import search

  if not any(results["average"].values()):
    tasks = {name for each in results["methods"].values() for name in each}
    raise ValueError(
      "variants are ranked by their average over tasks, in which none of"
      f" {', '.join(sorted(tasks))} counts; add one that does to --config.tasks"
    )
  if not (found := search.cells(results)):
    raise ValueError(
      "no variant has a score that is a number; take smaller rates, or see what"
      " they ended in: runs/*/metrics.jsonl"
    )
  return found


def survivors(
  found: Mapping[str, Sequence[Mapping[str, Any]]], keep: float
) -> list[str]:
  """Returns the variants that go on: of each method the best, at least one."""
  return [
    cell["method"]
    for cells in found.values()
    for cell in cells[: math.ceil(keep * len(cells))]
  ]


def tune(flags: argparse.Namespace, rest: Sequence[str]) -> None:
  """Trains the rungs, and writes what came out after each."""
  from bam_jax.report.load import load

  check(flags, rest)
  top, rungs = Path(flags.workdir), []
  for number, share in enumerate(shares(flags.rungs, flags.keep)):
    here = top / f"rung-{number}"
    line = [f"--config={flags.config}", f"--workdir={here}", *rest]
    line += [f"--config.variants_share={share!r}"]
    if rungs:
      chosen = survivors(rungs[-1]["cells"], flags.keep)
      line += [f"--config.methods={','.join(chosen)}"]
      # Teachers are not varied.
      line += [f"--config.reuse={top / f'rung-{number - 1}'}"]
    print(
      f"rung {number}, {number + 1} of {flags.rungs}: {share:.3g} of the steps",
      file=sys.stderr,
    )
    child.main(line, cache=top / "cache")
    results = load(here)
    rungs.append(
      {"share": share, "cells": ranked(results), "steps": spent(results)}
    )
    write(top, rungs)
  print("\n".join(lines(rungs)))


def spent(results: Mapping[str, Any]) -> int:
  """Returns the steps of all trials of all variants of a rung."""
  return sum(
    sum(steps) for run, steps in results["steps"].items() if "@" in run
  )


def write(top: Path, rungs: Sequence[Mapping]) -> None:
  """Writes what the rungs that are done have found."""
  write_json(top / "search.json", {"rungs": rungs})
  page = "\n".join(lines(rungs)) + "\n\n![scores](search.png)\n"
  with beside(top / "search.md") as part:
    part.write_text(page, "utf-8")
  with beside(top / "search.png") as part:
    part.write_bytes(draw(rungs))


def medians(rungs: Sequence[Mapping], base: str, method: str) -> list[float]:
  """Returns the medians of a variant in the rungs that it came to."""
  return [
    cell["median"]
    for rung in rungs
    for cell in rung["cells"].get(base, ())
    if cell["method"] == method
  ]


def lines(rungs: Sequence[Mapping]) -> list[str]:
  """Returns the table of all variants, and what to type for the best."""
  from bam_jax.stats import search

  first = rungs[0]["cells"]
  heads = [f"{rung['share']:.3g} of the steps" for rung in rungs]
  found = [
    f"| method | settings | {' | '.join(heads)} |",
    f"|---|---|{'--:|' * len(heads)}",
  ]
  for base, cells in first.items():
    each = [(medians(rungs, base, cell["method"]), cell) for cell in cells]
    # Those that came furthest first.
    for scores, cell in sorted(
      each, key=lambda one: (-len(one[0]), -one[0][-1])
    ):
      shown = [f"{score:.2f}" for score in scores]
      shown += ["–"] * (len(rungs) - len(scores))
      said = ", ".join(f"{k} {v}" for k, v in cell["changes"].items())
      found.append(f"| {base} | {said} | {' | '.join(shown)} |")
  found += [
    "",
    *search.budget(first),
    f"{sum(rung['steps'] for rung in rungs)} steps of variants in all.",
  ]
  for base, (best, *_) in rungs[-1]["cells"].items():
    found.append(f"{base}: {search.flags(best)}")
  return found


def draw(rungs: Sequence[Mapping]) -> bytes:
  """Draws the medians of every variant over the rungs; a PNG file."""
  from matplotlib.figure import Figure

  from bam_jax.report.plots import DPI, short, style

  first = rungs[0]["cells"]
  figure = Figure((3.2 * len(first), 3), dpi=DPI, layout="constrained")
  axes = figure.subplots(1, len(first), squeeze=False)[0]
  x = [rung["share"] for rung in rungs]
  for ax, (base, cells) in zip(axes, first.items(), strict=True):
    for number, cell in enumerate(cells):
      y = medians(rungs, base, cell["method"])
      ax.plot(x[: len(y)], y, **style(number))
    ax.set_title(short(base, 24), fontsize=10, parse_math=False)
    ax.set_xscale("log")
    ax.set_xticks(x, [f"{share:.3g}" for share in x])
    ax.minorticks_off()
    ax.grid(axis="y", color="0.9")
    ax.spines[["top", "right"]].set_visible(False)
  figure.supxlabel("share of the steps", fontsize=9)
  figure.supylabel("median on held-out rows, x100", fontsize=9)
  found = io.BytesIO()
  figure.savefig(found, format="png")
  return found.getvalue()


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command."""
  flags, rest = parser().parse_known_args(argv)
  command.run(lambda: tune(flags, rest))


if __name__ == "__main__":
  main()
