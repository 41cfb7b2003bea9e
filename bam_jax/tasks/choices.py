"""What a head says of the candidates of a question."""

from collections.abc import Sequence

import numpy as np
import scipy

from bam_jax.tasks.answers import Answer, Candidate, Meaning, Read


def probabilities(scores: np.ndarray, words: np.ndarray) -> list[np.ndarray]:
  """Returns the softmax over the candidates of each question, f64[W] of each.

  Args:
    scores: f[M] of all candidates.
    words: i64[N], how many each question has.
  """
  parts = np.split(np.float64(scores), np.cumsum(words)[:-1])
  return [scipy.special.softmax(part) for part in parts]


def mean(scores: np.ndarray, words: np.ndarray) -> np.ndarray:
  """Averages in probability space: the softmax of it is the mean softmax.

  Args:
    scores: f32[K, M, 1] of K teachers.
    words: i64[N], how many candidates each question has, M in all.

  Returns:
    f32[M, 1].
  """
  shares = [np.concatenate(probabilities(each[:, 0], words)) for each in scores]
  tiny = np.finfo(np.float64).tiny
  found = np.log(np.maximum(np.mean(shares, axis=0), tiny))
  return found[:, None].astype(np.float32)


def ranked(
  meaning: Meaning, scores: np.ndarray, read: Sequence[Read]
) -> list[Answer]:
  """Returns the candidates of each question, the best first.

  Args:
    meaning: of the task.
    scores: f64[M, 1] of all candidates.
    read: the texts, and where their M candidates are.
  """
  counts = np.array([len(each.words) for each in read], np.int64)
  parts = np.split(scores[:, 0], np.cumsum(counts)[:-1])
  found = []
  shares = probabilities(scores[:, 0], counts)
  for each, mine, share in zip(read, parts, shares, strict=True):
    best = np.argsort(-mine, kind="stable").tolist()
    found.append(
      Answer(
        candidates=tuple(
          Candidate(
            text=each.text[slice(*each.words[index].tolist())],
            rank=rank,
            index=index,
            score=float(mine[index]),
            probability=float(share[index]),
          )
          for rank, index in enumerate(best, 1)
        )
      )
    )
  return found


def chosen(
  meaning: Meaning, scores: np.ndarray, read: Sequence[Read]
) -> list[Answer]:
  """Returns the same, and which candidate is taken; see `ranked`."""
  return [
    Answer(label=each.candidates[0].text, candidates=each.candidates)
    for each in ranked(meaning, scores, read)
  ]
