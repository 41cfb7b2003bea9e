r"""The peer: transformers and PyTorch, as their users train several tasks.

One encoder, a linear head per task, SDPA attention, fused AdamW, clip at 1.0,
dropout as the encoder's config says, all cores or the GPU where one is, the C
library's memory kept as ours is. It reads the examples that `Mixture.save`
wrote and knows nothing of JAX. `--way=mixed` pads every mixed batch to its
longest example; `--way=grouped` takes batches of one task each, of examples of
like length.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
import time

import numpy as np
import torch
import transformers

from bam_jax.runtime import allocator
from benchmarks import sides

WAYS = ("mixed", "grouped")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# Dropout on the pooled vector, as configs/common.py has it.
HEAD_DROPOUT = 0.1
RATE, WEIGHT_DECAY, CLIP = 1e-5, 0.01, 1.0


class Examples:
  """Examples as lists of tokens; a batch is padded to its longest."""

  def __init__(self, file: Path):
    """Reads what `Mixture.save` wrote."""
    with np.load(file) as found:
      for name in found:
        setattr(self, name, found[name])
    self.lengths = np.diff(self.offsets)

  def mixed(self, steps: int) -> list[np.ndarray]:
    """Returns the examples of the first measured steps, as they were drawn."""
    batches = self.order[self.measured[:steps]]
    return [numbers[numbers >= 0] for numbers in batches]

  def grouped(self, steps: int) -> list[np.ndarray]:
    """Returns batches of one task each, grouped by length.

    They stand for all batches that the drawn examples make: sorted by what
    they cost, every n-th is taken.
    """
    drawn, size = self.order[self.order >= 0], self.order.shape[1]
    batches = []
    for task in range(len(self.classes)):
      mine = drawn[self.task[drawn] == task]
      mine = mine[np.argsort(-self.lengths[mine], kind="stable")]
      # A batch that is not full would make every step look cheap.
      full = len(mine) // size * size or len(mine)
      batches += [mine[i : i + size] for i in range(0, full, size)]
    batches.sort(key=lambda batch: len(batch) * self.lengths[batch].max())
    places = (np.arange(steps) + 0.5) / steps * len(batches)
    return [batches[int(place)] for place in places]

  def collate(self, numbers: Sequence[int]) -> dict[str, torch.Tensor]:
    """Returns a padded batch: tokens, types, mask [B, S], the rest [B, ...]."""
    width = int(self.lengths[numbers].max())
    arrays = np.zeros((3, len(numbers), width), np.int64)
    for row, number in enumerate(numbers):
      here = slice(self.offsets[number], self.offsets[number + 1])
      length = self.lengths[number]
      arrays[0, row, :length] = self.tokens[here]
      arrays[1, row, :length] = self.types[here]
      arrays[2, row, :length] = 1
    names = ("input_ids", "token_type_ids", "attention_mask")
    return {
      **dict(zip(names, torch.from_numpy(arrays), strict=True)),
      "task": torch.from_numpy(self.task[numbers].astype(np.int64)),
      "labels": torch.from_numpy(self.labels[numbers]),
      "teacher": torch.from_numpy(self.teacher[numbers]),
    }


class Model(torch.nn.Module):
  """An encoder and one linear head per task."""

  def __init__(self, encoder: str, classes: Sequence[int], dropout: float):
    """Loads the encoder; the heads are random."""
    super().__init__()
    self.encoder = transformers.AutoModel.from_pretrained(
      encoder, attn_implementation="sdpa", dtype=torch.float32
    )
    self.dropout = torch.nn.Dropout(dropout)
    width = self.encoder.config.hidden_size
    self.heads = torch.nn.ModuleList(
      torch.nn.Linear(width, int(count)) for count in classes
    )

  def forward(self, batch: dict, share: float) -> torch.Tensor:
    """Returns the summed loss against gold and teacher, mixed by `share`."""
    # Which rows are whose is found out on the host: a GPU is not waited for.
    tasks = batch["task"]
    batch = {
      name: each.to(DEVICE, non_blocking=True) for name, each in batch.items()
    }
    names = ("input_ids", "token_type_ids", "attention_mask")
    out = self.encoder(**{name: batch[name] for name in names})
    pooled = self.dropout(out.pooler_output)
    total = pooled.new_zeros((), dtype=torch.float32)
    for number, head in enumerate(self.heads):
      mine = (tasks == number).nonzero()[:, 0]
      if not len(mine):
        continue
      mine = mine.to(DEVICE, non_blocking=True)
      logits = head(pooled[mine]).float()
      total = total + task_loss(
        logits, batch["labels"][mine], batch["teacher"][mine], share
      )
    return total


def task_loss(
  logits: torch.Tensor,
  labels: torch.Tensor,
  teacher: torch.Tensor,
  share: float,
) -> torch.Tensor:
  """Returns a task's summed loss: cross-entropy, or squared error of a sigmoid.

  Args:
    logits: [N, C].
    labels: [N] class numbers or values.
    teacher: [N, at least C] logits, or values.
    share: of the gold label.
  """
  classes = logits.shape[1]
  if classes == 1:
    target = share * labels + (1 - share) * teacher[:, 0]
    return (torch.sigmoid(logits[:, 0]) - target).square().sum()
  gold = torch.nn.functional.one_hot(labels.long(), classes)
  soft = torch.softmax(teacher[:, :classes], dim=-1)
  target = share * gold + (1 - share) * soft
  return torch.nn.functional.cross_entropy(logits, target, reduction="sum")


def optimizer(model: torch.nn.Module) -> torch.optim.Optimizer:
  """Returns AdamW; biases and norms do not decay."""
  named = dict(model.named_parameters())
  plain = [p for name, p in named.items() if p.ndim < 2]
  decayed = [p for name, p in named.items() if p.ndim >= 2]
  return torch.optim.AdamW(
    [
      {"params": decayed, "weight_decay": WEIGHT_DECAY},
      {"params": plain, "weight_decay": 0.0},
    ],
    lr=RATE,
    eps=1e-6,
    fused=True,
  )


def trainer(
  model: torch.nn.Module, *, share: float, dtype: str
) -> Callable[[dict], None]:
  """Returns a training step on a collated batch."""
  made = optimizer(model)
  low = dtype == "bfloat16"
  model.train()

  def step(batch: dict) -> None:
    with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=low):
      loss = model(batch, share)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    made.step()
    made.zero_grad(set_to_none=True)

  return step


def wait() -> None:
  """Waits for what a GPU has been given to do."""
  if DEVICE == "cuda":
    torch.cuda.synchronize()


def main(argv: Sequence[str] | None = None) -> None:
  """Is a side; see `sides.serve`."""
  parser = argparse.ArgumentParser(prog="benchmarks.peer", description=__doc__)
  parser.add_argument("--examples", type=Path, required=True)
  parser.add_argument("--encoder", required=True)
  parser.add_argument("--way", choices=WAYS, required=True)
  parser.add_argument("--dtype", default="float32")
  parser.add_argument("--steps", type=int, required=True)
  parser.add_argument("--compile", action="store_true")
  args = parser.parse_args(argv)
  # The same favour as ours.
  allocator.keep()
  transformers.utils.logging.set_verbosity_error()
  torch.manual_seed(0)
  examples = Examples(args.examples)
  model = Model(args.encoder, examples.classes, HEAD_DROPOUT).to(DEVICE)
  if args.compile:
    model.encoder.compile(dynamic=args.way == "grouped")
  step = trainer(model, share=float(examples.share), dtype=args.dtype)
  batches = getattr(examples, args.way)(args.steps)
  count = sum(map(len, batches))
  tokens = int(sum(examples.lengths[batch].sum() for batch in batches))

  def measure() -> dict[str, float]:
    step(examples.collate(batches[0]))
    wait()
    begin = time.perf_counter()
    for numbers in batches:
      step(examples.collate(numbers))
    wait()
    seconds = time.perf_counter() - begin
    return {
      "examples": count,
      "tokens": tokens,
      "seconds": seconds,
      "step_seconds": seconds / len(batches),
    }

  sides.serve(measure)


if __name__ == "__main__":
  main()
