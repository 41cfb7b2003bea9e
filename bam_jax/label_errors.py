r"""Which training labels are probably wrong, by models that did not learn them.

  python -m bam_jax.label_errors --config=configs/glue_single.py:rte \
      --workdir=W --task=rte --folds=5 --out=suspects.csv --output-format=csv

The training rows are divided into --folds parts; for each a study in
W/fold-K-of-5 trains on the others and answers it. What goes together stays in
one part, as with data.holdout. Whatever bam_jax.main reads may be typed too,
such as --config.trials=3, whose mean is taken; the same command goes on where
the last one stopped. Without --config nothing is trained, and what there is is
read. A label is suspected where confident learning (Northcutt et al. 2021)
counts the row for another class; the most suspicious rows come first, with the
models' answer; `row` counts the rows of the train file, or files one after the
other, from 0. For tasks whose rows have one label of several each.

Exit codes: those of bam_jax.main.
"""

import argparse
from collections.abc import Sequence
import io
from pathlib import Path
import sys
from typing import Any

from bam_jax.inference.worklist import WRITERS
from bam_jax.runtime import child, command
from bam_jax.runtime.files import beside

# What the folds themselves say, and so nobody else.
_TAKEN = ("config.data.holdout", "config.data.fold", "config.share")


def parser() -> argparse.ArgumentParser:
  """Returns the flags; all others are those of bam_jax.main."""
  found = argparse.ArgumentParser(
    prog="python -m bam_jax.label_errors",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = found.add_argument
  add("--config", help="the experiment, as bam_jax.main has it; else only read")
  add("--workdir", required=True, help="where the studies of the folds are")
  add("--task", required=True, help="whose labels are looked at")
  add("--folds", type=int, default=5, help="2 or more; default: 5")
  add("--run", help="whose answers; default: the only run that has the task")
  add("--most", type=int, default=0, help="rows that come out; default: all")
  add("--out", help="a file, written whole or not at all; default: the screen")
  add("--output-format", choices=tuple(WRITERS), default="jsonl")
  return found


def folder(flags: argparse.Namespace, fold: int) -> Path:
  """Returns the working directory of a fold."""
  return Path(flags.workdir) / f"fold-{fold}-of-{flags.folds}"


def check(flags: argparse.Namespace, rest: Sequence[str]) -> None:
  """Refuses flags that mean nothing, before anything is trained.

  Raises:
    ValueError: one of them.
  """
  if flags.folds < 2:
    raise ValueError(f"--folds is {flags.folds}; it is 2 or more")
  if flags.most < 0:
    raise ValueError(f"--most is {flags.most}; it is 1 or more, or 0 for all")
  names = [each.lstrip("-").partition("=")[0] for each in rest]
  if taken := [name for name in names if name in _TAKEN]:
    raise ValueError(f"--{taken[0]} is said by --folds; leave it out")
  if rest and not flags.config:
    raise ValueError(
      f"{rest[0]} is for what is trained, and --config is missing: "
      "--config=configs/glue_single.py:rte"
    )


def train(flags: argparse.Namespace, rest: Sequence[str], fold: int) -> None:
  """Trains on all but a fold and answers it, in a process of its own.

  Raises:
    SystemExit: it has not finished; with its code.
  """
  print(f"fold {fold}, {fold + 1} of {flags.folds}", file=sys.stderr)
  child.main(
    [
      f"--config={flags.config}",
      f"--workdir={folder(flags, fold)}",
      f"--config.data.holdout={1 / flags.folds!r}",
      f"--config.data.fold={fold}",
      *rest,
    ],
    # All folds compile the same programs.
    cache=Path(flags.workdir) / "cache",
  )


def read(flags: argparse.Namespace) -> list[dict[str, Any]]:
  """Returns the rows whose labels are suspected, the first to be looked at.

  Raises:
    ValueError: a fold has not answered, or the task has no such labels.
  """
  import numpy as np
  import scipy

  from bam_jax.stages import session
  from bam_jax.stats import confident
  from bam_jax.study.workdir import Workdir
  from bam_jax.tasks import answers, description
  from bam_jax.tasks.kinds import KINDS

  first = Workdir(folder(flags, 0))
  here = session.opened(first.config(), first)
  run = _run(flags, here.experiment)
  head = description.find(here.experiment.describe(run).heads, flags.task)
  if KINDS[head.kind].answer is not answers.labelled:
    raise ValueError(
      f"{head.name} is of kind {head.kind}; wrong labels are looked for "
      "where a row has one label of several"
    )
  found = [
    _answered(folder(flags, fold), run.name, flags.task)
    for fold in range(flags.folds)
  ]
  trials = sorted({len(each.logits) for each in found})
  if len(trials) > 1:
    raise ValueError(
      f"some folds have {trials[0]} finished trials of {run.name} and some "
      f"{trials[-1]}; type the command that trains them again, with --config"
    )
  index = np.concatenate([each.index for each in found])
  labels = np.concatenate([each.labels for each in found]).astype(np.int64)
  logits = np.concatenate([each.logits for each in found], axis=1)
  order = np.argsort(index)
  index, labels, logits = index[order], labels[order], logits[:, order]
  (task,) = (t for t in here.experiment.tasks_of(run) if t.name == flags.task)
  examples = here.materials.texts.see(task, task.train)
  texts = examples.texts
  # Some may be dev, or left out.
  numbers = np.arange(len(examples))
  numbers = numbers if examples.numbers is None else examples.numbers
  if len(np.unique(index)) < len(index) or index.max() >= len(texts[0]):
    raise ValueError(
      f"the folds of {flags.workdir} do not divide the {len(texts[0])} "
      "training rows; train them again in another --workdir"
    )
  chances = scipy.special.softmax(np.float64(logits), axis=-1)
  suspects = confident.suspects(chances, labels)
  print(
    f"{head.name}: {len(suspects.rows)} of {len(labels)} labels are suspected, "
    f"by {len(logits)} trial{'s' * (len(logits) > 1)} of {flags.folds} folds",
    file=sys.stderr,
  )
  rows = suspects.rows[: flags.most or None]
  mean = np.log(chances.mean(0)[rows])
  said = description.answers(head, mean) if len(rows) else []
  return [
    {
      "row": int(numbers[index[row]]),
      "texts": {
        name: column[index[row]]
        for name, column in zip(head.text, texts, strict=True)
      },
      "given": head.labels[labels[row]],
      "margin": round(float(margin), 6),
      "agree": round(float(agree), 6),
      "answer": answer.record(),
    }
    for row, margin, agree, answer in zip(
      rows, suspects.margin, suspects.agree, said, strict=False
    )
  ]


def _run(flags: argparse.Namespace, experiment: Any) -> Any:
  """Returns the run whose answers are read."""
  runs = {run.name: run for run in experiment.runs if flags.task in run.tasks}
  if flags.run in runs:
    return runs[flags.run]
  if flags.run or len(runs) != 1:
    raise ValueError(
      f"--run is {flags.run or 'not typed'}; of {flags.task} there are "
      f"{', '.join(runs) or 'none; it is no task of the config'}"
    )
  return next(iter(runs.values()))


def _answered(path: Path, run: str, task: str) -> Any:
  """Returns what all trials of a fold say of it, logits f32[R, N, C]."""
  from bam_jax.study import predictions

  files = sorted((path / "runs" / run / "dev_logits").glob("seed-*.npz"))
  if not files:
    raise ValueError(
      f"{path} has no finished trial of {run}; type the command that trains "
      "it, with --config"
    )
  return predictions.together(
    {str(file): predictions.read(file)[task, "holdout"] for file in files}
  )


def work(flags: argparse.Namespace, rest: Sequence[str]) -> None:
  """Trains what is not, and writes the rows."""
  check(flags, rest)
  for fold in range(flags.folds) if flags.config else ():
    train(flags, rest, fold)
  if "--dry_run" in rest:
    return
  records, write = read(flags), WRITERS[flags.output_format]
  name = flags.run or flags.task
  if not flags.out:
    write(sys.stdout, records, name)
    return
  text = io.StringIO()
  write(text, records, name)
  with beside(Path(flags.out)) as part:
    part.write_text(text.getvalue(), encoding="utf-8", newline="\n")


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command."""
  flags, rest = parser().parse_known_args(argv)
  sys.stdout.reconfigure(encoding="utf-8", newline="\n")
  command.run(lambda: work(flags, rest))


if __name__ == "__main__":
  main()
