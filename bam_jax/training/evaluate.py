"""The one forward loop, and the scores of its logits.

Every example is counted exactly once, on any number of devices; scores are
computed on the host from all logits in example order, never from averages of
batches.
"""

from collections.abc import Callable, Sequence
import contextlib
import functools
from typing import Any

import jax
import numpy as np

from bam_jax.data import pipeline
from bam_jax.data.features import Features
from bam_jax.models.multitask import MultiTask
from bam_jax.tasks.table import Task
from bam_jax.training import sharding


# Kept, so that what a run compiled to be scored serves when it teaches.
@functools.lru_cache(maxsize=16)
def make_forward(model: MultiTask, mesh: jax.sharding.Mesh, trials: int):
  """Returns forward(params [R, ...], batch) -> logits f32[R, B, E, C].

  The batch is one for all trials; what comes back is whole on every device.
  """

  def forward(params, batch):
    return model.apply({"params": params}, batch, train=False)

  if trials > 1:
    mapped = jax.vmap(forward, in_axes=(0, None))
  else:

    def mapped(params, batch):
      return forward(jax.tree.map(lambda x: x[0], params), batch)[None]

  return jax.jit(mapped, out_shardings=sharding.replicated(mesh))


def logits_of(
  forward: Callable,
  params: Any,
  batches: pipeline.Batches,
  count: int,
  *,
  mesh: jax.sharding.Mesh,
  classes: int,
  progress: Callable[[int], None],
) -> np.ndarray:
  """Returns the logits f32[R, N, C] of all examples in their order.

  Args:
    forward: from `make_forward`.
    params: [R, ...].
    batches: from `pipeline.eval_batches`.
    count: N.
    mesh: the mesh.
    classes: C of the task that has most.
    progress: called with the number of examples after each batch.
  """
  trials = len(jax.tree.leaves(params)[0])
  logits = np.zeros((trials, count, classes), np.float32)
  seen = np.zeros(count, np.int32)

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
      here = batch["task"] >= 0
      rows = batch["index"][here]
      logits[:, rows] = out[:, here][..., :classes]
      seen[rows] += 1
      progress(int(here.sum()))
  assert (seen == 1).all(), "an example was not counted exactly once"
  return logits


def evaluate(
  model: MultiTask,
  params: Any,
  datasets: Sequence[tuple[Task, str, Features]],
  layout: pipeline.Layout,
  *,
  mesh: jax.sharding.Mesh,
  progress: Callable[[int], None],
) -> dict[tuple[str, str], np.ndarray]:
  """Returns the logits f32[R, N, C] of every (task, split).

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
  classes = max(task.classes for task, _, _ in datasets)
  # All at once, so that there is one shape to compile for.
  batches = pipeline.eval_batches(
    [(features, names.index(task.head)) for task, _, features in datasets],
    layout,
    classes=classes,
    multiple=sharding.row_multiple(mesh),
  )
  ends = np.cumsum([len(features) for _, _, features in datasets])
  logits = logits_of(
    forward,
    params,
    batches,
    int(ends[-1]),
    mesh=mesh,
    classes=classes,
    progress=progress,
  )
  parts = np.split(logits, ends[:-1], axis=1)
  return {
    (task.name, split): part[..., : task.classes]
    for (task, split, _), part in zip(datasets, parts, strict=True)
  }
