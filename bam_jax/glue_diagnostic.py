r"""What a model of MNLI knows, by kinds of inference: GLUE's diagnostic set.

  python -m bam_jax.glue_diagnostic --run=W/runs/NAME --file=diagnostic-full.tsv
  python -m bam_jax.glue_diagnostic --workdir=W --file=diagnostic-full.tsv

Every finished trial of the run answers GLUE's diagnostic set (Wang et al.
2018), and the table has R3, the Matthews correlation of three classes x100
(Gorodkin 2004; 0 is chance), of all rows, of each coarse category and of each
fine one: median [least, most] over trials. With --workdir it has a line for
each method that has trained the task, and a column for each coarse category, as
tables 11 and 12 of Wang et al. (2019), "Past Sesame Street", have it. --file is
the set with its labels, from gluebenchmark.com/diagnostics; --out writes the
numbers of each trial as JSON.

Exit codes: 0 done, 2 something in the command, the run or the file is wrong
(one sentence says what), 1 anything else.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
import statistics
from typing import Any

from bam_jax.runtime import command
from bam_jax.runtime.files import read_json, write_json

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
  which = found.add_mutually_exclusive_group(required=True)
  which.add_argument("--run", help="W/runs/NAME, or an exported directory")
  which.add_argument("--workdir", help="W: all of its methods")
  add("--file", required=True, type=Path, help="diagnostic-full.tsv")
  add("--task", default="mnli", help="whose head answers; default: mnli")
  add("--out", type=Path, help="a JSON file of every trial's numbers")
  return found


# (coarse, fine) category -> R3 of each trial; and how many rows it has.
Scores = dict[tuple[str, str], list[float]]
Sizes = dict[tuple[str, str], int]


def diagnose(flags: argparse.Namespace) -> None:
  """Answers and prints the table."""
  if flags.run:
    found, sizes = answered(Path(flags.run), flags)
    print("\n".join(lines(found, sizes)))
    record = recorded(found, sizes)
  else:
    runs, record, every = scored(Path(flags.workdir), flags.task), {}, {}
    for method, path in runs.items():
      every[method], sizes = answered(path, flags)
      record[method] = recorded(every[method], sizes)
    print("\n".join(compared(every, sizes)))
  if flags.out:
    write_json(flags.out, record)


def scored(workdir: Path, task: str) -> dict[str, Path]:
  """Returns method -> the run that answers for a task.

  Raises:
    ValueError: the directory has no results, or none of the task.
  """
  results = read_json(
    workdir / "results.json", cure="delete it and type --config.stage=report"
  )
  runs = {
    method: workdir / "runs" / run
    for method, tasks in results.get("scored", {}).items()
    for name, run in tasks.items()
    if name == task
  }
  if not runs:
    raise ValueError(
      f"{workdir} has no results of {task}; give the --workdir of a study that"
      " has trained it, or --run=W/runs/NAME"
    )
  return runs


def answered(path: Path, flags: argparse.Namespace) -> tuple[Scores, Sizes]:
  """Returns the scores of every trial of a run, and the rows of categories."""
  from bam_jax.data.sources import diagnostic
  from bam_jax.inference import model as inference
  from bam_jax.runtime.console import bar
  from bam_jax.stats import diagnostic as stats
  from bam_jax.tasks import description
  from bam_jax.training.checkpoint import trials

  seeds = trials(path / "checkpoints") or [None]
  found: Scores = {}
  sizes: Sizes = {}
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
  return found, sizes


def recorded(found: Scores, sizes: Sizes) -> list[dict[str, Any]]:
  """Returns the numbers of a run as JSON has them."""
  return [
    {"coarse": coarse, "fine": fine, "rows": sizes[coarse, fine], "r3": each}
    for (coarse, fine), each in found.items()
  ]


def compared(found: Mapping[str, Scores], sizes: Sizes) -> list[str]:
  """Returns a table, a line for each method, of the coarse categories.

  Args:
    found: method -> its scores.
    sizes: rows of the categories.
  """
  from bam_jax.report import tables

  columns = [key for key in sizes if not key[1]]
  heads = [f"{coarse} ({sizes[coarse, fine]})" for coarse, fine in columns]
  out = [
    f"| R3 x100 | {' | '.join(heads)} |",
    f"|---|{'--:|' * len(columns)}",
  ]
  for method, scores in found.items():
    cells = " | ".join(_cell(scores[key]) for key in columns)
    out.append(f"| {tables.method_name(method)} | {cells} |")
  return out


def _cell(scores: Sequence[float]) -> str:
  """Writes the median, and the least and the most of several."""
  shown = f"{statistics.median(scores):.1f}"
  ends = f" [{min(scores):.1f}, {max(scores):.1f}]"
  return shown + ends * (len(scores) > 1)


def lines(
  found: Mapping[tuple[str, str], Sequence[float]],
  sizes: Mapping[tuple[str, str], int],
) -> list[str]:
  """Returns a table, a line for each category."""
  out = ["| category | | rows | R3 x100 |", "|---|---|--:|--:|"]
  for (coarse, fine), scores in found.items():
    rows = sizes[coarse, fine]
    out.append(f"| {coarse} | {fine} | {rows} | {_cell(scores)} |")
  return out


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command."""
  flags = parser().parse_args(argv)
  command.run(lambda: diagnose(flags))


if __name__ == "__main__":
  main()
