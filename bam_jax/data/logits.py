"""Keeps teacher logits as TFDS datasets on disk.

They are refused where they were made for anything else than this run has, or by
another teacher.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bam_jax.data import shards
from bam_jax.data.sources import examples
from bam_jax.runtime.sealed import IntegrityError

_LOGITS = {"index": np.int64, "logits": shards.vector(np.float32)}


def write(
  path: Path, *, index: np.ndarray, logits: np.ndarray, metadata: Mapping
) -> None:
  """Writes a teacher's logits of one task as a TFDS dataset.

  Args:
    path: the folder to make.
    index: i64[N] example numbers, swapped copies of N/2 examples from N/2 on.
    logits: f32[N, C] before the softmax; regression: the value in [0, 1].
    metadata: what they were made from (JSON values): the teacher's config
      hash, the tokenizer's hash, the source's fingerprint, "rows" (N), labels.

  Raises:
    ValueError: a logit is not finite, or there are logits in `path` already.
  """
  assert logits.ndim == 2 and len(index) == len(logits) == metadata["rows"]
  path = Path(path)
  if path.exists():
    raise ValueError(f"{path} holds teacher logits already; delete it first")
  broken = index[~np.isfinite(logits).all(1)]
  if len(broken):
    raise ValueError(
      f"the teacher's logits for {path} are not finite at row "
      f"{examples.some(broken)}; its training has diverged: train it again "
      "with a lower rate"
    )
  numbers, values = index.astype(np.int64), logits.astype(np.float32)
  rows = (
    [
      {"index": number, "logits": value}
      for number, value in zip(
        numbers[at : at + shards.CHUNK],
        values[at : at + shards.CHUNK],
        strict=True,
      )
    ]
    for at in range(0, len(index), shards.CHUNK)
  )
  shards.write(
    path,
    name="logits",
    columns=_LOGITS,
    splits={"train": rows},
    metadata=metadata,
  )


def read(path: Path, *, expected: Mapping) -> tuple[np.ndarray, np.ndarray]:
  """Reads a teacher's logits back, if they belong to this run.

  Args:
    path: the folder `write` made.
    expected: what each entry of the metadata has to be.

  Returns:
    index i64[N] = 0 .. N-1, and logits f32[N, C] in this order.

  Raises:
    FileNotFoundError: nothing is there.
    IntegrityError: they are damaged, incomplete, or another run's.
  """
  path = Path(path)
  if not path.exists():
    raise FileNotFoundError(
      f"no teacher logits in {path}; run with --config.stage=teach first"
    )
  builder = shards.open_dataset(path, _LOGITS)
  differs = shards.differences(builder.info.metadata, expected)
  if differs:
    raise IntegrityError(
      f"the teacher logits in {path} do not fit this run: {differs}",
      f"set the run as the teacher was, or delete {path} and teach again",
    )
  index, logits = [], []
  for rows in shards.rows(builder, "train"):
    index.append(
      shards.flat([row["index"].int64_list.value for row in rows], int)
    )
    values = [row["logits"].float_list.value for row in rows]
    logits.append(shards.flat(values, np.float32).reshape(len(rows), -1))
  index, logits = np.concatenate(index), np.concatenate(logits)
  wrong = examples.uncovered(index, builder.info.metadata["rows"])
  if wrong:
    raise IntegrityError(
      f"the teacher logits in {path} {wrong}",
      f"delete {path} and teach again",
    )
  order = np.argsort(index)
  return index[order], logits[order]
