r"""The peer of a table: transformers and PyTorch, a model for each column.

  python -m benchmarks.wide_peer --encoder=DIR --train=train.csv --dev=dev.csv

AutoModelForSequenceClassification, fine-tuned on the rows that have a label in
the column, one column after the other, as there is no other way there. A line
of JSON a seed: seconds of training, examples trained on, seconds of answering
dev by all of the models (tokenised before), the score of each.
"""

import argparse
import csv
from pathlib import Path
import resource
import time

import numpy as np
import scipy.stats
from sklearn import metrics
import torch
import transformers

from benchmarks import columns, finetune


def padded(rows: list[dict], pad: int) -> dict[str, torch.Tensor]:
  """Returns a batch as long as its longest row."""
  width = max(len(row["ids"]) for row in rows)
  ids = [row["ids"] + [pad] * (width - len(row["ids"])) for row in rows]
  mask = [
    [1] * len(row["ids"]) + [0] * (width - len(row["ids"])) for row in rows
  ]
  return {
    "input_ids": torch.tensor(ids),
    "attention_mask": torch.tensor(mask),
    "labels": torch.tensor([row["label"] for row in rows]),
  }


def score(said: dict, logits: np.ndarray, labels: np.ndarray) -> float:
  """Returns the headline score of a column, x100."""
  if "range" in said:
    return 100 * scipy.stats.spearmanr(logits[:, 0], labels).statistic
  if said.get("many"):
    return 100 * metrics.f1_score(labels, logits > 0, average="micro")
  return 100 * metrics.accuracy_score(labels, logits.argmax(1))


def train(flags: argparse.Namespace, seed: int) -> dict:
  """Returns what a seed came to, over all columns."""
  tokenizer = transformers.AutoTokenizer.from_pretrained(flags.encoder)
  found = {"seconds": 0.0, "examples": 0, "answers": 0, "answering": 0.0}
  scores = {}
  for name, said in columns.COLUMNS.items():
    rows = {}
    for split in ("train", "dev"):
      with getattr(flags, split).open() as file:
        table = [
          row
          for row in csv.DictReader(file)
          if row[name] not in ("", columns.MISSING)
        ]
      ids = tokenizer(
        [row["text"] for row in table],
        truncation=True,
        max_length=flags.max_length,
      )["input_ids"]
      rows[split] = [
        {"ids": each, "label": columns.target(said, row[name])}
        for each, row in zip(ids, table, strict=True)
      ]
    transformers.set_seed(seed)
    kind = "regression" if "range" in said else "single_label_classification"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
      flags.encoder,
      num_labels=len(said.get("labels", [1])),
      problem_type="multi_label_classification" if said.get("many") else kind,
    )
    pad = tokenizer.pad_token_id
    done = finetune.finetune(
      model, rows["train"], lambda mine, pad=pad: padded(mine, pad), flags
    )
    found["seconds"] += done["seconds"]
    found["examples"] += done["steps"] * flags.batch_size
    model.eval()
    begin, logits = time.monotonic(), []
    for start in range(0, len(rows["dev"]), flags.batch_size):
      some = rows["dev"][start : start + flags.batch_size]
      batch = finetune.on_device(padded(some, pad))
      with torch.no_grad():
        logits.append(model(**batch).logits.cpu().numpy())
    found["answering"] += time.monotonic() - begin
    labels = np.array([row["label"] for row in rows["dev"]])
    found["answers"] += len(labels)
    scores[name] = score(said, np.concatenate(logits), labels)
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return {"seed": seed, **found, "scores": scores, "peak_mib": peak / 1024}


def main() -> None:
  """Prints a line for each seed."""
  parser = argparse.ArgumentParser(
    "python -m benchmarks.wide_peer",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("--train", type=Path, required=True)
  parser.add_argument("--dev", type=Path, required=True)
  finetune.arguments(parser, max_length=64)
  finetune.each_seed(parser, train)


if __name__ == "__main__":
  main()
