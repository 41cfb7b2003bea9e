"""How unsure a model is of texts, and how far its trials disagree.

Disagreement is the information that a label would give on the parameters, as
far as the trials stand for them: the entropy of the mean answer less the mean
entropy of the answers (Houlsby et al. 2011, BALD). It is 0 where all trials say
the same, however unsure they are; the margin says how unsure that is.
"""

from collections.abc import Callable, Mapping
import dataclasses

import numpy as np
import scipy

from bam_jax.tasks import answers
from bam_jax.tasks.description import Head
from bam_jax.tasks.kinds import KINDS


@dataclasses.dataclass(frozen=True)
class Doubts:
  """What the trials of a model say together of N texts.

  Attributes:
    outputs: f64[N, C] of all trials together, which answers are read off.
    disagreement: f64[N], in nats, of numbers their standard deviation; 0 of
      one trial.
    margin: f64[N], from 0, as likely as not, to 1, sure; NaN of numbers.
  """

  outputs: np.ndarray
  disagreement: np.ndarray
  margin: np.ndarray


def _classes(logits: np.ndarray) -> Doubts:
  """One label a row: the best probability less the next."""
  each = scipy.special.softmax(logits, axis=-1)
  mean = each.mean(axis=0)
  entropy = scipy.special.entr
  gain = entropy(mean).sum(-1) - entropy(each).sum(-1).mean(axis=0)
  ranked = np.sort(mean, axis=-1)
  return Doubts(np.log(mean), gain.clip(0), ranked[:, -1] - ranked[:, -2])


def _labels(logits: np.ndarray) -> Doubts:
  """Several labels a row: of the label that is most in doubt."""
  each = scipy.special.expit(logits)
  mean = each.mean(axis=0)

  def entropy(p: np.ndarray) -> np.ndarray:
    return scipy.special.entr(p) + scipy.special.entr(1 - p)

  gain = entropy(mean) - entropy(each).mean(axis=0)
  return Doubts(
    scipy.special.logit(mean),
    gain.sum(-1).clip(0),
    np.abs(2 * mean - 1).min(axis=-1),
  )


def _values(values: np.ndarray) -> Doubts:
  """A number a row: only trials tell how sure it is."""
  mean = values.mean(axis=0)
  return Doubts(mean, values[..., 0].std(axis=0), np.full(len(mean), np.nan))


# What a kind answers by -> what is in doubt there.
_DOUBTS: Mapping[Callable, Callable[[np.ndarray], Doubts]] = {
  answers.labelled: _classes,
  answers.several: _labels,
  answers.valued: _values,
}


def known(head: Head) -> bool:
  """Tells whether doubts about a head's answers are known."""
  return KINDS[head.kind].answer in _DOUBTS


def of(head: Head, outputs: np.ndarray) -> Doubts:
  """Returns what the trials of a head say together.

  Args:
    head: whose outputs they are.
    outputs: f[R, N, C] of R trials.

  Raises:
    ValueError: nothing is said of a whole text there.
  """
  found = _DOUBTS.get(KINDS[head.kind].answer)
  if found is None:
    raise ValueError(
      f"{head.name} is of kind {head.kind}, which says more than one thing of "
      "a text; what to label next is known of classes, labels and numbers"
    )
  return found(np.asarray(outputs, np.float64))
