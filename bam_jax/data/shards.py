"""Writes and reads TFDS datasets of ours, without TensorFlow.

A dataset is a folder that `tfds.builder_from_directory` opens. It is written
beside its place and renamed, so a folder that exists is whole. What it was
made from stands in TFDS's metadata.json, and integrity.json holds a digest of
every file, because neither array_record nor TFDS notices every flipped byte.
"""

from collections.abc import Iterable, Iterator, Mapping
import contextlib
import hashlib
import itertools
import json
import os
from pathlib import Path
import reprlib
import shutil
import socket
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

# Rows that are held as Python objects at a time.
CHUNK = 16_384
_SHARD_ROWS = 131_072
# Of a sealed folder: size and sha256 of every file.
DIGESTS = "integrity.json"
# Raise it when the content of integrity.json changes.
_SCHEMA = 1


class IntegrityError(ValueError):
  """What is on disk is damaged, or was made from something else."""


def vector(dtype: Any) -> tfds.features.Tensor:
  """Returns the TFDS feature of an array of any length."""
  return tfds.features.Tensor(shape=(None,), dtype=dtype)


def write(
  folder: Path,
  *,
  name: str,
  columns: Mapping[str, Any],
  splits: Mapping[str, Iterable[list[Mapping]]],
  metadata: Mapping[str, Any],
) -> None:
  """Writes a dataset beside its place, then renames it.

  Where another process has made the folder in the meantime, its rows stay.

  Args:
    folder: the folder to make.
    name: of the dataset, for TFDS.
    columns: TFDS feature of each column.
    splits: chunks of rows of each split, in order.
    metadata: JSON values that say what the rows were made from.
  """
  with beside(folder) as temporary:
    try:
      _write_rows(temporary, name, columns, splits, metadata)
    except RuntimeError as error:
      # What array_record says of a full disk.
      raise OSError(
        f"{folder} cannot be written ({error}); make room, or take a --workdir "
        "elsewhere, and run the same command again"
      ) from error


@contextlib.contextmanager
def beside(folder: Path) -> Iterator[Path]:
  """Yields a folder to fill; then seals it and gives it its name.

  Where another process has made the folder in the meantime, its files stay.
  """
  folder.parent.mkdir(parents=True, exist_ok=True)
  mine = f".{folder.name}.{socket.gethostname()}."
  for left in folder.parent.iterdir():
    if left.name.startswith(mine) and not _alive(left.name[len(mine) :]):
      shutil.rmtree(left, ignore_errors=True)
  temporary = folder.parent / f"{mine}{os.getpid()}"
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


def _write_rows(folder, name, columns, splits, metadata) -> None:
  info = tfds.core.DatasetInfo(
    builder=tfds.core.dataset_info.DatasetIdentity(
      name=name,
      version=tfds.core.Version("1.0.0"),
      data_dir=str(folder),
      module_name=__name__,
    ),
    features=tfds.features.FeaturesDict(columns),
    metadata=tfds.core.MetadataDict(metadata),
  )
  writer = tfds.core.SequentialWriter(
    info, max_examples_per_shard=_SHARD_ROWS, file_format="array_record"
  )
  writer.initialize_splits(list(splits))
  for split, chunks in splits.items():
    for chunk in chunks:
      writer.add_examples({split: chunk})
  writer.close_all()


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


def verify(folder: Path) -> frozenset[str]:
  """Looks at every byte of a folder that `beside` has sealed.

  Returns:
    The names of its files.

  Raises:
    IntegrityError: a file is missing or is not what was written.
  """
  cure = _cure(folder)
  try:
    written = json.loads((folder / DIGESTS).read_text("utf-8"))
    schema, files = written["schema"], written["files"].items()
  except (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
  ) as error:
    raise IntegrityError(
      f"{folder / DIGESTS} is missing or damaged; {cure}"
    ) from error
  if schema != _SCHEMA:
    raise IntegrityError(
      f"{folder / DIGESTS} has schema {reprlib.repr(schema)}, this program "
      f"reads {_SCHEMA}; {cure}"
    )
  for name, digest in files:
    path = folder / name
    if path.parent != folder or path.is_symlink():
      raise IntegrityError(
        f"{folder / DIGESTS} names {reprlib.repr(name)}, which is no file of "
        f"its folder; {cure}"
      )
    found = _digest(path) if path.is_file() else "missing"
    if found != digest:
      was = " ".join(str(digest).split())[:100]
      raise IntegrityError(
        f"{path} is damaged: {was} when written, {found} now; {cure}"
      )
  return frozenset(written["files"])


