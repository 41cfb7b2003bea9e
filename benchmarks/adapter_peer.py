"""The peer of adapters: peft and PyTorch, one task at a time.

A side of `benchmarks.adapter_cost --peer`. A BERT of the same shape with a LoRA
of the same rank for each task, on queries and values; a step makes the adapter
of its task the active one and trains on as many texts of that task alone as one
of ours mixes, all of one length, so that nothing is padded.
"""

import argparse
import time

import peft
import torch
import transformers

from benchmarks import sides

# Tokens of configs/common.py's encoder from scratch, as the other side has.
VOCABULARY = 1000


def parser() -> argparse.ArgumentParser:
  """Returns the flags: the shape, as `benchmarks.adapter_cost` names it."""
  found = argparse.ArgumentParser(prog="python -m benchmarks.adapter_peer")
  for name in ("layers", "width", "tasks", "rows", "length", "texts", "rank"):
    found.add_argument(f"--{name}", type=int, required=True)
  found.add_argument("--frozen", action="store_true")
  return found


def model_of(args: argparse.Namespace) -> peft.PeftModel:
  """Returns a classifier with an adapter for each task: task_0, task_1, ..."""
  shape = transformers.BertConfig(
    vocab_size=VOCABULARY,
    hidden_size=args.width,
    num_hidden_layers=args.layers,
    num_attention_heads=max(1, args.width // 64),
    intermediate_size=4 * args.width,
    max_position_embeddings=args.length,
  )
  torch.manual_seed(0)
  model = transformers.BertForSequenceClassification(shape)
  lora = peft.LoraConfig(
    r=args.rank,
    lora_alpha=args.rank,
    target_modules=["query", "value"],
    task_type="SEQ_CLS",
  )
  adapted = peft.get_peft_model(model, lora, adapter_name="task_0")
  for task in range(1, args.tasks):
    adapted.add_adapter(f"task_{task}", lora)
  return adapted


def main() -> None:
  """Measures whenever it is asked: seconds of a step, the mean of all tasks."""
  args = parser().parse_args()
  model = model_of(args).train()
  count, long = args.rows * args.texts, args.length // args.texts
  tokens = torch.randint(5, 900, (count, long))
  labels = torch.randint(0, 2, (count,))
  optimizers = {}
  for task in range(args.tasks):
    model.set_adapter(f"task_{task}")
    if not args.frozen:
      for name, each in model.named_parameters():
        if "lora_" not in name:
          each.requires_grad_(True)
    mine = [each for each in model.parameters() if each.requires_grad]
    optimizers[task] = torch.optim.AdamW(mine, lr=1e-5, fused=True), mine

  def step(task: int) -> None:
    model.set_adapter(f"task_{task}")
    optimizer, mine = optimizers[task]
    for each in mine:
      each.requires_grad_(True)
    model(input_ids=tokens, labels=labels).loss.backward()
    torch.nn.utils.clip_grad_norm_(mine, 1.0)
    optimizer.step()
    optimizer.zero_grad()

  def measure() -> dict:
    step(0)
    start = time.monotonic()
    for task in range(args.tasks):
      step(task)
    return {"step_seconds": (time.monotonic() - start) / args.tasks}

  sides.serve(measure)


if __name__ == "__main__":
  main()
