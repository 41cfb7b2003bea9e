"""Where datasets are, and by whom those are made that are not there."""

from collections.abc import Callable
import dataclasses
from pathlib import Path

# Called with (what, rows done, rows in all).
Progress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True)
class Store:
  """Where datasets are, and by whom those are made that are not there.

  Attributes:
    path: where all datasets are.
    beam: the runner of Apache Beam whose workers make them, with its options,
      see `beam.flags`; "" = this process.
    progress: told how far it is.
  """

  path: Path
  beam: str = ""
  progress: Progress | None = None

  def report(self, what: str, done: int, total: int) -> None:
    """Tells how far it is, if anybody asked."""
    if self.progress:
      self.progress(what, done, total)
