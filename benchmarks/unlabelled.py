r"""What texts without labels are worth: a tenth of the labels, and a teacher.

  python -m benchmarks.unlabelled --encoder=DIR --glue_dir=GLUE --out=FOLDER

Rows of SST-2, a tenth of them with their label. Students of all texts, taught
by the model of that tenth, or by a judge: one trained on other rows of SST-2.
Beside them models of the tenth alone, and of all labels. Trials are paired by
their seeds, teachers too. What is done is kept in the folder, and a stopped
command goes on.
"""

import argparse
from collections.abc import Mapping, Sequence
import csv
import gzip
import json
from pathlib import Path
import subprocess
import sys
from typing import Any

import numpy as np
import scipy.stats

from bam_jax.runtime import command
from bam_jax.runtime.files import read_json, write_json

NAMES = ("negative", "positive")
SHARE = 0.1
TASK = """[slice]
dev = "dev.csv"
text = "sentence"
label = "label"
labels = ["negative", "positive"]
metric = "accuracy"
"""
# Name of a tasks file -> what it says besides, and methods.
STUDIES: Mapping[str, tuple[str, str]] = {
  "judge": ('train = "judge.csv"\n', "single"),
  "few": (
    'train = "few.csv"\nunlabelled = "rest.csv"\n',
    "single,single->single",
  ),
  "judged": (
    'train = "mixed.csv"\nunlabelled = true\nsoft_labels = "judge.jsonl"\n',
    "single->single",
  ),
  "full": ('train = "full.csv"\n', "single"),
}
# What is compared: in words, of which study and method.
ROWS = (
  ("{few} labels", "few", "single"),
  (
    "{few} labels, {rest} texts answered by that model",
    "few",
    "single->single",
  ),
  (
    "{few} labels, {rest} texts answered by a judge",
    "judged",
    "single->single",
  ),
  ("all {rows} labels", "full", "single"),
)


def rows_of(glue: Path, split: str) -> list[tuple[str, str]]:
  """Returns the different sentences of SST-2 of more than three words."""
  (file,) = (glue / "SST-2").glob(f"{split}.tsv*")
  opened = gzip.open if file.suffix == ".gz" else open
  with opened(file, "rt", encoding="utf-8") as read:
    rows = [line.rstrip("\n").split("\t") for line in read][1:]
  known = {r[0]: r[1] for r in rows if len(r[0].split()) > 3}
  return [(text, NAMES[int(label)]) for text, label in known.items()]


def write(path: Path, rows: Sequence[Sequence[str]]) -> None:
  """Writes a table of sentences, with labels if the rows have any."""
  with path.open("w", encoding="utf-8", newline="") as file:
    table = csv.writer(file)
    table.writerow(["sentence", "label"][: len(rows[0])])
    table.writerows(rows)


def prepare(args: argparse.Namespace) -> None:
  """Writes the files of all studies."""
  args.out.mkdir(parents=True, exist_ok=True)
  rows = rows_of(args.glue_dir, "train")
  order = np.random.default_rng(0).permutation(len(rows))
  rows = [rows[i] for i in order]
  mine, others = rows[: args.rows], rows[args.rows :][: args.judge_rows]
  few = round(SHARE * args.rows)
  rest = mine[few:]
  write(args.out / "full.csv", mine)
  write(args.out / "few.csv", mine[:few])
  write(args.out / "rest.csv", [(text,) for text, _ in rest])
  write(args.out / "mixed.csv", mine[:few] + [(text, "") for text, _ in rest])
  write(args.out / "judge.csv", others)
  write(args.out / "dev.csv", rows_of(args.glue_dir, "dev"))
  for name, (more, _) in STUDIES.items():
    (args.out / f"{name}.toml").write_text(TASK + more)


