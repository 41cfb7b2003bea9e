"""SQuAD's official rules: when an answer is the same as another, and how near.

Answers are compared without case, punctuation, articles and spaces; of several
gold answers the best counts (Rajpurkar et al. 2016 and 2018). Needs no JAX.
"""

from collections import Counter
from collections.abc import Callable, Sequence
import re
import string

import numpy as np

from bam_jax.stats.weighted import Score, ratio

# What is kept of each question: what the likeliest answer earns by each of the
# two metrics, in [0, 1], and by how much "no answer" is likelier.
EXACT, F1, MARGIN = range(3)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_MARKS = str.maketrans("", "", string.punctuation)


def normalised(answer: str) -> str:
  """Returns an answer as it is compared."""
  return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_MARKS)).split())


def exact(said: str, golds: Sequence[str], *, version: int) -> float:
  """Returns 1 where an answer is one of the gold ones, else 0.

  Args:
    said: the answer.
    golds: one or more.
    version: of the rules. By those of 2 a gold answer that is all articles and
      punctuation counts only where there is no other.
  """
  return float(normalised(said) in _compared(golds, version))


def f1(said: str, golds: Sequence[str], *, version: int) -> float:
  """Returns the best F1 of the words that an answer shares with a gold one.

  Args:
    said: the answer.
    golds: one or more.
    version: of the rules; see `exact`. Two answers without a word share nothing
      by those of 1, and all by those of 2.
  """
  mine, best = normalised(said).split(), 0.0
  for theirs in (gold.split() for gold in _compared(golds, version)):
    if same := (Counter(mine) & Counter(theirs)).total():
      best = max(best, 2 * same / (len(mine) + len(theirs)))
    elif version > 1 and not mine and not theirs:
      best = 1.0
  return best


def _compared(golds: Sequence[str], version: int) -> list[str]:
  found = [normalised(gold) for gold in golds]
  if version > 1 and any(found):
    found = [gold for gold in found if gold]
  return found


def earned(said: np.ndarray, gold: np.ndarray, metric: int) -> np.ndarray:
  """Returns what each question earns, f[..., Q] in [0, 1].

  Args:
    said: f[..., Q, 3]: EXACT and F1 of the likeliest answer, and 1 where "no
      answer" is said in its place.
    gold: [Q, 3], 1 where a question has none.
    metric: EXACT or F1.
  """
  none = said[..., MARGIN] > 0
  return np.where(none, gold[..., MARGIN] == 1, said[..., metric])


def scorer(metric: int, *, only: int | None = None) -> Callable:
  """Returns the weighted form of a metric.

  Args:
    metric: EXACT or F1.
    only: of questions that have an answer (0) or none (1); None = of all.
  """

  def weighted(said: np.ndarray, gold: np.ndarray) -> Score:
    mine = earned(said, gold, metric).T.astype(np.float64)
    counts = np.ones(len(gold)) if only is None else gold[:, MARGIN] == only
    counts = counts.astype(np.float64)[:, None]

    def score(weights: np.ndarray) -> np.ndarray:
      above = weights @ (counts * mine)
      return ratio(above, np.broadcast_to(weights @ counts, above.shape))

    return score

  return weighted


SCORERS: dict[str, Callable[[np.ndarray, np.ndarray], Score]] = {
  "answer_f1": scorer(F1),
  "answer_exact": scorer(EXACT),
  "has_answer_f1": scorer(F1, only=0),
  "has_answer_exact": scorer(EXACT, only=0),
  "no_answer": scorer(EXACT, only=1),
}
