"""Writes and reads TFDS datasets of ours, without TensorFlow.

A dataset is a folder that `tfds.builder_from_directory` opens. It is written
beside its place and renamed, so a folder that exists is whole. What it was
made from stands in TFDS's metadata.json, and integrity.json holds a digest of
every file, because neither array_record nor TFDS notices every flipped byte.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

from array_record.python import array_record_module
import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from bam_jax.data.windows import Windows
from bam_jax.runtime.sealed import IntegrityError, again, beside, verify

# Rows that are held as Python objects at a time.
CHUNK = 16_384
# Rows of a shard; the last one of a split has what is left.
SHARD = 131_072


def vector(dtype: Any) -> tfds.features.Tensor:
  """Returns the TFDS feature of an array of any length."""
  return tfds.features.Tensor(shape=(None,), dtype=dtype)


# Of parts of a row: of which row each is one.
PARTS = {"source": np.int64}
# Of windows also where in its text each place is.
WINDOWS = {**PARTS, "chars": vector(np.int32)}


@dataclasses.dataclass(frozen=True)
class Shard:
  """How much one file of a split holds.

  Attributes:
    rows: how many.
    size: bytes of them, as they were before the file compressed them.
  """

  rows: int
  size: int


def write(
  folder: Path,
  *,
  name: str,
  columns: Mapping[str, Any],
  splits: Mapping[str, Iterable[list[Mapping]]],
  metadata: Mapping[str, Any],
  counted: Callable[[], Mapping[str, Any]] = dict,
) -> None:
  """Writes a dataset beside its place, then renames it.

  Where another process has made the folder in the meantime, its rows stay.

  Args:
    folder: the folder to make.
    name: of the dataset, for TFDS.
    columns: TFDS feature of each column.
    splits: chunks of rows of each split, in order.
    metadata: JSON values that say what the rows were made from.
    counted: asked when all rows are written, for more of them.
  """
  with beside(folder) as temporary:
    try:
      written = {
        split: [
          write_shard(temporary / file_of(name, split, number), columns, some)
          for number, some in enumerate(_divided(chunks))
        ]
        for split, chunks in splits.items()
      }
    except RuntimeError as error:
      raise full(folder, error) from error
    describe(
      temporary,
      name=name,
      columns=columns,
      splits=written,
      metadata={**metadata, **counted()},
    )


def full(folder: Path, error: RuntimeError) -> OSError:
  """Returns what to say of what array_record says of a full disk."""
  return OSError(
    f"{folder} cannot be written ({error}); make room, or take a --workdir "
    "elsewhere, and run the same command again"
  )


def _divided(chunks: Iterable[list[Mapping]]) -> Iterator[Iterable[Mapping]]:
  """Yields the rows of each shard, to be read before the next is asked for."""
  rows = itertools.chain.from_iterable(chunks)
  for first in rows:
    yield itertools.chain([first], itertools.islice(rows, SHARD - 1))


def file_of(name: str, split: str, number: int) -> str:
  """Returns the name of a shard, as TFDS has it."""
  return f"{name}-{split}.array_record-{number:05d}"


def write_shard(
  path: Path, columns: Mapping[str, Any], rows: Iterable[Mapping]
) -> Shard:
  """Writes one file of a split; the same rows are the same bytes.

  TFDS's own writer leaves protobuf to write a row's columns in whichever order
  it hashes them, another one in every process.

  Args:
    path: of the file.
    columns: TFDS feature of each column.
    rows: those of the shard.

  Raises:
    RuntimeError: what array_record says of a full disk.
  """
  features = tfds.features.FeaturesDict(columns)
  serializer = tfds.core.ExampleSerializer(features.get_serialized_info())
  # In groups of one, as TFDS asks, a row is read without its neighbours.
  writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
  count = size = 0
  for row in rows:
    example = serializer.get_tf_example(features.encode_example(row))
    record = example.SerializeToString(deterministic=True)
    writer.write(record)
    count, size = count + 1, size + len(record)
  writer.close()
  return Shard(count, size)


def describe(
  folder: Path,
  *,
  name: str,
  columns: Mapping[str, Any],
  splits: Mapping[str, Sequence[Shard]],
  metadata: Mapping[str, Any],
) -> None:
  """Writes what TFDS has to know of the shards in a folder.

  Args:
    folder: where they are.
    name: of the dataset.
    columns: TFDS feature of each column.
    splits: the shards of each split, in order.
    metadata: JSON values that say what the rows were made from.
  """
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
  info.set_file_format(tfds.core.FileFormat.ARRAY_RECORD)
  info.set_splits(
    tfds.core.SplitDict(
      [
        tfds.core.SplitInfo(
          name=split,
          shard_lengths=[shard.rows for shard in written],
          num_bytes=sum(shard.size for shard in written),
          filename_template=tfds.core.ShardedFileTemplate(
            dataset_name=name,
            data_dir=folder,
            split=split,
            filetype_suffix="array_record",
            template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_INDEX}",
          ),
        )
        for split, written in splits.items()
      ]
    )
  )
  info.write_to_directory(folder)


def open_dataset(
  folder: Path, *layouts: Mapping[str, Any]
) -> tfds.core.DatasetBuilder:
  """Opens a dataset after looking at every byte of it.

  Args:
    folder: the folder that `write` made.
    *layouts: the columns it may have been made with; TFDS would load whatever
      classes the files name.

  Raises:
    IntegrityError: a file is missing or is not what was written.
  """
  cure, names = again(folder), verify(folder)
  made = [tfds.features.FeaturesDict(each).to_json() for each in layouts]
  wanted = [
    {"pythonClassName": each["type"], "featuresDict": each["content"]}
    for each in made
  ]
  try:
    if json.loads((folder / "features.json").read_text("utf-8")) not in wanted:
      names = " or ".join(", ".join(each) for each in layouts)
      raise ValueError(f"its columns are not {names}")
    builder = tfds.builder_from_directory(folder)
    if not isinstance(builder.info.metadata, Mapping):
      raise ValueError("it does not say what it was made from")
    for split in builder.info.splits.values():
      for path in map(str, split.filepaths):
        if path not in {str(folder / name) for name in names}:
          raise ValueError(f"it names {path}, which was not written")
  except Exception as error:  # TFDS raises whatever its files lead it to.
    first = str(error).partition("\n")[0]
    raise IntegrityError(f"{folder} is damaged: {first}", cure) from error
  return builder


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
        f"{folder} is damaged in its split {split}", again(folder)
      ) from error
    yield found


def windows_of(rows: Sequence[Mapping]) -> Windows:
  """Reads whose a chunk of rows are, from `PARTS` or `WINDOWS`."""
  source = flat([row["source"].int64_list.value for row in rows], np.int64)
  if "chars" not in rows[0]:
    return Windows(source)
  chars = [row["chars"].int64_list.value for row in rows]
  return Windows(source, flat(chars, np.int32).reshape(-1, 2))


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
