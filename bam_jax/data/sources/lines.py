"""Lines of text that anyone may have written, from a file or a pipe.

What is no text is called by its name: a pointer of Git LFS, a workbook, UTF-16.
"""

import codecs
from collections.abc import Iterator
import gzip
import io
from typing import BinaryIO
import zlib

from bam_jax.runtime import signatures

# Bytes of a line, and of a row of several; a file without line ends, or with a
# quote that is never closed, would fill the memory.
LONGEST = 2**24
UTF8 = "save it again as UTF-8 (in Excel: CSV UTF-8)"
AGAIN = "take the file again from where it came"
_BLOCK = 2**20
Line = tuple[int, str]


def unzipped(
  file: io.BufferedReader,
  name: str,
  *,
  named: bool | None,
  encoding: str = "",
) -> io.BufferedIOBase:
  """Returns what a file holds.

  Args:
    file: as it lies there.
    name: of the file, for messages.
    named: whether its name says that it is gzipped; None = it has no name.
    encoding: of the text, which comes out as UTF-8; "" = that.

  Raises:
    ValueError: its name says otherwise, or it is no text by its first bytes.
  """
  head = file.peek(signatures.LENGTH)[: signatures.LENGTH]
  if head.startswith(b"\x1f\x8b") and named is not False:
    file = gzip.GzipFile(fileobj=file)
    return recoded(file, name, encoding) if encoding else file
  if encoding and not named:
    return recoded(file, name, encoding)
  if called := signatures.called(head):
    raise ValueError(f"{name} {called}")
  if named and not head:
    raise ValueError(f"{name} is empty, as no file of gzip is; {AGAIN}")
  if named:
    if not _text(head):
      raise ValueError(
        f"{name} cannot be read: a file of gzip does not begin with"
        f" {head[:9]!r}; {AGAIN}"
      )
    raise ValueError(
      f"{name} is not compressed, though its name ends in .gz; take the .gz off"
      " its name"
    )
  return file


def recoded(
  file: io.BufferedIOBase, name: str, encoding: str
) -> io.BufferedReader:
  """Returns a file of another encoding as one of UTF-8.

  Args:
    file: as it lies there.
    name: of the file, for messages.
    encoding: Python's name for it.
  """
  return io.BufferedReader(_Recoded(file, name, encoding), _BLOCK)


class _Recoded(io.RawIOBase):
  """Bytes of a file of another encoding, as UTF-8."""

  def __init__(self, file: io.BufferedIOBase, name: str, encoding: str):
    self._file, self._name, self._encoding = file, name, encoding
    self._decoder = codecs.getincrementaldecoder(encoding)()
    self._left, self._line, self._ended = b"", 1, False

  def readable(self) -> bool:
    return True

  def readinto(self, place: memoryview) -> int:
    while not self._left and not self._ended:
      data = self._file.read(_BLOCK)
      self._ended = not data
      try:
        text = self._decoder.decode(data, self._ended)
      except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(self._encoding, "ignore")
        raise ValueError(
          f"{self._name} line {self._line + before.count(chr(10))} is not"
          f" {self._encoding}: {error.object[error.start : error.end]!r} stands"
          " for nothing in it; name the encoding that the file has"
        ) from error
      self._line += text.count("\n")
      self._left = text.encode()
    size = min(len(place), len(self._left))
    place[:size], self._left = self._left[:size], self._left[size:]
    return size


def lines(file: BinaryIO, name: str, *, cure: str = "") -> Iterator[Line]:
  r"""Yields (number from 1, line with its end), without a byte order mark.

  Lines end in \n or \r\n. Where there is no \n at all they end in \r, as they
  did on old Macs; else a \r belongs to its text.

  Args:
    file: from `unzipped`.
    name: of the file, for messages.
    cure: what to do where it cannot be read.

  Raises:
    ValueError: a line is not UTF-8 or too long, or the gzip file is damaged.
  """
  number = 0
  try:
    for number, data in enumerate(_split(file), 1):
      where = f"{name} line {number}"
      if number == 1 and (called := signatures.called(data)):
        raise ValueError(f"{name} {called}")
      if len(data) > LONGEST:
        raise ValueError(f"{where} is longer than {LONGEST} bytes; cut it")
      yield number, _decoded(data, where, cure, first=number == 1)
  except (EOFError, gzip.BadGzipFile, zlib.error) as error:
    raise _damaged(
      f"{name} cannot be read after line {number}", cure
    ) from error


def blocks(file: BinaryIO, name: str) -> Iterator[str]:
  """Yields the text in pieces of about a million bytes, wherever lines end.

  Raises:
    ValueError: see `lines`.
  """
  decoder, line = codecs.getincrementaldecoder("utf-8-sig")(), 1
  try:
    while data := file.read(_BLOCK):
      text = decoder.decode(data)
      if "\0" in text:
        line += text[: text.index("\0")].count("\n")
        raise _null(f"{name} line {line}", data, "")
      yield text
      line += text.count("\n")
    decoder.decode(b"", final=True)
  except UnicodeDecodeError as error:
    line += error.object[: error.start].count(b"\n")
    raise _not_utf8(f"{name} line {line}", error, "") from error
  except (EOFError, gzip.BadGzipFile, zlib.error) as error:
    raise _damaged(f"{name} cannot be read after line {line}", "") from error


def _split(file: BinaryIO) -> Iterator[bytes]:
  line = file.readline(LONGEST + 1)
  if b"\n" in line or b"\r" not in line:
    while line:
      # One that is too long comes in part, and is refused.
      yield line
      line = file.readline(LONGEST + 1)
    return
  while line:
    *whole, line = line.split(b"\r")
    yield from (each + b"\r" for each in whole)
    more = file.read(_BLOCK)
    if line and (not more or len(line) > LONGEST):
      yield line
      line = b""
    line += more


def _text(head: bytes) -> bool:
  """Whether a file goes on to be text, as far as its first bytes tell."""
  try:
    found = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
  except UnicodeDecodeError:
    return False
  return bool(found) and "\0" not in found


def _decoded(data: bytes, where: str, cure: str, *, first: bool) -> str:
  try:
    text = data.decode("utf-8-sig" if first else "utf-8")
  except UnicodeDecodeError as error:
    raise _not_utf8(where, error, cure) from error
  if "\0" in text:
    raise _null(where, data, cure)
  return text


def _damaged(what: str, cure: str) -> ValueError:
  return ValueError(
    f"{what}: what gzip has compressed is damaged or cut off; {cure or AGAIN}"
  )


def _not_utf8(where: str, error: UnicodeDecodeError, cure: str) -> ValueError:
  line = error.object.rfind(b"\n", 0, error.start) + 1
  near = error.object[max(line, error.start - 12) : error.start + 1]
  return ValueError(
    f"{where} is not UTF-8 (byte {error.start - line}, the last of {near!r});"
    f" {cure or UTF8}"
  )


def _null(where: str, data: bytes, cure: str) -> ValueError:
  """What a NUL byte means: half of UTF-16, or damage."""
  every = data[data.index(0) % 2 :: 2]
  if data.strip(b"\0\r\n") and 2 * every.count(0) > len(every):
    what, cure = "NUL in every other byte, as UTF-16 has", UTF8
  else:
    what = "a NUL byte, which no text has"
  return ValueError(f"{where} has {what}; {cure or AGAIN}")
