"""What a file is by its first bytes, whatever its name says."""

from pathlib import Path

POINTER = b"version https://git-lfs.github.com/spec/"
# What a file begins with, what it is then, and what to do about that.
_KNOWN = (
  (
    POINTER,
    "a Git LFS pointer, not the file that it stands for",
    "run git lfs pull where it was cloned, or download the file itself",
  ),
  (b"\x1f\x8b", "compressed by gzip", "add .gz to its name"),
  (b"PAR1", "a Parquet file", "give it as a file named .parquet"),
  (
    b"ARROW1",
    "a Feather (Arrow) file",
    "write it as Parquet, in pandas: read_feather(...).to_parquet(...)",
  ),
  (
    b"PK\3\4",
    "a ZIP archive, as Excel's .xlsx is too",
    "unpack it; from Excel save it as CSV UTF-8",
  ),
  (b"\xd0\xcf\x11\xe0", "an old Excel file", "save it as CSV UTF-8"),
  (b"BZh", "compressed by bzip2", "unpack it: bunzip2"),
  (b"\xfd7zXZ", "compressed by xz", "unpack it: unxz"),
  (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it: unzstd"),
  (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
  *(
    (
      mark,
      "a pickle",
      "in pandas: read_pickle(FILE).to_parquet('rows.parquet')",
    )
    for mark in (b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5")
  ),
  *(
    (mark, "a web page", "fetch the file that it shows (GitHub: Raw)")
    for mark in (b"<!DOCTYPE ", b"<!doctype ", b"<html", b"<HTML")
  ),
  # The longer mark first: UTF-16's is how it begins.
  (b"\xff\xfe\0\0", "UTF-32 text", "save it again as UTF-8"),
  (b"\0\0\xfe\xff", "UTF-32 text", "save it again as UTF-8"),
  *(
    (mark, "UTF-16 text", "save it again as UTF-8")
    for mark in (b"\xff\xfe", b"\xfe\xff")
  ),
)
# More than any signature has.
LENGTH = 64


def called(head: bytes) -> str:
  """Returns "is ...; what to do", or "" for what has no known signature.

  Args:
    head: the first bytes of a file, `LENGTH` of them if there are so many.
  """
  for begin, what, cure in _KNOWN:
    if head.startswith(begin):
      return f"is {what}; {cure}"
  return ""


def refuse_pointer(path: Path) -> None:
  """Calls a Git LFS pointer by its name; to be asked before a file is read.

  Raises:
    ValueError: the file is one.
    OSError: it cannot be read.
  """
  if not path.is_file():
    return
  with path.open("rb") as file:
    head = file.read(LENGTH)
  if head.startswith(POINTER):
    raise ValueError(f"{path} {called(head)}")
