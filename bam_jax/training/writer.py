"""What people see while a run trains, and metrics.jsonl.

On a terminal a progress bar; in a log file one line now and then. The file
holds no times, so that the same run twice writes the same bytes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import json
import os
from pathlib import Path
import time
from typing import Any

import numpy as np

from bam_jax.runtime.console import bar
from bam_jax.runtime.files import beside


def parse(text: str) -> list[tuple[str, dict]]:
  """Returns (line, row) of a file of JSON lines, but for a line cut short."""
  rows = []
  for line in text.splitlines():
    # A process that was killed may have left half a line, its last.
    with contextlib.suppress(ValueError):
      rows.append((line, json.loads(line)))
  return rows


class Writer:
  """The record of one group of trials of one run.

  A line is written every few steps, whatever stops the run in between: the sums
  since the last line go into the checkpoint and come back from it.
  """

  def __init__(
    self,
    path: Path | None,
    name: str,
    tasks: Sequence[str],
    seeds: Sequence[int],
    *,
    trackers: Sequence[Any] = (),
    guard: Callable = contextlib.nullcontext,
    meter: Callable[[], float] | None = None,
  ):
    """Opens metrics.jsonl for adding to.

    Args:
      path: W/runs/RUN/metrics.jsonl; None = another process writes it.
      name: of the run, shown.
      tasks: of the run, in order.
      seeds: one per trial.
      trackers: are handed every line too.
      guard: makes a context in which no other command writes the file.
      meter: reads the joules that the devices have used; None = not known.
    """
    self._path, self._name = path, name
    self._tasks, self._seeds = tasks, seeds
    self._trackers, self._guard = trackers if path else (), guard
    self._advance = lambda n, text="": None
    self._meter = meter
    self._start()
    self._empty()

  def _start(self, seconds: float = 0.0, joules: float = 0.0) -> None:
    """Goes on from what earlier parts of the run have taken."""
    self._seconds, self._clock = seconds, time.monotonic()
    self._joules, self._count = joules, self._meter() if self._meter else 0.0

  def _empty(self) -> None:
    trials, tasks = len(self._seeds), len(self._tasks)
    self._new, self._fresh, self._tick = 0, 0.0, time.monotonic()
    self._sums = {
      "loss": np.zeros((trials, tasks)),
      "count": np.zeros((trials, tasks)),
      "grad_norm": np.zeros(trials),
      "steps": np.zeros(trials),
    }
    self._last = {}

  @property
  def seconds(self) -> float:
    """How long the run has taken, earlier parts of it included."""
    return self._seconds + time.monotonic() - self._clock

  @property
  def joules(self) -> float | None:
    """The energy that the run has taken, as `seconds` tells its time."""
    return self._joules + self._meter() - self._count if self._meter else None

  def window(self) -> dict[str, Any]:
    """Returns what goes into a checkpoint, so that `progress` can go on.

    Lines written until now are on disk before it is.
    """
    if self._path and self._path.exists():
      with self._path.open("a") as file:
        os.fsync(file.fileno())
    for tracker in self._trackers:
      tracker.flush()
    parts = {"sums": self._sums, "last": self._last}
    lists = {
      name: {key: np.asarray(value).tolist() for key, value in part.items()}
      for name, part in parts.items()
    }
    return lists | {"seconds": self.seconds, "joules": self.joules}

  @contextlib.contextmanager
  def progress(
    self, start: int, steps: int, window: Mapping[str, Any]
  ) -> Iterator[None]:
    """Shows a bar from step `start` on; forgets lines of later steps.

    A run that goes on from a checkpoint does those steps again.

    Args:
      start: steps done.
      steps: of the whole run.
      window: from the checkpoint; {} = none.
    """
    if self._path:
      with self._guard():
        self._forget(start)
    self._empty()
    self._start(window.get("seconds", 0.0), window.get("joules") or 0.0)
    if window:
      self._sums = {k: np.array(v) for k, v in window["sums"].items()}
      self._last = {k: np.array(v) for k, v in window["last"].items()}
    whole = False
    for tracker in self._trackers:
      tracker.begin(start)
    try:
      with bar(
        self._name, steps, done=start, text="compiling"
      ) as self._advance:
        yield
      whole = True
    finally:
      for tracker in self._trackers:
        tracker.end(whole)

  def _forget(self, start: int) -> None:
    there = self._path.read_text() if self._path.exists() else ""
    kept = [
      line
      for line, row in parse(there)
      if row["seed"] not in self._seeds or row["step"] <= start
    ]
    with beside(self._path) as part:
      part.write_text("".join(f"{line}\n" for line in kept))

  def add(self, rows: Sequence[Mapping]) -> None:
    """Takes in the sums of some steps; what is not finite is not counted.

    Args:
      rows: `loss`, `count` and, of some adversaries, `distance` [R, T];
        `grad_norm`, `lambda`, `rate`, `bad` [R].
    """
    for row in rows:
      good = np.isfinite(row["loss"]).all(1) & np.isfinite(row["grad_norm"])
      for name in row.keys() & {"loss", "count", "distance"}:
        self._sums[name] = self._sums.get(name, 0) + np.where(
          good[:, None], row[name], 0
        )
      self._fresh += row["count"].sum()
      self._sums["grad_norm"] += np.where(good, row["grad_norm"], 0)
      self._sums["steps"] += good
      self._last = {name: row[name] for name in ("lambda", "rate", "bad")}
    self._new += len(rows)

  def log(self, done: int) -> None:
    """Writes one line per trial for the steps since the last line.

    Args:
      done: the number of the last step, counted from 1.
    """
    if not self._last:
      return
    loss, count = self._sums["loss"], self._sums["count"]
    held = "distance" in self._sums

    def mean(name: str, trial: int) -> dict[str, float]:
      each = self._sums[name][trial] / np.maximum(count[trial], 1)
      seen = np.flatnonzero(count[trial])
      return {self._tasks[t]: float(each[t]) for t in seen}

    for trial, seed in enumerate(self._seeds):
      bad = int(self._last["bad"][trial])
      self._write(
        {
          "step": done,
          "seed": seed,
          "loss": float(loss[trial].sum() / max(count[trial].sum(), 1)),
          "lambda": float(self._last["lambda"][trial]),
          "rate": float(self._last["rate"][trial]),
          "grad_norm": float(
            self._sums["grad_norm"][trial] / max(self._sums["steps"][trial], 1)
          ),
          "task_loss": mean("loss", trial),
          **({"task_distance": mean("distance", trial)} if held else {}),
          "task_count": {
            task: int(count[trial, t]) for t, task in enumerate(self._tasks)
          },
          **({"skipped": bad} if bad else {}),
        }
      )
    mean = loss.sum() / max(count.sum(), 1)
    share = self._last["lambda"][0]
    # Examples of this process only: what a checkpoint brought took no time now.
    speed = self._fresh / max(time.monotonic() - self._tick, 1e-9)
    self._advance(
      self._new, f"loss {mean:.3f} lambda {share:.2f} {speed:.0f} ex/s"
    )
    self._empty()

  def scores(self, done: int, scores: Sequence[Mapping[str, float]]) -> None:
    """Writes one line per trial for an evaluation after step `done`."""
    for seed, found in zip(self._seeds, scores, strict=True):
      self._write({"step": done, "seed": seed, "scores": dict(found)})

  def _write(self, line: Mapping[str, Any]) -> None:
    if self._path is None:
      return
    with self._guard(), self._path.open("a") as file:
      file.write(json.dumps(line) + "\n")
    for tracker in self._trackers:
      tracker.write(line)
