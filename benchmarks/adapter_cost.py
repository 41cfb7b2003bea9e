r"""What a step costs with each kind of adapter, over a plain one.

  python -m benchmarks.adapter_cost
  python -m benchmarks.adapter_cost --layers=12 --width=768 --tasks=8 --frozen
  python -m benchmarks.adapter_cost --peer

All kinds take turns in one process on the same batch: rows of a BERT from
scratch, packed with texts of all tasks. Beside what a step takes stands what is
useful of its products (bam_jax/models/flops.py): a task's own columns. A token
meets those of all tasks, so the figures part as tasks become many. With --peer
our LoRA then takes turns with peft and PyTorch (benchmarks/adapter_peer.py).
"""

import argparse
from collections.abc import Mapping, Sequence
import json
import statistics
import time
from typing import Any

from bam_jax.runtime import command
from benchmarks import sides

# Seconds that the rounds of all kinds may take together.
SECONDS = 60.0


def parser() -> argparse.ArgumentParser:
  """Returns the flags."""
  found = argparse.ArgumentParser(
    prog="python -m benchmarks.adapter_cost",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = found.add_argument
  add("--layers", type=int, default=2)
  add("--width", type=int, default=128)
  add("--tasks", type=int, default=4)
  add("--rows", type=int, default=8)
  add("--length", type=int, default=128, help="tokens of a row")
  add("--texts", type=int, default=4, help="of a row")
  add("--rank", type=int, default=0, help="default: as published")
  add("--frozen", action="store_true", help="the encoder is not trained")
  add("--dtype", default="float32")
  add("--repeats", type=int, default=5)
  add("--peer", action="store_true", help="LoRA beside peft and PyTorch too")
  add("--side", action="store_true", help=argparse.SUPPRESS)
  add("--json", action="store_true", help="not the table")
  return found


def batch_of(args: argparse.Namespace) -> dict[str, Any]:
  """Returns a packed batch of one trial: the tasks' texts in turn."""
  import numpy as np

  rng = np.random.default_rng(0)
  rows, width, texts = args.rows, args.length, args.texts
  long = width // texts
  count = np.arange(rows * texts, dtype=np.int32).reshape(rows, texts)
  place = np.arange(long * texts, dtype=np.int32)
  laid = np.ones((rows, 1), np.int32)
  return {
    "tokens": rng.integers(5, 900, (rows, len(place))).astype(np.int32),
    "types": laid * (place % long > long // 2),
    "positions": laid * (place % long),
    "segments": laid * (place // long + 1),
    "cls": np.tile(np.arange(texts, dtype=np.int32) * long, (rows, 1)),
    "task": count % args.tasks,
    "index": count,
    "weight": np.ones((rows, texts), np.float32),
    "label": rng.integers(0, 2, (rows, texts)).astype(np.float32),
    "teacher": np.zeros((rows, texts, 2), np.float32),
    "has_teacher": np.zeros((rows, texts), np.float32),
  }


def steps_of(args: argparse.Namespace, kinds: Sequence[str]) -> dict[str, Any]:
  """Returns name of a kind -> its jitted step, its state and its figures."""
  import jax
  import jax.numpy as jnp

  from bam_jax.models import flops
  from bam_jax.models.adapters import ADAPTERS
  from bam_jax.models.encoders import bert_scratch
  from bam_jax.models.heads import HeadSpec
  from bam_jax.models.multitask import MultiTask
  from bam_jax.training import adapting
  from bam_jax.training.settings import Settings
  from bam_jax.training.step import make_run
  from configs import common

  heads = tuple(
    HeadSpec(f"task_{n}", 2, output="logits", loss="ce", head="linear")
    for n in range(args.tasks)
  )
  c = common.base()
  c.scratch.layers, c.scratch.width = args.layers, args.width
  c.scratch.heads, c.scratch.mlp = max(1, args.width // 64), 4 * args.width
  c.encoder_frozen = args.frozen
  shape = bert_scratch(c.scratch, 1000, 0, args.length)
  found = {}
  for kind in kinds:
    c.adapter.kind = kind
    ranked = kind != adapting.OFF and ADAPTERS[kind].rank
    c.adapter.rank = args.rank if ranked else 0
    adapter = adapting.adapter_of(c.adapter)
    net = MultiTask(
      shape,
      heads,
      head_dropout=0.1,
      dtype=jnp.dtype(args.dtype),
      remat=False,
      adapter=adapter,
    )
    init, step = make_run(net, steps=1000, settings=Settings.of(c, "multi"))
    state = jax.jit(init)(jnp.uint32(0), {})
    counted = flops.train(
      shape,
      [args.length // args.texts],
      head=heads[0],
      **adapting.counted(c),
    )
    found[kind] = {
      "step": jax.jit(step),
      "state": state,
      "flops": int(counted[0]) * args.rows * args.texts,
      "parameters": sum(
        x.size for x in jax.tree.leaves(state.params.get("adapters", {}))
      ),
    }
  return found


def measured(args: argparse.Namespace) -> dict[str, dict[str, float]]:
  """Returns name of a kind -> its figures; all take turns."""
  import jax

  from bam_jax.models.adapters import ADAPTERS
  from bam_jax.training import adapting

  steps = steps_of(args, (adapting.OFF, *ADAPTERS))
  batch = jax.device_put(batch_of(args))
  seconds: dict[str, list[float]] = {name: [] for name in steps}
  for each in steps.values():
    jax.block_until_ready(each["step"](each["state"], batch))
  begun = time.monotonic()
  for repeat in range(args.repeats):
    for name, each in steps.items():
      start = time.monotonic()
      jax.block_until_ready(each["step"](each["state"], batch))
      seconds[name].append(time.monotonic() - start)
    if repeat and time.monotonic() - begun > SECONDS:
      break
  plain = steps["none"]
  return {
    name: {
      "parameters": each["parameters"],
      "step_seconds": statistics.median(seconds[name]),
      "over_plain": statistics.median(
        mine / theirs
        for mine, theirs in zip(seconds[name], seconds["none"], strict=True)
      ),
      "flops_over_plain": each["flops"] / plain["flops"],
    }
    for name, each in steps.items()
  }


def beside_peft(args: argparse.Namespace) -> dict[str, dict[str, float]]:
  """Returns side -> seconds of a step of as many texts; they take turns."""
  from bam_jax.models.adapters import ADAPTERS

  shape = {"rank": args.rank or ADAPTERS["lora"].rank}
  for name in ("layers", "width", "tasks", "rows", "length", "texts"):
    shape[name] = getattr(args, name)
  flags = [f"--{name}={value}" for name, value in shape.items()]
  flags += ["--frozen"] * args.frozen
  return sides.measure(
    {
      "bam_jax": ["-m", "benchmarks.adapter_cost", "--side", *flags],
      "peft": ["-m", "benchmarks.adapter_peer", *flags],
    },
    repeats=args.repeats,
  )


def serve(args: argparse.Namespace) -> None:
  """Is our side: a step of mixed tasks with LoRA whenever it is asked."""
  import jax

  steps = steps_of(args, ("lora",))
  batch = jax.device_put(batch_of(args))
  step, state = steps["lora"]["step"], steps["lora"]["state"]

  def measure() -> dict[str, float]:
    jax.block_until_ready(step(state, batch))
    start = time.monotonic()
    for _ in range(args.tasks):
      jax.block_until_ready(step(state, batch))
    return {"step_seconds": (time.monotonic() - start) / args.tasks}

  sides.serve(measure)


def rows(result: Mapping[str, Any]) -> list[str]:
  """Returns a Markdown table of what `main` returns."""
  lines = [
    "| adapter | parameters | s a step | over plain | useful FLOPs, over plain "
    "|",
    "|---|--:|--:|--:|--:|",
  ]
  for name, found in result["kinds"].items():
    lines.append(
      f"| `{name}` | {found['parameters']:,} | {found['step_seconds']:.3f} | "
      f"{found['over_plain']:.2f} | {found['flops_over_plain']:.2f} |"
    )
  if "peer" in result:
    ours, theirs = (
      result["peer"][side]["step_seconds"] for side in ("bam_jax", "peft")
    )
    lines += [
      "",
      f"LoRA, as many texts a step: {ours:.3f} s with all tasks mixed; peft "
      f"and PyTorch, one task at a time, {theirs:.3f} s, {theirs / ours:.2f} "
      "times as long.",
    ]
  return lines


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
  """Measures and prints; returns what it prints with --json."""
  args = parser().parse_args(argv)
  if args.side:
    serve(args)
    return {}
  asked = {
    k: v for k, v in vars(args).items() if k not in ("json", "peer", "side")
  }
  result = {
    "machine": sides.machine("jax"),
    "settings": asked,
    "kinds": measured(args),
  }
  if args.peer:
    result["peer"] = beside_peft(args)
  print(json.dumps(result) if args.json else "\n".join(rows(result)))
  return result


if __name__ == "__main__":
  command.run(main)
