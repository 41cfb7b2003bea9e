"""Entities that tags of words say, counted example by example.

Tags are numbers: -1 no word, 0 outside, 2k + 1 begins an entity of type k and
2k + 2 goes on with it. Needs no JAX.
"""

from collections.abc import Callable, Sequence

import numpy as np

from bam_jax.stats.weighted import Score, ratio


def names(tags: np.ndarray) -> list[list[str]]:
  """Returns the tags of each row as seqeval reads them.

  Args:
    tags: i[N, W].
  """
  return [[_name(int(tag)) for tag in row if tag >= 0] for row in tags]


def _name(tag: int) -> str:
  return f"{'IB'[tag % 2]}-{(tag - 1) // 2}" if tag else "O"


def counts(
  predicted: np.ndarray, gold: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns how many entities are said and right, said, and there.

  Args:
    predicted: i[R, N, W].
    gold: i[N, W].

  Returns:
    f[N, R], f[N, R] and f[N, 1].
  """
  # Slow to import, with scikit-learn; nothing trains with it.
  from seqeval.metrics.sequence_labeling import get_entities

  there = [set(get_entities(row)) for row in names(gold)]
  hit, said = np.zeros((2, len(there), len(predicted)))
  for trial, rows in enumerate(predicted):
    for row, tags in enumerate(names(rows)):
      mine = set(get_entities(tags))
      hit[row, trial], said[row, trial] = len(mine & there[row]), len(mine)
  return hit, said, np.array([[float(len(each))] for each in there])


def scorer(parts: Callable[[Sequence[np.ndarray]], tuple]) -> Callable:
  """Returns the weighted form of a metric of entities.

  Args:
    parts: (hit, said, there), f[D, R] each -> what is divided by what.
  """

  def weighted(predicted: np.ndarray, gold: np.ndarray) -> Score:
    found = counts(predicted, gold)

    def score(weights: np.ndarray) -> np.ndarray:
      above, below = parts(*(weights @ each for each in found))
      return ratio(above, np.broadcast_to(below, above.shape))

    return score

  return weighted


def word_accuracy(predicted: np.ndarray, gold: np.ndarray) -> Score:
  """Returns the weighted share of words whose tag is right."""
  words = gold >= 0
  right = ((predicted == gold) & words).sum(-1).T.astype(np.float64)
  number = words.sum(-1)[:, None].astype(np.float64)
  return lambda weights: (weights @ right) / np.maximum(weights @ number, 1)


SCORERS = {
  "span_f1": scorer(lambda hit, said, there: (2 * hit, said + there)),
  "span_precision": scorer(lambda hit, said, there: (hit, said)),
  "span_recall": scorer(lambda hit, said, there: (hit, there)),
  "word_accuracy": word_accuracy,
}
