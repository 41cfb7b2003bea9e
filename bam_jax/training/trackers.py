"""Mirrors the lines of metrics.jsonl to TensorBoard, W&B and MLflow.

The file stays the record: a tracker that fails is left out with a sentence.
Each is imported only where it is asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses
import importlib.util
import os
from pathlib import Path
import socket
import sys
import time
from typing import Any, Protocol

from bam_jax.runtime.console import say
from bam_jax.runtime.files import flatten, read_json, write_json
from bam_jax.runtime.spelling import hint

# Tracker -> the module it needs, and what pip calls it.
PACKAGES = {
  "tensorboard": ("tensorboardX", "tensorboardX"),
  "wandb": ("wandb", "wandb"),
  "mlflow": ("mlflow", "mlflow-skinny"),
}
PROJECT = "bam_jax"
# Seconds between writes of an event file, so that it can be watched.
FLUSH_EVERY = 10.0


def check(names: Sequence[str]) -> None:
  """Looks whether all trackers are known and installed.

  Raises:
    ValueError: one is not.
  """
  for name in names:
    if name not in PACKAGES:
      raise ValueError(
        f"trackers has {name!r}; it is any of {', '.join(PACKAGES)}, "
        f"separated by commas, or nothing{hint(name, PACKAGES)}"
      )
    module, package = PACKAGES[name]
    if importlib.util.find_spec(module) is None:
      raise ValueError(
        f"trackers has {name}, whose package is not installed; type: pip "
        f"install {package}"
      )


def scalars(line: Mapping[str, Any]) -> dict[str, float]:
  """Returns the numbers of a line of metrics.jsonl by the names of curves."""
  single = ("loss", "lambda", "rate", "grad_norm", "skipped")
  found = {key: line[key] for key in single if key in line}
  several = {
    "task_loss": "task_loss",
    "task_distance": "task_distance",
    "scores": "dev",
  }
  for key, shown in several.items():
    for task, value in line.get(key, {}).items():
      found[f"{shown}/{task}"] = value
  return found


@dataclasses.dataclass(frozen=True)
class Trial:
  """What a tracker shows as one curve.

  Attributes:
    workdir: W.
    run: its name.
    seed: of the trial.
    settings: the config.
  """

  workdir: Path
  run: str
  seed: int
  settings: Mapping[str, Any]

  @property
  def name(self) -> str:
    """What people read."""
    return f"{self.run} seed {self.seed}"

  @property
  def _file(self) -> Path:
    folder = self.workdir / "runs" / self.run / "trackers"
    return folder / f"seed-{self.seed}.json"

  def known(self, tracker: str) -> str:
    """Returns what the tracker calls this trial; "" = nothing yet."""
    return self._known().get(tracker, "")

  def _known(self) -> Mapping[str, str]:
    cure = f"delete {self._file}, and the trackers begin a new curve"
    return read_json(self._file, cure=cure)

  def keep(self, tracker: str, name: str) -> None:
    """Notes what the tracker calls this trial, so that it can go on."""
    write_json(self._file, self._known() | {tracker: name})


class Curves(Protocol):
  """The curves of one trial at one tracker."""

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """Adds a point to each of some curves."""

  def flush(self) -> None:
    """Returns when they would survive the end of the process."""

  def end(self, whole: bool) -> None:
    """Closes them; `whole` tells whether the run came to its end."""


class TensorBoard:
  """Event files in W/tensorboard/RUN/seed-K."""

  def __init__(self, trial: Trial, start: int):
    """Opens a file of its own for the steps after `start`.

    TensorBoard forgets what earlier files hold of later steps.
    """
    with _without_torch():
      from tensorboardX import RecordWriter
      from tensorboardX.proto import event_pb2, summary_pb2

    self._event, self._summary = event_pb2.Event, summary_pb2.Summary
    folder = trial.workdir / "tensorboard" / trial.run / f"seed-{trial.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    # TensorBoard reads files in the order of their names.
    name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}"
    # Not its SummaryWriter, whose queue may not be on disk when a state is.
    self._writer = RecordWriter(str(folder / f"{name}.{start:09d}"))
    self._flushed = 0.0
    self._add(file_version="brain.Event:2")
    log = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    self._add(step=start + 1, session_log=log)

  def _add(self, **content: Any) -> None:
    event = self._event(wall_time=time.time(), **content)
    self._writer.write(event.SerializeToString())

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """Adds a point to each of some curves."""
    points = [
      self._summary.Value(tag=name, simple_value=value)
      for name, value in values.items()
    ]
    self._add(step=step, summary=self._summary(value=points))
    if time.monotonic() - self._flushed > FLUSH_EVERY:
      self.flush()

  def flush(self) -> None:
    """Returns when the file is on disk."""
    self._writer.flush()
    self._flushed = time.monotonic()

  def end(self, whole: bool) -> None:
    """Closes the file."""
    del whole
    self._writer.flush()
    self._writer.close()


class Wandb:
  """A run of Weights & Biases; the trials of a run are a group."""

  def __init__(self, trial: Trial, start: int):
    """Goes on with the run that the trial had before, if it had one."""
    import wandb

    known = trial.known("wandb")
    self._run = wandb.init(
      project=os.environ.get("WANDB_PROJECT", PROJECT),
      name=trial.name,
      group=trial.run,
      id=known or None,
      resume="allow",
      dir=str(trial.workdir),
      config=flatten(trial.settings),
      # Several trials are trained at once.
      reinit="create_new",
      settings=wandb.Settings(silent=True, console="off"),
    )
    if not known:
      trial.keep("wandb", self._run.id)
      if not self._run.offline:
        say(f"{trial.name}: {self._run.url}")
    # What it has of later steps are the same bits, and it takes none back.
    self._next = max(start + 1, self._run.step)

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """Adds a point to each of some curves."""
    if step >= self._next:
      self._run.log(dict(values), step=step)

  def flush(self) -> None:
    """Does nothing: a process of its own writes."""

  def end(self, whole: bool) -> None:
    """Sends what is left."""
    self._run.finish(exit_code=0 if whole else 1)


class MLflow:
  """A run of MLflow, wherever its own environment variables say."""

  def __init__(self, trial: Trial, start: int):
    """Goes on with the run that the trial had before, if it had one."""
    import mlflow
    from mlflow import entities

    self._client = client = mlflow.MlflowClient()
    self._metric, self._id = entities.Metric, trial.known("mlflow")
    self._next = start + 1
    if self._id:
      client.update_run(self._id, "RUNNING")
      points = client.get_metric_history(self._id, "loss")
      # What it has of later steps are the same bits, and it takes none back.
      self._next = max([start, *(point.step for point in points)]) + 1
      return
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
    found = client.get_experiment_by_name(name)
    experiment = (
      found.experiment_id if found else client.create_experiment(name)
    )
    run = client.create_run(
      experiment, run_name=trial.name, tags={"run": trial.run}
    )
    self._id = run.info.run_id
    trial.keep("mlflow", self._id)
    settings = flatten(trial.settings)
    params = [entities.Param(k, str(v)) for k, v in settings.items()]
    client.log_batch(self._id, params=params)

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """Adds a point to each of some curves."""
    if step < self._next:
      return
    now = int(1000 * time.time())
    self._client.log_batch(
      self._id,
      metrics=[self._metric(k, v, now, step) for k, v in values.items()],
    )

  def flush(self) -> None:
    """Does nothing: every point is sent at once."""

  def end(self, whole: bool) -> None:
    """Says how the run ended."""
    self._client.set_terminated(self._id, "FINISHED" if whole else "KILLED")


KINDS = {"tensorboard": TensorBoard, "wandb": Wandb, "mlflow": MLflow}


class Tracker:
  """One tracker of the trials that are trained together.

  Whatever it fails at is said once, and training goes on without it.
  """

  def __init__(self, name: str, trials: Sequence[Trial]):
    """Opens nothing yet.

    Args:
      name: a key of KINDS.
      trials: that are trained together.
    """
    self._name, self._trials = name, trials
    self._curves: dict[int, Curves] = {}

  @contextlib.contextmanager
  def _surely(self) -> Iterator[None]:
    try:
      yield
    # Networks, disks and packages of others: nothing of it is ours to mend.
    except Exception as error:
      self._curves = {}
      why = (str(error) or repr(error)).strip().splitlines()[0]
      say(
        f"{self._name} fails ({why}); {self._trials[0].run} goes on without "
        "it, metrics.jsonl has every line"
      )

  def begin(self, start: int) -> None:
    """Opens the curves for the steps after `start`."""
    with self._surely():
      for trial in self._trials:
        self._curves[trial.seed] = KINDS[self._name](trial, start)

  def write(self, line: Mapping[str, Any]) -> None:
    """Takes a line of metrics.jsonl."""
    if curves := self._curves.get(line["seed"]):
      with self._surely():
        curves.write(line["step"], scalars(line))

  def flush(self) -> None:
    """Returns when what was written would survive the process."""
    with self._surely():
      for curves in self._curves.values():
        curves.flush()

  def end(self, whole: bool) -> None:
    """Closes all; `whole` tells whether the run came to its end."""
    with self._surely():
      for curves in self._curves.values():
        curves.end(whole)
    self._curves = {}


def trackers(
  names: Sequence[str],
  *,
  workdir: Path,
  run: str,
  seeds: Sequence[int],
  settings: Mapping[str, Any],
) -> list[Tracker]:
  """Returns the trackers of some trials of a run.

  Args:
    names: keys of KINDS.
    workdir: W.
    run: its name.
    seeds: one per trial.
    settings: the config.
  """
  trials = [Trial(workdir, run, seed, settings) for seed in seeds]
  return [Tracker(name, trials) for name in names]


@contextlib.contextmanager
def _without_torch() -> Iterator[None]:
  """Hides PyTorch, which tensorboardX loads where it is there, for seconds.

  One with other CUDA libraries than jax's would be no good company either.
  """
  absent = "torch" not in sys.modules
  if absent:
    sys.modules["torch"] = None
  try:
    yield
  finally:
    if absent:
      del sys.modules["torch"]
