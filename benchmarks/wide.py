r"""Ten label columns of one table: one model here, ten of transformers.

  python -m benchmarks.wide --encoder=DIR --out=FOLDER

A table of the suite's grammar with ten columns, a tenth of their cells empty.
Ours is one `multi` run of it, and one pass of `bam_jax.load` for all answers;
the peer fine-tunes ten models, one after the other, and asks each; tasknet, if
some Python has it, trains one with ten heads. All with the same encoder,
epochs, batch, rate and seeds; seconds are of training alone, ours with its
compilation. Where answers are timed, texts of the peer are tokenised before,
ours then. Scores on dev are medians [least, most]. What is done is kept in the
folder.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
import csv
import functools
import json
import os
from pathlib import Path
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import jax
import numpy as np

from bam_jax.inference import model as inference
from bam_jax.runtime import command
from bam_jax.runtime.files import read_json, write_json
from bam_jax.stages.session import Session, opened
from bam_jax.study.plan import Run
from bam_jax.study.workdir import Workdir
from bam_jax.tasks import own as own_tasks
from bam_jax.training import loop
from benchmarks import columns
from configs import minilm

# What is measured is called.
SIDES = {
  "ours": "one model here",
  "longer": "the same, four times the epochs",
  "peer": "ten of transformers",
  "tasknet": "one of tasknet",
}


# One model makes as many steps as each of ten; so many times as many are still
# fewer than the ten make together.
LONGER = 4


def ours(args: argparse.Namespace, *, times: int = 1) -> dict[str, Any]:
  """Trains one model of all columns; returns what all seeds came to.

  Args:
    args: of the command.
    times: so many times the epochs.
  """
  workdir = args.out / f"ours-{times}"
  flags = dict(
    config="configs/minilm.py",
    workdir=workdir,
    **{
      "config.encoder": args.encoder,
      "config.tasks_file": args.out / "wide.toml",
      "config.methods": "multi",
      "config.trials": args.seeds,
      "config.max_length": args.max_length,
      "config.multi.epochs": times * args.epochs,
      "config.multi.batch_size": args.batch_size,
      "config.multi.rate": args.rate,
      "config.loss.reduction": "mean",
      "config.data.row_shapes": 1,
    },
  )
  line = [sys.executable, "-m", "bam_jax.main"]
  process = subprocess.Popen(
    [*line, *(f"--{key}={value}" for key, value in flags.items())],
    stdout=sys.stderr,
  )
  # Of this child alone.
  _, status, used = os.wait4(process.pid, 0)
  if code := os.waitstatus_to_exitcode(status):
    raise subprocess.CalledProcessError(code, line)
  found = read_json(workdir / "results.json", cure="run again")
  (run,) = (workdir / "runs").iterdir()
  with (args.out / "dev.csv").open() as file:
    texts = [row["text"] for row in csv.DictReader(file)]
  model = inference.load(run)
  # The first pass compiles.
  for _ in range(2):
    begin = time.monotonic()
    model.answers(list(columns.COLUMNS), [texts])
    answering = time.monotonic() - begin
  scores = {
    name: each["scores"] for name, each in found["methods"]["multi"].items()
  }
  return {
    "answers": len(texts) * len(columns.COLUMNS),
    "answering": answering,
    "seconds": sum(found["seconds"][run.name]),
    "examples": sum(found["steps"][run.name]) * args.batch_size,
    "scores": {name: scores[name] for name in columns.COLUMNS},
    "peak_mib": used.ru_maxrss / 1024,
  }


def peer(args: argparse.Namespace) -> dict[str, Any]:
  """Trains a model for each column; returns what all seeds came to."""
  each = _peer(args, sys.executable, "wide_peer")
  answering = {
    key: sum(one[key] for one in each) for key in ("answers", "answering")
  }
  return _summed(each) | answering


def tasknet(args: argparse.Namespace) -> dict[str, Any]:
  """Trains one model of tasknet; returns what all seeds came to."""
  return _summed(_peer(args, args.tasknet, "tasknet_peer"))


def _peer(
  args: argparse.Namespace, python: str, module: str
) -> list[dict[str, Any]]:
  """Returns what each seed of a peer came to."""
  flags = [
    f"--{key}={getattr(args, key)}"
    for key in ("encoder", "epochs", "batch_size", "rate", "max_length")
  ]
  flags += [f"--{split}={args.out / split}.csv" for split in ("train", "dev")]
  flags.append(f"--seeds={','.join(map(str, range(args.seeds)))}")
  line = [python, "-m", f"benchmarks.{module}", *flags]
  done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True)
  said = done.stdout.splitlines()
  return [json.loads(line) for line in said if line.startswith('{"seed"')]


def _summed(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """Returns what all seeds of a peer came to."""
  return {
    "seconds": sum(one["seconds"] for one in each),
    "examples": sum(one["examples"] for one in each),
    "scores": {
      name: [one["scores"][name] for one in each] for name in each[0]["scores"]
    },
    "peak_mib": max(one["peak_mib"] for one in each),
  }


def steps(args: argparse.Namespace) -> dict[str, float]:
  """Returns milliseconds of a step: of ten columns, and of one of them.

  On the same texts, all of them labelled, in one process and in turns; medians.
  """
  path = columns.write(
    args.out / "whole", train=8 * args.batch_size, dev=args.batch_size, gaps=0
  )
  c = minilm.get_config()
  c.own_tasks = own_tasks.read(path)
  c.update(tasks_file=str(path), tasks=",".join(columns.COLUMNS))
  c.update(encoder=args.encoder, max_length=args.max_length)
  c.multi.batch_size = c.single.batch_size = args.batch_size
  c.methods, c.data.row_shapes = "single,multi", 1
  with tempfile.TemporaryDirectory() as folder:
    session = opened(c, Workdir(Path(folder)))
    runs = {
      name: session.experiment.run(run)
      for name, run in {
        "one": "single.who",
        "ten": f"multi.{'+'.join(columns.COLUMNS)}",
      }.items()
    }
    sides = {name: _stepping(session, run) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(args.turns + 1):
      for name, step in sides.items():
        begin = time.perf_counter()
        step(turn)
        # The first compiles.
        times[name] += [1000 * (time.perf_counter() - begin)] * (turn > 0)
  return {name: statistics.median(each) for name, each in times.items()}


def _stepping(session: Session, run: Run) -> Callable[[int], None]:
  """Returns what makes a step of a run."""
  batches = session.batches(run, [0])
  init, step, _, _ = loop.make_step(
    session.materials.model(run),
    len(batches),
    trials=1,
    settings=session.experiment.settings(run),
    mesh=session.materials.mesh,
  )
  state = init(np.zeros(1, np.uint32), session.given(run, [0]))

  def made(turn: int) -> None:
    nonlocal state
    batch = loop.put(session.materials.mesh, batches, turn % len(batches))
    state, sums = step(state, batch)
    jax.block_until_ready(sums)

  return made


def rows(found: Mapping[str, Any]) -> list[str]:
  """Returns the lines of the tables."""
  step = found["steps"]
  names = [name for name in SIDES if name in found]
  labelled = len(columns.COLUMNS) * (1 - columns.GAPS)
  labels = dict.fromkeys(("ours", "longer"), labelled)
  lines = [
    f"A step of ten columns takes {step['ten']:.0f} ms, one of one column on"
    f" the same texts {step['one']:.0f} ms: {step['ten'] / step['one']:.2f}"
    " times.",
    "",
    f"| | {' | '.join(SIDES[name] for name in names)} |",
    f"|---|{'--:|' * len(names)}",
  ]
  figures = {
    "labels trained on, /s": lambda name, each: (
      each["examples"] * labels.get(name, 1) / each["seconds"]
    ),
    "answers, /s": lambda name, each: (
      each["answers"] / each["answering"] if "answers" in each else None
    ),
    "seconds of training": lambda name, each: each["seconds"],
    "peak memory, MiB": lambda name, each: each["peak_mib"],
  }
  for what, figure in figures.items():
    cells = [figure(name, found[name]) for name in names]
    shown = ("–" if x is None else f"{x:.0f}" for x in cells)
    lines.append(f"| {what} | {' | '.join(shown)} |")
  for name in columns.COLUMNS:
    cells = [found[side]["scores"].get(name, ()) for side in names]
    shown = (
      f"{np.median(x):.1f} [{min(x):.1f}, {max(x):.1f}]" if x else "–"
      for x in cells
    )
    lines.append(f"| {name} | {' | '.join(shown)} |")
  return lines


def main(argv: Sequence[str] | None = None) -> None:
  """Measures what is not measured yet, and prints the tables."""
  parser = argparse.ArgumentParser(
    "python -m benchmarks.wide",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add("--encoder", required=True)
  add("--out", type=Path, required=True)
  add("--train", type=int, default=1000, help="texts")
  add("--dev", type=int, default=300, help="texts")
  add("--seeds", type=int, default=2)
  add("--epochs", type=int, default=2)
  add("--batch_size", type=int, default=32)
  add("--rate", type=float, default=2e-4)
  add("--max_length", type=int, default=64)
  add("--turns", type=int, default=15, help="steps of each side that are timed")
  add("--tasknet", default="", help="a Python that has it; default: left out")
  args = parser.parse_args(argv)
  args.out = args.out.absolute()

  def work() -> None:
    if not (args.out / "wide.toml").exists():
      columns.write(args.out, train=args.train, dev=args.dev)
    file = args.out / "wide.json"
    found = read_json(file, cure=f"delete {file}")
    # A child's peak is never less than what this process has when it starts it,
    # so that what fills it comes last.
    each = {
      "tasknet": tasknet,
      "peer": peer,
      "ours": ours,
      "longer": functools.partial(ours, times=LONGER),
      "steps": steps,
    }
    for name, side in each.items():
      if name not in found and (name != "tasknet" or args.tasknet):
        found[name] = side(args)
        write_json(file, found)
    print("\n".join(rows(found)))

  command.run(work)


if __name__ == "__main__":
  main()
