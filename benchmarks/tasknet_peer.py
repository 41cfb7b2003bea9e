r"""The other peer of a table: tasknet, one encoder with a head for each column.

  python -m benchmarks.tasknet_peer --encoder=DIR --train=train.csv \
      --dev=dev.csv

For an interpreter that has tasknet (`pip install tasknet`), which need not have
jax. Its batches are of one task each, so that a text is encoded once for each
of its labels. It fetches metrics from the hub while it is imported; these are
computed by none of it here, so that it runs offline. A line of JSON a seed.
"""

import argparse
import csv
import json
from pathlib import Path
import resource
import tempfile
import time

import datasets
import evaluate

from benchmarks import columns

evaluate.load = lambda *names, **options: None
import tasknet  # noqa: E402  after what it fetches is taken away

# Version 1.60 asks datasets 5 for the type of a list, which has none.
LEARNED = {
  name: said for name, said in columns.COLUMNS.items() if not said.get("many")
}


def task(name: str, said: dict, flags: argparse.Namespace):
  """Returns a column as a task of tasknet."""
  splits = {}
  for split in ("train", "dev"):
    with getattr(flags, split).open() as file:
      splits[split] = datasets.Dataset.from_list(
        [
          {"text": row["text"], "labels": columns.target(said, row[name])}
          for row in csv.DictReader(file)
          if row[name] not in ("", columns.MISSING)
        ]
      )
  data = datasets.DatasetDict(
    train=splits["train"], validation=splits["dev"], test=splits["dev"]
  )
  return tasknet.Classification(data, s1="text", y="labels", name=name)


def train(flags: argparse.Namespace, seed: int, folder: str) -> dict:
  """Returns what a seed came to, over all columns."""
  tasks = [task(name, said, flags) for name, said in LEARNED.items()]
  _, trainer = tasknet.Model_Trainer(
    tasks,
    dict(
      model_name=flags.encoder,
      learning_rate=flags.rate,
      num_train_epochs=flags.epochs,
      per_device_train_batch_size=flags.batch_size,
      max_length=flags.max_length,
      eval_strategy="no",
      save_strategy="no",
      output_dir=folder,
      seed=seed,
    ),
  )
  begin = time.monotonic()
  trainer.train()
  seconds = time.monotonic() - begin
  for each in tasks:
    each.results.clear()
  trainer.evaluate()
  scores = {}
  for each in tasks:
    (found,) = each.results
    scores[each.name] = 100 * found.get("accuracy", found.get("spearmanr"))
  return {
    "seed": seed,
    "seconds": seconds,
    "examples": trainer.state.global_step * flags.batch_size,
    "scores": scores,
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
  }


def main() -> None:
  """Prints a line for each seed."""
  parser = argparse.ArgumentParser(
    "python -m benchmarks.tasknet_peer",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add("--train", type=Path, required=True)
  add("--dev", type=Path, required=True)
  add("--encoder", required=True)
  add("--seeds", default="0")
  add("--epochs", type=int, default=2)
  add("--batch_size", type=int, default=32)
  add("--rate", type=float, default=2e-4)
  add("--max_length", type=int, default=64)
  flags = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    for seed in map(int, flags.seeds.split(",")):
      print("\n" + json.dumps(train(flags, seed, folder)), flush=True)


if __name__ == "__main__":
  main()
