"""What a teacher says of a student's windows, where it has read others.

Another tokenizer cuts a context into other tokens, another max_length into
other windows. What both have are the letters of the context: of where an answer
starts, a student's token takes the probability of all of the teacher's that
begin in it, and of where it ends, of all that end in it. What is left is the
probability that the answer is not in the window.
"""

import numpy as np

from bam_jax.data.ragged import offsets_of
from bam_jax.data.windows import Windows
from bam_jax.data.words import Words

# A probability that is as good as none, and has a logarithm.
_LEAST = 1e-6


def project(
  logits: np.ndarray,
  counts: np.ndarray,
  windows: Windows,
  words: Words,
  wanted: Windows,
) -> np.ndarray:
  """Returns the logits f32[M, 2] that a teacher has of a student's places.

  Where several of the teacher's windows have a token, the surest counts.

  Args:
    logits: f32[K, 2] of the teacher's places.
    counts: i64[N], how many its windows have.
    windows: whose they are.
    words: the student's places, M in all.
    wanted: whose those are; each question is one of the teacher's.
  """
  starts = offsets_of(counts)
  order = np.argsort(windows.source, kind="stable")
  edges = np.searchsorted(
    windows.source[order], [wanted.source, wanted.source + 1]
  )
  found = np.zeros((len(words.at), 2), np.float32)
  for row, (first, last) in enumerate(edges.T):
    mine = slice(*words.offsets[row : row + 2])
    chars = wanted.chars[mine]
    shares = np.zeros((len(chars), 2))
    for window in order[first:last]:
      theirs = slice(*starts[window : window + 2])
      said = _softmax(logits[theirs])[1:]
      there = _received(said, windows.chars[theirs][1:], chars[1:])
      np.maximum(shares[1:], there, out=shares[1:])
    shares[0] = 1 - shares[1:].sum(0)
    found[mine] = np.log(np.maximum(shares, _LEAST))
  return found


def _softmax(logits: np.ndarray) -> np.ndarray:
  shares = np.exp(logits - logits.max(0))
  return shares / shares.sum(0)


def _received(
  said: np.ndarray, theirs: np.ndarray, mine: np.ndarray
) -> np.ndarray:
  """Returns what of some tokens' probabilities others take, f64[S, 2].

  Args:
    said: f64[L, 2], of start and end.
    theirs: i32[L, 2], where the tokens begin and end.
    mine: i32[S, 2], where those do that take it.
  """
  found = np.zeros((len(mine), 2))
  if not len(mine) or not len(theirs):
    return found
  at = np.searchsorted(mine[:, 0], theirs[:, 0], side="right") - 1
  inside = (at >= 0) & (theirs[:, 0] < mine[at, 1])
  np.add.at(found[:, 0], at[inside], said[inside, 0])
  at = np.searchsorted(mine[:, 1], theirs[:, 1], side="left")
  last = np.minimum(at, len(mine) - 1)
  inside = (at < len(mine)) & (theirs[:, 1] > mine[last, 0])
  np.add.at(found[:, 1], at[inside], said[inside, 1])
  return found
