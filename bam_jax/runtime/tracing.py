"""Watches a run's step: profiles some of its calls, counts its compilations."""

from collections.abc import Callable, Iterator
import contextlib
import functools
from pathlib import Path
import re
from typing import Any

import jax

from bam_jax.runtime.console import say

# Shapes of a step that are meant to be: see data.row_shapes.
COMPILATIONS = 3


def profiled_steps(text: str) -> range:
  """Returns the steps to profile of "start:stop", counted from 0; "" = none.

  Raises:
    ValueError: it has another form.
  """
  if not text:
    return range(0)
  found = re.fullmatch(r"(\d{1,9}):(\d{1,9})", text)
  if not found or int(found[1]) >= int(found[2]):
    raise ValueError(
      f"profile is {text!r}; it is START:STOP, steps counted from 0, the last "
      "one left out, as in --config.profile=10:13"
    )
  return range(int(found[1]), int(found[2]))


@contextlib.contextmanager
def profiled(
  step: Callable, *, start: int, steps: range, path: Path
) -> Iterator[Callable]:
  """Yields the step, some of whose calls leave a trace for XProf or Perfetto.

  Args:
    step: step(state, batch).
    start: the number of its first call, counted from 0.
    steps: to be traced; a run that ends among them leaves what it has.
    path: folder of the trace.
  """
  if not len(steps):
    yield step
    return
  number, tracing = start, False

  def end() -> None:
    nonlocal tracing
    tracing = False
    jax.profiler.stop_trace()
    say(f"wrote {path}")

  def one(state: Any, batch: Any) -> Any:
    nonlocal number, tracing
    if number in steps and not tracing:
      jax.profiler.start_trace(path, create_perfetto_trace=True)
      tracing = True
    found = step(state, batch)
    number += 1
    if tracing and number not in steps:
      # The device is behind, and the trace is to have its part.
      jax.block_until_ready(found)
      end()
    return found

  try:
    yield one
  finally:
    if tracing:
      end()
    elif number <= steps.start:
      say(
        f"profile: no step from {steps.start} on was trained, so {path} is "
        "not written"
      )


def counted(step: Callable) -> Callable:
  """Returns the step, that tells of every compilation past the third.

  Args:
    step: jitted step(state, batch), batch holding `tokens` [R, B, S].
  """
  known = 0

  @functools.wraps(step)
  def one(state: Any, batch: Any) -> Any:
    nonlocal known
    found = step(state, batch)
    now = step._cache_size()
    if now > max(known, COMPILATIONS):
      trials, rows, width = batch["tokens"].shape
      say(
        f"compilation {now} of a run's step, for {trials} x {rows} rows of "
        f"{width} tokens; more than {COMPILATIONS} cost more than they save: "
        "try --config.data.row_shapes=3"
      )
    known = now
    return found

  return one