def open_dataset(
  folder: Path, columns: Mapping[str, Any]
) -> tfds.core.DatasetBuilder:
  """Opens a dataset after looking at every byte of it.

  Args:
    folder: the folder that `write` made.
    columns: those it was made with; TFDS would load whatever classes the files
      name.

  Raises:
    IntegrityError: a file is missing or is not what was written.
  """
  cure, names = _cure(folder), verify(folder)
  wanted = tfds.features.FeaturesDict(columns).to_json()
  wanted = {
    "pythonClassName": wanted["type"],
    "featuresDict": wanted["content"],
  }
  try:
    if json.loads((folder / "features.json").read_text("utf-8")) != wanted:
      raise ValueError(f"its columns are not {', '.join(columns)}")
    builder = tfds.builder_from_directory(folder)
    if not isinstance(builder.info.metadata, Mapping):
      raise ValueError("it does not say what it was made from")
    for split in builder.info.splits.values():
      for path in map(str, split.filepaths):
        if path not in {str(folder / name) for name in names}:
          raise ValueError(f"it names {path}, which was not written")
  except Exception as error:  # TFDS raises whatever its files lead it to.
    first = str(error).partition("\n")[0]
    raise IntegrityError(f"{folder} is damaged: {first}; {cure}") from error
  return builder


def _cure(folder: Path) -> str:
  return f"delete {folder} and run again"


def _digest(path: Path) -> str:
  with path.open("rb") as file:
    hexadecimal = hashlib.file_digest(file, "sha256").hexdigest()
  return f"{path.stat().st_size} bytes of sha256 {hexadecimal}"


def rows(
  builder: tfds.core.DatasetBuilder, split: str
) -> Iterator[list[Mapping]]:
  """Yields chunks of a split's rows, each the feature map of its Example.

  Several times as fast as the decoded rows of the data source, which makes an
  array of every value, only for us to join them again.

  Raises:
    IntegrityError: a row cannot be read.
  """
  source = builder.as_data_source(
    split=split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
  )
  parse = tf_example_pb2.Example.FromString
  for start in range(0, len(source), CHUNK):
    part = range(start, min(start + CHUNK, len(source)))
    try:
      records = source.__getitems__(part)
      found = [parse(record).features.feature for record in records]
    except Exception as error:  # array_record and protobuf: nothing narrower.
      folder = Path(builder.data_dir)
      raise IntegrityError(
        f"{folder} is damaged in its split {split}; {_cure(folder)}"
      ) from error
    yield found


def flat(values: Iterable[Iterable], dtype: Any) -> np.ndarray:
  """Returns all values of all rows in one array."""
  return np.fromiter(itertools.chain.from_iterable(values), dtype)


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
  """Names both sides of every entry of `here` that differs; "" if none does."""
  here = json.loads(json.dumps(dict(here)))
  return "; ".join(
    f"{name} is {there.get(name)!r} there and {value!r} here"
    for name, value in here.items()
    if there.get(name) != value
  )


def uncovered(index: np.ndarray, rows: int) -> str:
  """Says how `index` is not 0 .. rows-1 in some order; "" if it is."""
  outside = index[(index < 0) | (index >= rows)]
  if len(outside):
    return f"have rows that the split has not: {some(outside)} of {rows}"
  times = np.bincount(index, minlength=rows)
  if (times > 1).any():
    return f"have rows more than once: {some(np.flatnonzero(times > 1))}"
  if (times == 0).any():
    return f"lack rows: {some(np.flatnonzero(times == 0))} of {rows}"
  return ""


def some(numbers: np.ndarray) -> str:
  """Returns the first of some numbers, in words."""
  shown = ", ".join(str(number) for number in numbers[:5])
  return f"{shown} and {len(numbers) - 5} more" if len(numbers) > 5 else shown
