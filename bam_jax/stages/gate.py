"""Runs a written model on dev: what it scores, and how far it is from ours."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bam_jax.data.features import Features
from bam_jax.runtime.console import bar
from bam_jax.stages import outcomes, session
from bam_jax.stages.evaluate import Datasets, scored
from bam_jax.tasks import metrics

# (names of tasks, rows) -> task -> f32[N, C], or f32[M, C] of words.
Said = Callable[[Sequence[str], Features], Mapping[str, np.ndarray]]
# Rows in one pass.
BATCH = 64


def gate(
  path: Path, tasks: Sequence[str], ours: Said, written: Said
) -> dict[str, Any]:
  """Returns what a written model says of the splits that a run is scored on.

  Args:
    path: the run, W/runs/NAME.
    tasks: heads that were written.
    ours: what answers here.
    written: what answers there.

  Returns:
    Task -> `split`, its `examples`, `difference`, the largest between outputs,
    and of the first split of each task `scores` and `ours`, both x100.

  Raises:
    ValueError: the working directory has no such run any more.
    OSError: its data is not where it was.
  """
  here, run = session.of_run(path)
  datasets = [
    (task, split, rows)
    for task, split, rows in _first(scored(here, run))
    if task.name in tasks
  ]
  total = sum(len(rows) for _, _, rows in datasets)
  found = {}
  with bar("gate", total, text="runs both on dev") as advance:
    for task, split, rows in datasets:
      parts: list[tuple[np.ndarray, np.ndarray]] = []
      for start in range(0, len(rows), BATCH):
        some = rows.take(np.arange(start, min(start + BATCH, len(rows))))
        parts.append(
          tuple(each([task.name], some)[task.name] for each in (ours, written))
        )
        advance(len(some))
      mine, theirs = (np.concatenate(each) for each in zip(*parts, strict=True))
      found[task.name] = {
        "split": split,
        "examples": len(rows),
        "difference": float(np.abs(mine - theirs).max()),
      } | {
        name: _scores(here, task, split, rows, said)
        for name, said in (("scores", theirs), ("ours", mine))
      }
  return found


def _first(datasets: Datasets) -> Datasets:
  """Returns of each task the split that tables show."""
  return list(
    {task.name: (task, s, r) for task, s, r in datasets[::-1]}.values()
  )[::-1]


def _scores(here, task, split, rows, said) -> dict[str, float]:
  kept = outcomes.keep(here, task, split, rows, said)
  return metrics.scores(task, kept.logits, kept.labels, kept.words)
