r"""What a model of MNLI knows, by kinds of inference: GLUE's diagnostic set.

  python -m bam_jax.glue_diagnostic --run=W/runs/NAME --file=diagnostic-full.tsv

Every finished trial of the run answers GLUE's diagnostic set (Wang et al.
2018), and the table has R3, the Matthews correlation of three classes x100
(Gorodkin 2004; 0 is chance), of all rows, of each coarse category and of each
fine one: median [least, most] over trials. --file is the set with its labels,
from gluebenchmark.com/diagnostics; --out writes the numbers of each trial as
JSON.

Exit codes: 0 done, 2 something in the command, the run or the file is wrong
(one sentence says what), 1 anything else.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
import statistics

from bam_jax.runtime import command
from bam_jax.runtime.files import write_json

ALL = ("All", "")


def parser() -> argparse.ArgumentParser:
  """Returns the flags."""
  found = argparse.ArgumentParser(
    prog="python -m bam_jax.glue_diagnostic",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = found.add_argument
  add("--run", required=True, help="W/runs/NAME, or an exported directory")
  add("--file", required=True, type=Path, help="diagnostic-full.tsv")
  add("--task", default="mnli", help="whose head answers; default: mnli")
  add("--out", type=Path, help="a JSON file of every trial's numbers")
  return found


def diagnose(flags: argparse.Namespace) -> None:
  """Answers and prints the table."""
  from bam_jax.data.sources import diagnostic
  from bam_jax.inference import model as inference
  from bam_jax.runtime.console import bar
  from bam_jax.stats import diagnostic as stats
  from bam_jax.tasks import description
  from bam_jax.training.checkpoint import trials

  path = Path(flags.run)
  seeds = trials(path / "checkpoints") or [None]
  found: dict[tuple[str, str], list[float]] = {}
  sizes: dict[tuple[str, str], int] = {}
  rows = None
  for seed in seeds:
    model = inference.load(path, trial=seed)
    head = description.find(tuple(model.heads.values()), flags.task)
    if len(head.labels) != 3 or len(head.text) != 2:
      raise ValueError(
        f"{head.name} reads {' and '.join(head.text)} and says "
        f"{', '.join(head.labels) or 'a number'}; the diagnostic set is "
        "of two texts and three labels, as MNLI is"
      )
    rows = rows or diagnostic.read(flags.file, head.labels)
    said: list[str] = []
    every = range(0, len(rows.labels), inference.BATCH)
    text = "answers" if seed is None else f"answers, trial {seed}"
    with bar(flags.task, len(rows.labels), text=text) as advance:
      for start in every:
        some = [x[start : start + inference.BATCH] for x in rows.texts]
        said += [answer.label for answer in model(flags.task, *some)]
        advance(len(some[0]))
    groups = {ALL: range(len(said)), **rows.groups}
    for key, numbers in groups.items():
      gold = [rows.labels[n] for n in numbers]
      score = stats.r3(gold, [said[n] for n in numbers])
      found.setdefault(key, []).append(score)
      sizes[key] = len(gold)
  print("\n".join(lines(found, sizes)))
  if flags.out:
    record = [
      {"coarse": coarse, "fine": fine, "rows": sizes[coarse, fine], "r3": each}
      for (coarse, fine), each in found.items()
    ]
    write_json(flags.out, record)


def lines(
  found: Mapping[tuple[str, str], Sequence[float]],
  sizes: Mapping[tuple[str, str], int],
) -> list[str]:
  """Returns a table, a line for each category."""
  out = ["| category | | rows | R3 x100 |", "|---|---|--:|--:|"]
  for (coarse, fine), scores in found.items():
    shown = f"{statistics.median(scores):.1f}"
    if len(scores) > 1:
      shown += f" [{min(scores):.1f}, {max(scores):.1f}]"
    out.append(f"| {coarse} | {fine} | {sizes[coarse, fine]} | {shown} |")
  return out


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command."""
  flags = parser().parse_args(argv)
  command.run(lambda: diagnose(flags))


if __name__ == "__main__":
  main()
