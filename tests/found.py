"""What the doctor's tests read of its findings, and a workdir to spoil."""

from pathlib import Path
import shutil


def copied(small_run, path):
  return Path(shutil.copytree(small_run.workdir, path / "W"))


def said(found, level):
  """Returns the lines of a level."""
  return [f"{f.name}: {f.text}" for f in found if f.level is level]


def only(found, name):
  """Returns the one finding of a name."""
  (finding,) = [each for each in found if each.name == name]
  return finding
