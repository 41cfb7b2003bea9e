r"""Looks whether this machine and a working directory are well.

  python -m bam_jax.doctor
  python -m bam_jax.doctor --workdir=W
  python -m bam_jax.doctor --encoder=DIR_OR_HUB_NAME --glue_dir=GLUE

Packages, devices and memory, whether they compute and how fast, the encoder,
the GLUE folder, and all that is in a working directory: one line each, which
says ok, skipped, warning or problem. Nothing in the working directory is
changed. Its config names the encoder and the folder where no flag does.

Exit codes: 0 well, perhaps with warnings; 2 something is broken, and its line
says what to type.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
import os
from pathlib import Path
import sys
from typing import Any

from bam_jax.runtime.errors import one_line
from bam_jax.runtime.findings import Finding, Level, guarded

BROKEN = 2
WELL = {Level.OK, Level.SKIPPED}
STYLES = {
  Level.OK: "green",
  Level.SKIPPED: "dim",
  Level.WARNING: "yellow",
  Level.PROBLEM: "bold red",
}


def show(finding: Finding) -> None:
  """Prints a finding as one line."""
  try:
    import rich.text

    from bam_jax.runtime.console import CONSOLE
  except ImportError:  # which is what the finding is about
    print(f"{finding.level:8}{finding.name}: {finding.text}")
    return
  line = rich.text.Text.assemble(
    (f"{finding.level:8}", STYLES[finding.level]),
    (finding.name, "bold"),
    f": {finding.text}",
  )
  CONSOLE.print(line, soft_wrap=True)


def diagnose(
  path: Path | None, encoder: str, glue_dir: str
) -> Iterator[Finding]:
  """Yields what is found, one check after the other.

  Args:
    path: the working directory; None = none.
    encoder: a directory or a hub name; "" = that of the workdir, if any.
    glue_dir: the GLUE folder; "" = that of the workdir, if any.
  """
  waits = Finding(Level.SKIPPED, "all else", "it waits for what is above")
  if not (yield from guarded("packages", packages)):
    yield waits
    return
  # Slow imports only now, and only of what is there.
  from bam_jax.runtime import machine
  from bam_jax.training import sharding

  yield from guarded("hub", machine.hub)
  yield from guarded("compile cache", lambda: machine.cache(path))
  if not (yield from guarded("devices", machine.devices)):
    yield waits
    return
  yield from guarded("memory", lambda: machine.memory(path))
  yield from guarded("matmul", machine.matmul)
  yield from guarded(
    "collective",
    lambda: machine.collective(sharding.make_mesh(data=-1, fsdp=1, tensor=1)),
  )
  if not path or not path.is_dir():
    yield no_workdir(path)
    yield from inputs(None, None, encoder, glue_dir)
    return
  from bam_jax.study import integrity
  from bam_jax.study.workdir import Workdir

  workdir = Workdir(path)
  yield from guarded("lock", lambda: integrity.lock(workdir))
  experiment = yield from integrity.config(workdir)
  yield from inputs(workdir, experiment, encoder, glue_dir)
  yield from guarded("data", lambda: integrity.data(workdir, experiment))
  yield from guarded("runs", lambda: integrity.runs(workdir, experiment))
  yield from guarded("results.json", lambda: integrity.outcome(workdir))
  yield from guarded("leftovers", lambda: integrity.leftovers(workdir))


def packages() -> Iterator[Finding]:
  """Yields what Python and the packages are."""
  from bam_jax.runtime import versions

  return versions.look()


def no_workdir(path: Path | None) -> Finding:
  """Returns what to say where there is no working directory."""
  if path is None:
    return Finding(Level.SKIPPED, "workdir", "to look at one: --workdir=W")
  if path.exists():
    text = f"{path} is a file; take another --workdir"
    return Finding(Level.PROBLEM, "workdir", text)
  text = f"{path} is not there; a run makes it, if that is its name"
  return Finding(Level.WARNING, "workdir", text)


def inputs(
  workdir: Any, experiment: Any, encoder: str, glue_dir: str
) -> Iterator[Finding]:
  """Yields whether the encoder and the tasks' text are there.

  Args:
    workdir: that is looked at; None = none.
    experiment: of the workdir; None = none.
    encoder: a directory or a hub name; "" = the experiment's.
    glue_dir: the GLUE folder; "" = the experiment's.
  """
  named, folder, tasks, level = "", "", [], Level.PROBLEM
  if experiment:
    c = experiment.config
    named = "" if c.encoder == "scratch" else c.encoder
    tasks = [task for task in experiment.tasks if task.glue]
    folder = c.data.glue_dir if tasks else ""
    # What is finished is reported without its encoder and its data.
    level = Level.WARNING if finished(workdir, experiment) else Level.PROBLEM
  asked = Level.PROBLEM if encoder else level
  yield from guarded("encoder", lambda: load(encoder or named, asked))
  asked = Level.PROBLEM if glue_dir else level
  yield from guarded("GLUE", lambda: read(glue_dir or folder, tasks, asked))


def finished(workdir: Any, experiment: Any) -> bool:
  """Tells whether all is trained and scored."""
  from bam_jax.stages import checks

  try:
    return checks.complete(experiment, workdir)
  except ValueError:  # damaged scores, which another check names
    return False


def load(name: str, level: Level) -> Iterator[Finding]:
  """Yields whether an encoder and its tokenizer load.

  Args:
    name: a directory or a hub name; "" = none.
    level: of an encoder that does not.
  """
  from bam_jax.data.tokenizer import load_tokenizer
  from bam_jax.hf import directory as hf

  if not name:
    text = "to look at one: --encoder=DIR_OR_HUB_NAME"
    yield Finding(Level.SKIPPED, "encoder", text)
    return
  try:
    shape, _, folder = hf.load_encoder(name)
    words = load_tokenizer(folder, vocab_size=shape.vocab_size)
  except (ValueError, OSError) as error:
    yield Finding(level, "encoder", one_line(error))
    return
  yield Finding(
    Level.OK,
    "encoder",
    f"{name}: {shape.layers} layers, {shape.width} wide, {shape.positions} "
    f"positions, a tokenizer of {words.vocab_size} tokens",
  )
  for text in words.remarks:
    yield Finding(Level.WARNING, "tokenizer", text)
  yield same_words(folder, words)


def same_words(folder: Path, ours: Any) -> Finding:
  """Returns whether transformers reads the same tokens of the same texts.

  Args:
    folder: of the tokenizer.
    ours: what it was read as.
  """
  from importlib.util import find_spec

  from bam_jax.data import probe

  if find_spec("transformers") is None:
    text = "transformers is not there to compare with"
    return Finding(Level.SKIPPED, "tokenizer", text)
  from transformers import AutoTokenizer

  texts, apart = list(probe.SENTENCES), {"add_special_tokens": False}
  try:
    theirs = AutoTokenizer.from_pretrained(
      folder, local_files_only=True, trust_remote_code=False
    )
    found = theirs(texts, **apart)["input_ids"]
    around = theirs(texts[:1], texts[1:2])["input_ids"][0]
  except Exception as error:  # It raises whatever the files lead it to.
    text = f"transformers' AutoTokenizer cannot read it: {one_line(error)}"
    return Finding(Level.WARNING, "tokenizer", text[:500])
  read = probe.read(ours.backend)
  marks = [list(each) for each in ours.pair]
  wanted = marks[0] + read[0] + marks[1] + read[1] + marks[2]
  whose = f"transformers' AutoTokenizer ({type(theirs).__name__})"
  if differs := probe.difference(read, found):
    text = (
      f"{differs} have other ids by {whose}; here its files are followed as "
      "they are"
    )
    return Finding(Level.WARNING, "tokenizer", text)
  if around != wanted:
    text = f"{whose} puts other words around a pair: {around}, not {wanted}"
    return Finding(Level.WARNING, "tokenizer", text[:500])
  text = f"{len(read)} sentences have the ids of {whose}"
  return Finding(Level.OK, "tokenizer", text)


def read(folder: str, wanted: Sequence[Any], level: Level) -> Iterator[Finding]:
  """Yields the rows of every GLUE task in a folder, all of them read.

  Args:
    folder: as the GLUE script writes it; "" = none.
    wanted: tasks that have to be there; () = any.
    level: of one that is not.
  """
  from bam_jax.data.sources import glue
  from bam_jax.runtime.console import Bars
  from bam_jax.tasks.manifest import manifest
  from bam_jax.tasks.table import TASKS

  if not folder:
    text = "to look at the files of the GLUE script: --glue_dir=GLUE"
    yield Finding(Level.SKIPPED, "GLUE", text)
    return
  tasks = [task for task in TASKS.values() if task.glue]
  progress, absent, done = Bars(), [], 0
  total = sum(len(task.splits) for task in tasks)
  for task in tasks:
    rows, lacks, broken = {}, {}, []
    for split in task.splits:
      try:
        examples = glue.read_glue_folder(task, split, glue_dir=folder)
        rows[split] = len(examples)
      except FileNotFoundError as error:
        lacks[split] = one_line(error)
      except (ValueError, OSError) as error:
        broken.append(one_line(error))
      done += 1
      progress("GLUE", done, total)
    name = f"GLUE {task.name}"
    for text in broken:
      yield Finding(Level.PROBLEM, name, text)
    needed = [split for split in lacks if split not in task.test]
    if not rows and not broken and task not in wanted:
      absent.append(task.name)
    elif lacks:
      # Tests are read only to be predicted.
      grave = level if needed and task in wanted else Level.WARNING
      yield Finding(grave, name, next(iter(lacks.values())))
    official = manifest()["datasets"][task.name]["rows"]
    differ = {
      split: official[split] for split in rows if rows[split] != official[split]
    }
    if rows:
      text = counts(rows)
      if differ:
        text += f"; the official ones are {counts(differ)}"
      yield Finding(Level.WARNING if differ else Level.OK, name, text)
  if len(absent) == len(tasks):
    yield Finding(
      Level.PROBLEM,
      "GLUE",
      f"{folder} holds no task's files; give the folder with CoLA, RTE and so "
      "on in it: --glue_dir=GLUE",
    )
  elif absent:
    text = f"not in {folder}, and not needed: {', '.join(absent)}"
    yield Finding(Level.OK, "GLUE", text)


def counts(rows: Mapping[str, int]) -> str:
  """Returns "train 50, test 7"."""
  return ", ".join(f"{split} {count}" for split, count in rows.items())


def main(args: Sequence[str] | None = None) -> int:
  """Prints all findings; returns the exit code."""
  parser = argparse.ArgumentParser(
    "python -m bam_jax.doctor",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("--workdir", type=Path, help="to look at")
  parser.add_argument("--encoder", default="", help="directory or hub name")
  parser.add_argument("--glue_dir", default="", help="of the GLUE script")
  given = parser.parse_args(args)
  levels = set()
  for finding in diagnose(given.workdir, given.encoder, given.glue_dir):
    show(finding)
    levels.add(finding.level)
  if Level.PROBLEM in levels:
    print("Something is broken: the lines that begin with problem say what.")
    return BROKEN
  print("All is well." if levels <= WELL else "Well, but for the warnings.")
  return 0


def command() -> None:
  """Runs the command by itself: quiet libraries, a device left to others."""
  from absl import logging

  # Or jax would take most of a device that a run may be using.
  os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
  logging.set_verbosity(logging.ERROR)
  sys.exit(main())


if __name__ == "__main__":
  command()
