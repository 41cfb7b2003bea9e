"""Which rows of a train file are dev, where there is no file of dev."""

from collections.abc import Sequence
import hashlib

import numpy as np

from bam_jax.data.sources.examples import Examples
from bam_jax.data.sources.groups import together
from bam_jax.data.sources.splits import key_of
from bam_jax.tasks.table import Task


def dev_rows(
  texts: Sequence[Sequence[str]],
  share: float,
  *,
  among: np.ndarray,
  groups: Sequence[str] = (),
) -> np.ndarray:
  """Tells which rows are dev, bool[N], by a hash of their text or group.

  Equal rows and those of one group come to the same side, and no seed and no
  order of the rows moves any.

  Args:
    texts: one list of N strings per column.
    share: of the different rows among which dev is chosen; of groups those
      that make no more, and the smallest where each would.
    among: bool[N], those with a label; one without comes to the side of its
      equals.
    groups: N names; () = there are none.
  """
  rows = list(zip(*texts, strict=True))
  hashes = np.array(
    [_hash(name) for name in groups or map("\0".join, rows)], np.uint64
  )
  if groups:
    # What is chained by equal rows takes the least hash of its groups.
    chain = together(groups, rows)
    least = np.full(1 + chain.max(), 2**64 - 1, np.uint64)
    np.minimum.at(least, chain, hashes)
    hashes = least[chain]
  different = {row: at for at, row in enumerate(rows) if among[at]}
  kinds, sizes = np.unique(hashes[[*different.values()]], return_counts=True)
  wanted = left = round(share * len(different))
  taken = []
  for kind, size in zip(kinds, sizes, strict=True):
    if size <= left:
      taken.append(kind)
      left -= size
    if not left:
      break
  if wanted and not taken:
    taken = [kinds[sizes.argmin()]]
  return np.isin(hashes, np.array(taken, np.uint64))


def side(
  task: Task, examples: Examples, split: str, *, groups: Sequence[str] = ()
) -> Examples:
  """Returns the rows of a train file that are of a split, where all are gold.

  Args:
    task: with `own`.
    examples: all rows of the split's files.
    split: of them; all are its own unless `dev_share` divides the train file.
    groups: see `dev_rows`.

  Raises:
    ValueError: a side would have no rows.
  """
  share = task.own.dev_share
  if not share or key_of(task, split) != "train":
    return examples
  every = np.ones(len(examples), bool)
  mask = dev_rows(examples.texts, share, among=every, groups=groups)
  if mask.all() or not mask.any():
    raise ValueError(
      f"{task.own.file}: dev_share of {task.name} is {share}, which makes"
      f" {mask.sum()} of the {len(mask)} rows of {examples.origin} dev; leave"
      " some on both sides"
      + " (rows about the same stay together)"
      * bool(groups)
    )
  return examples.take(~mask if split == task.train else mask)


def _hash(text: str) -> int:
  return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
