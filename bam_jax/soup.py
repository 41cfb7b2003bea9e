r"""One model of a run's trials: the mean of their weights.

  python -m bam_jax.main ... --config.trials=5 --config.init_seed=0 \
      --config.calibration.share=0.1 --workdir=W
  python -m bam_jax.soup --run=W/runs/NAME --kind=greedy --out=DIR

A soup costs at prediction what one trial costs (Wortsman et al. 2022). Its
trials have to start from the same weights: --config.init_seed. uniform takes
all of them; greedy those that do not make it worse on the rows held out for
calibration, from the best on. What it scores on dev is printed beside the
trials, and DIR is written as bam_jax.export --task=all writes it: bam_jax.load,
bam_jax.predict, bam_jax.serve and --config.init_from take it.

Exit codes: 0 done, 2 something in the command or the run is wrong (one sentence
says what), 1 anything else.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
import statistics
from typing import Any

from bam_jax.runtime import command

KINDS = ("uniform", "greedy")


def parser() -> argparse.ArgumentParser:
  """Returns the flags."""
  found = argparse.ArgumentParser(
    prog="python -m bam_jax.soup",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = found.add_argument
  add("--run", required=True, help="W/runs/NAME")
  add("--out", required=True, help="the directory to write")
  add("--kind", choices=KINDS, default=KINDS[0], help="default: uniform")
  add("--overwrite", action="store_true", help="replace the model in --out")
  return found


def make(flags: argparse.Namespace) -> None:
  """Makes the soup, scores it and writes it."""
  from bam_jax.hf import directory as hf
  from bam_jax.inference import export, merging, trained
  from bam_jax.inference.model import ALL
  from bam_jax.stages import soups
  from bam_jax.stages.session import of_run
  from bam_jax.training.checkpoint import trials

  # Known before anything is computed.
  hf.replaces(Path(flags.out), overwrite=flags.overwrite)
  path = Path(flags.run)
  if not (path / "checkpoints").is_dir():
    raise ValueError(
      f"{path} is no run, and a soup is made of a run's trials; give "
      "W/runs/NAME"
    )
  session, run = of_run(path)
  seeds = trials(path / "checkpoints")
  # Known before minutes are spent on it.
  merging.plain(trained.load(path, trial=None, tasks=()), ALL)
  made = soups.made(session, run, flags.kind, seeds)
  for line in lines(session, run, seeds, made):
    print(line)
  found = trained.load(path, trial=made.seeds[0], tasks=())
  about = {
    **found.about,
    "trial": None,
    "soup": {"kind": flags.kind, "trials": list(made.seeds)},
    "scores": made.entry["scores"],
    "examples": made.entry["examples"],
    "calibration": dict(made.calibration),
  }
  export.write_heads(
    Path(flags.out),
    trained.Trained(
      found.config,
      made.params,
      found.description.calibrated(made.calibration),
      found.tokenizer,
      about,
    ),
    overwrite=flags.overwrite,
  )
  taken = ", ".join(map(str, made.seeds))
  print(f"wrote {flags.out}: the mean of trials {taken} of {path}")


def lines(session: Any, run: Any, seeds: Sequence[int], made: Any) -> list[str]:
  """Returns what the soup and its trials score on dev, a line a task."""
  known = session.workdir.scores(run.name)
  found = []
  for task in session.experiment.tasks_of(run):
    mine = made.entry["scores"][task.name][task.headline]
    theirs = [
      known[str(seed)]["scores"][task.name][task.headline]
      for seed in seeds
      if str(seed) in known
    ]
    beside = "trials not scored"
    if theirs:
      beside = (
        f"trials {min(theirs):.1f} to {max(theirs):.1f}, median "
        f"{statistics.median(theirs):.1f}"
      )
    found.append(f"{task.name}: {task.headline} {mine:.1f}; {beside}")
  return [*found, *made.entry["warnings"]]


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command."""
  flags = parser().parse_args(argv)
  command.run(lambda: make(flags))


if __name__ == "__main__":
  main()
