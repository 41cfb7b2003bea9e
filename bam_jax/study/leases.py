"""Several commands at work in one workdir: each piece of work is one's own.

A lease is a locked file, claim-NAME, in the run's folder. The system lets go of
it when its process ends, however it does, and another command takes the work
over. The file system's locks must hold between machines, as those of NFS and
Lustre do. What a study claims to show is another matter: study/claims.py.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import fcntl
from pathlib import Path
import re
import time
from typing import IO, TypeVar

from bam_jax.runtime.console import say
from bam_jax.study.locks import owner

# Seconds between two looks at what other commands hold.
POLL = 2.0

Found = TypeVar("Found")


class Leases:
  """What this command does, and what it leaves to others.

  Of a command that does not share its workdir everything is its own.
  """

  def __init__(self, workdir: Path, *, share: bool):
    """Holds nothing yet.

    Args:
      workdir: W; it is there when the first lease is taken.
      share: whether other commands work there too.
    """
    self._lock, self._share = workdir / "claims.lock", share
    self._met: dict[str, str] = {}

  @contextlib.contextmanager
  def writing(self) -> Iterator[None]:
    """Keeps others from writing what all write; to be held for a moment."""
    if not self._share:
      yield
      return
    with self._lock.open("a") as file:
      fcntl.flock(file, fcntl.LOCK_EX)
      yield

  @contextlib.contextmanager
  def hold(self, folder: Path, name: str) -> Iterator[bool]:
    """Takes a piece of work; yields whether it is ours.

    Args:
      folder: W/runs/RUN; made if need be.
      name: of the piece.
    """
    if not self._share:
      yield True
      return
    path = folder / f"claim-{name}"
    with self.writing():
      file, by = _take(path)
    if not file:
      self._met[f"{folder.name} {name}"] = by
      yield False
      return
    try:
      yield True
    finally:
      self._free(path, file)

  def each(
    self, folder: Path, left: Callable[[], Sequence[Sequence[int]]]
  ) -> Iterator[Sequence[int]]:
    """Yields the groups of trials that are ours, each held meanwhile.

    A group with a trial that another command holds is left to it.

    Args:
      folder: W/runs/RUN; made if need be.
      left: returns the groups of neighbouring trials that are not done.
    """
    if not self._share:
      yield from left()
      return
    offered: set[int] = set()
    while True:
      with self.writing():
        # Only now: others may have begun or ended groups in the meantime.
        held = _held(folder)
        found = None
        for seeds in left():
          by = next((held[s] for s in seeds if s in held), "")
          if by:
            self._met[folder.name] = by
          elif not offered.issuperset(seeds):
            path = folder / f"claim-{seeds[0]}-{seeds[-1]}"
            found = seeds, path, _take(path)[0]
            break
      if not found:
        return
      seeds, path, file = found
      offered |= set(seeds)
      try:
        yield seeds
      finally:
        self._free(path, file)

  def repeat(self, work: Callable[[], Found], ask: Callable[[], None]) -> Found:
    """Does work until nothing of it was left to others; returns the last.

    Args:
      work: does all that is not done and that nobody else holds.
      ask: called while waiting; raises if the command is to stop.
    """
    told: dict[str, str] = {}
    while True:
      self._met = {}
      found = work()
      if not self._met:
        return found
      for what, by in self._met.items():
        if told.get(what) != by:
          say(f"waits for {what}: {by} has it")
      told = self._met
      time.sleep(POLL)
      ask()

  def _free(self, path: Path, file: IO) -> None:
    with self.writing():
      path.unlink(missing_ok=True)
      file.close()


# Leases are taken, looked at and deleted within `writing` only.


def _take(path: Path) -> tuple[IO | None, str]:
  """Returns the locked file, or (None, who has it)."""
  path.parent.mkdir(parents=True, exist_ok=True)
  file = path.open("a+")
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    with file:
      file.seek(0)
      return None, file.read() or "another process"
  file.truncate(0)
  file.write(owner())
  file.flush()
  return file, ""


def _held(folder: Path) -> dict[int, str]:
  """Returns which trials are held, and by whom; forgets those of the dead."""
  found = {}
  for path in folder.glob("claim-*"):
    ends = re.fullmatch(r"claim-(\d+)-(\d+)", path.name)
    if not ends:
      continue
    file, by = _take(path)
    if file:
      path.unlink()
      file.close()
    else:
      found |= dict.fromkeys(range(int(ends[1]), int(ends[2]) + 1), by)
  return found
