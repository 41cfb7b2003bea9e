"""What the doctor finds: a level in words, a name, and a sentence."""

import dataclasses
import enum

import rich.text

from bam_jax.writer import CONSOLE


class Level(enum.StrEnum):
  """How well something is."""

  OK = "ok"
  SKIPPED = "skipped"
  WARNING = "warning"
  PROBLEM = "problem"


_STYLES = {
  Level.OK: "green",
  Level.SKIPPED: "dim",
  Level.WARNING: "yellow",
  Level.PROBLEM: "bold red",
}


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


def show(finding: Finding) -> None:
  """Prints a finding as one line."""
  CONSOLE.print(
    rich.text.Text.assemble(
      (f"{finding.level:8}", _STYLES[finding.level]),
      (finding.name, "bold"),
      f": {finding.text}",
    ),
    soft_wrap=True,
  )


def one_line(error: BaseException) -> str:
  """Returns what an error says, without line breaks."""
  if isinstance(error, OSError) and error.strerror and error.filename:
    return f"{error.filename}: {error.strerror}"
  return " ".join(str(error).split()) or repr(error)
