"""What a model says of parts of rows, each by a worker of Apache Beam.

A worker has devices of its own and loads the model once. What it says of a part
is, to the bit, what the command itself would: on devices of the same kind and
number, as long as both are asked for the same part.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
import dataclasses
import functools
from pathlib import Path
import shutil
from typing import Any
import uuid

import numpy as np

from bam_jax.data import beam, runners, workers
from bam_jax.data.features import Features
from bam_jax.data.pipeline import Layout
from bam_jax.models.multitask import MultiTask
from bam_jax.runtime.files import hidden
from bam_jax.tasks.table import Task
from bam_jax.training import forward, sharding


@dataclasses.dataclass(frozen=True, eq=False)
class Asked:
  """Who is asked, and how.

  Attributes:
    model: the model.
    params: its parameters as arrays of NumPy, [1, ...].
    task: one of its tasks.
    layout: of the rows in a forward pass, the same for all parts.
    axes: of the mesh of a worker's devices, see `sharding.make_mesh`.
  """

  model: MultiTask
  params: Any
  task: Task
  layout: Layout
  axes: Mapping[str, int]


def answer(asked: Asked, rows: Features) -> np.ndarray:
  """Returns the logits f32[N, C] of a part of N rows, here and now."""
  said = forward.outputs(
    asked.model,
    asked.params,
    [(asked.task, asked.task.train, rows)],
    asked.layout,
    mesh=sharding.make_mesh(**asked.axes),
    progress=lambda n: None,
  )
  return said[asked.task.name, asked.task.train][0]


def by_workers(
  asked: Asked,
  parts: Iterable[tuple[int, Features]],
  *,
  runner: str,
  beside: Path,
  progress: Callable[[int], None],
) -> Iterator[tuple[int, np.ndarray]]:
  """Yields (number, logits f32[N, C]) of every part, in order.

  Args:
    asked: who is asked, and how.
    parts: (number, its N rows); one at a time is held.
    runner: of Beam, see `runners.flags`.
    beside: where the answers go; what the workers are told lies there, hidden,
      unless Beam's --temp_location names another place.
    progress: called now and then with the number of parts that are done.

  Raises:
    ValueError: what a worker has to say of the rows.
    OSError: the runner has failed.
  """
  options = runners.flags(runner)
  folder = hidden(beside)
  folder.mkdir()
  try:
    with beam.exchange(folder, options) as place:
      workers.save(asked, f"{place}/job")
      numbers = []
      for number, rows in parts:
        workers.save(rows, f"{place}/rows-{number:06d}")
        numbers.append(number)

      def build(pipeline: Any) -> Any:
        import apache_beam

        return (
          pipeline
          | "Parts" >> apache_beam.Create(numbers)
          | "SpreadParts" >> apache_beam.Reshuffle()
          | "Answer" >> apache_beam.FlatMap(_answer, place)
        )

      with beam.watched(f"{place}/said-*", progress):
        told = beam.run(place, options, build)
      for each in told:
        yield each["number"], workers.load(each["path"])
  finally:
    shutil.rmtree(folder, ignore_errors=True)


def _answer(number: int, place: str) -> Iterator[dict[str, Any]]:
  """Answers a part; yields where the logits are."""
  try:
    said = answer(_load(place), workers.load(f"{place}/rows-{number:06d}"))
    path = f"{place}/said-{number:06d}-{uuid.uuid4().hex}"
    workers.save(said, path)
  except OSError:
    raise
  except Exception as error:
    yield workers.failed(error, number)
    return
  yield {"kind": "said", "number": number, "path": path}


@functools.lru_cache(maxsize=1)
def _load(place: str) -> Asked:
  """Reads once who is asked."""
  return workers.load(f"{place}/job")
