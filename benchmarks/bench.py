"""Where faults are measured: the studies without one, and their processes."""

from collections.abc import Sequence
import dataclasses
import json
from pathlib import Path
import shutil
import subprocess
import time
from typing import Any
import zlib

import numpy as np

from bam_jax.runtime.files import write_json
from benchmarks import study

# Nothing here takes so long unless it hangs.
HANGS = 600.0


@dataclasses.dataclass(frozen=True)
class Bench:
  """A directory of measurements.

  Attributes:
    out: the directory.
    seed: of all dice.
    studies: names in study.STUDIES that the cases go through.
    flags: of XLA, in every process.
  """

  out: Path
  seed: int
  studies: tuple[str, ...]
  flags: str = ""

  @property
  def work(self) -> Path:
    """The working directory of a case."""
    return self.out / "work"

  @property
  def log(self) -> Path:
    """What the processes of a case say; a job's have work-0.log, ..."""
    return self.out / "work.log"

  def dice(self, row: str, case: int) -> np.random.Generator:
    """Returns the random numbers of a case."""
    return np.random.default_rng([self.seed, zlib.crc32(row.encode()), case])

  def name(self, case: int) -> str:
    """Returns the study of a case."""
    return self.studies[case % len(self.studies)]

  def fresh(self, source: Path | None = None) -> None:
    """Forgets the last case; begins with a copy of `source`, if any."""
    shutil.rmtree(self.work, ignore_errors=True)
    for log in self.out.glob("work*.log"):
      log.unlink()
    if source:
      shutil.copytree(source, self.work)

  def keep(self, name: str) -> None:
    """Moves a case that went wrong to where it can be looked at."""
    aside = self.out / "failed" / name
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for path in [self.work, *self.out.glob("work*.log")]:
      if path.exists():
        shutil.move(path, aside / path.name)

  def start(
    self,
    args: Sequence[str],
    *,
    log: Path | None = None,
    cache: str = "cache",
    fuse: Sequence[str] = (),
    flags: str = "",
  ) -> subprocess.Popen:
    """Starts a study; see study.start.

    Args:
      args: of bam_jax.main.
      log: None = the case's.
      cache: name of the directory of compiled programs.
      fuse: flags of benchmarks.fuse.
      flags: of XLA.
    """
    return study.start(
      args,
      log=log or self.log,
      cache=self.out / cache,
      fuse=fuse,
      flags=flags or self.flags,
    )

  def run(self, args: Sequence[str], **changes: Any) -> int:
    """Runs a study to its end; returns its exit code."""
    return end(self.start(args, **changes))

  def finish(self, args: Sequence[str], whole: Path) -> list[str]:
    """Runs the same command to its end; says what is not as it should be."""
    code = self.run(args)
    if code:
      return [f"the same command again ended with {code}"]
    wrong = [f"{x} is left" for x in study.half_written(self.work)]
    try:
      return wrong + study.differences(whole, self.work)
    except ValueError as error:
      return [*wrong, str(error)]

  def reference(self, name: str) -> dict[str, Any]:
    """Runs a study without a fault, if it was not yet.

    Returns:
      `whole`, its working directory; `kept`, one with every state of its
      training; `seconds` that it takes; `counts`, changes of files by part.
    """
    place = self.out / "reference" / name
    whole, kept, counts = (place / n for n in ("whole", "kept", "counts.json"))
    done = place / "done.json"
    if not done.exists():
      shutil.rmtree(place, ignore_errors=True)
      place.mkdir(parents=True)
      # The first compiles; timed is what the cases do.
      args = study.arguments(name, kept, checkpoint_every=1)
      self.must(args, fuse=["--keep"])
      begun = time.monotonic()
      args = study.arguments(name, whole)
      self.must(args, fuse=[f"--counts={counts}"])
      found = {"seconds": time.monotonic() - begun}
      wrong = study.differences(whole, kept)
      if wrong:
        raise SystemExit(f"two runs without a fault differ: {wrong}")
      write_json(done, found | {"counts": json.loads(counts.read_text())})
    return {"whole": whole, "kept": kept} | json.loads(done.read_text())

  def must(self, args: Sequence[str], **changes: Any) -> None:
    """Runs a study that has to succeed."""
    code = self.run(args, **changes)
    if code:
      raise SystemExit(f"without a fault it ended with {code}; see {self.log}")

  def half(self, name: str) -> Path:
    """Returns a study killed in its last training, with two states."""
    reference = self.reference(name)
    place = self.out / "reference" / name / "half"
    nth = reference["counts"]["states"]
    while not place.exists():
      nth -= 10
      if nth <= 0:
        raise SystemExit(f"no part of {name} has two states")
      self.fresh()
      args = study.arguments(name, self.work)
      self.run(args, fuse=["--part=states", f"--nth={nth}"])
      if len(list(study.states(self.work))) == 2:
        self.work.rename(place)
    return place


def end(process: subprocess.Popen, seconds: float = HANGS) -> int:
  """Returns the exit code; a process that hangs is killed, code -9."""
  try:
    return process.wait(seconds)
  except subprocess.TimeoutExpired:
    process.kill()
    return process.wait()
