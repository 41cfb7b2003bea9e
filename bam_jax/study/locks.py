"""Who is at work in a working directory."""

from collections.abc import Callable, Iterator
import contextlib
import fcntl
import os
from pathlib import Path
import socket
import time
from typing import IO

from bam_jax.runtime import distributed
from bam_jax.study.workdir import unwritable


def owner() -> str:
  """Returns what a lock says of this process."""
  return (
    f"process {os.getpid()} on {socket.gethostname()} since "
    f"{time.strftime('%Y-%m-%d %H:%M:%S')}"
  )


def _locked(file: IO, kind: int) -> bool:
  """Tells whether nobody holds a lock that is in the way of this one."""
  try:
    fcntl.flock(file, kind | fcntl.LOCK_NB)
  except BlockingIOError:
    return False
  except OSError:
    # Some network file systems have no locks; better none than no run.
    pass
  return True


@contextlib.contextmanager
def lock(path: Path, *, share: bool = False) -> Iterator[Callable[[], bool]]:
  """Keeps other commands out of the directory, which is made if need be.

  The system lets go when the process ends, however it does.

  Args:
    path: the working directory.
    share: lets in other commands that share it, and waits for one that does
      not.

  Yields:
    last(): whether no other command is there, to be asked at the end: who
    gets no for an answer is no longer there for the others.

  Raises:
    ValueError: another command is at work there, or it cannot be written or
      not be shared.
  """
  if not distributed.leader():
    yield lambda: True
    return
  try:
    path.mkdir(parents=True, exist_ok=True)
    file = (path / "lock").open("a+")
  except OSError as error:
    raise unwritable(path, error) from error
  with file:
    if share:
      _enter(path, file)
    elif not _locked(file, fcntl.LOCK_EX):
      file.seek(0)
      raise ValueError(
        f"{path} is in use by {file.read() or 'another process'}; wait "
        "for it or stop it, or take another --workdir"
      )
    file.truncate(0)
    file.write(f"{owner()}{', sharing it' if share else ''}")
    file.flush()
    try:
      yield lambda: _locked(file, fcntl.LOCK_EX)
    finally:
      if not share:
        file.truncate(0)


def _enter(path: Path, file: IO) -> None:
  """Locks the directory together with others."""
  waiting = False
  try:
    while True:
      try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return
      except BlockingIOError:
        file.seek(0)
        if not waiting:
          print(f"waits for {file.read() or 'another process'}", flush=True)
        waiting = True
        time.sleep(1)
  except OSError as error:
    raise ValueError(
      f"{path} lies on a file system without locks ({error.strerror}), "
      "which share=True needs; take a --workdir elsewhere, or run one "
      "command at a time without it"
    ) from error


def holder(path: Path) -> str:
  """Returns whose command is at work in the directory; "" = nobody's.

  Nothing is written; only a command that starts in this very moment would
  find the directory in use.
  """
  try:
    file = (path / "lock").open()
  except FileNotFoundError:
    return ""
  with file:
    # The second finds those that share it; some file systems refuse it to
    # who only reads.
    for kind in (fcntl.LOCK_SH, fcntl.LOCK_EX):
      if not _locked(file, kind):
        return file.read() or "another process"
  return ""
