"""The one forward loop: what a model says of every example.

Every example is counted exactly once, on any number of devices. What is made of
it, scores or teaching, is computed on the host from all outputs in example
order, never from averages of batches.
"""

from collections.abc import Callable, Sequence
import contextlib
import functools
from typing import Any

import jax
import numpy as np

from bam_jax.data import pipeline
from bam_jax.data.features import Features
from bam_jax.data.fields import WORDS
from bam_jax.data.places import Places
from bam_jax.data.pool import space_of
from bam_jax.data.ragged import offsets_of
from bam_jax.models.multitask import MultiTask
from bam_jax.tasks.table import Task
from bam_jax.training import sharding, spaces


# Kept, so that what a run compiled to be scored serves when it teaches.
@functools.lru_cache(maxsize=16)
def make_forward(model: MultiTask, mesh: jax.sharding.Mesh, trials: int):
  """Returns forward(params [R, ...], batch) -> outputs [R, ...] by space.

  The batch is one for all trials; what comes back, such as "example" f32[R, B,
  E, C], is whole on every device. Of words of the vocabulary it is what
  `spaces.kept` keeps.
  """

  def forward(params, batch):
    said = model.apply({"params": params}, batch, train=False)
    return spaces.kept(model.heads, said, batch)

  if trials > 1:
    mapped = jax.vmap(forward, in_axes=(0, None))
  else:

    def mapped(params, batch):
      out = forward(jax.tree.map(lambda x: x[0], params), batch)
      return jax.tree.map(lambda x: x[None], out)

  return jax.jit(mapped, out_shardings=sharding.replicated(mesh))


def logits_of(
  forward: Callable,
  params: Any,
  batches: pipeline.Batches,
  datasets: Sequence[tuple[Features, int]],
  *,
  mesh: jax.sharding.Mesh,
  progress: Callable[[int], None],
) -> list[np.ndarray]:
  """Returns the outputs of all examples of each data set, in their order.

  f32[R, N, C], or f32[R, M, C] of words, 0 for those that are not read, or of
  candidates; where tokens are masked, sums over those of each example.

  Args:
    forward: from `make_forward`.
    params: [R, ...].
    batches: of these data sets, from `pipeline.eval_batches`.
    datasets: examples, and the columns C of their head.
    mesh: the mesh.
    progress: called with the number of examples after each batch.
  """
  trials = len(jax.tree.leaves(params)[0])
  datasets = [(rows.examples, columns) for rows, columns in datasets]
  starts = offsets_of([len(rows) for rows, _ in datasets])
  seen = np.zeros(starts[-1], np.int32)
  logits, worded = [], [space_of(rows) == WORDS for rows, _ in datasets]
  for (rows, columns), words in zip(datasets, worded, strict=True):
    size = len(rows.words.at) if words else len(rows)
    logits.append(np.zeros((trials, size, columns), np.float32))

  def make(k: int) -> tuple[dict[str, np.ndarray], dict[str, jax.Array]]:
    batch = batches[k]

    def read(rows: slice) -> dict[str, np.ndarray]:
      return {name: array[rows] for name, array in batch.items()}

    rows = int(batches.plan.sizes[k])
    return batch, sharding.put(mesh, read, rows, trials=False)

  ready = sharding.ahead(make, range(len(batches)))
  with contextlib.closing(ready):
    for batch, sent in ready:
      out = jax.device_get(forward(params, sent))
      row, slot = np.nonzero(batch["task"] >= 0)
      start, number = batch["cls"][row, slot], batch["index"][row, slot]
      dataset = np.searchsorted(starts, number, side="right") - 1
      for place in np.unique(dataset):
        (rows, columns), mine = datasets[place], dataset == place
        which, there = Places(row[mine], start[mine], slot[mine]).outputs(
          number[mine] - starts[place], rows.words if worded[place] else None
        )
        said = out[space_of(rows)]
        logits[place][:, which] = said[:, *there, :columns]
      seen[number] += 1
      progress(len(number))
  assert (seen == 1).all(), "an example was not counted exactly once"
  return logits


def outputs(
  model: MultiTask,
  params: Any,
  datasets: Sequence[tuple[Task, str, Features]],
  layout: pipeline.Layout,
  *,
  mesh: jax.sharding.Mesh,
  progress: Callable[[int], None],
) -> dict[tuple[str, str], np.ndarray]:
  """Returns the outputs of every (task, split), see `logits_of`.

  Args:
    model: the model.
    params: its parameters, [R, ...].
    datasets: (task, split, rows); the task is one of the model's heads.
    layout: of the rows in a forward pass.
    mesh: the mesh.
    progress: called with the number of examples after each batch.
  """
  trials = len(jax.tree.leaves(params)[0])
  forward = make_forward(model, mesh, trials)
  params = sharding.spread(params, sharding.state_sharding(mesh, params))
  names = [spec.name for spec in model.heads]
  # All at once, so that there is one shape to compile for.
  batches = pipeline.eval_batches(
    [(features, names.index(task.head)) for task, _, features in datasets],
    layout,
    multiple=sharding.row_multiple(mesh),
  )
  logits = logits_of(
    forward,
    params,
    batches,
    [(features, task.classes) for task, _, features in datasets],
    mesh=mesh,
    progress=progress,
  )
  return {
    (task.name, split): part
    for (task, split, _), part in zip(datasets, logits, strict=True)
  }
