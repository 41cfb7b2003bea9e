"""Folders that appear whole, and are noticed when a byte of them changes."""

from collections.abc import Iterator
import contextlib
import hashlib
import json
import os
from pathlib import Path
import reprlib
import shutil

from bam_jax.runtime.files import hidden, unreadable

# Of a sealed folder: size and sha256 of every file.
DIGESTS = "integrity.json"
# Raise it when the content of integrity.json changes.
_SCHEMA = 1


class IntegrityError(ValueError):
  """What is on disk is damaged, or was made from something else.

  Attributes:
    seen: what is wrong with it.
  """

  def __init__(self, seen: str, cure: str = ""):
    """Says what was seen and, where there is one, the cure."""
    super().__init__("; ".join(filter(None, (seen, cure))))
    self.seen = seen


@contextlib.contextmanager
def beside(folder: Path) -> Iterator[Path]:
  """Yields a folder to fill; then seals it and gives it its name.

  Where another process has made the folder in the meantime, its files stay.
  """
  temporary = hidden(folder)
  temporary.mkdir()
  try:
    yield temporary
    files = {path.name: _digest(path) for path in sorted(temporary.iterdir())}
    text = json.dumps({"schema": _SCHEMA, "files": files}, indent=2)
    (temporary / DIGESTS).write_text(text + "\n", "utf-8")
    try:
      os.rename(temporary, folder)
    except OSError:
      if not folder.exists():
        raise
  finally:
    shutil.rmtree(temporary, ignore_errors=True)


def verify(folder: Path) -> frozenset[str]:
  """Looks at every byte of a folder that `beside` has sealed.

  Returns:
    The names of its files.

  Raises:
    IntegrityError: a file is missing or is not what was written.
  """
  cure = again(folder)
  try:
    written = json.loads((folder / DIGESTS).read_text("utf-8"))
    schema, files = written["schema"], written["files"].items()
  except PermissionError as error:
    raise unreadable(error) from error
  except (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
  ) as error:
    raise IntegrityError(
      f"{folder / DIGESTS} is missing or damaged", cure
    ) from error
  if schema != _SCHEMA:
    raise IntegrityError(
      f"{folder / DIGESTS} has schema {reprlib.repr(schema)}, this program "
      f"reads {_SCHEMA}",
      cure,
    )
  for name, digest in files:
    path = folder / name
    if path.parent != folder or path.is_symlink():
      raise IntegrityError(
        f"{folder / DIGESTS} names {reprlib.repr(name)}, which is no file of "
        f"its folder",
        cure,
      )
    found = _digest(path) if path.is_file() else "missing"
    if found != digest:
      was = " ".join(str(digest).split())[:100]
      raise IntegrityError(
        f"{path} is damaged: {was} when written, {found} now", cure
      )
  return frozenset(written["files"])


def again(folder: Path) -> str:
  """Returns what to type where a folder cannot be trusted."""
  return f"delete {folder} and run again"


def _digest(path: Path) -> str:
  with path.open("rb") as file:
    hexadecimal = hashlib.file_digest(file, "sha256").hexdigest()
  return f"{path.stat().st_size} bytes of sha256 {hexadecimal}"
