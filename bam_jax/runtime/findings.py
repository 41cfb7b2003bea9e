"""What the doctor finds: a level in words, a name, and a sentence.

Needs nothing but Python, so that a missing package can be told.
"""

from collections.abc import Callable, Generator, Iterator
import dataclasses
import enum
import os

from bam_jax.runtime.errors import one_line


class Level(enum.StrEnum):
  """How well something is."""

  OK = "ok"
  SKIPPED = "skipped"
  WARNING = "warning"
  PROBLEM = "problem"


@dataclasses.dataclass(frozen=True)
class Finding:
  """One line of the doctor.

  Attributes:
    level: a problem is what would stop a command, or spoil what it makes.
    name: of what was looked at.
    text: what was found, what is expected, and what to type.
  """

  level: Level
  name: str
  text: str


def guarded(
  name: str, look: Callable[[], Iterator[Finding]]
) -> Generator[Finding, None, bool]:
  """Yields what a check finds; returns whether there was no problem.

  A check that breaks is a problem, not the end. $BAM_JAX_TRACEBACK lets its
  error through.

  Args:
    name: of the check.
    look: the check.
  """
  well = True
  try:
    for finding in look():
      well &= finding.level is not Level.PROBLEM
      yield finding
  # A check meets whatever is broken, in every library there is.
  except Exception as error:
    if "BAM_JAX_TRACEBACK" in os.environ:
      raise
    text = f"{type(error).__name__}: {one_line(error)}"
    yield Finding(
      Level.PROBLEM,
      name,
      f"this check cannot be made ({text}); to see where, type: "
      "export BAM_JAX_TRACEBACK=1",
    )
    return False
  return well
