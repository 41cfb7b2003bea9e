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
  with beside(folder) as temporary:
    with _exchange(temporary, options) as place:
      workers.save(job, f"{place}/job")
      for number, part in enumerate(examples.chunks(job.chunk)):
        # Neither goes into a row.
        workers.save(
          dataclasses.replace(part, soft=None, groups=()),
          f"{place}/text-{number:06d}",
        )
      what = f"{facts['task']} {', '.join(recipes)} by Beam"
      with _watched(place, job, functools.partial(store.report, what)):
        told = _run(place, job, options)
      written = _fetch(told, temporary, job)
    cut = {name: sum(e["cut"] for e in told["made", name]) for name in recipes}
    shards.describe(
      temporary,
      name=columns.NAME,
      columns=layout,
      splits=written,
      metadata={**facts, columns.CUT: cut},
    )


@contextlib.contextmanager
def _exchange(temporary: Path, options: Sequence[str]) -> Iterator[str]:
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
def _watched(
  place: str, job: workers.Job, report: Callable[[int, int], None]
) -> Iterator[None]:
  """Tells, while a job runs, how many rows of text have been made."""
  from apache_beam.io.filesystems import FileSystems

  total, ended = job.rows * len(job.recipes), threading.Event()

  def look() -> None:
    while not ended.wait(_LOOK):
      (found,) = FileSystems.match([f"{place}/columns-*"])
      # The bar goes away when all shards are there, too.
      report(min(len(found.metadata_list) * job.chunk, total - 1), total)

  watcher = threading.Thread(target=look, daemon=True)
  watcher.start()
  try:
    yield
  finally:
    ended.set()
    watcher.join()
  report(total, total)


def _run(
  place: str, job: workers.Job, options: Sequence[str]
) -> dict[tuple[str, str], list[dict]]:
  """Runs the job; returns what was told of (kind, split), in order."""
  import apache_beam
  from apache_beam.options.pipeline_options import PipelineOptions

  pipeline = apache_beam.Pipeline(options=PipelineOptions([*options]))
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
  (
    (made, written)
    | apache_beam.Flatten()
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
  found = {(kind, s): [] for kind in ("made", "written") for s in job.recipes}
  for each in sorted(told, key=lambda each: each["number"]):
    if each["kind"] == "failed":
      raise (ValueError if each["mine"] else RuntimeError)(each["said"])
    found[each["kind"], each["split"]].append(each)
  return found


def _fetch(
  told: Mapping[tuple[str, str], Sequence[Mapping]],
  folder: Path,
  job: workers.Job,
) -> dict[str, list[shards.Shard]]:
  """Brings the shards to their folder; returns how much is in each."""
  found = {}
  for split in job.recipes:
    found[split] = []
    for number, each in enumerate(told["written", split]):
      name = shards.file_of(columns.NAME, split, number)
      with (
        workers.opened(each["path"]) as there,
        (folder / name).open("wb") as here,
      ):
        shutil.copyfileobj(there, here)
      found[split].append(shards.Shard(each["rows"], each["size"]))
  return found
