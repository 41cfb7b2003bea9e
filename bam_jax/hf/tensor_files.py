"""Opens safetensors files, and says what is wrong with one that is none."""

import collections
from collections.abc import Iterator
import contextlib
import json
from pathlib import Path
from typing import Any

import safetensors

from bam_jax.runtime import files, signatures

# No header of the library is longer.
_HEADER = 100_000_000
# How files begin that are called safetensors by mistake.
_OTHERS = (
  (b"PK\3\4", "it is a pickle as torch.save writes it, or another ZIP archive"),
  (b"\x80", "it is a pickle"),
  (b"\x89HDF", "it is an HDF5 file, as TensorFlow writes it"),
  (b"GGUF", "it is a GGUF file"),
  (b"<", "it is a web page or XML, so what was fetched is something else"),
  (b"{", "it is JSON"),
)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
  """Yields a safetensors file, and says what is wrong where it is none.

  Raises:
    ValueError: it cannot be read, or is not a whole safetensors file.
  """
  with files.reading():
    # The library says of a file that it may not open that there is none.
    signatures.refuse_pointer(path)
  try:
    # The library bounds and checks the header before anything is trusted.
    with safetensors.safe_open(path, framework="np") as file:
      yield file
  except safetensors.SafetensorError as error:
    raise ValueError(
      f"{path} is not a whole safetensors file ({error}); {_why(path)}"
    ) from error


def _why(path: Path) -> str:
  """Says what a file is that is no whole safetensors file."""
  with path.open("rb") as file:
    head = file.read(8)
    size = int.from_bytes(head, "little")
    text = file.read(size) if size < _HEADER else b""
  there = path.stat().st_size
  if not there:
    return "it is empty"
  for begin, what in _OTHERS:
    if head.startswith(begin):
      return what
  try:
    entries = json.loads(text)
    ends = [v["data_offsets"][1] for k, v in entries.items() if k[:2] != "__"]
    wanted = 8 + size + max(ends)
  except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
    return "take a whole copy of it"
  if there < wanted:
    return (
      f"{there} of its {wanted} bytes are there, so it was cut short: take a "
      "whole copy of it"
    )
  return f"it has {there} bytes and tells of {wanted}: take a whole copy of it"


def twice(path: Path) -> list[str]:
  """Names that the header gives twice: each reader believes another one."""
  with path.open("rb") as file:
    # The library has opened the file, so the length is true.
    header = file.read(int.from_bytes(file.read(8), "little"))
  pairs = json.loads(header, object_pairs_hook=list)
  counts = collections.Counter(name for name, _ in pairs)
  return sorted(name for name, count in counts.items() if count > 1)
