"""The scores of a trial, from what it said, and where they are kept."""

from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np

from bam_jax.runtime import distributed
from bam_jax.runtime.console import say
from bam_jax.stages import calibrating
from bam_jax.stats.thresholds import Rule
from bam_jax.study import predictions
from bam_jax.study.leases import Leases
from bam_jax.study.plan import Run
from bam_jax.study.predictions import Predictions
from bam_jax.study.workdir import Workdir
from bam_jax.tasks import metrics
from bam_jax.tasks.calibration import SPLIT
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task

# (task, split) -> what a trial said of it.
Kept = Mapping[tuple[str, str], Predictions]


def score(name: str, kept: Kept, table: Mapping[str, Task]) -> dict[str, Any]:
  """Returns the scores, the numbers of examples and the warnings of a trial.

  Args:
    name: of the trial, for the warnings.
    kept: what it said.
    table: every task by its name.
  """
  entry: dict[str, Any] = {"scores": {}, "examples": {}, "warnings": []}
  for (task, split), rows in kept.items():
    if split == SPLIT:
      continue
    mine = entry["scores"].setdefault(task, {})
    answers = rows.logits
    found = metrics.scores(table[task], answers, rows.labels, rows.words)
    # The split that tables show has the bare names.
    mine |= {f"{split}/{k}" if mine else k: v for k, v in found.items()}
    entry["examples"].setdefault(task, len(rows.index))
    if np.ptp(answers, axis=0).max() < 1e-6 and len(answers) > 1:
      entry["warnings"].append(
        f"{name} answers all {len(rows.index)} {task} {split} rows alike: it"
        " has learnt nothing; try another rate or more steps"
      )
  return entry


def _shown(task: Task, scores: Mapping[str, float]) -> str:
  """Returns the headline of a task, and what is better if it is less."""
  lower = [name for name in task.metrics if name in KINDS[task.kind].lower]
  if task.headline in lower:
    each = (f"{name} {scores[name]:.1f}" for name in task.metrics)
    return f"{task.name} {', '.join(each)}"
  more = ", ".join(f"{name} {scores[name]:.1f}" for name in lower)
  return f"{task.name} {scores[task.headline]:.1f}" + f" ({more})" * bool(more)


@dataclasses.dataclass(frozen=True, eq=False)
class Scorebook:
  """Where the scores of all trials are kept.

  Attributes:
    workdir: the working directory.
    leases: of the command.
    rules: what the thresholds of tasks are chosen by; {} = there are none.
  """

  workdir: Workdir
  leases: Leases
  rules: Mapping[str, Rule] = dataclasses.field(default_factory=dict)

  def keep(
    self,
    run: Run,
    seed: int,
    kept: Kept,
    *,
    table: Mapping[str, Task],
    meta: Mapping[str, Any],
    coverage: Mapping[str, Any],
    taken_from: str = "",
  ) -> None:
    """Keeps the dev logits of a trial, and records the scores they make.

    Args:
      run: the run.
      seed: of the trial.
      kept: what it said.
      table: every task by its name.
      meta: what was noted when its parameters were saved.
      coverage: task -> split -> how much of its text the encoder reads.
      taken_from: the trial of another study that it is; "" = of none.
    """
    name = f"{run.name} seed {seed}"
    entry = score(name, kept, table)
    fitted, notes = calibrating.fit(kept, table, self.rules)
    entry |= {"calibration": fitted} if fitted else {}
    entry["warnings"] += [f"{name}: {note}" for note in notes]
    for warning in entry["warnings"]:
      say(warning)
    entry["coverage"] = dict(coverage)
    entry |= {"step": meta["step"], "seconds": round(meta["seconds"], 1)}
    # Most devices do not tell joules.
    for key in ("content", "flops", "joules"):
      entry |= {key: meta[key]} if meta.get(key) is not None else {}
    was = self.workdir.scores(run.name).get(str(seed), {})
    if not taken_from and was.get("content") == meta.get("content"):
      taken_from = was.get("taken_from", "")
    entry |= {"taken_from": taken_from} if taken_from else {}
    with distributed.leader_first(f"{run.name} seed {seed} scored"):
      if distributed.leader():
        folder = self.workdir.run(run.name)
        predictions.write(predictions.path(folder, seed), kept)
        with self.leases.writing():
          self.workdir.record(run.name, seed, entry)
    shown = ", ".join(
      _shown(table[name], entry["scores"][name]) for name in run.tasks
    )
    say(f"{run.name} seed {seed}: {shown}")
