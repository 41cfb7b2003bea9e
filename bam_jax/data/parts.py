"""A teacher's answers in the making: part by part, each kept when it is done.

A part is a fixed number of rows, so that what is said of a row does not depend
on who answers which part, or on where somebody was stopped. One part is in
memory at a time.
"""

from collections.abc import Iterator, Mapping
import dataclasses
from pathlib import Path
import shutil
from typing import Any

import numpy as np

from bam_jax.data import logits as logits_lib
from bam_jax.data import shards, teachers
from bam_jax.data.features import Features
from bam_jax.runtime import sealed
from bam_jax.runtime.files import read_json, write_json

# Rows of a part: of a large encoder some minutes' work.
SIZE = 2 * shards.CHUNK
_LOGITS, _MADE = "logits.npy", "made.json"


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
  """The parts of what a trial says of a task's training rows.

  Attributes:
    folder: where they are kept.
    features: the N rows.
    metadata: what the answers are made from, see `teachers.metadata`.
  """

  folder: Path
  features: Features
  metadata: Mapping[str, Any]

  def __len__(self) -> int:
    return len(range(0, len(self.features), SIZE))

  def rows(self, part: int) -> Features:
    """Returns the rows of a part."""
    first = part * SIZE
    return self.features.take(
      np.arange(first, min(first + SIZE, len(self.features)))
    )

  def there(self, part: int) -> bool:
    """Tells whether a part is kept; it appears whole."""
    return self._place(part).exists()

  def keep(self, part: int, logits: np.ndarray) -> None:
    """Keeps what is said of a part.

    Args:
      part: its number.
      logits: f32[n, C] of its rows, or f32[m, C] of their words.

    Raises:
      ValueError: a logit is not finite.
    """
    path = self._place(part)
    logits_lib.check(path, teachers.said(self.rows(part), logits))
    self.folder.mkdir(parents=True, exist_ok=True)
    with sealed.beside(path) as made:
      np.save(made / _LOGITS, logits)
      write_json(made / _MADE, self._facts(part))

  def join(self, path: Path) -> None:
    """Writes all parts as one dataset of logits, and deletes them.

    Args:
      path: the folder to make.

    Raises:
      IntegrityError: a part is damaged or was made from something else.
    """
    logits_lib.write_parts(path, self._read(), metadata=self.metadata)
    shutil.rmtree(self.folder, ignore_errors=True)

  def _read(self) -> Iterator[logits_lib.Logits]:
    for part in range(len(self)):
      path = self._place(part)
      sealed.verify(path)
      there = read_json(path / _MADE, cure=sealed.again(path))
      if differs := shards.differences(there, self._facts(part)):
        raise sealed.IntegrityError(
          f"the part {path} of a teacher's logits does not fit this run:"
          f" {differs}",
          f"delete {self.folder} and teach again",
        )
      logits = np.load(path / _LOGITS, allow_pickle=False)
      yield teachers.said(self.rows(part), logits)

  def _place(self, part: int) -> Path:
    return self.folder / f"{part:05d}"

  def _facts(self, part: int) -> dict[str, Any]:
    return {**self.metadata, "part": part, "of": len(self)}
