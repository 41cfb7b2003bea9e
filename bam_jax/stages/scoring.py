"""Scores trials on what they are held against, and records what they said."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from bam_jax.data.features import width_of
from bam_jax.runtime import distributed
from bam_jax.runtime.console import bar, say
from bam_jax.stages.lessons import Lessons
from bam_jax.study import predictions
from bam_jax.study.claims import Claims
from bam_jax.study.plan import Run
from bam_jax.tasks import coverage
from bam_jax.tasks.table import Task
from bam_jax.training import evaluate
from bam_jax.training import loop as train


@dataclasses.dataclass
class Scoring(Lessons):
  """The scores of an experiment's trials.

  Attributes:
    stop: asked while training; True ends the run after saving.
  """

  stop: Callable[[], bool]

  @functools.cached_property
  def claims(self) -> Claims:
    """What of the work is this command's."""
    return Claims(self.workdir.path, share=self.config.share)

  def score(
    self, run: Run, seed: int, params: Any, meta: Mapping[str, Any]
  ) -> None:
    """Scores one trial of a run on dev and records it.

    One at a time, so that the numbers do not depend on which trials were
    trained, or were left unscored, together.

    Args:
      run: the run.
      seed: of the trial.
      params: its parameters, [1, ...].
      meta: what was noted when they were saved.
    """
    datasets = self.scored(run)
    logits = self.forward(run, params, datasets, "evaluates")
    kept = {
      (task.name, split): predictions.Predictions(
        rows.index, logits[task.name, split][0], rows.labels
      )
      for task, split, rows in datasets
    }
    was = self.workdir.scores(run.name).get(str(seed), {})
    taken = {}
    if was.get("content") == meta.get("content") and "taken_from" in was:
      taken["taken_from"] = was["taken_from"]
    self.keep(run, seed, kept, meta, **taken)

  def keep(
    self,
    run: Run,
    seed: int,
    kept: Mapping[tuple[str, str], predictions.Predictions],
    meta: Mapping[str, Any],
    **taken: str,
  ) -> None:
    """Keeps the dev logits of a trial, and records the scores they make.

    Args:
      run: the run.
      seed: of the trial.
      kept: (task, split) -> what it said.
      meta: what was noted when its parameters were saved.
      **taken: `taken_from`, where another study has trained it.
    """
    entry: dict[str, Any] = {"scores": {}, "examples": {}, "warnings": []}
    for (name, split), rows in kept.items():
      task = self.table[name]
      mine = entry["scores"].setdefault(name, {})
      answers = rows.logits
      found = evaluate.scores(task, answers, rows.labels)
      # The split that tables show has the bare names.
      mine |= {f"{split}/{k}" if mine else k: v for k, v in found.items()}
      entry["examples"].setdefault(name, len(answers))
      if np.ptp(answers, axis=0).max() < 1e-6 and len(answers) > 1:
        entry["warnings"].append(
          f"{run.name} seed {seed} answers all {len(answers)} {name} {split} "
          "rows alike: it has learnt nothing; try another rate or more steps"
        )
    for warning in entry["warnings"]:
      say(warning)
    entry["coverage"] = {
      task.name: coverage.record(self.corpus.coverage(task))
      for task in self.tasks_of(run)
    }
    entry |= {"step": meta["step"], "seconds": round(meta["seconds"], 1)}
    # Trials that an earlier version trained have none; most devices do not
    # tell joules.
    for key in ("content", "flops", "joules"):
      entry |= {key: meta[key]} if meta.get(key) is not None else {}
    entry |= taken
    with distributed.leader_first(f"{run.name} seed {seed} scored"):
      if distributed.leader():
        predictions.write(
          predictions.path(self.workdir.run(run.name), seed), kept
        )
        with self.claims.writing():
          self.workdir.record(run.name, seed, entry)
    shown = ", ".join(
      f"{task.name} {entry['scores'][task.name][task.headline]:.1f}"
      for task in self.tasks_of(run)
    )
    say(f"{run.name} seed {seed}: {shown}")

  def scored(self, run: Run) -> list[tuple[Task, str, Any]]:
    """Returns (task, split, rows) of all that a run is scored on."""
    return [
      (task, split, rows)
      for task in self.tasks_of(run)
      for split, rows in self.corpus.scored(task).items()
    ]

  def headlines(self, run: Run, params: Any) -> list[dict[str, float]]:
    """Returns {task: headline score} of each trial, while it trains."""
    datasets = {
      task.name: (task, s, r) for task, s, r in self.scored(run)[::-1]
    }
    # Reversed, so that of a task's splits the one that tables show stays.
    shown = [datasets[name] for name in run.tasks]
    logits = self.logits(run, params, shown, progress=lambda n: None)
    return [
      {
        task.name: evaluate.scores(
          task, logits[task.name, split][trial], r.labels
        )[task.headline]
        for task, split, r in shown
      }
      for trial in range(len(jax.tree.leaves(params)[0]))
    ]

  def forward(
    self, run: Run, params: Any, datasets: Sequence, text: str
  ) -> dict[tuple[str, str], np.ndarray]:
    """Returns the logits f32[R, N, C] of every (task, split), with a bar."""
    total = sum(len(rows) for _, _, rows in datasets)
    with bar(run.name, total, text=text) as progress:
      return self.logits(run, params, datasets, progress=self.asking(progress))

  def logits(
    self, run: Run, params: Any, datasets: Sequence, *, progress: Callable
  ) -> dict[tuple[str, str], np.ndarray]:
    """Returns the logits f32[R, N, C] of every (task, split)."""
    return evaluate.evaluate(
      self.model(run),
      params,
      datasets,
      width=width_of(
        (rows for _, _, rows in datasets), at_most=self.config.max_length
      ),
      batch_size=self.config.eval_batch_size,
      packing=self.config.data.packing,
      mesh=self.mesh,
      progress=progress,
    )

  def asking(self, progress: Callable[[int], None]) -> Callable[[int], None]:
    """Returns `progress` that also asks whether to stop."""

    def advance(n: int) -> None:
      progress(n)
      if self.stop():
        raise train.Stopped("stopped between two batches")

    return advance
