r"""Ten label columns of one table: one model here, ten of transformers.

  python -m benchmarks.wide --encoder=DIR --out=FOLDER

A table of the suite's grammar with ten columns, a tenth of their cells empty.
Ours is one `multi` run of it, and one pass of `bam_jax.load` for all answers;
the peer fine-tunes ten models, one after the other, and asks each. Both with
the same encoder, epochs, batch, rate and seeds; seconds are of training alone,
ours with its compilation. What is done is kept in the folder.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
import csv
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


def ours(args: argparse.Namespace) -> dict[str, Any]:
  """Trains one model of all columns; returns what each seed came to."""
  workdir = args.out / "ours"
  flags = dict(
    config="configs/minilm.py",
    workdir=workdir,
    **{
      "config.encoder": args.encoder,
      "config.tasks_file": args.out / "wide.toml",
      "config.methods": "multi",
      "config.trials": args.seeds,
      "config.max_length": args.max_length,
      "config.multi.epochs": args.epochs,
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
  flags = [
    f"--{key}={getattr(args, key)}"
    for key in ("encoder", "epochs", "batch_size", "rate", "max_length")
  ]
  flags += [f"--{split}={args.out / split}.csv" for split in ("train", "dev")]
  flags.append(f"--seeds={','.join(map(str, range(args.seeds)))}")
  line = [sys.executable, "-m", "benchmarks.wide_peer", *flags]
  done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True)
  each = [json.loads(line) for line in done.stdout.splitlines()]
  return {
    "answers": sum(one["answers"] for one in each),
    "answering": sum(one["answering"] for one in each),
    "seconds": sum(one["seconds"] for one in each),
    "examples": sum(one["examples"] for one in each),
    "scores": {
      name: [one["scores"][name] for one in each] for name in columns.COLUMNS
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


def labels_per_s(found: Mapping[str, Any], labelled: float) -> float:
  """Returns how many labels are trained on in a second.

  Args:
    found: of a side.
    labelled: labels that an example of it has.
  """
  return found["examples"] * labelled / found["seconds"]


def rows(found: Mapping[str, Any]) -> list[str]:
  """Returns the lines of the tables."""
  one, ten = found["ours"], found["peer"]
  labelled = len(columns.COLUMNS) * (1 - columns.GAPS)
  speed = labels_per_s(one, labelled), labels_per_s(ten, 1)
  answers = [each["answers"] / each["answering"] for each in (one, ten)]
  step = found["steps"]
  lines = [
    f"A step of ten columns takes {step['ten']:.0f} ms, one of one column on"
    f" the same texts {step['one']:.0f} ms: {step['ten'] / step['one']:.2f}"
    " times.",
    "",
    "| | one model here | ten of transformers | ratio |",
    "|---|--:|--:|--:|",
    f"| labels trained on, /s | {speed[0]:.0f} | {speed[1]:.0f} |"
    f" {speed[0] / speed[1]:.1f} |",
    f"| answers, /s | {answers[0]:.0f} | {answers[1]:.0f} |"
    f" {answers[0] / answers[1]:.1f} |",
    f"| peak memory, MiB | {one['peak_mib']:.0f} | {ten['peak_mib']:.0f} | |",
    "",
    "| score on dev, median [least, most] | one model here | ten |",
    "|---|--:|--:|",
  ]
  for name in columns.COLUMNS:
    cells = [
      f"{np.median(x):.1f} [{min(x):.1f}, {max(x):.1f}]"
      for x in (one["scores"][name], ten["scores"][name])
    ]
    lines.append(f"| {name} | {' | '.join(cells)} |")
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
  args = parser.parse_args(argv)
  args.out = args.out.absolute()

  def work() -> None:
    if not (args.out / "wide.toml").exists():
      columns.write(args.out, train=args.train, dev=args.dev)
    file = args.out / "wide.json"
    found = read_json(file, cure=f"delete {file}")
    # A child's peak is never less than what this process has when it starts it,
    # so that what fills it comes last.
    for name, side in (("peer", peer), ("ours", ours), ("steps", steps)):
      if name not in found:
        found[name] = side(args)
        write_json(file, found)
    print("\n".join(rows(found)))

  command.run(work)


if __name__ == "__main__":
  main()
