"""Files that are never half written, and what is in them."""

from collections.abc import Iterator, Mapping
import contextlib
import hashlib
import json
import os
from pathlib import Path
import shutil
import socket
from typing import Any

# How the name ends of what is not whole yet.
HALF = ".tmp"


def hidden(path: Path) -> Path:
  """Returns where to make what gets its name when it is whole.

  It lies in the same folder, which is made if need be, under a name that no
  other process takes. What processes that are gone have left of it goes.

  Args:
    path: of the file or the folder that is to be.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  mine = f".{path.name}.{socket.gethostname()}."
  for left in path.parent.iterdir():
    process = left.name.removeprefix(mine).removesuffix(HALF)
    if left.name == f"{mine}{process}{HALF}" and not _alive(process):
      if left.is_dir():
        shutil.rmtree(left, ignore_errors=True)
      else:
        left.unlink(missing_ok=True)
  return path.with_name(f"{mine}{os.getpid()}{HALF}")


def _alive(process: str) -> bool:
  """Whether another process of this number runs on this machine."""
  if process == str(os.getpid()):
    return False
  with contextlib.suppress(ProcessLookupError, ValueError):
    try:
      os.kill(int(process), 0)
    except PermissionError:
      return True
    return True
  return False


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
  """Yields a path to write a file to; then it gets its name, whole or never.

  Its mode is what the umask leaves of every file, whoever has written it, and
  where writing fails it is gone.

  Args:
    path: where the file is to be; one that is there is replaced.
  """
  part = hidden(path)
  try:
    part.touch()
    mode = part.stat().st_mode & 0o777
    yield part
    # Libraries that write beside and rename, too, keep all others out.
    if part.stat().st_mode & 0o777 != mode:
      part.chmod(mode)
    os.replace(part, path)
  finally:
    part.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
  """Writes JSON beside and renames it."""
  with beside(path) as part:
    part.write_text(json.dumps(value, indent=1) + "\n", "utf-8")


def read_json(path: Path, *, cure: str) -> Any:
  """Returns the value, or {} where there is no such file.

  Args:
    path: of the file.
    cure: what to do where it is not JSON.

  Raises:
    ValueError: the file is not JSON.
  """
  if not path.exists():
    return {}
  try:
    return json.loads(path.read_text("utf-8"))
  except (ValueError, RecursionError) as error:
    raise ValueError(f"{path} is not JSON ({error}); {cure}") from error


def unreadable(error: OSError) -> ValueError:
  """Returns what to say of what the system lets nobody read, or not us."""
  cure = ""
  if isinstance(error, PermissionError):
    cure = "; let this user read it, and enter every folder above it"
  return ValueError(f"{error.filename} cannot be read ({error.strerror}){cure}")


@contextlib.contextmanager
def reading() -> Iterator[None]:
  """Says of what cannot be read that, and why: not that it is broken.

  Raises:
    ValueError: the system refuses it.
  """
  try:
    yield
  except OSError as error:
    if not error.filename:
      raise
    raise unreadable(error) from error


def flatten(tree: Mapping, prefix: str = "") -> dict[str, Any]:
  """Returns {"optim.clip": 1.0, ...}."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, Mapping):
      flat |= flatten(value, f"{prefix}{key}.")
    else:
      flat[prefix + key] = value
  return flat


def digest(value: Any) -> str:
  """Returns a short hash of JSON-like settings."""
  text = json.dumps(value, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]
