r"""How fast the host makes examples ready, against what the train step takes.

  python -m benchmarks.input_pipeline --encoder=DIR --glue_dir=DIR

Tokenising: what a run does with text that it has read, until it holds verified
rows: token ids, TFDS shards with their digests, and these read back. It is
told in CPU seconds, so that it is the rate of one core. Batches: the order of
a whole run, its plan, and batches packed and read; against the train step's
appetite, measured with the real step or given by --train_examples_per_s.
Waiting: the share of the time of some steps in which the loop waits for its
batch, where a thread makes it ahead (as the train loop does) and where not.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import json
from pathlib import Path
import shutil
import statistics
import sys
import tempfile
import time
from typing import Any

from bam_jax.data import builders
from bam_jax.data.store import Store
from bam_jax.data.windows import Lengths
from bam_jax.runtime import command
from bam_jax.runtime.console import bar
from bam_jax.stages.session import Session
from bam_jax.training import sharding
from benchmarks import settings, sides, steps

TASKS = "cola,sst2,mrpc,stsb,qqp,mnli,qnli,rte"
SETTINGS = ("tasks", "batch_size", "max_length", "dtype", "rows", "repeats")


def tokenising(session: Session, repeats: int) -> dict[str, dict[str, float]]:
  """Returns rows, columns of text and CPU seconds of every task.

  Args:
    session: the session; its directory holds the shards afterwards.
    repeats: measurements of each task.
  """
  c, found = session.config, {}
  with bar(
    "tokenises", repeats * len(session.experiment.trained_tasks)
  ) as advance:
    for task in session.experiment.trained_tasks:
      text, seconds = session.materials.texts.look(task, task.train), []
      for _ in range(repeats):
        shutil.rmtree(session.workdir.data, ignore_errors=True)
        begin = time.process_time()
        made = builders.load_features(
          task,
          [task.train],
          tokenizer=session.materials.encoder.tokenizer,
          lengths=Lengths(c.max_length, c.span.stride),
          store=Store(session.workdir.data),
          load=lambda split, text=text: text,
        )
        seconds.append(time.process_time() - begin)
        advance(1, task.name)
      found[task.name] = {
        "rows": sum(map(len, made.values())),
        "columns": len(text.texts),
        "cpu_seconds": statistics.median(seconds),
      }
  return found


def rate(tasks: Mapping[str, Mapping[str, float]], columns: int) -> float:
  """Returns rows of so many columns that are tokenised in a CPU second."""
  mine = [each for each in tasks.values() if each["columns"] == columns]
  seconds = sum(each["cpu_seconds"] for each in mine)
  return sum(each["rows"] for each in mine) / seconds if mine else 0.0


def median(repeats: int, work: Callable[[], Any]) -> float:
  """Returns the seconds that something takes."""
  seconds = []
  for _ in range(repeats):
    begin = time.perf_counter()
    work()
    seconds.append(time.perf_counter() - begin)
  return statistics.median(seconds)


def batching(
  session: Session, side: steps.Steps, *, batches: int, repeats: int
) -> dict[str, float]:
  """Returns the examples a second of planning and of reading batches.

  Args:
    session: the session.
    side: its steps.
    batches: read in each measurement.
    repeats: measurements.
  """
  run, seeds = steps.run_of(session), [session.config.seed]
  planned = len(side.batches) * session.config.multi.batch_size
  plan = median(repeats, lambda: session.batches(run, seeds, taught=False))
  held = sum(map(side.examples, range(batches)))
  read = median(
    repeats,
    lambda: [side.batches[k % len(side.batches)] for k in range(batches)],
  )
  return {
    "planned_per_s": planned / plan,
    "read_per_s": held / read,
    "examples_per_s": 1 / (plan / planned + read / held),
    "fill": side.batches.fill,
  }


def directly(put: Callable[[int], Any], numbers: range) -> Iterator[Any]:
  """Yields the batch of every step, made when it is asked for."""
  return (put(k) for k in numbers)


def training(side: steps.Steps, count: int, repeats: int) -> dict[str, float]:
  """Returns the examples a second of the train step, and how long it waits.

  Args:
    side: its steps.
    count: of steps in each measurement.
    repeats: measurements.
  """
  ways = {"ahead": sharding.ahead, "directly": directly}
  shares: dict[str, list[float]] = {name: [] for name in ways}
  numbers, rates = range(count), []
  # Every shape is compiled before anything is measured.
  for k in {
    int(side.batches.sizes[k % len(side.batches)]): k for k in numbers
  }.values():
    side.one(side.put(k))
  side.wait()
  held = sum(map(side.examples, numbers))
  with bar("trains", repeats * len(ways)) as advance:
    for _ in range(repeats):
      for name, way in ways.items():
        batches = way(side.put, range(count + 1))
        batch, waited = next(batches), 0.0
        begin = time.perf_counter()
        for _ in numbers:
          side.one(batch)
          # As if the device were always empty: the worst that may be.
          side.wait()
          asked = time.perf_counter()
          batch = next(batches)
          waited += time.perf_counter() - asked
        seconds = time.perf_counter() - begin
        batches.close()
        shares[name].append(waited / seconds)
        if name == "ahead":
          rates.append(held / seconds)
        advance(1)
  return {
    "train_examples_per_s": statistics.median(rates),
    "waiting_share": {k: statistics.median(v) for k, v in shares.items()},
  }


def rows(result: Mapping[str, Any]) -> list[str]:
  """Returns a Markdown table of what `main` returns."""
  lines = ["| task | rows | rows a CPU second |", "|---|--:|--:|"]
  for name, each in result["tasks"].items():
    lines.append(
      f"| {name} | {each['rows']} | {each['rows'] / each['cpu_seconds']:.0f} |"
    )
  shares = result.get("waiting_share", {})
  said = [f"{share:.4f} ({name})" for name, share in shares.items()]
  return [
    *lines,
    "",
    f"Pairs tokenised, written and verified, a second of one core: "
    f"{result['pairs_per_s_per_core']:.0f}.",
    f"Batches planned, packed and read: {result['examples_per_s']:.0f} "
    f"examples/s, {result['over_train']:.0f} times the "
    f"{result['train_examples_per_s']:.1f} that the step takes.",
    *(
      [f"Share of the time that the step waits: {', '.join(said)}."]
      * bool(said)
    ),
  ]


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
  """Measures and prints; returns what it prints with --json."""
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.input_pipeline",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  settings.add_arguments(parser, tasks=TASKS, batch_size=128)
  parser.add_argument(
    "--rows", type=int, default=20_000, help="of each task; 0 = all"
  )
  parser.add_argument(
    "--batches", type=int, default=200, help="read in each measurement"
  )
  parser.add_argument(
    "--steps", type=int, default=3, help="trained in each measurement"
  )
  parser.add_argument(
    "--train_examples_per_s", type=float, help="instead of a measurement"
  )
  parser.add_argument("--repeats", type=int, default=sides.REPEATS)
  args = parser.parse_args(argv)
  with (
    tempfile.TemporaryDirectory() as folder,
    contextlib.redirect_stdout(sys.stderr),
  ):
    session = steps.session_of(
      settings.config(args), Path(folder), rows=args.rows
    )
    tasks = tokenising(session, args.repeats)
    side = steps.Steps.of(session, trials=1)
    found = batching(session, side, batches=args.batches, repeats=args.repeats)
    if args.train_examples_per_s:
      found["train_examples_per_s"] = args.train_examples_per_s
    else:
      found |= training(side, args.steps, args.repeats)
  result = {
    "machine": sides.machine("jax", "tokenizers", "tensorflow-datasets"),
    "settings": settings.told(args, SETTINGS),
    "pairs_per_s_per_core": rate(tasks, 2),
    "sentences_per_s_per_core": rate(tasks, 1),
    **found,
    "over_train": found["examples_per_s"] / found["train_examples_per_s"],
    "tasks": tasks,
  }
  print(json.dumps(result) if args.json else "\n".join(rows(result)))
  return result


if __name__ == "__main__":
  command.run(main)
