r"""The peer of tagging: transformers and PyTorch, as their users tag words.

  python -m benchmarks.tagging_peer --encoder=DIR --train=train.tsv.gz \
      --dev=dev.tsv --seeds=0,1,2 > peer.jsonl

AutoModelForTokenClassification on words that the tokenizer is given apart, the
loss on each word's first token, AdamW, clip at 1.0, linear warm-up and decay,
batches padded to their longest, seqeval's F1. A line of JSON a seed.
"""

import argparse
import gzip
from pathlib import Path

from seqeval import metrics
import torch
import transformers

from benchmarks import finetune

# What transformers leaves out of a loss.
NOTHING = -100


def sentences(path: Path) -> list[tuple[list[str], list[str]]]:
  """Returns words and tags of each sentence of a CoNLL file."""
  opened = gzip.open if path.suffix == ".gz" else open
  with opened(path, "rt", encoding="utf-8") as file:
    blocks = file.read().strip().split("\n\n")
  lines = [[row.split("\t") for row in block.split("\n")] for block in blocks]
  return [([r[0] for r in rows], [r[-1] for r in rows]) for rows in lines]


def encoded(tokenizer, rows, labels, max_length: int) -> list[dict]:
  """Returns rows as the model reads them; labels are of words' first tokens."""
  made = []
  for words, tags in rows:
    each = tokenizer(
      words, is_split_into_words=True, truncation=True, max_length=max_length
    )
    owners, seen, mine = each.word_ids(), None, []
    for owner in owners:
      first = owner is not None and owner != seen
      mine.append(labels.index(tags[owner]) if first else NOTHING)
      seen = owner
    made.append({"input_ids": each["input_ids"], "labels": mine})
  return made


def padded(rows: list[dict], pad: int) -> dict[str, torch.Tensor]:
  """Returns a batch as long as its longest row."""
  width = max(len(row["input_ids"]) for row in rows)

  def fill(name: str, empty: int) -> torch.Tensor:
    return torch.tensor(
      [row[name] + [empty] * (width - len(row[name])) for row in rows]
    )

  ids = fill("input_ids", pad)
  there = fill("input_ids", -1) >= 0
  return {
    "input_ids": ids,
    "attention_mask": there.long(),
    "labels": fill("labels", NOTHING),
  }


def score(model, tokenizer, data, rows, labels) -> float:
  """Returns seqeval's F1, x100; words that were cut are answered O."""
  said = []
  model.eval()
  for start in range(0, len(data), 32):
    batch = padded(data[start : start + 32], tokenizer.pad_token_id)
    gold = batch.pop("labels")
    with torch.no_grad():
      best = model(**finetune.on_device(batch)).logits.argmax(-1).cpu()
    for row, mine, (words, _) in zip(
      best, gold, rows[start : start + 32], strict=True
    ):
      tags = [labels[i] for i in row[mine != NOTHING]]
      said.append(tags + ["O"] * (len(words) - len(tags)))
  return 100 * metrics.f1_score([tags for _, tags in rows], said)


def train(flags: argparse.Namespace, seed: int) -> dict:
  """Returns what a seed came to."""
  transformers.set_seed(seed)
  rows = {split: sentences(getattr(flags, split)) for split in ("train", "dev")}
  labels = sorted({tag for _, tags in rows["train"] for tag in tags})
  tokenizer = transformers.AutoTokenizer.from_pretrained(flags.encoder)
  data = {
    split: encoded(tokenizer, each, labels, flags.max_length)
    for split, each in rows.items()
  }
  model = transformers.AutoModelForTokenClassification.from_pretrained(
    flags.encoder, num_labels=len(labels)
  )
  taken = finetune.finetune(
    model,
    data["train"],
    lambda mine: padded(mine, tokenizer.pad_token_id),
    flags,
  )
  f1 = score(model, tokenizer, data["dev"], rows["dev"], labels)
  return {"seed": seed, "f1": f1, **taken}


def main() -> None:
  """Prints a line for each seed."""
  parser = argparse.ArgumentParser(
    "python -m benchmarks.tagging_peer",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add("--train", type=Path, required=True)
  add("--dev", type=Path, required=True)
  finetune.arguments(parser, max_length=128)
  finetune.each_seed(parser, train)


if __name__ == "__main__":
  main()
