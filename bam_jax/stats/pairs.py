"""How near vectors of pairs of texts are, held against who says so. No JAX."""

import numpy as np

# What is kept of each pair: the cosine of its vectors, what it loses, and
# whether that counts.
COLUMNS = COSINE, LOSS, COUNTS = range(3)


def loss(kept: np.ndarray) -> float:
  """Returns the mean loss of the pairs that count, f[N, 3]; 0 of none."""
  count = np.float64(kept[:, COUNTS])
  return float(np.float64(kept[:, LOSS]) @ count / max(count.sum(), 1.0))


def accuracy(near: np.ndarray, alike: np.ndarray) -> float:
  """Returns the share that the best threshold of cosines tells right.

  It is chosen on the same pairs, so it is an upper bound.

  Args:
    near: f[N].
    alike: f[N] of 0 and 1.
  """
  order = np.argsort(-near, kind="stable")
  right = np.cumsum(alike[order])
  # The first k are called alike, from none to all; equal ones together.
  k = np.arange(len(near) + 1)
  found = np.append(0, right)
  good = found + (len(near) - alike.sum()) - (k - found)
  cosines = near[order]
  ends = np.append(cosines[1:] < cosines[:-1], True)
  return float(good[np.append(True, ends)].max() / len(near))
