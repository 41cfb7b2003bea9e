r"""The peer of answers in a context: transformers and PyTorch, as users do it.

  python -m benchmarks.span_peer --encoder=DIR --train=slice_train.json.gz \
      --dev=slice_dev.json.gz --dev_limit=1000 --epochs=1 > peer.jsonl

AutoModelForQuestionAnswering on windows of contexts that share tokens, as in
run_qa: a window without the answer points to [CLS]; of each question the best
of twenty starts and ends of all its windows is said. Exact match and F1 are by
the official rules, as ours are. A line of JSON a seed.
"""

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
import torch
import transformers

from bam_jax.stats import squad
from benchmarks import finetune

# Starts and ends that are looked at, and tokens of an answer at most.
BEST, LONGEST = 20, 30


def questions(path: Path) -> list[dict]:
  """Returns question, context and answers of each row of a SQuAD file."""
  with gzip.open(path, "rt", encoding="utf-8") as file:
    data = json.load(file)["data"]
  return [
    {"context": paragraph["context"], **row}
    for article in data
    for paragraph in article["paragraphs"]
    for row in paragraph["qas"]
  ]


def windows(tokenizer, rows: list[dict], flags: argparse.Namespace):
  """Returns what the tokenizer makes of rows: windows that share tokens."""
  return tokenizer(
    [row["question"] for row in rows],
    [row["context"] for row in rows],
    truncation="only_second",
    max_length=flags.max_length,
    stride=flags.stride,
    return_overflowing_tokens=True,
    return_offsets_mapping=True,
  )


def inside(found, k: int) -> list[int]:
  """Returns which tokens of a window are of its context."""
  return [i for i, of in enumerate(found.sequence_ids(k)) if of == 1]


def encoded(tokenizer, rows: list[dict], flags: argparse.Namespace):
  """Returns windows as the model learns from them."""
  found, made = windows(tokenizer, rows, flags), []
  for k, number in enumerate(found["overflow_to_sample_mapping"]):
    answer, places = rows[number]["answers"][0], found["offset_mapping"][k]
    first = answer["answer_start"]
    last = first + len(answer["text"])
    context = inside(found, k)
    start = end = 0
    if places[context[0]][0] <= first and last <= places[context[-1]][1]:
      start = max(i for i in context if places[i][0] <= first)
      end = min(i for i in context if places[i][1] >= last)
    made.append(
      {
        "ids": found["input_ids"][k],
        "types": found["token_type_ids"][k],
        "start": start,
        "end": end,
      }
    )
  return made


def padded(rows: list[dict], pad: int) -> dict[str, torch.Tensor]:
  """Returns a batch as long as its longest row."""
  width = max(len(row["ids"]) for row in rows)

  def fill(name: str, empty: int) -> torch.Tensor:
    return torch.tensor(
      [row[name] + [empty] * (width - len(row[name])) for row in rows]
    )

  return {
    "input_ids": fill("ids", pad),
    "token_type_ids": fill("types", 0),
    "attention_mask": (fill("ids", -1) >= 0).long(),
    "start_positions": torch.tensor([row["start"] for row in rows]),
    "end_positions": torch.tensor([row["end"] for row in rows]),
  }


def best(starts: np.ndarray, ends: np.ndarray, context: list[int]):
  """Returns the likeliest span of a window and its score."""
  ranked = [
    [i for i in np.argsort(-scores)[:BEST] if i in {*context}]
    for scores in (starts, ends)
  ]
  found = [
    (starts[i] + ends[j], i, j)
    for i in ranked[0]
    for j in ranked[1]
    if i <= j < i + LONGEST
  ]
  return max(found, default=(-np.inf, 0, 0))


def score(model, tokenizer, rows: list[dict], flags) -> dict[str, float]:
  """Returns exact match and F1, x100."""
  found = windows(tokenizer, rows, flags)
  said = [(-np.inf, "")] * len(rows)
  model.eval()
  for begin in range(0, len(found["input_ids"]), 32):
    some = range(begin, min(begin + 32, len(found["input_ids"])))
    batch = padded(
      [
        {
          "ids": found["input_ids"][k],
          "types": found["token_type_ids"][k],
          "start": 0,
          "end": 0,
        }
        for k in some
      ],
      tokenizer.pad_token_id,
    )
    with torch.no_grad():
      out = model(**finetune.on_device(batch))
    for k, starts, ends in zip(
      some,
      out.start_logits.cpu().numpy(),
      out.end_logits.cpu().numpy(),
      strict=True,
    ):
      sure, i, j = best(starts, ends, inside(found, k))
      number = found["overflow_to_sample_mapping"][k]
      if sure > said[number][0]:
        places = found["offset_mapping"][k]
        text = rows[number]["context"][places[i][0] : places[j][1]]
        said[number] = sure, text
  scores = {}
  for name, compare in (("exact_match", squad.exact), ("f1", squad.f1)):
    each = [
      compare(text, [a["text"] for a in row["answers"]], version=1)
      for row, (_, text) in zip(rows, said, strict=True)
    ]
    scores[name] = 100 * float(np.mean(each))
  return scores


def train(flags: argparse.Namespace, seed: int) -> dict:
  """Returns what a seed came to."""
  transformers.set_seed(seed)
  tokenizer = transformers.AutoTokenizer.from_pretrained(flags.encoder)
  model = transformers.AutoModelForQuestionAnswering.from_pretrained(
    flags.encoder
  )
  taken = finetune.finetune(
    model,
    encoded(tokenizer, questions(flags.train), flags),
    lambda mine: padded(mine, tokenizer.pad_token_id),
    flags,
  )
  dev = questions(flags.dev)[: flags.dev_limit or None]
  return {"seed": seed, **score(model, tokenizer, dev, flags), **taken}


def main() -> None:
  """Prints a line for each seed."""
  parser = argparse.ArgumentParser(
    "python -m benchmarks.span_peer",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add("--train", type=Path, required=True)
  add("--dev", type=Path, required=True)
  add("--dev_limit", type=int, default=0, help="questions of it; 0 = all")
  add("--stride", type=int, default=64)
  finetune.arguments(parser, max_length=256)
  finetune.each_seed(parser, train)


if __name__ == "__main__":
  main()
