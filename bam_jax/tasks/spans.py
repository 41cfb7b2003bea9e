"""Answers that are a part of a context: which part, and what it earns.

A context that is too long is read in several windows. Of each the head says how
likely every token is to be the first and the last of the answer, and [CLS] that
the answer is not there.
"""

from collections.abc import Sequence
import dataclasses
import itertools

import numpy as np

from bam_jax.stats import squad
from bam_jax.tasks.answers import Answer, Meaning, Part

# Labels of a question, in the order of their numbers.
ANSWER, NONE = "answer", "none"
LABELS = (ANSWER, NONE)
# The columns of the head.
COLUMNS = ("start", "end")
# What a margin may be where there is no token to answer with.
_MOST = 1e30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
  """How contexts are read, and which answers there may be; see configs/common.

  Attributes:
    stride: tokens that neighbouring windows share at most.
    longest: tokens of an answer at most.
    threshold: by how much "no answer" has to be likelier, in logits.
  """

  stride: int
  longest: int
  threshold: float


@dataclasses.dataclass(frozen=True, eq=False)
class Asked:
  """What was read of Q questions, in N windows.

  Attributes:
    contexts: Q of them.
    source: i64[N], the question of each window; all of one follow each other.
    counts: i64[N], the places of each window, M in all: [CLS] and its tokens of
      the context.
    chars: i32[M, 2], where in the context each place begins and ends; (0, 0)
      for [CLS].
    limits: of answers.
  """

  contexts: Sequence[str]
  source: np.ndarray
  counts: np.ndarray
  chars: np.ndarray
  limits: Limits


@dataclasses.dataclass(frozen=True)
class Best:
  """The likeliest answer to each of Q questions, over all of its windows.

  Attributes:
    start: i64[Q], where in the context it begins.
    end: i64[Q], where it ends.
    probability: f64[Q], of both ends in the window it is from.
    margin: f64[Q], by how much "no answer" is likelier in the window where it
      is least so, in logits.
    none: f64[Q], the probability of "no answer" there.
  """

  start: np.ndarray
  end: np.ndarray
  probability: np.ndarray
  margin: np.ndarray
  none: np.ndarray


def best(outputs: np.ndarray, asked: Asked) -> Best:
  """Finds the likeliest answer to each question.

  Args:
    outputs: f[M, 2], logits of start and end at each place.
    asked: what was read.
  """
  start, end = np.asarray(outputs, np.float64).T
  first = np.cumsum(asked.counts) - asked.counts
  window = np.repeat(np.arange(len(first)), asked.counts)
  letters = asked.chars[:, 1] > asked.chars[:, 0]
  top = np.full(len(start), -np.inf)
  last = np.arange(len(start))
  for more in range(min(asked.limits.longest, len(start))):
    a, b = slice(0, len(start) - more), slice(more, None)
    able = (window[a] == window[b]) & letters[a] & letters[b]
    found = np.where(able, start[a] + end[b], -np.inf)
    better = found > top[a]
    top[a][better] = found[better]
    last[a][better] = np.flatnonzero(better) + more
  log_start = _log_softmax(start, first, window)
  log_end = _log_softmax(end, first, window)
  nothing = (start + end)[first]
  # Where each question's windows, and their places, begin.
  opens = np.flatnonzero(np.diff(asked.source, prepend=-1))
  bounds = [*opens.tolist(), len(first)]
  edges = [*first[opens].tolist(), len(start)]
  at = np.array(
    [
      low + int(top[low:high].argmax())
      for low, high in itertools.pairwise(edges)
    ],
    np.int64,
  )
  least = np.array(
    [
      low + int(nothing[low:high].argmin())
      for low, high in itertools.pairwise(bounds)
    ],
    np.int64,
  )
  there = np.isfinite(top[at])
  chosen = np.where(there, top[at], 0.0)
  return Best(
    start=np.where(there, asked.chars[at, 0], 0),
    end=np.where(there, asked.chars[last[at], 1], 0),
    probability=np.where(there, np.exp(log_start[at] + log_end[last[at]]), 0.0),
    margin=np.where(there, nothing[least] - chosen, _MOST),
    none=np.exp((log_start + log_end)[first[least]]),
  )


def _log_softmax(
  values: np.ndarray, first: np.ndarray, window: np.ndarray
) -> np.ndarray:
  """Returns log-probabilities f64[M] over the places of each window."""
  values = values - np.maximum.reduceat(values, first)[window]
  return values - np.log(np.add.reduceat(np.exp(values), first))[window]


def answered(
  meaning: Meaning, outputs: np.ndarray, asked: Asked
) -> list[Answer]:
  """Returns the answer to each question, as a part of its context.

  Args:
    meaning: whose labels say whether there may be none.
    outputs: f64[M, 2].
    asked: what was read of the questions.
  """
  if not len(asked.source):
    return []
  found = best(outputs, asked)
  none = _says_none(meaning, found.margin - asked.limits.threshold)
  answers = []
  for number, context in enumerate(asked.contexts):
    if none[number]:
      part = Part(None, None, "", float(found.none[number]))
    else:
      a, b = int(found.start[number]), int(found.end[number])
      part = Part(a, b, context[a:b], float(found.probability[number]))
    answers.append(Answer(part=part))
  return answers


def outcomes(
  meaning: Meaning,
  outputs: np.ndarray,
  asked: Asked,
  golds: Sequence[Sequence[str]],
) -> np.ndarray:
  """Returns what each question's answer earns, f32[Q, 3]; see `stats.squad`.

  Args:
    meaning: whose labels say by which version's rules.
    outputs: f32[M, 2].
    asked: what was read of the questions.
    golds: their answers; () = a question has none.
  """
  found, version = best(outputs, asked), len(meaning.labels)
  rows = np.zeros((len(golds), 3), np.float32)
  for number, (context, gold) in enumerate(
    zip(asked.contexts, golds, strict=True)
  ):
    said = context[int(found.start[number]) : int(found.end[number])]
    if gold:
      rows[number, :2] = (
        squad.exact(said, gold, version=version),
        squad.f1(said, gold, version=version),
      )
  rows[:, squad.MARGIN] = found.margin - asked.limits.threshold
  return rows


def said(meaning: Meaning, kept: np.ndarray) -> np.ndarray:
  """Returns what metrics take of what was kept, f[..., Q, 3].

  Args:
    meaning: whose labels say whether there may be no answer.
    kept: f[..., Q, 3] from `outcomes`.
  """
  found = np.array(kept, np.float64)
  found[..., squad.MARGIN] = _says_none(meaning, found[..., squad.MARGIN])
  return found


def _says_none(meaning: Meaning, margin: np.ndarray) -> np.ndarray:
  return (margin > 0) & (NONE in meaning.labels)
