"""What a worker of Apache Beam does for features; `beam` asks it to.

Files are written and read by Beam's own file systems, so the folder of a job
may be on a disk or in a bucket. Each attempt writes files of its own names, and
Beam tells which attempt counts: a worker that dies is simply replaced.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import functools
from pathlib import Path
import pickle
import shutil
import tempfile
import traceback
from typing import Any
import uuid

import numpy as np

from bam_jax.data import columns, ragged, shards


@dataclasses.dataclass(frozen=True)
class Job:
  """What every worker has to know.

  Attributes:
    layout: TFDS feature of each column.
    recipes: split -> how its rows are made.
    rows: of text.
    chunk: rows of text made at a time.
    shard: rows of a shard.
  """

  layout: Mapping[str, Any]
  recipes: Mapping[str, columns.Recipe]
  rows: int
  chunk: int
  shard: int


def failed(error: Exception, number: int) -> dict[str, Any]:
  """Returns what the driver is told of text that cannot be made into rows.

  It would be no better the next time, so the runner is not to try again.
  """
  mine = isinstance(error, ValueError)
  said = str(error) if mine else traceback.format_exc()
  return {"kind": "failed", "number": number, "mine": mine, "said": said}


def make(which: tuple[str, int], place: str) -> Iterator[dict[str, Any]]:
  """Makes the columns of a chunk; yields where they are, and how many rows."""
  split, number = which
  try:
    job = load_job(place)
    examples = load(f"{place}/text-{number:06d}")
    made = columns.featurise(job.recipes[split], examples)
    path = f"{place}/columns-{split}-{number:06d}-{uuid.uuid4().hex}"
    save(columns.of(made, examples.weights), path)
  except OSError:  # of the disk or the network: the runner tries again
    raise
  except Exception as error:
    yield failed(error, number)
    return
  told = {"kind": "made", "split": split, "number": number, "path": path}
  yield told | {"rows": len(made), "cut": made.cut}


def plan(place: str, made: Sequence[Mapping]) -> Iterator[dict[str, Any]]:
  """Yields every shard: which rows of which chunks are in it."""
  if any(each["kind"] == "failed" for each in made):
    return
  job = load_job(place)
  for split in job.recipes:
    mine = [each for each in made if each["split"] == split]
    mine.sort(key=lambda each: each["number"])
    ends = ragged.offsets_of(np.array([each["rows"] for each in mine]))
    for number, start in enumerate(range(0, int(ends[-1]), job.shard)):
      stop = min(start + job.shard, int(ends[-1]))
      first = int(np.searchsorted(ends, start, side="right")) - 1
      last = int(np.searchsorted(ends, stop, side="left"))
      chunks = [
        {**mine[at], "before": int(ends[at])} for at in range(first, last)
      ]
      shard = {"split": split, "number": number, "start": start, "stop": stop}
      yield shard | {"chunks": chunks}


def write(shard: Mapping[str, Any], place: str) -> Iterator[dict[str, Any]]:
  """Writes a shard; yields where it is, and how much is in it."""
  split, number = shard["split"], shard["number"]
  try:
    job = load_job(place)
    with tempfile.TemporaryDirectory() as folder:
      # array_record writes to a disk alone.
      file = Path(folder) / "shard"
      written = shards.write_shard(file, job.layout, _rows(shard, job))
      path = f"{place}/shard-{split}-{number:05d}-{uuid.uuid4().hex}"
      with file.open("rb") as here, create(path) as there:
        shutil.copyfileobj(here, there)
  except OSError:
    raise
  except RuntimeError as error:
    raise shards.full(Path(place), error) from error
  except Exception as error:
    yield failed(error, number)
    return
  told = {"kind": "written", "split": split, "number": number, "path": path}
  yield told | dataclasses.asdict(written)


def _rows(shard: Mapping[str, Any], job: Job) -> Iterator[dict[str, Any]]:
  """Yields the rows of a shard, one chunk in memory at a time."""
  first = job.rows if job.recipes[shard["split"]].swap else 0
  for chunk in shard["chunks"]:
    before = chunk["before"]
    found = columns.rows(
      load(chunk["path"]),
      before=first + before,
      read=chunk["number"] * job.chunk,
    )
    yield from found[max(shard["start"] - before, 0) : shard["stop"] - before]


def create(path: str) -> Any:
  """Opens a file to write, on whichever of Beam's file systems."""
  from apache_beam.io.filesystems import FileSystems

  return FileSystems.create(path)


def opened(path: str) -> Any:
  """Opens a file to read, on whichever of Beam's file systems."""
  from apache_beam.io.filesystems import FileSystems

  return FileSystems.open(path)


def save(value: Any, path: str) -> None:
  """Writes what a worker, or the driver, has made."""
  with create(path) as file:
    pickle.dump(value, file)


def load(path: str) -> Any:
  """Reads what `save` wrote."""
  # A pickle of this very job's, in a folder that nobody else writes to.
  with opened(path) as file:
    return pickle.load(file)


@functools.lru_cache(maxsize=2)
def load_job(place: str) -> Job:
  """Reads once what a worker has to know; no two jobs have the same place."""
  return load(f"{place}/job")
