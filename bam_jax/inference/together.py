"""Models asked together: trials of a run, or of several runs.

Their mean answers, and how far they disagree is said.
"""

from collections import Counter
from collections.abc import Sequence
import dataclasses
from pathlib import Path

import numpy as np

from bam_jax.inference import model as inference
from bam_jax.inference import uncertainty
from bam_jax.inference.model import Model
from bam_jax.tasks import description
from bam_jax.tasks.answers import Answer
from bam_jax.tasks.description import Head
from bam_jax.training.checkpoint import trials

# Of a run's trials: all of them.
EVERY = "all"


@dataclasses.dataclass(frozen=True)
class Together:
  """Several trials, of one run or of several.

  Attributes:
    models: each of them.
    heads: what they can be asked together, by task; the calibrations are those
      of the first.
    left: why other heads of theirs cannot; "" = there are none.
  """

  models: Sequence[Model]
  heads: dict[str, Head]
  left: str = ""

  fitting = Model.fitting

  def answers(
    self, tasks: Sequence[str], texts: Sequence[Sequence[str]]
  ) -> dict[str, list[Answer]]:
    """Returns each task's N answers, with the disagreement of the trials.

    A trial is tempered by its own calibration. Thresholds are of one trial, not
    of the mean, so that labels are said from one half.

    Args:
      tasks: names of heads that read as many texts.
      texts: one or two columns of N texts.
    """
    said = [model.logits(tasks, texts) for model in self.models]
    found = {}
    for name in tasks:
      outputs = [
        model.heads[name].tempered(each[name])
        for model, each in zip(self.models, said, strict=True)
      ]
      plain = dataclasses.replace(self.heads[name], calibration=None)
      doubts = uncertainty.of(plain, np.stack(outputs))
      found[name] = [
        dataclasses.replace(answer, disagreement=float(doubt))
        for answer, doubt in zip(
          description.answers(plain, doubts.outputs),
          doubts.disagreement,
          strict=True,
        )
      ]
    return found


def prepare(
  paths: Sequence[Path], task: str, trial: int | str | None
) -> tuple[Together, list[str]]:
  """Returns trials of runs and the tasks that are asked of all of them.

  Args:
    paths: the runs, W/runs/NAME, or directories made by bam_jax.export.
    task: one, or "all" of those that the models can be asked together.
    trial: the seed of each run's trial; None = the best on dev, "all" =
      all that are finished.

  Raises:
    ValueError: they are not several, or cannot be asked that together.
  """
  if twice := [path for path, n in Counter(paths).items() if n > 1]:
    raise ValueError(f"--run={twice[0]} is given twice; give each run once")
  models = [
    inference.prepare(path, task, seed)[0]
    for path in paths
    for seed in (_finished(path) if trial == EVERY else (trial,))
  ]
  if len(models) < 2:
    raise ValueError(
      f"--trial=all asks several, and {paths[0]} has finished {len(models)};"
      " train more (--config.trials=5), or leave it out"
    )
  known = tuple(models[0].heads.values())
  if task != inference.ALL:
    known = (description.find(known, task),)
  unfit = {head.name: _unfit(head, models) for head in known}
  heads = {head.name: head for head in known if not unfit[head.name]}
  why = ", ".join(reason for reason in unfit.values() if reason)
  if not heads:
    raise ValueError(f"{why}; ask one model: one --run without --trial=all")
  return Together(models, heads, why), list(heads)


def _finished(path: Path) -> list[int]:
  """Returns the trials of a run.

  Raises:
    ValueError: it has none.
  """
  if found := trials(path / "checkpoints"):
    return found
  raise ValueError(
    f"--trial=all asks the trials of a run, and {path} has none that is"
    " finished; give a run like W/runs/NAME, or leave it out"
  )


def _unfit(head: Head, models: Sequence[Model]) -> str:
  """Returns why models cannot be asked a task together; "" = they can."""
  if not uncertainty.known(head):
    return (
      f"{head.name} is of kind {head.kind}, and models answer classes, labels"
      " and numbers together"
    )
  for model in models:
    other = model.heads.get(head.name)
    if other is None:
      return f"one of the runs has no {head.name}"
    for what in ("kind", "text", "labels", "range"):
      ours, theirs = getattr(head, what), getattr(other, what)
      if ours != theirs:
        return f"{head.name} has {what} {ours} in one run, {theirs} in another"
  return ""
