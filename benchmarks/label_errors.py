r"""How many of the suspected labels are wrong, where it is known which are.

  python -m benchmarks.label_errors plant --glue=GLUE/SST-2 --to=P
  python -m bam_jax.label_errors --config=configs/minilm.py --workdir=W \
      --config.tasks_file=P/tasks.toml --task=slice --out=S.jsonl
  python -m benchmarks.label_errors measure --found=S.jsonl --planted=P/planted

`plant` takes rows of SST-2 and turns some labels round; `measure` says how many
of those that bam_jax.label_errors has found are among them. Without --planted
the labels are those of the synthetic task --task, a tenth of which are wrong.
"""

import argparse
import csv
import gzip
import json
from pathlib import Path

import numpy as np

from bam_jax.data.sources import synthetic
from bam_jax.tasks.table import TASKS

NAMES = ("negative", "positive")
TASK = """[slice]
kind = "classification"
text = ["sentence"]
label = "label"
labels = ["negative", "positive"]
metric = "accuracy"
train = "train.csv"
dev = "dev.csv"
"""


def plant(flags: argparse.Namespace) -> None:
  """Writes a tasks file with rows of which some labels are wrong."""
  rng, to = np.random.default_rng(flags.seed), Path(flags.to)
  to.mkdir(parents=True, exist_ok=True)
  for split in ("train", "dev"):
    (file,) = Path(flags.glue).glob(f"{split}.tsv*")
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8") as read:
      rows = [line.rstrip("\n").split("\t") for line in read][1:]
    if split == "train":
      # Single words say little; and of two equal rows one is enough.
      rows = [*{r[0]: r for r in rows if len(r[0].split()) > 3}.values()]
      rows = [rows[i] for i in rng.permutation(len(rows))[: flags.rows]]
      count = round(flags.share * len(rows))
      wrong = np.sort(rng.permutation(len(rows))[:count]).tolist()
      for row in wrong:
        rows[row] = [rows[row][0], str(1 - int(rows[row][1]))]
      (to / "planted").write_text("\n".join(map(str, wrong)) + "\n", "utf-8")
    with (to / f"{split}.csv").open("w", encoding="utf-8", newline="") as out:
      table = csv.writer(out, lineterminator="\n")
      table.writerow(["sentence", "label"])
      table.writerows([text, NAMES[int(label)]] for text, label in rows)
  (to / "tasks.toml").write_text(TASK, "utf-8")


def wrong_in_suite(name: str) -> set[int]:
  """Returns the training rows of a synthetic task whose labels are wrong."""
  _, noisy = synthetic.generate(TASKS[name], "train", seed=0)
  _, clean = synthetic.truth(TASKS[name], "train", seed=0)
  return set(np.flatnonzero(noisy != clean).tolist())


def measure(flags: argparse.Namespace) -> None:
  """Prints the precision of what was found, and how much of all it is."""
  if flags.planted:
    wrong = {*map(int, Path(flags.planted).read_text("utf-8").split())}
  else:
    wrong = wrong_in_suite(flags.task)
  lines = Path(flags.found).read_text("utf-8").splitlines()
  hits = np.array([json.loads(line)["row"] in wrong for line in lines])
  print(f"{len(wrong)} labels are wrong, {len(hits)} are suspected")
  print(f"of those suspected {hits.mean():.1%} are wrong")
  print(f"of those wrong {hits.sum() / len(wrong):.1%} are suspected")
  for most in (50, len(wrong)):
    print(f"of the first {most} {hits[:most].sum() / most:.1%} are wrong")


def main() -> None:
  """Runs the command."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  subs = parser.add_subparsers(required=True)
  make = subs.add_parser("plant")
  make.add_argument("--glue", required=True, help="the folder of SST-2")
  make.add_argument("--to", required=True)
  make.add_argument("--rows", type=int, default=2000)
  make.add_argument("--share", type=float, default=0.08)
  make.add_argument("--seed", type=int, default=0)
  make.set_defaults(do=plant)
  tell = subs.add_parser("measure")
  tell.add_argument("--found", required=True, help="JSON lines")
  tell.add_argument("--planted", help="numbers of the rows, a line each")
  tell.add_argument("--task", default="sentiment")
  tell.set_defaults(do=measure)
  flags = parser.parse_args()
  flags.do(flags)


if __name__ == "__main__":
  main()
