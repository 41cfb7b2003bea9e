"""Which rows go together, where rows are divided into those kept and others."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from bam_jax.runtime.spelling import shown
from bam_jax.tasks import labels


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


def name_of(column: str, where: str, record: Mapping[str, Any]) -> str:
  """Returns what the group of a row is called.

  Args:
    column: that names it.
    where: the row stands, for messages.
    record: the row.

  Raises:
    ValueError: it names none.
  """
  try:
    name = labels.name(record[column])
  except ValueError as error:
    raise ValueError(
      f"{where}, column {column!r}: {shown(record[column])} names no group"
      f" ({error})"
    ) from None
  if not name:
    raise ValueError(
      f"{where}, column {column!r}: this row names no group; give it one, its"
      " own if it goes with no other"
    )
  return name
