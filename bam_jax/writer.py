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

import numpy as np
import rich.console
import rich.progress

CONSOLE = rich.console.Console(highlight=False)
# Seconds between the lines of a log that is not a terminal.
LINE_EVERY = 15.0
# Letters that a bar needs beside its name.
OTHER_COLUMNS = 60


def say(text: str) -> None:
  """Prints a line, above the bar if there is one."""
  CONSOLE.print(text, markup=False, soft_wrap=True)


@contextlib.contextmanager
def bar(
  name: str, total: int, *, done: int = 0, text: str = ""
) -> Iterator[Callable]:
  """Shows progress; yields advance(n, text="").

  Args:
    name: what is being done.
    total: how many of it there are.
    done: how many were done before.
    text: shown until an advance brings another.
  """
  if CONSOLE.is_terminal:
    with rich.progress.Progress(
      "{task.description}",
      rich.progress.BarColumn(bar_width=8),
      rich.progress.MofNCompleteColumn(),
      "{task.fields[text]}",
      rich.progress.TimeRemainingColumn(),
      console=CONSOLE,
      transient=True,
    ) as progress:
      shown = progress.add_task(
        shorten(name, CONSOLE.width - OTHER_COLUMNS),
        total=total,
        completed=done,
        text=text,
      )

      def advance(n: int, new: str = "") -> None:
        progress.update(shown, advance=n, **({"text": new} if new else {}))

      yield advance
    return
  start = last = time.monotonic()
  count = done

  def log(n: int, new: str = "") -> None:
    nonlocal last, count, text
    text = new or text
    count += n
    now = time.monotonic()
    if now - last > LINE_EVERY:
      left = (now - start) / max(count - done, 1) * (total - count)
      say(f"{name} {count}/{total} {text} {left:.0f} s left")
      last = now

  yield log


class Bars:
  """Shows a bar for every job that calls back with how far it is."""

  def __init__(self):
    """Shows nothing yet."""
    self._name, self._done = "", 0
    self._stack = contextlib.ExitStack()

  def __call__(self, name: str, done: int, total: int) -> None:
    """Moves the bar of a job; a finished one goes away."""
    if name != self._name:
      self._stack.close()
      self._advance = self._stack.enter_context(bar(name, total))
      self._name, self._done = name, 0
    self._advance(done - self._done)
    self._done = done
    if done >= total:
      self._stack.close()
      self._name = ""


def shorten(name: str, width: int) -> str:
  """Cuts a name that is too long for its place; at least 12 letters stay."""
  width = max(width, 12)
  return name if len(name) <= width else f"{name[: width - 3]}..."


def parse(text: str) -> list[tuple[str, dict]]:
  """Returns (line, row) of a file of JSON lines, but for a line cut short."""
  rows = []
  for line in text.splitlines():
    # A process that was killed may have left half a line, its last.
    with contextlib.suppress(ValueError):
      rows.append((line, json.loads(line)))
  return rows


class Writer:
  """The record of one group of trials of one run."""

  def __init__(
    self, path: Path, name: str, tasks: Sequence[str], seeds: Sequence[int]
  ):
    """Opens metrics.jsonl for adding to.

    Args:
      path: W/runs/RUN/metrics.jsonl.
      name: of the run, shown.
      tasks: of the run, in order.
      seeds: one per trial.
    """
    self._path, self._name = path, name
    self._tasks, self._seeds = tasks, seeds
    self._advance = lambda n, text="": None
    self._clock = time.monotonic()

  @contextlib.contextmanager
  def progress(self, start: int, steps: int) -> Iterator[None]:
    """Shows a bar from step `start` on; forgets rows of later steps.

    A run that goes on from a checkpoint does those steps again.
    """
    there = self._path.read_text() if self._path.exists() else ""
    kept = [
      line
      for line, row in parse(there)
      if row["seed"] not in self._seeds or row["step"] <= start
    ]
    beside = self._path.with_suffix(".tmp")
    beside.write_text("".join(f"{line}\n" for line in kept))
    os.replace(beside, self._path)
    self._clock = time.monotonic()
    with bar(self._name, steps, done=start, text="compiling") as self._advance:
      yield

  def steps(self, done: int, rows: Sequence[Mapping]) -> None:
    """Writes one line per trial for the steps since the last call.

    Args:
      done: the number of the last step, counted from 1.
      rows: the steps' sums: `loss`, `count` [R, T]; `grad_norm`, `lambda`,
        `rate` [R].
    """
    loss = np.sum([row["loss"] for row in rows], axis=0)
    count = np.sum([row["count"] for row in rows], axis=0)
    last = rows[-1]
    with self._path.open("a") as file:
      for trial, seed in enumerate(self._seeds):
        total = float(loss[trial].sum() / max(count[trial].sum(), 1))
        line = {
          "step": done,
          "seed": seed,
          "loss": total,
          "lambda": float(last["lambda"][trial]),
          "rate": float(last["rate"][trial]),
          "grad_norm": float(
            np.mean([row["grad_norm"][trial] for row in rows])
          ),
          "task_loss": {
            task: float(loss[trial, t] / count[trial, t])
            for t, task in enumerate(self._tasks)
            if count[trial, t]
          },
          "task_count": {
            task: int(count[trial, t]) for t, task in enumerate(self._tasks)
          },
        }
        file.write(json.dumps(line) + "\n")
    now = time.monotonic()
    speed = count.sum() / max(now - self._clock, 1e-9)
    self._clock = now
    mean = loss.sum() / max(count.sum(), 1)
    self._advance(
      len(rows),
      f"loss {mean:.3f} lambda {last['lambda'][0]:.2f} {speed:.0f} ex/s",
    )
