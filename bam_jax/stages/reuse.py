"""Takes over from other working directories what they have finished already.

Only a trial of the very same lineage is taken: its parameters, its dev logits,
its metrics and the logits that it taught by. Its scores are computed anew from
the dev logits. What is damaged is left there and trained here.
"""

import dataclasses
import functools
import os
from pathlib import Path
import shutil

from bam_jax.data import logits as logits_lib
from bam_jax.runtime import distributed, files, sealed
from bam_jax.runtime.console import say
from bam_jax.stages import evaluate
from bam_jax.stages.session import Session
from bam_jax.study import predictions
from bam_jax.study.lineage import differences
from bam_jax.study.plan import Run, names
from bam_jax.study.workdir import Workdir
from bam_jax.training.checkpoint import Damaged, read_meta, verify
from bam_jax.training.writer import parse


@dataclasses.dataclass(frozen=True)
class Found:
  """A finished trial in another working directory.

  Attributes:
    workdir: the directory.
    run: the name of the run there.
    seed: the trial.
  """

  workdir: Workdir
  run: str
  seed: int

  def __str__(self) -> str:
    return str(self.workdir.params(self.run, self.seed))


def sources(session: Session) -> list[Workdir]:
  """Returns the directories that may be taken from, in the order of `reuse`.

  Raises:
    ValueError: one of them is no working directory.
  """
  found = []
  for name in names(session.config.reuse):
    source = Workdir(Path(name))
    if not source.file.is_file():
      raise ValueError(
        f"reuse names {name}, which is no working directory (it has no "
        f"{source.file.name}); give the --workdir of another study, or several "
        "with commas between them"
      )
    if source.path.resolve() != session.workdir.path.resolve():
      found.append(source)
  return found


@functools.lru_cache(maxsize=64)
def contents(path: Path) -> dict[str, Found]:
  """Returns the finished and scored trials of a directory by their content.

  Args:
    path: of the working directory; asked once, for it is at rest.
  """
  workdir, found = Workdir(path), {}
  for folder in sorted((path / "runs").glob("[!.]*")):
    for seed, entry in workdir.scores(folder.name).items():
      if "content" in entry and workdir.finished(folder.name, int(seed)):
        trial = Found(workdir, folder.name, int(seed))
        found.setdefault(entry["content"], trial)
  return found


def find(session: Session, run: Run, seed: int) -> Found | None:
  """Returns where a trial of the same content is finished, or None."""
  for source in sources(session):
    found = contents(source.path).get(session.lineage.content(run, seed))
    if found:
      return found
  return None


def unlike(session: Session, run: Run, seed: int) -> str:
  """Says how the trial of the same name was made otherwise; "" = none is.

  Args:
    session: the session.
    run: one of whose trials nothing was found.
    seed: the trial.
  """
  for source in sources(session):
    path = source.params(run.name, seed)
    if not path.is_dir():
      continue
    try:
      there = read_meta(path).get("made_of")
    except Damaged as damage:
      return str(damage)
    if not there:
      return f"{path} does not say what made it"
    differ = differences(there, session.lineage.made_of(run, seed))
    return f"{path} is another trial: {differ or 'it is not scored yet'}"
  return ""


def take(session: Session, run: Run) -> None:
  """Takes over the trials of a run that are finished elsewhere, and here not.

  Args:
    session: whose directory is ours.
    run: the run.
  """
  if not sources(session):
    return
  workdir = session.workdir
  begun = [range(a, b + 1) for a, b in workdir.begun(run.name)]
  for seed in session.experiment.seeds:
    # A group in training goes on as it was.
    if workdir.finished(run.name, seed) or any(seed in each for each in begun):
      continue
    found = find(session, run, seed)
    if found:
      take_trial(session, run, seed, found)


def take_trial(session: Session, run: Run, seed: int, found: Found) -> None:
  """Takes one trial over; one that is damaged is told of and left."""
  place = session.workdir.params(run.name, seed)
  beside = place.with_name(f"taking-{place.name}")
  with distributed.leader_first(f"links {found}"):
    if distributed.leader():
      link(found.workdir.params(found.run, seed), beside)
  try:
    meta = verify(beside)
    if meta.get("content") != session.lineage.content(run, seed):
      raise Damaged(f"{found} is not what its scores.json says it is")
    folder = found.workdir.run(found.run)
    logits = predictions.read(predictions.path(folder, seed))
    wanted = {(task.name, s) for task, s, _ in evaluate.asked(session, run)}
    if logits.keys() != wanted:
      raise Damaged(f"the dev logits of {found} are not of all scored splits")
  except ValueError as error:
    distributed.wait(f"cannot take {found}")
    if distributed.leader():
      shutil.rmtree(beside)
    say(f"{error}; {found} is not taken, {run.name} seed {seed} is trained")
    return
  if distributed.leader():
    take_metrics(session, run, seed, found)
  session.scorebook.keep(
    run,
    seed,
    logits,
    table=session.experiment.named(run),
    meta=meta,
    coverage=evaluate.covered(session, run),
    taken_from=str(found),
  )
  with distributed.leader_first(f"takes {found}"):
    if distributed.leader():
      # Last of what is told of a trial: now it counts as finished.
      os.rename(beside, place)
  take_logits(session, run, seed, found)


def link(source: Path, folder: Path) -> None:
  """Makes a folder of links to another's files, or of copies elsewhere.

  Files of a working directory are replaced, never written into, so that what
  one study does to its own leaves the other's as it is.
  """

  def one(here: str, there: str) -> None:
    try:
      os.link(here, there)
    except OSError:  # another file system, or one without links
      shutil.copyfile(here, there)

  shutil.rmtree(folder, ignore_errors=True)
  shutil.copytree(source, folder, copy_function=one)


def take_metrics(session: Session, run: Run, seed: int, found: Found) -> None:
  """Takes over the lines of a trial's learning curve."""

  def lines(folder: Path, mine: bool) -> list[str]:
    file = folder / "metrics.jsonl"
    text = file.read_text("utf-8", "replace") if file.exists() else ""
    return [f"{x}\n" for x, row in parse(text) if (row["seed"] == seed) == mine]

  here, there = session.workdir.run(run.name), found.workdir.run(found.run)
  file = here / "metrics.jsonl"
  text = "".join([*lines(here, False), *lines(there, True)])
  with files.beside(file) as part:
    part.write_text(text)


def take_logits(session: Session, run: Run, seed: int, found: Found) -> None:
  """Takes over the logits by which a trial teaches in this experiment too."""
  for name in session.experiment.taught_by(run.name):
    task = session.experiment.table[name]
    there = found.workdir.teacher(found.run, name, seed)
    here = session.workdir.teacher(run.name, name, seed)
    if here.exists() or not there.exists():
      continue
    made = session.teachers.expected(run.name, task, seed)
    with distributed.leader_first(f"takes {there}"):
      if not distributed.leader():
        continue
      try:
        logits_lib.read(there, expected=made)
      except ValueError as error:
        say(f"{error}; they are not taken, {run.name} teaches {name} anew")
        continue
      with sealed.beside(here) as folder:
        link(there, folder)
        # Of the links a new one is made, when all are there.
        (folder / sealed.DIGESTS).unlink()
