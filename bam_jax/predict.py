r"""Answers on raw text: python -m bam_jax.predict --run=W/runs/NAME --task=rte.

  python -m bam_jax.predict --run=W/runs/NAME --task=rte < pairs.tsv > out.jsonl
  python -m bam_jax.predict --run=DIR --task=all --output-format=tsv < in.csv

An example a row: CSV, TSV, JSON lines, a JSON list or Parquet, read as training
reads it. The suffix of --input says which, else the first line, as far as it
can be read in one way only. The task's text columns are found by their names,
where the first line (or each JSON object) names them, else by position; a file
named .csv or .tsv names them. One answer a row, in the same order, none for an
empty line. Memory does not grow with the input, and no training data are
needed: a run's directory is enough, as is one made by bam_jax.export. With
--abstain=0.8 nothing is said where what would be said is less likely than that,
by the model's own probabilities; with --trial=all the mean of a run's trials
answers, with --run=A --run=B that of several runs, and each answer says how far
they disagree (docs/calibration.md).

Exit codes: 0 done, 2 something in the command or a line is wrong (one sentence
says what; what came before that line is answered), 1 anything else.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
import sys
from typing import Any

from bam_jax.runtime import command


def _trial(text: str) -> int | str:
  return text if text == "all" else int(text)


def parser() -> argparse.ArgumentParser:
  """Returns the flags."""
  found = argparse.ArgumentParser(
    prog="python -m bam_jax.predict",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  answers = ("jsonl", "tsv", "csv")
  formats = (*answers, "json", "parquet")
  add = found.add_argument
  add(
    "--run",
    required=True,
    action="append",
    help="W/runs/NAME, or an exported directory; several answer by their mean",
  )
  add("--task", required=True, help="one of its heads, or all")
  add(
    "--trial",
    type=_trial,
    metavar="SEED",
    help="seed of the trial, or all of them; the best on dev if absent",
  )
  add("--input", help="a file; standard input if absent")
  add("--input-format", choices=formats, help="else the suffix says it")
  add(
    "--no-header",
    action="store_true",
    help="the first line is an example: columns count by position",
  )
  add("--output-format", choices=answers, default="jsonl")
  add(
    "--abstain",
    type=float,
    metavar="P",
    help="say nothing where an answer's probability is below P",
  )
  return found


def stream(
  model: Any,
  tasks: Sequence[str],
  reader: Iterable[Sequence[str]],
  writer_of: Callable,
  progress: Callable[[int], None],
  abstain: Callable[[Any], Any] = lambda answer: answer,
) -> None:
  """Answers example after example, a batch at a time.

  Args:
    model: an `inference.model.Model`.
    tasks: those asked; of several, the ones that read so many texts answer.
    reader: a `streams.Reader`.
    writer_of: called with the heads that answer; returns a `streams.Writer`
      and a function that flushes it.
    progress: called with the number of examples of each batch.
    abstain: (answer) -> what is said in its place.

  Raises:
    ValueError: a row is no example; those before it are answered.
  """
  from bam_jax.inference import streams
  from bam_jax.inference.model import BATCH

  writer = None
  for batch in streams.batches(reader, BATCH):
    if writer is None:
      fitting = model.fitting(tasks, reader.columns, listed=reader.choosing)
      writer, flush = writer_of([model.heads[name] for name in fitting])
    found = model.answers(fitting, list(zip(*batch, strict=True)))
    for answers in zip(*found.values(), strict=True):
      writer.write([*map(abstain, answers)])
    flush()
    progress(len(batch))


def answer(flags: argparse.Namespace) -> None:
  """Answers on what is read."""
  from bam_jax.inference import abstention, streams, together
  from bam_jax.inference import model as inference
  from bam_jax.runtime import console

  def tell(sentence: str) -> None:
    print(sentence, file=sys.stderr)

  runs = [*map(Path, flags.run)]
  several = flags.trial == together.EVERY or len(runs) > 1
  if several and flags.output_format != "jsonl":
    raise ValueError(
      f"several models say how far they disagree, for which "
      f"{flags.output_format} has no column; type --output-format=jsonl"
    )
  model, tasks = (
    together.prepare(runs, flags.task, flags.trial)
    if several
    else inference.prepare(runs[0], flags.task, flags.trial)
  )
  heads = [model.heads[task] for task in tasks]
  unless = abstention.Abstention(0.0)
  if flags.abstain is not None:
    for sentence in abstention.check(flags.abstain, heads):
      tell(sentence)
    unless = abstention.Abstention(flags.abstain)
  if several and model.left:
    tell(f"{model.left}: left out")
  if several and any(h.calibration and h.calibration.thresholds for h in heads):
    tell("thresholds are of one trial each: together they say from one half on")
  alone = flags.task != inference.ALL
  out = sys.stdout

  def writer_of(heads):
    left = [name for name in tasks if name not in {h.name for h in heads}]
    if left:
      tell(f"{', '.join(left)} read other texts: left out")
    made = streams.Writer(
      out, format=flags.output_format, heads=heads, alone=alone
    )
    return made, out.flush

  reader = streams.Reader(
    Path(flags.input) if flags.input else sys.stdin.buffer,
    layouts=[head.text for head in heads],
    worded=inference.worded(heads),
    listed=inference.choosing(heads),
    format=flags.input_format or "",
    headed=False if flags.no_header else None,
    say=tell,
  )
  with console.counter("answered") as progress:
    stream(model, tasks, reader, writer_of, progress, unless)
  if flags.abstain is not None:
    tell(unless.sentence)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command."""
  flags = parser().parse_args(argv)
  sys.stdout.reconfigure(encoding="utf-8", newline="\n")
  command.run(lambda: answer(flags))


if __name__ == "__main__":
  main()
