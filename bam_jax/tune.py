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
import json
import math
from pathlib import Path
import sys
from typing import Any

from bam_jax.runtime import child, command
from bam_jax.runtime.files import beside

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


def medians(results: Mapping[str, Any]) -> dict[str, dict[str, float]]:
  """Returns method -> its variants, the best first, and their medians.

  Args:
    results: of a rung, what results.json holds.

  Raises:
    ValueError: dev was scored, or no method has variants.
  """
  import numpy as np

  if results.get("split", "dev") == "dev":
    raise ValueError(
      "the config scores dev, and settings are never chosen on it; take rows "
      "of train for it: --config.data.holdout=0.1"
    )
  found: dict[str, dict[str, float]] = {}
  for method, scores in results["average"].items():
    base, _, variant = method.partition("@")
    if variant and np.all(np.isfinite(scores)):
      found.setdefault(base, {})[method] = float(np.median(scores))
  if not found:
    raise ValueError(
      "no method of the config has variants to choose from, like single@fast;"
      " configs/paper.py:tune has"
    )
  # Of equals the first asked for.
  return {
    base: dict(sorted(cells.items(), key=lambda cell: -cell[1]))
    for base, cells in found.items()
  }


def survivors(
  found: Mapping[str, Mapping[str, float]], keep: float
) -> list[str]:
  """Returns the variants that go on: of each method the best, at least one."""
  return [
    method
    for cells in found.values()
    for method in list(cells)[: math.ceil(keep * len(cells))]
  ]


def search(flags: argparse.Namespace, rest: Sequence[str]) -> None:
  """Trains the rungs, and writes what came out after each."""
  from bam_jax.report.load import load

  check(flags, rest)
  top, rungs, variants = Path(flags.workdir), [], {}
  for number, share in enumerate(shares(flags.rungs, flags.keep)):
    here = top / f"rung-{number}"
    line = [f"--config={flags.config}", f"--workdir={here}", *rest]
    line += [f"--config.variants_share={share!r}"]
    if rungs:
      chosen = survivors(rungs[-1]["medians"], flags.keep)
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
      {
        "share": share,
        "medians": medians(results),
        "trials": results["settings"]["trials"],
        "steps": spent(results),
      }
    )
    # Of those alone that a rung has trained.
    variants |= results["variants"]
    keep(top, rungs, variants)
  print("\n".join(lines(rungs, variants)))


def spent(results: Mapping[str, Any]) -> int:
  """Returns the steps of all trials of all variants of a rung."""
  return sum(
    sum(steps) for run, steps in results["steps"].items() if "@" in run
  )


def keep(
  top: Path, rungs: Sequence[Mapping], variants: Mapping[str, Mapping]
) -> None:
  """Writes what the rungs that are done have found."""
  record = {"rungs": rungs, "variants": variants}
  text = json.dumps(record, indent=1) + "\n"
  page = "\n".join(lines(rungs, variants)) + "\n\n![scores](search.png)\n"
  for name, data in {
    "search.json": text.encode(),
    "search.md": page.encode(),
    "search.png": draw(rungs),
  }.items():
    with beside(top / name) as part:
      part.write_bytes(data)


def lines(
  rungs: Sequence[Mapping], variants: Mapping[str, Mapping]
) -> list[str]:
  """Returns the table of all variants, and what to type for the best."""
  heads = [f"{rung['share']:.3g} of the steps" for rung in rungs]
  found = [
    f"| method | settings | {' | '.join(heads)} |",
    f"|---|---|{'--:|' * len(heads)}",
  ]
  for base, cells in rungs[0]["medians"].items():
    # Those that came furthest first.
    def far(method, base=base):
      scores = [rung["medians"].get(base, {}).get(method) for rung in rungs]
      there = [score for score in scores if score is not None]
      return -len(there), -there[-1]

    for method in sorted(cells, key=far):
      scores = [rung["medians"].get(base, {}).get(method) for rung in rungs]
      shown = ["–" if x is None else f"{x:.2f}" for x in scores]
      changes = variants[method.partition("@")[2]]
      said = ", ".join(f"{key} {value}" for key, value in changes.items())
      found.append(f"| {base} | {said} | {' | '.join(shown)} |")
  counts = {len(cells) for cells in rungs[0]["medians"].values()}
  found += [
    "",
    f"Medians of {rungs[0]['trials']} trials on rows held out of train, never "
    f"on dev; {sum(rung['steps'] for rung in rungs)} steps of variants in all.",
  ]
  if len(counts) > 1:
    found.append(
      "The methods have other numbers of variants: a comparison of the best "
      "settings is not fair."
    )
  for base, cells in rungs[-1]["medians"].items():
    changes = variants[next(iter(cells)).partition("@")[2]]
    flags = " ".join(f"--config.{k}={v}" for k, v in changes.items())
    found.append(f"{base}: {flags}")
  return found


def draw(rungs: Sequence[Mapping]) -> bytes:
  """Draws the medians of every variant over the rungs; a PNG file."""
  from matplotlib.figure import Figure

  from bam_jax.report.plots import DPI, short, style

  bases = list(rungs[0]["medians"])
  figure = Figure((3.2 * len(bases), 3), dpi=DPI, layout="constrained")
  axes = figure.subplots(1, len(bases), squeeze=False)[0]
  for ax, base in zip(axes, bases, strict=True):
    for number, method in enumerate(rungs[0]["medians"][base]):
      points = [
        (rung["share"], rung["medians"][base][method])
        for rung in rungs
        if method in rung["medians"].get(base, {})
      ]
      ax.plot(*zip(*points, strict=True), **style(number))
    ax.set_title(short(base, 24), fontsize=10, parse_math=False)
    ax.set_xscale("log")
    ax.set_xticks([rung["share"] for rung in rungs])
    ax.set_xticklabels([f"{rung['share']:.3g}" for rung in rungs])
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
  command.run(lambda: search(flags, rest))


if __name__ == "__main__":
  main()