def study(args: argparse.Namespace, name: str) -> None:
  """Trains a study; what is finished stays."""
  flags = {
    "config": "configs/minilm.py",
    "workdir": args.out / name,
    "config.encoder": args.encoder,
    "config.encoder_every": 1 if name == "judge" else args.every,
    "config.tasks_file": args.out / f"{name}.toml",
    "config.methods": STUDIES[name][1],
    "config.trials": 1 if name == "judge" else args.trials,
    "config.teacher.trials": "matched",
    "config.max_length": 64,
    "config.single.batch_size": 32,
    "config.single.rate": args.rate,
    "config.single.epochs": args.epochs,
    "config.single.min_steps": args.min_steps,
    "config.data.row_shapes": 1,
  }
  line = [sys.executable, "-m", "bam_jax.main"]
  line += [f"--{key}={value}" for key, value in flags.items()]
  subprocess.run(line, check=True, stdout=sys.stderr)


def judge(args: argparse.Namespace) -> None:
  """Lets the judge answer all texts, in the order of their rows."""
  run = args.out / "judge" / "runs" / "single.slice"
  said = subprocess.run(
    [sys.executable, "-m", "bam_jax.predict", f"--run={run}", "--task=slice"],
    stdin=(args.out / "full.csv").open(),
    stdout=subprocess.PIPE,
    check=True,
    text=True,
  ).stdout
  with (args.out / "judge.jsonl").open("w") as file:
    for index, line in enumerate(said.splitlines()):
      probs = json.loads(line)["probabilities"]
      file.write(json.dumps({"index": index, "probs": probs}) + "\n")


def lines(args: argparse.Namespace, scores: Mapping[str, Any]) -> list[str]:
  """Returns the table: medians, and each row against the tenth alone."""
  few = round(SHARE * args.rows)
  words = dict(few=few, rest=args.rows - few, rows=args.rows)
  found = ["| | accuracy on dev | over labels alone | p |", "|---|--:|--:|--:|"]
  alone = scores["few"]["single"]
  for text, name, method in ROWS:
    mine = scores[name][method]
    cells = f"{np.median(mine):.1f} [{min(mine):.1f}, {max(mine):.1f}]"
    more = p = ""
    if mine is not alone:
      far = np.subtract(mine, alone)
      more = f"{np.mean(far):+.1f} ± {np.std(far, ddof=1):.1f}"
      p = f"{scipy.stats.ttest_rel(mine, alone).pvalue:.3f}"
    found.append(f"| {text.format(**words)} | {cells} | {more} | {p} |")
  (judged,) = scores["judge"]["single"]
  found.append(f"\nThe judge has {judged:.1f} itself.")
  return found


def main(argv: Sequence[str] | None = None) -> None:
  """Trains what is not trained yet, and prints the table."""
  parser = argparse.ArgumentParser(
    "python -m benchmarks.unlabelled",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add("--encoder", required=True)
  add("--glue_dir", type=Path, required=True)
  add("--out", type=Path, required=True)
  add("--rows", type=int, default=1200, help="texts")
  add("--judge_rows", type=int, default=3000, help="other rows, the judge's")
  add("--every", type=int, default=2, help="every K-th layer of the encoder")
  add("--trials", type=int, default=5)
  add("--epochs", type=float, default=3.0)
  add("--min_steps", type=int, default=60)
  add("--rate", type=float, default=2e-4)
  args = parser.parse_args(argv)
  args.out = args.out.absolute()

  def work() -> None:
    file = args.out / "unlabelled.json"
    if not (args.out / "judge.toml").exists():
      prepare(args)
    found = read_json(file, cure=f"delete {file}")
    for name in STUDIES:
      if name not in found:
        study(args, name)
        if name == "judge":
          judge(args)
        results = read_json(args.out / name / "results.json", cure="run again")
        found[name] = {
          method: tasks["slice"]["scores"]
          for method, tasks in results["methods"].items()
        }
        write_json(file, found)
    print("\n".join(lines(args, found)))

  command.run(work)


if __name__ == "__main__":
  main()
