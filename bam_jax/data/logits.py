"""Keeps teacher logits as TFDS datasets on disk.

They are refused where they were made for anything else than this run has, or by
another teacher.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
import dataclasses
import itertools
from pathlib import Path

import numpy as np

from bam_jax.data import shards
from bam_jax.data.ragged import offsets_of, spans
from bam_jax.data.sources import examples
from bam_jax.data.windows import Windows
from bam_jax.runtime.sealed import IntegrityError

_LOGITS = {"index": np.int64, "logits": shards.vector(np.float32)}
# Where words are labelled: how many a row has, whichever of them were read.
_WORDS = {"words": np.int64}


@dataclasses.dataclass(frozen=True)
class Logits:
  """What a teacher says of the rows of a task.

  Attributes:
    index: i64[N] example numbers.
    values: f32[N, C] before the softmax; regression: the value in [0, 1]. Where
      words are labelled f32[M, C] of all words of all rows, NaN for those that
      the teacher has not read.
    words: i64[N], how many words each row has, M in all; None = rows are
      labelled.
    windows: where rows are windows, of what; None = they are rows.
  """

  index: np.ndarray
  values: np.ndarray
  words: np.ndarray | None = None
  windows: Windows | None = None

  def take(self, rows: np.ndarray) -> Logits:
    """Returns the given rows i[K], in the given order."""
    if self.words is None:
      return Logits(self.index[rows], self.values[rows])
    mine = spans(offsets_of(self.words)[rows], self.words[rows])
    windows = self.windows and Windows(
      self.windows.source[rows], self.windows.chars[mine]
    )
    return Logits(
      self.index[rows], self.values[mine], self.words[rows], windows
    )


def write(
  path: Path,
  *,
  index: np.ndarray,
  logits: np.ndarray,
  metadata: Mapping,
  words: np.ndarray | None = None,
  windows: Windows | None = None,
) -> None:
  """Writes a teacher's logits of one task as a TFDS dataset.

  Args:
    path: the folder to make.
    index: i64[N] example numbers, swapped copies of N/2 examples from N/2 on.
    logits: f32[N, C] before the softmax; regression: the value in [0, 1]; see
      `Logits.values`.
    metadata: what they were made from (JSON values): the teacher's config
      hash, the tokenizer's hash, the source's fingerprint, "rows" (N), labels.
    words: i64[N], see `Logits.words`.
    windows: see `Logits.windows`.

  Raises:
    ValueError: a logit is not finite, or there are logits in `path` already.
  """
  assert len(index) == metadata["rows"]
  write_parts(path, [Logits(index, logits, words, windows)], metadata=metadata)


def write_parts(
  path: Path, parts: Iterable[Logits], *, metadata: Mapping
) -> None:
  """Writes a teacher's logits part after part, as `write` does all at once.

  Args:
    path: the folder to make.
    parts: of the rows, one after the other; one at a time is held. All but the
      last have a multiple of `shards.CHUNK` rows, so that the files are the
      same however the rows are divided.
    metadata: see `write`; its "rows" are those of all parts.

  Raises:
    ValueError: see `write`.
  """
  path = Path(path)
  if path.exists():
    raise ValueError(f"{path} holds teacher logits already; delete it first")
  parts = iter(parts)
  first = next(parts)
  columns = _LOGITS | (_WORDS if first.words is not None else {})
  columns |= shards.WINDOWS if first.windows is not None else {}
  shards.write(
    path,
    name="logits",
    columns=columns,
    splits={"train": _chunks(path, itertools.chain([first], parts))},
    metadata=metadata,
  )


def check(path: Path, said: Logits) -> None:
  """Refuses logits that are not finite.

  Args:
    path: where they go.
    said: the logits.

  Raises:
    ValueError: one is not.
  """
  words, logits = said.words, said.values
  counts = np.ones(len(said.index), np.int64) if words is None else words
  assert logits.ndim == 2 and len(logits) == counts.sum()
  assert len(said.index) == len(counts)
  # A word that was not read is NaN in every column; nothing else may be.
  unread = np.isnan(logits).all(1) & (words is not None)
  broken = np.repeat(said.index, counts)[~np.isfinite(logits).all(1) & ~unread]
  if len(broken):
    raise ValueError(
      f"the teacher's logits for {path} are not finite at row "
      f"{examples.some(broken)}; its training has diverged: train it again "
      "with a lower rate"
    )


def _chunks(path: Path, parts: Iterable[Logits]) -> Iterator[list[dict]]:
  """Yields chunks of rows ready to be written, of one part at a time."""
  for part in parts:
    check(path, part)
    yield from _rows(part.index, part.values, part.words, part.windows)


def _rows(
  index: np.ndarray,
  logits: np.ndarray,
  words: np.ndarray | None,
  windows: Windows | None,
) -> Iterator[list[dict]]:
  """Yields chunks of rows ready to be written."""
  counts = np.ones(len(index), np.int64) if words is None else words
  worded, ends = words is not None, offsets_of(counts)
  for start in range(0, len(counts), shards.CHUNK):
    stop = min(start + shards.CHUNK, len(counts))
    values = logits[ends[start] : ends[stop]].astype(np.float32)
    cuts = ends[start + 1 : stop] - ends[start]
    columns = {
      "index": index[start:stop].astype(np.int64),
      "logits": [part.ravel() for part in np.split(values, cuts)],
      **({"words": counts[start:stop]} if worded else {}),
    }
    if windows is not None:
      chars = np.split(windows.chars[ends[start] : ends[stop]], cuts)
      columns["chars"] = [each.ravel() for each in chars]
      columns["source"] = windows.source[start:stop]
    yield [
      dict(zip(columns, row, strict=True))
      for row in zip(*columns.values(), strict=True)
    ]


def read(path: Path, *, expected: Mapping) -> Logits:
  """Reads a teacher's logits back, if they belong to this run.

  Args:
    path: the folder `write` made.
    expected: what each entry of the metadata has to be.

  Returns:
    Those of the rows 0 .. N-1, in this order.

  Raises:
    FileNotFoundError: nothing is there.
    IntegrityError: they are damaged, incomplete, or another run's.
  """
  path = Path(path)
  if not path.exists():
    raise FileNotFoundError(
      f"no teacher logits in {path}; run with --config.stage=teach first"
    )
  builder = shards.open_dataset(
    path, _LOGITS, _LOGITS | _WORDS, _LOGITS | _WORDS | shards.WINDOWS
  )
  worded = "words" in builder.info.features
  windowed = "source" in builder.info.features
  differs = shards.differences(builder.info.metadata, expected)
  if differs:
    raise IntegrityError(
      f"the teacher logits in {path} do not fit this run: {differs}",
      f"set the run as the teacher was, or delete {path} and teach again",
    )
  index, logits, words, windows = [], [], [], []
  for rows in shards.rows(builder, "train"):
    index.append(
      shards.flat([row["index"].int64_list.value for row in rows], int)
    )
    values = [row["logits"].float_list.value for row in rows]
    counts = [row["words"].int64_list.value[0] if worded else 1 for row in rows]
    words += counts
    windows += [shards.windows_of(rows)] if windowed else []
    logits.append(shards.flat(values, np.float32).reshape(sum(counts), -1))
  index = np.concatenate(index)
  wrong = examples.uncovered(index, builder.info.metadata["rows"])
  if wrong:
    raise IntegrityError(
      f"the teacher logits in {path} {wrong}",
      f"delete {path} and teach again",
    )
  found = Logits(
    index,
    np.concatenate(logits),
    np.array(words, np.int64) if worded else None,
    Windows.join(windows) if windowed else None,
  )
  return found.take(np.argsort(index))
