r"""Makes a task of plain text, for an encoder to learn from first.

  python -m bam_jax.from_text --kind=connective --out=DIR wiki.txt.gz more.txt
  python -m bam_jax.main --config=configs/sesame.py:table3,rte,DIR/tasks.toml \
      --workdir=W

Kinds: connective, two clauses and which of fifteen words joined them, as
DisSent (Nie et al. 2019) has it, found by rules and no parser: both sides of 5
to 50 words, none five times the other. next, a sentence and which of
--candidates follows it, of which the others are of other documents:
SkipThought's text, told and not written. response, which of --candidates
answers a comment, from lines of a comment, a tab and its response.

Files are .txt or .txt.gz, for next and connective with empty lines between
documents. DIR/tasks.toml says what DIR/rows.jsonl is (docs/own-task.md); a
share of the documents is dev.

Exit codes: 0 done, 2 something in the command or a file is wrong (one sentence
says what), 1 anything else.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
import json
from pathlib import Path
from typing import Any

from bam_jax.data.sources.made import MAKERS
from bam_jax.runtime import command
from bam_jax.runtime.console import say
from bam_jax.runtime.files import beside

ROWS = "rows.jsonl"
DEV_SHARE = 0.05
_MOST = 100


def parser() -> argparse.ArgumentParser:
  """Returns the flags."""
  found = argparse.ArgumentParser(
    prog="python -m bam_jax.from_text",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = found.add_argument
  add("files", nargs="+", type=Path)
  add("--kind", required=True, choices=tuple(MAKERS))
  add("--out", required=True, type=Path, help="a folder; made if not there")
  add(
    "--candidates",
    type=int,
    default=2,
    help="of next and response, 2 or more; default: 2",
  )
  return found


def make(flags: argparse.Namespace) -> None:
  """Writes the rows and the tasks file, and says what they are.

  Raises:
    ValueError: the folder has a task, or of the files none can be made.
  """
  maker, toml = MAKERS[flags.kind], flags.out / "tasks.toml"
  if not 2 <= flags.candidates <= _MOST:
    raise ValueError(
      f"--candidates is {flags.candidates}; it is from 2 to {_MOST}"
    )
  if toml.exists():
    raise ValueError(f"{toml} is there already; give another --out")
  rows = list(maker.make(flags.files, flags.candidates))
  counts = Counter(row[maker.entry["label"]] for row in rows)
  if len(counts) < 2:
    raise ValueError(
      f"{counts.total()} rows of {len(counts)} labels are made of"
      f" {', '.join(map(str, flags.files))}, which is to be {maker.text}; give"
      " more of it"
    )
  flags.out.mkdir(parents=True, exist_ok=True)
  with beside(flags.out / ROWS) as part, part.open("w", encoding="utf-8") as to:
    to.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
  entry = {"train": ROWS, "dev_share": DEV_SHARE, **maker.entry}
  if "kind" not in entry:
    entry["labels"] = sorted(counts)
  with beside(toml) as part:
    part.write_text(written(flags.kind, entry), "utf-8")
  told = ", ".join(f"{name} {n:,}" for name, n in counts.most_common())
  what = f" ({told})" if "labels" in entry else ""
  say(f"{counts.total():,} rows{what}; --config.tasks_file={toml}")


def written(name: str, entry: dict[str, Any]) -> str:
  """Returns a task as TOML, whose strings, lists and numbers are JSON's too."""
  lines = [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
  return "\n".join([f"[{name}]", *lines, ""])


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command."""
  flags = parser().parse_args(argv)
  command.run(lambda: make(flags))


if __name__ == "__main__":
  main()
