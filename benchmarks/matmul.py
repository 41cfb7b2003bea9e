"""A side that multiplies matrices: how fast the machine can be."""

import argparse
from collections.abc import Callable, Sequence
import time

from benchmarks import sides

# Rows and columns of either matrix, and about how long one measurement takes.
SIZE, SECONDS = 2048, 1.0


def ours(dtype: str, size: int) -> Callable[[], float]:
  """Returns what measures the FLOP/s of JAX."""
  from bam_jax.runtime import machine

  return lambda: machine.flops(dtype, size, SECONDS)


def peer(dtype: str, size: int) -> Callable[[], float]:
  """Returns what measures the FLOP/s of torch."""
  import torch

  from benchmarks import peer

  torch.manual_seed(0)
  y = torch.randn(size, size, dtype=torch.float32) / size**0.5
  y = y.to(peer.DEVICE, getattr(torch, dtype))

  def timed(times: int) -> float:
    x, begin = y, time.perf_counter()
    for _ in range(times):
      x = x @ y
    peer.wait()
    return time.perf_counter() - begin

  def measure() -> float:
    times = max(1, round(SECONDS * 4 / timed(4)))
    return 2 * size**3 * times / timed(times)

  return measure


SIDES = {"jax": ours, "torch": peer}


def main(argv: Sequence[str] | None = None) -> None:
  """Is a side; see `sides.serve`."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--library", choices=SIDES, required=True)
  parser.add_argument("--dtype", default="float32")
  parser.add_argument("--size", type=int, default=SIZE)
  args = parser.parse_args(argv)
  rate = SIDES[args.library](args.dtype, args.size)
  sides.serve(lambda: {"flops_per_s": rate()})


if __name__ == "__main__":
  main()
