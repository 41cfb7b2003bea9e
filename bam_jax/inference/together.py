"""The trials of a run, asked together: their mean and their disagreement."""

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


@dataclasses.dataclass(frozen=True)
class Together:
  """Several trials of a run.

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


def prepare(path: Path, task: str) -> tuple[Together, list[str]]:
  """Returns all finished trials of a run and the tasks that are asked of them.

  Args:
    path: the run, W/runs/NAME.
    task: one, or "all" of those that the trials can be asked together.

  Raises:
    ValueError: it is no run of several trials, or lacks that task.
  """
  seeds = trials(path / "checkpoints")
  if len(seeds) < 2:
    raise ValueError(
      f"--trial=all asks several, and {path} has finished {len(seeds)}; train "
      "more (--config.trials=5), or leave it out"
    )
  models = [inference.load(path, trial=seed) for seed in seeds]
  known = tuple(models[0].heads.values())
  if task != inference.ALL:
    known = (description.find(known, task),)
  heads = {head.name: head for head in known if uncertainty.known(head)}
  left = [f"{h.name} is of kind {h.kind}" for h in known if h.name not in heads]
  why = f"{', '.join(left)}; trials answer classes, labels and numbers together"
  if not heads:
    raise ValueError(f"{why}: leave out --trial=all")
  return Together(models, heads, why if left else ""), list(heads)
