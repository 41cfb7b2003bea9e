"""What is kept of a model's outputs on dev: they themselves, or what they earn.

Scores and tests read what is kept, and need neither the model nor the text.
"""

from collections.abc import Callable, Mapping

import numpy as np

from bam_jax.data.features import Features
from bam_jax.stages.session import Session
from bam_jax.study.predictions import Predictions
from bam_jax.tasks import spans
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task
from bam_jax.training import contrastive


def keep(
  session: Session, task: Task, split: str, rows: Features, said: np.ndarray
) -> Predictions:
  """Returns what is kept of what one trial says of a scored split.

  Args:
    session: the session.
    task: the task.
    split: its name; "holdout" is a part of train.
    rows: of it.
    said: f32[N, C] of the rows, or f32[M, C] of their words.
  """
  return KEPT[KINDS[task.kind].kept](session, task, split, rows, said)


def _outputs(session, task, split, rows, said) -> Predictions:
  return Predictions(
    rows.index, said, rows.labels, rows.words and rows.words.counts
  )


def _outcomes(session, task, split, rows, said) -> Predictions:
  """Of each question what the answer from all of its windows earns."""
  config = session.config
  held = config.data.holdout and split not in task.splits
  examples = session.materials.texts.see(task, task.train if held else split)
  numbers, source = np.unique(rows.windows.source, return_inverse=True)
  asked = spans.Asked(
    contexts=[examples.texts[1][number] for number in numbers],
    source=source,
    counts=rows.words.counts,
    chars=rows.windows.chars,
    limits=spans.Limits(**config.span),
  )
  golds = [[text for text, _ in examples.answers[each]] for each in numbers]
  return Predictions(
    numbers, spans.outcomes(task, said, asked, golds), examples.labels[numbers]
  )


def _sums(session, task, split, rows, said) -> Predictions:
  """Of each part of a document what its masked tokens sum to."""
  return Predictions(rows.index, said, np.zeros(len(rows), np.float32))


def _pairs(session, task, split, rows, said) -> Predictions:
  """Of each pair its cosine, what it loses, and whether that counts."""
  near, made = said.T
  loss, number = contrastive.named(task.learn.loss)
  lost, counts = loss.lost(made, rows.labels, number)
  kept = np.stack([near, np.where(counts, lost, 0.0), counts], axis=1)
  return Predictions(rows.index, np.float32(kept), rows.labels)


# What a kind keeps, by its name -> how that is made.
KEPT: Mapping[str, Callable[..., Predictions]] = {
  "outputs": _outputs,
  "outcomes": _outcomes,
  "sums": _sums,
  "pairs": _pairs,
}
