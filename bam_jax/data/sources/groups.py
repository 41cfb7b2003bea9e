"""Which rows go together, where rows are divided into those kept and others."""

from collections.abc import Hashable, Iterable

import numpy as np


def numbered(keys: Iterable[Hashable]) -> np.ndarray:
  """Numbers equal keys alike, by their first place: i64[N]."""
  numbers: dict = {}
  return np.array(
    [numbers.setdefault(key, len(numbers)) for key in keys], np.int64
  )


def together(*columns: Iterable[Hashable]) -> np.ndarray:
  """Numbers alike the rows that share a key, or are chained by such: i64[N].

  Args:
    *columns: of N keys each; a key is shared within its column.
  """
  # Slow to import, and most runs divide no rows.
  from scipy import sparse

  keys = [numbered(column) for column in columns]
  rows, edges, nodes = len(keys[0]), [], len(keys[0])
  for column in keys:
    edges.append(np.stack([np.arange(rows), nodes + column]))
    nodes += 1 + int(column.max(initial=-1))
  ends = np.concatenate(edges, 1)
  graph = sparse.coo_array((np.ones(ends.shape[1]), ends), (nodes, nodes))
  _, found = sparse.csgraph.connected_components(graph, directed=False)
  return numbered(found[:rows].tolist())
