r"""Vectors of raw text: python -m bam_jax.features --run=W/runs/NAME < texts.

  python -m bam_jax.features --run=W/runs/NAME --layers=0,-1 --pool=mean \
      < texts.tsv > vectors.parquet
  python -m bam_jax.features --run=ENCODER --layers=-1 --pool=words \
      --input=texts.csv --out=vectors.parquet

A text or a pair of texts a row: CSV, TSV, JSON lines, a JSON list or Parquet.
Their columns are found by the names that a run's tasks have for them, else
`text` and `text_pair`, else by position. One row of Parquet for each, in the
same order, none for an empty line: a column `layer_i` for each layer, f32. Of
the tokens of a text either [CLS] is kept, or the mean of all, or each (with its
name), or the mean of each word's (with the word and where it begins and ends;
null for a word that max_length has cut away). Memory does not grow with the
input.

Exit codes: 0 done, 2 something in the command or a line is wrong (one sentence
says what; what came before that line is written to standard output, and --out
is not), 1 anything else.
"""

import argparse
from collections.abc import Iterable, Sequence
import contextlib
from pathlib import Path
import sys
from typing import Any

from bam_jax.runtime import command

# Of the rows that are written together.
ROWS, BYTES = 1024, 1 << 26


def layers(text: str) -> list[int]:
  """Returns the numbers that "0,-1" names.

  Raises:
    ArgumentTypeError: it names none.
  """
  try:
    return [int(part) for part in text.split(",")]
  except ValueError:
    raise argparse.ArgumentTypeError(
      f"{text!r} is no list of layers; it is whole numbers with commas between"
      " them, such as 0,-1"
    ) from None


def parser() -> argparse.ArgumentParser:
  """Returns the flags."""
  found = argparse.ArgumentParser(
    prog="python -m bam_jax.features",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = found.add_argument
  add(
    "--run",
    required=True,
    help="W/runs/NAME, an exported directory, or any encoder's directory or"
    " hub name",
  )
  add(
    "--layers",
    type=layers,
    required=True,
    help="0 is what the first layer reads, -1 what the last one gives; with"
    " commas between them",
  )
  add("--pool", choices=("cls", "mean", "tokens", "words"), required=True)
  add("--trial", type=int, help="seed of the trial; the best on dev if absent")
  add(
    "--max-length",
    type=int,
    help="tokens of a text; absent: the run's, or as many as the encoder reads",
  )
  add("--input", help="a file; standard input if absent")
  add(
    "--input-format",
    choices=("jsonl", "tsv", "csv", "json", "parquet"),
    help="else the suffix says it",
  )
  add(
    "--no-header",
    action="store_true",
    help="the first line is a text: columns count by position",
  )
  add("--out", help="a file, written whole or not; standard output if absent")
  return found


def stream(
  extract: Any, reader: Iterable[Sequence[Any]], write: Any, progress: Any
) -> None:
  """Writes the vectors of text after text, a batch at a time.

  Args:
    extract: an `inference.features.Extractor`.
    reader: an `inference.streams.Reader`.
    write: called with tables.
    progress: called with the number of texts of each batch.

  Raises:
    ValueError: a row is no text; those before it are written.
  """
  import pyarrow as pa

  from bam_jax.inference import streams
  from bam_jax.inference.model import BATCH

  waiting: list[pa.Table] = []

  def flush() -> None:
    if waiting:
      write(pa.concat_tables(waiting))
      waiting.clear()

  try:
    for batch in streams.batches(reader, BATCH):
      waiting.append(extract(list(zip(*batch, strict=True))))
      progress(len(batch))
      if (
        sum(map(len, waiting)) >= ROWS
        or sum(each.nbytes for each in waiting) >= BYTES
      ):
        flush()
  except ValueError:
    flush()
    raise
  flush()


def extract(flags: argparse.Namespace) -> None:
  """Writes the vectors of what is read."""
  from pyarrow import parquet

  from bam_jax.inference import features, streams
  from bam_jax.runtime import console, files

  if not flags.out and sys.stdout.isatty():
    raise ValueError(
      "the vectors are Parquet, which no screen shows; type"
      " > vectors.parquet or --out=vectors.parquet"
    )
  found = features.Extractor(
    features.load(flags.run, trial=flags.trial),
    layers=flags.layers,
    pool=flags.pool,
    max_length=flags.max_length,
  )

  def say(sentence: str) -> None:
    print(sentence, file=sys.stderr)

  reader = streams.Reader(
    Path(flags.input) if flags.input else sys.stdin.buffer,
    layouts=found.layouts,
    worded={name for x in found.layouts for name in x if found.pool.words},
    format=flags.input_format or "",
    headed=False if flags.no_header else None,
    say=say,
  )
  with contextlib.ExitStack() as stack:
    out = sys.stdout.buffer
    if flags.out:
      out = stack.enter_context(files.beside(Path(flags.out)))
    progress = stack.enter_context(console.counter("read"))
    writer = None

    def write(table) -> None:
      nonlocal writer
      if writer is None:
        writer = stack.enter_context(parquet.ParquetWriter(out, table.schema))
      writer.write_table(table)

    stream(found, reader, write, progress)
    if writer is None:
      # A file without rows, of the same columns.
      write(found([("",)]).slice(0, 0))
  if found.cut:
    say(
      f"{found.cut} of the texts are longer than {found.max_length} tokens and"
      " are cut; --max-length says how many are read"
    )


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command."""
  flags = parser().parse_args(argv)
  command.run(lambda: extract(flags))


if __name__ == "__main__":
  main()
