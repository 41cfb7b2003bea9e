"""Our side: steps of a real run, its batches read on the host as they come."""

import argparse
from collections.abc import Sequence
from pathlib import Path
import time

import jax
import numpy as np

from bam_jax import train
from benchmarks import mixture, sides


def main(argv: Sequence[str] | None = None) -> None:
  """Is a side; see `sides.serve`."""
  parser = argparse.ArgumentParser(prog="benchmarks.ours", description=__doc__)
  mixture.add_arguments(parser)
  parser.add_argument("--workdir", type=Path, required=True)
  args = parser.parse_args(argv)
  config = mixture.config(args)
  mixed = mixture.Mixture.of(config, args.workdir)
  lessons, run, batches = mixed.lessons, mixed.run, mixed.batches()
  init, step, _, _ = train.make_step(
    lessons.model(run),
    len(batches),
    trials=1,
    settings=config[run.kind],
    config=config,
    mesh=lessons.mesh,
  )
  encoder = {
    name: jax.tree.map(lambda x: x[None], part)
    for name, part in lessons.encoder[1].items()
  }
  state = init(np.zeros(1, np.uint32), encoder)
  examples = mixed.examples(args.steps)
  steps = min(args.steps, len(batches))
  figures = {
    "examples": len(examples),
    "tokens": int(mixed.pool.lengths[examples].sum()),
    "useful_flops": mixed.useful_flops(examples),
  }

  def measure() -> dict[str, float]:
    nonlocal state
    begin = time.perf_counter()
    for k in range(steps):
      state, sums = step(state, train.put(lessons.mesh, batches, k))
    jax.block_until_ready((state, sums))
    seconds = time.perf_counter() - begin
    return figures | {"seconds": seconds, "step_seconds": seconds / steps}

  sides.serve(measure)


if __name__ == "__main__":
  main()
