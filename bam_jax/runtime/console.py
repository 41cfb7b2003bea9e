"""What people see in the terminal: lines, and bars that move."""

from collections.abc import Callable, Iterator
import contextlib
import sys
import time

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


@contextlib.contextmanager
def counter(done: str) -> Iterator[Callable[[int], None]]:
  """Shows on a terminal's stderr how many are done; yields advance(n).

  Args:
    done: what they are when they are.
  """
  with rich.progress.Progress(
    rich.progress.SpinnerColumn(),
    "{task.completed} {task.description}",
    rich.progress.TimeElapsedColumn(),
    console=rich.console.Console(stderr=True),
    disable=not sys.stderr.isatty(),
    transient=True,
  ) as progress:
    shown = progress.add_task(done, total=None)
    yield lambda n: progress.update(shown, advance=n)


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
