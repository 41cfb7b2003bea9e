"""What rows count by their class, where classes are of different sizes."""

import numpy as np

BALANCED = "balanced"


def parse(said: str) -> list[float] | None:
  """Returns the weight of each class, in their order; None = balanced.

  Args:
    said: "balanced", or numbers with a slash between them, such as "1/3".

  Raises:
    ValueError: it is neither, or a number is not above 0.
  """
  if said == BALANCED:
    return None
  try:
    found = [float(part) for part in said.split("/")]
  except ValueError:
    found = [np.nan]
  if not all(0 < number < np.inf for number in found):
    raise ValueError(f"{said!r} is neither {BALANCED} nor numbers above 0")
  return found


def emphasis(said: str, labels: np.ndarray) -> np.ndarray:
  """Returns what each row counts, f32[N]; 1 where it has no label.

  Balanced, each class counts as much as another, and the rows 1 in the mean
  (scikit-learn's "balanced").

  Args:
    said: see `parse`.
    labels: f32[N], class numbers, NaN where there is none.
  """
  known = ~np.isnan(labels)
  mine = labels[known].astype(np.int64)
  weights = parse(said)
  if weights is None:
    counts = np.bincount(mine)
    there = max(np.count_nonzero(counts), 1)
    weights = len(mine) / np.maximum(there * counts, 1)
  found = np.ones(len(labels), np.float32)
  found[known] = np.asarray(weights, np.float32)[mine]
  return found
