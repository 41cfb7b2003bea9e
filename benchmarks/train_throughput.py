r"""Examples a second of the train step, beside transformers + PyTorch.

  python -m benchmarks.train_throughput --encoder=DIR --glue_dir=DIR \
      --tasks=rte,mrpc,cola,stsb --batch_size=128 --json

Ours is the step of a real run with what reads its batches. The peers
(benchmarks/peer.py) train on the same examples, against the same targets, with
the same dropout, clip and optimiser: (a) the same mixed batches padded to their
longest example, (b) one task a batch, grouped by length. All are processes of
their own, on all cores, that take turns; medians are shown.

`examples_per_s` is real tokens a second over the mean tokens of an example, so
that sides whose few batches happen to hold longer examples lose nothing.
`useful_flops_share` is what bam_jax/models/flops.py counts, a second, over the
matrix products, f32 unless --matmul_dtype says so, that JAX does on this
machine in a second. `peak_bytes` is the largest memory that the side's process
ever held, a GPU's not counted.
"""

import argparse
from collections.abc import Mapping, Sequence
import contextlib
import json
from pathlib import Path
import sys
import tempfile
from typing import Any

from bam_jax.runtime import command
from benchmarks import matmul, mixture, settings, sides

PACKAGES = ("jax", "torch", "transformers")
DTYPES = ("float32", "bfloat16")
# The key of each way of a peer in what is printed. The peer itself is not
# imported: with --no_peer torch need not be there.
PEERS = {"peer_a": "mixed", "peer_b": "grouped"}


def dtypes(text: str) -> tuple[str, ...]:
  """Returns the types of "float32,bfloat16".

  Raises:
    ArgumentTypeError: it has another.
  """
  found = tuple(text.split(","))
  if not set(found) <= set(DTYPES):
    raise argparse.ArgumentTypeError(
      f"{text!r} holds none or other types than {' and '.join(DTYPES)}"
    )
  return found


def peers(args: argparse.Namespace, examples: Path) -> dict[str, list[str]]:
  """Returns the peers' command lines: "peer_a float32 eager" -> arguments."""
  found = {}
  for key, way in PEERS.items():
    for dtype in args.peer_dtypes:
      for mode in ("eager", "compiled")[: 1 + args.compile]:
        found[f"{key} {dtype} {mode}"] = [
          "-m",
          "benchmarks.peer",
          f"--examples={examples}",
          f"--encoder={args.encoder}",
          f"--steps={args.steps}",
          f"--way={way}",
          f"--dtype={dtype}",
          *(["--compile"] if mode == "compiled" else []),
        ]
  return found


def shown(found: Mapping[str, Any], mean_length: float) -> dict[str, Any]:
  """Returns the figures of a side that trained."""
  tokens = found["tokens"] / found["seconds"]
  return {
    "examples_per_s": tokens / mean_length,
    "real_tokens_per_s": tokens,
    "step_seconds": found["step_seconds"],
    "peak_bytes": found["peak_bytes"],
  }


def nested(
  found: Mapping[str, Mapping[str, Any]], mean_length: float
) -> dict[str, Any]:
  """Returns what is printed, from each side's medians."""
  products = found["matmul jax"]["flops_per_s"]
  ours = found["ours"]
  result = {
    "ours": shown(ours, mean_length),
    "matmul_flops_per_s": products,
    "useful_flops_share": ours["useful_flops"] / ours["seconds"] / products,
    "peer_matmul_flops_per_s": {
      dtype: found[f"matmul torch {dtype}"]["flops_per_s"]
      for dtype in DTYPES
      if f"matmul torch {dtype}" in found
    },
    **{key: {} for key in PEERS},
  }
  for name, figures in found.items():
    if name.startswith(tuple(PEERS)):
      key, dtype, mode = name.split()
      result[key].setdefault(dtype, {})[mode] = shown(figures, mean_length)
  return result


def rows(result: Mapping[str, Any]) -> list[str]:
  """Returns a Markdown table of what `nested` returned."""
  ours = result["ours"]
  lines = [
    "| side | examples/s | real tokens/s | s a step | peak GB | ours is |",
    "|---|--:|--:|--:|--:|--:|",
  ]
  sides_ = {f"ours, {result['settings']['dtype']}": ours}
  for key, way in PEERS.items():
    for dtype, modes in result[key].items():
      for mode, figures in modes.items():
        sides_[f"peer ({key[-1]}), {way}, {dtype}, {mode}"] = figures
  for name, figures in sides_.items():
    ratio = ours["examples_per_s"] / figures["examples_per_s"]
    lines.append(
      f"| {name} | {figures['examples_per_s']:.1f} | "
      f"{figures['real_tokens_per_s']:.0f} | {figures['step_seconds']:.2f} | "
      f"{figures['peak_bytes'] / 1e9:.2f} | {ratio:.2f} x |"
    )
  mine = f"JAX {result['settings']['matmul_dtype']}"
  rates = {mine: result["matmul_flops_per_s"]} | {
    f"torch {dtype}": rate
    for dtype, rate in result["peer_matmul_flops_per_s"].items()
  }
  said = ", ".join(f"{k} {v / 1e9:.0f} GFLOP/s" for k, v in rates.items())
  return [
    *lines,
    "",
    f"Matrix products: {said}. Useful FLOP/s of ours: "
    f"{result['useful_flops_share']:.2f} of the first.",
  ]


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
  """Measures and prints; returns what it printed with --json."""
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.train_throughput",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  mixture.add_arguments(parser)
  parser.add_argument("--no_peer", action="store_true", help="ours alone")
  parser.add_argument(
    "--peer_dtypes", type=dtypes, default=DTYPES, help=",".join(DTYPES)
  )
  parser.add_argument(
    "--compile", action="store_true", help="peers by torch.compile too"
  )
  parser.add_argument("--matmul_dtype", default="float32", choices=DTYPES)
  parser.add_argument(
    "--matmul_size",
    type=int,
    default=matmul.SIZE,
    help="8192 for a GPU, which smaller ones do not fill",
  )
  parser.add_argument("--repeats", type=int, default=sides.REPEATS)
  args = parser.parse_args(argv)
  with (
    tempfile.TemporaryDirectory() as folder,
    contextlib.redirect_stdout(sys.stderr),
  ):
    root = Path(folder)
    mixed = mixture.Mixture.of(mixture.config(args), root / "W")
    mixed.save(root / "examples.npz", args.steps)
    mean_length = mixed.mean_length
    products = ["-m", "benchmarks.matmul", f"--size={args.matmul_size}"]
    asked = {
      "matmul jax": [
        *products,
        "--library=jax",
        f"--dtype={args.matmul_dtype}",
      ],
      "ours": mixture.side(args, root / "W", "train"),
    }
    if not args.no_peer:
      for dtype in args.peer_dtypes:
        line = [*products, "--library=torch", f"--dtype={dtype}"]
        asked[f"matmul torch {dtype}"] = line
      asked |= peers(args, root / "examples.npz")
    found = sides.measure(asked, repeats=args.repeats)
  told = (*mixture.SETTINGS, "repeats", "matmul_dtype", "matmul_size")
  result = {
    "machine": sides.machine(*PACKAGES) | {"device": found["ours"]["device"]},
    "settings": settings.told(args, told) | {"mean_length": mean_length},
    **nested(found, mean_length),
  }
  print(json.dumps(result) if args.json else "\n".join(rows(result)))
  return result


if __name__ == "__main__":
  command.run(main)
