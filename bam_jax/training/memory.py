"""How many trials a device holds at once, as the compiler counts the bytes."""

from collections.abc import Callable, Mapping
import functools
from typing import Any

import jax

from bam_jax.models.multitask import MultiTask
from bam_jax.runtime.console import say
from bam_jax.training import loop, sharding
from bam_jax.training.matching import Matching
from bam_jax.training.settings import Settings

# Of a device's free memory; the rest is for the next batch, for scoring and for
# the holes between arrays.
SHARE = 0.9


def trials_at_once(
  name: str,
  most: int,
  *,
  mesh: jax.sharding.Mesh,
  lower: Callable[[int], jax.stages.Lowered],
) -> int:
  """Returns how many trials of a run to train together, and says why.

  Args:
    name: of the run.
    most: trials that there are to train.
    mesh: of the devices.
    lower: trials -> their step; each is compiled, and in training comes from
      the compilation cache.
  """
  if most == 1:
    return 1
  free = free_bytes(mesh)
  if free is None:
    platform = mesh.local_devices[0].platform
    why = {"cpu": "more gain nothing there"}.get(
      platform, "it tells no memory size"
    )
    say(f"{name}: 1 trial at once on {platform}: {why}")
    return 1
  need = functools.cache(lambda trials: held(lower(trials).compile()))
  chosen = most_that_fit(need, limit=int(SHARE * free), most=most)
  say(
    f"{name}: {chosen} trials at once: a step needs "
    f"{need(chosen) / 1e9:.2f} GB, of which each device has {free / 1e9:.2f} "
    "free"
  )
  return chosen


def free_bytes(mesh: jax.sharding.Mesh) -> int | None:
  """Returns the free memory of the fullest device; None = it does not tell.

  On a CPU, too, there is nothing to tell: trials there share what the system
  has with everything else.
  """
  stats = [device.memory_stats() or {} for device in mesh.local_devices]
  if any("bytes_limit" not in each for each in stats):
    return None
  return min(s["bytes_limit"] - s.get("bytes_in_use", 0) for s in stats)


def most_that_fit(need: Callable[[int], int], *, limit: int, most: int) -> int:
  """Returns the largest number of trials whose bytes are within a limit.

  What trials need grows by about as much with each; so few are asked for, and
  the answer is one that has been asked for.

  Args:
    need: trials -> bytes; each question costs a compilation.
    limit: bytes.
    most: trials.

  Returns:
    1 or more; 1 also where not even one fits.
  """
  known = {1: need(1)}
  fits, last = 1, most + 1
  # Two, because one alone is another program and no point of the line.
  guess = 2 if known[1] <= limit else last
  while fits < guess < last:
    known[guess] = need(guess)
    if known[guess] <= limit:
      fits = guess
    else:
      last = guess
    (r0, b0), (r1, b1) = sorted(known.items())[-2:]
    each = max((b1 - b0) / (r1 - r0), 1)
    guess = min(fits + int((limit - known[fits]) / each), last - 1)
  return fits


def lower(
  model: MultiTask,
  steps: int,
  batch: Mapping[str, Any],
  *,
  trials: int,
  settings: Settings,
  mesh: jax.sharding.Mesh,
  matching: Matching | None = None,
) -> jax.stages.Lowered:
  """Returns the step of R trials for a mesh, ready to be compiled.

  Nothing is on its devices, which need not even be here.

  Args:
    model: the model.
    steps: of the run.
    batch: arrays [R, B, ...], whose shapes and types alone count.
    trials: R.
    settings: of the run.
    mesh: from `sharding.make_mesh`.
    matching: what of a frozen teacher is matched.
  """
  _, step, shapes, place = loop.make_step(
    model,
    steps,
    trials=trials,
    settings=settings,
    mesh=mesh,
    matching=matching,
  )

  def abstract(x, where):
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where)

  rows = jax.sharding.NamedSharding(mesh, sharding.P(None, sharding.ROWS))
  return step.lower(
    jax.tree.map(abstract, shapes, place),
    {name: abstract(x, rows) for name, x in batch.items()},
  )


def held(compiled: jax.stages.Compiled) -> int:
  """Returns the bytes on each device while a compiled step runs."""
  found = compiled.memory_analysis()
  return (
    found.argument_size_in_bytes
    + found.output_size_in_bytes
    - found.alias_size_in_bytes
    + found.temp_size_in_bytes
    + found.generated_code_size_in_bytes
  )
