"""How users of transformers and PyTorch fine-tune a model, for the peers.

AdamW without decay of biases and norms, a clip at 1.0, linear warm-up over a
tenth of the steps and decay, batches in random order, the last part left out.
"""

import argparse
from collections.abc import Callable, Sequence
import json
import sys
import time
from typing import Any

import torch
import transformers

from bam_jax.runtime import command

FREE = ("bias", "LayerNorm.weight")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def arguments(parser: argparse.ArgumentParser, *, max_length: int) -> None:
  """Adds what all peers are told."""
  add = parser.add_argument
  add("--encoder", required=True)
  add("--seeds", default="0,1,2")
  add("--epochs", type=int, default=3)
  add("--batch_size", type=int, default=32)
  add("--rate", type=float, default=1e-4)
  add("--weight_decay", type=float, default=0.01)
  add("--max_length", type=int, default=max_length)


def each_seed(
  parser: argparse.ArgumentParser,
  train: Callable[[argparse.Namespace, int], dict],
) -> None:
  """Prints a line of JSON for each seed that is asked for.

  Args:
    parser: of the command line.
    train: (flags, seed) -> what it came to.
  """
  flags = parser.parse_args()

  def work() -> None:
    for seed in map(int, flags.seeds.split(",")):
      print(json.dumps(train(flags, seed)), flush=True)

  command.run(work)


def on_device(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
  """Returns a batch where the model is."""
  return {name: part.to(DEVICE) for name, part in batch.items()}


def finetune(
  model: Any,
  data: Sequence[dict],
  batch_of: Callable[[list[dict]], dict[str, torch.Tensor]],
  flags: argparse.Namespace,
) -> dict[str, float]:
  """Trains a model that returns its loss; returns its steps and seconds.

  Args:
    model: of transformers.
    data: encoded rows.
    batch_of: makes a batch of some.
    flags: see `arguments`.
  """
  model.to(DEVICE)
  groups = [
    {
      "params": [
        p for n, p in model.named_parameters() if n.endswith(FREE) == spared
      ],
      "weight_decay": 0.0 if spared else flags.weight_decay,
    }
    for spared in (False, True)
  ]
  steps = flags.epochs * (len(data) // flags.batch_size)
  optimizer = torch.optim.AdamW(groups, lr=flags.rate, eps=1e-6)
  schedule = transformers.get_linear_schedule_with_warmup(
    optimizer, int(0.1 * steps), steps
  )
  begin, done = time.monotonic(), 0
  for _ in range(flags.epochs):
    model.train()
    order = torch.randperm(len(data)).tolist()
    for start in range(0, len(order) - flags.batch_size + 1, flags.batch_size):
      mine = [data[i] for i in order[start : start + flags.batch_size]]
      model(**on_device(batch_of(mine))).loss.backward()
      torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
      optimizer.step()
      schedule.step()
      optimizer.zero_grad()
      done += 1
      print(f"\r{done}/{steps}", end="", file=sys.stderr)
  return {"steps": steps, "seconds": time.monotonic() - begin}
