"""Our sides: steps of a real run with what reads their batches, and a teacher.

Both go through what a run goes through; nothing here computes.
"""

import argparse
from collections.abc import Callable, Sequence
import contextlib
from pathlib import Path
import time

import jax
import numpy as np

from bam_jax.data.pipeline import Layout
from bam_jax.runtime import allocator
from bam_jax.training import forward, loop, sharding
from benchmarks import mixture, sides

# Batches of each task that a teacher answers in a measurement.
TAUGHT = 2


def begin(mixed: mixture.Mixture) -> tuple[Callable, loop.TrainState]:
  """Returns the jitted step of a run, and the state that it begins with."""
  materials = mixed.session.materials
  init, step, _, _ = loop.make_step(
    materials.model(mixed.run),
    len(mixed.order),
    trials=1,
    settings=mixed.settings,
    mesh=materials.mesh,
  )
  given = {
    name: jax.tree.map(lambda x: x[None], part)
    for name, part in materials.encoder.params.items()
  }
  return step, init(np.zeros(1, np.uint32), given)


def training(mixed: mixture.Mixture, steps: int) -> Callable[[], dict]:
  """Returns what measures some steps of a run; see `Mixture.measured`."""
  step, state = begin(mixed)
  batches = mixed.batches()
  numbers = mixed.measured(steps)
  examples = mixed.examples(numbers)
  figures = {
    "examples": len(examples),
    "tokens": int(mixed.pool.lengths[examples].sum()),
    "useful_flops": mixed.useful_flops(examples),
    "device": jax.devices()[0].device_kind,
  }

  def put(k: int) -> dict[str, jax.Array]:
    return loop.put(mixed.session.materials.mesh, batches, numbers[k])

  def run(count: int) -> None:
    nonlocal state
    with contextlib.closing(sharding.ahead(put, range(count))) as ready:
      for batch in ready:
        state, sums = step(state, batch)
    jax.block_until_ready((state, sums))

  def measure() -> dict[str, float]:
    run(1)
    start = time.perf_counter()
    run(steps)
    seconds = time.perf_counter() - start
    return figures | {"seconds": seconds, "step_seconds": seconds / steps}

  return measure


def teaching(mixed: mixture.Mixture, steps: int) -> Callable[[], dict]:
  """Returns what measures a teacher that answers as many rows of each task.

  Args:
    mixed: the mixture; its run is the teacher.
    steps: unread: what a teacher answers does not depend on it.
  """
  del steps
  materials, run = mixed.session.materials, mixed.run
  _, state = begin(mixed)
  config = mixed.session.config
  size = config.eval_batch_size
  rng, datasets = np.random.default_rng(0), []
  for task in mixed.tasks:
    rows = materials.corpus.train(task)
    drawn = rng.permutation(len(rows))[: TAUGHT * size]
    datasets.append((task, task.train, rows.take(np.sort(drawn))))
  figures = {
    "examples": sum(len(rows) for _, _, rows in datasets),
    "tokens": sum(int(rows.lengths.sum()) for _, _, rows in datasets),
  }

  def measure() -> dict[str, float]:
    start = time.perf_counter()
    forward.outputs(
      materials.model(run),
      state.params,
      datasets,
      Layout(materials.width(run), size, packing=config.data.packing),
      mesh=materials.mesh,
      progress=lambda _: None,
    )
    return figures | {"seconds": time.perf_counter() - start}

  return measure


JOBS = {"train": training, "teach": teaching}


def main(argv: Sequence[str] | None = None) -> None:
  """Is a side; see `sides.serve`."""
  parser = argparse.ArgumentParser(description=__doc__)
  mixture.add_arguments(parser)
  parser.add_argument("--workdir", type=Path, required=True)
  parser.add_argument("--job", choices=JOBS, required=True)
  args = parser.parse_args(argv)
  # As bam_jax.main does.
  allocator.keep()
  mixed = mixture.Mixture.of(mixture.config(args), args.workdir)
  sides.serve(JOBS[args.job](mixed, args.steps))


if __name__ == "__main__":
  main()
