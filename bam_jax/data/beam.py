"""Features made by the workers of Apache Beam, byte for byte those made here.

The text goes, chunk by chunk, to a folder that all workers see. A worker makes
the columns of a chunk; when all chunks are counted it is known which rows every
shard has, and a worker writes a shard. TFDS's own Beam writer would order rows
by a hash of theirs; here a shard is a range of row numbers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import functools
import itertools
import json
from pathlib import Path
import shutil
import threading
from typing import Any
import uuid

from bam_jax.data import columns, runners, shards, workers
from bam_jax.data.sources.examples import Examples
from bam_jax.data.store import Store
from bam_jax.runtime.sealed import beside

# Seconds between two looks at how much is done.
_LOOK = 1.0


def write(
  folder: Path,
  layout: Mapping[str, Any],
  recipes: Mapping[str, columns.Recipe],
  examples: Examples,
  *,
  facts: Mapping[str, Any],
  store: Store,
) -> None:
  """Makes the dataset of some splits of the same text, or nothing.

  Args:
    folder: the folder to make.
    layout: TFDS feature of each column.
    recipes: split -> how its rows are made.
    examples: the text.
    facts: JSON values that say what the rows are made from.
    store: by whom, and who is told how far it is.

  Raises:
    ValueError: what a worker has to say of the text.
    OSError: the runner has failed, or there is no room.
  """
  job = workers.Job(layout, recipes, len(examples), shards.CHUNK, shards.SHARD)
  options = runners.flags(store.beam)
  total = job.rows * len(recipes)
  tell = functools.partial(
    store.report, f"{facts['task']} {', '.join(recipes)} by Beam"
  )

  def report(files: int) -> None:
    # The bar goes away when all shards are there, too.
    tell(min(files * job.chunk, total - 1), total)

  with beside(folder) as temporary:
    with exchange(temporary, options) as place:
      workers.save(job, f"{place}/job")
      for number, part in enumerate(examples.chunks(job.chunk)):
        # These go into no row.
        workers.save(
          dataclasses.replace(part, soft=None, groups=(), agreed=None),
          f"{place}/text-{number:06d}",
        )
      steps = functools.partial(_steps, place=place, job=job)
      with watched(f"{place}/columns-*", report):
        told = run(place, options, steps)
      written = _fetch(told, temporary, job)
    cut = dict.fromkeys(recipes, 0)
    for each in _of("made", told):
      cut[each["split"]] += each["cut"]
    shards.describe(
      temporary,
      name=columns.NAME,
      columns=layout,
      splits=written,
      metadata={**facts, columns.CUT: cut},
    )
  tell(total, total)


@contextlib.contextmanager
def exchange(temporary: Path, options: Sequence[str]) -> Iterator[str]:
  """Yields a folder that driver and workers see, which is gone afterwards.

  Args:
    temporary: where the dataset is made; the folder is in it, unless Beam's
      --temp_location names another place.
    options: Beam's.
  """
  from apache_beam.io.filesystems import FileSystems
  from apache_beam.options.pipeline_options import PipelineOptions

  where = PipelineOptions(list(options)).get_all_options()["temp_location"]
  place = FileSystems.join(
    where or str(temporary.resolve()), f"bam-{uuid.uuid4().hex}"
  )
  FileSystems.mkdirs(place)
  try:
    yield place
  finally:
    with contextlib.suppress(OSError):
      FileSystems.delete([place])


@contextlib.contextmanager
def watched(pattern: str, report: Callable[[int], None]) -> Iterator[None]:
  """Tells, while a job runs, how many files of a pattern its workers made."""
  from apache_beam.io.filesystems import FileSystems

  ended = threading.Event()

  def look() -> None:
    while not ended.wait(_LOOK):
      (found,) = FileSystems.match([pattern])
      report(len(found.metadata_list))

  watcher = threading.Thread(target=look, daemon=True)
  watcher.start()
  try:
    yield
  finally:
    ended.set()
    watcher.join()


def _steps(pipeline: Any, place: str, job: workers.Job) -> Any:
  """Returns what is told of all chunks and shards."""
  import apache_beam

  chunks = range(-(-job.rows // job.chunk))
  made = (
    pipeline
    | "Chunks" >> apache_beam.Create([*itertools.product(job.recipes, chunks)])
    | "SpreadChunks" >> apache_beam.Reshuffle()
    | "Make" >> apache_beam.FlatMap(workers.make, place)
  )
  written = (
    pipeline
    | "Start" >> apache_beam.Create([place])
    | "Shards"
    >> apache_beam.FlatMap(workers.plan, apache_beam.pvalue.AsList(made))
    | "SpreadShards" >> apache_beam.Reshuffle()
    | "Write" >> apache_beam.FlatMap(workers.write, place)
  )
  return (made, written) | apache_beam.Flatten()


def run(
  place: str, options: Sequence[str], steps: Callable[[Any], Any]
) -> list[dict[str, Any]]:
  """Runs a job; returns all that its workers tell, by their numbers.

  Args:
    place: from `exchange`.
    options: Beam's, see `runners.flags`.
    steps: (pipeline) -> what workers tell, as dicts of JSON values.

  Raises:
    ValueError: what a worker has to say of what it was given.
    OSError: the runner has failed.
  """
  import apache_beam
  from apache_beam.options.pipeline_options import PipelineOptions

  pipeline = apache_beam.Pipeline(options=PipelineOptions([*options]))
  (
    steps(pipeline)
    | "Tell" >> apache_beam.Map(json.dumps)
    | apache_beam.io.WriteToText(
      f"{place}/told", num_shards=1, shard_name_template=""
    )
  )
  try:
    with runners.hushed():
      pipeline.run().wait_until_finish()
    with workers.opened(f"{place}/told") as file:
      told = [*map(json.loads, file.read().splitlines())]
  except Exception as error:  # A runner raises whatever it likes.
    last = str(error).strip().rpartition("\n")[2]
    raise OSError(f"the Beam job has failed: {last or repr(error)}") from None
  told.sort(key=lambda each: each["number"])
  for each in told:
    if each["kind"] == "failed":
      raise (ValueError if each["mine"] else RuntimeError)(each["said"])
  return told


def _of(kind: str, told: Sequence[Mapping]) -> Iterator[Mapping]:
  return (each for each in told if each["kind"] == kind)


def _fetch(
  told: Sequence[Mapping], folder: Path, job: workers.Job
) -> dict[str, list[shards.Shard]]:
  """Brings the shards to their folder; returns how much is in each."""
  found = {split: [] for split in job.recipes}
  for each in _of("written", told):
    split = each["split"]
    name = shards.file_of(columns.NAME, split, each["number"])
    with (
      workers.opened(each["path"]) as there,
      (folder / name).open("wb") as here,
    ):
      shutil.copyfileobj(there, here)
    found[split].append(shards.Shard(each["rows"], each["size"]))
  return found
