r"""What to label next: the texts that a model's trials know least of.

  python -m bam_jax.label_next --run=W/runs/NAME --task=topic --most=200 \
      --output-format=label-studio < texts.csv > next.json

Texts are read as bam_jax.predict reads them. Each is asked of all finished
trials of the run, or of those of --trials; the ones that they disagree on most
(--by=disagreement), or are least sure of (--by=margin, which one trial can
say), come first, with the model's answer to be corrected. Formats: jsonl and
csv for people, label-studio and doccano to be imported there. Memory holds the
--most best alone.

Exit codes: 0 done, 2 something in the command or a line is wrong (one sentence
says what), 1 anything else.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
import dataclasses
from pathlib import Path
import sys
from typing import Any

from bam_jax.inference.worklist import WRITERS
from bam_jax.runtime import command

# What texts are ranked by -> the key of a record, of which less comes first.
ORDERS: Mapping[str, Callable[[Mapping[str, Any]], float]] = {
  "disagreement": lambda found: -found["disagreement"],
  "margin": lambda found: found["margin"],
}


def parser() -> argparse.ArgumentParser:
  """Returns the flags."""
  found = argparse.ArgumentParser(
    prog="python -m bam_jax.label_next",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = found.add_argument
  add("--run", required=True, help="W/runs/NAME")
  add("--task", required=True, help="one of its heads")
  add("--trials", help="seeds with commas between them; default: all finished")
  add("--by", choices=tuple(ORDERS), default="disagreement")
  add("--most", type=int, default=100, help="texts that come out; default: 100")
  add("--input", help="a file; standard input if absent")
  add("--output-format", choices=tuple(WRITERS), default="jsonl")
  return found


def seeds_of(run: Path, asked: str | None) -> list[int]:
  """Returns the seeds of the trials that are asked.

  Raises:
    ValueError: the run has not finished them, or they are no numbers.
  """
  from bam_jax.training.checkpoint import trials

  there = trials(run / "checkpoints")
  if not there:
    raise ValueError(
      f"{run} holds no finished trial; give a run like W/runs/NAME"
    )
  if asked is None:
    return there
  names = [name.strip() for name in asked.split(",")]
  seeds = [int(name) for name in names if name.isdecimal()]
  if len(seeds) != len(names) or not {*seeds} <= {*there}:
    raise ValueError(
      f"--trials is {asked}; {run} has finished {', '.join(map(str, there))}"
    )
  return seeds


def ranked(flags: argparse.Namespace) -> list[dict[str, Any]]:
  """Returns what is written, the first to be labelled first.

  Raises:
    ValueError: the command or a row is wrong.
  """
  import numpy as np

  from bam_jax.inference import model as inference
  from bam_jax.inference import streams, uncertainty
  from bam_jax.runtime import console
  from bam_jax.tasks import description

  if flags.most < 1:
    raise ValueError(f"--most is {flags.most}; it is 1 or more")
  run = Path(flags.run)
  seeds = seeds_of(run, flags.trials)
  if flags.by == "disagreement" and len(seeds) < 2:
    raise ValueError(
      "one trial does not disagree with itself; train more "
      "(--config.trials=5), or type --by=margin"
    )
  models = [inference.load(run, trial=seed) for seed in seeds]
  head = description.find(tuple(models[0].heads.values()), flags.task)
  if flags.by == "margin" and head.range:
    raise ValueError(
      f"{head.name} is a number, which has no margin; type --by=disagreement"
    )
  plain = dataclasses.replace(head, calibration=None)
  # Refused before a text is read.
  uncertainty.of(head, np.zeros((1, 1, head.classes)))
  reader = streams.Reader(
    Path(flags.input) if flags.input else sys.stdin.buffer,
    layouts=[head.text],
    say=lambda sentence: print(sentence, file=sys.stderr),
  )
  best: list[dict[str, Any]] = []
  count = 0

  def order(record: Mapping[str, Any]) -> tuple[float, int]:
    # Of equals the first stays.
    return ORDERS[flags.by](record), record["row"]

  with console.counter("asked") as progress:
    for batch in streams.batches(reader, inference.BATCH):
      columns = [list(column) for column in zip(*batch, strict=True)]
      outputs = [
        model.heads[head.name].tempered(found[head.name])
        for model in models
        for found in [model.logits([head.name], columns)]
      ]
      doubts = uncertainty.of(head, np.stack(outputs))
      # Each trial has been tempered by its own.
      said = description.answers(plain, doubts.outputs)
      records = [
        {
          "row": count + number,
          "texts": dict(zip(head.text, texts, strict=True)),
          "disagreement": round(float(doubts.disagreement[number]), 6),
          "margin": None
          if np.isnan(doubts.margin[number])
          else round(float(doubts.margin[number]), 6),
          "answer": answer.record(),
        }
        for number, (texts, answer) in enumerate(zip(batch, said, strict=True))
      ]
      count += len(batch)
      # A text that comes again is to be labelled once: the first stays.
      different: dict[str, dict[str, Any]] = {}
      for record in sorted([*best, *records], key=order):
        different.setdefault(repr(record["texts"]), record)
      best = list(different.values())[: flags.most]
      progress(len(batch))
  return best


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command."""
  flags = parser().parse_args(argv)
  sys.stdout.reconfigure(encoding="utf-8", newline="\n")

  def work() -> None:
    WRITERS[flags.output_format](sys.stdout, ranked(flags), flags.run)

  command.run(work)


if __name__ == "__main__":
  main()
