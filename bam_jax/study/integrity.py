"""Whether a working directory is what was written, and how far it is.

Nothing in it is changed by looking. Where a command is at work in it, what has
gone meanwhile is left out.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
import importlib.metadata
import json
from pathlib import Path

from ml_collections import ConfigDict
import numpy as np

from bam_jax.data import logits as logits_lib
from bam_jax.data.tokenizer import load_tokenizer
from bam_jax.report import load
from bam_jax.runtime import sealed
from bam_jax.runtime.console import bar
from bam_jax.runtime.errors import one_line
from bam_jax.runtime.files import HALF
from bam_jax.runtime.findings import Finding, Level
from bam_jax.study import experiment as experiments
from bam_jax.study import locks, records, results
from bam_jax.study.experiment import Experiment
from bam_jax.study.lineage import differences, shaped
from bam_jax.study.plan import Run
from bam_jax.study.records import AGAIN
from bam_jax.study.workdir import Workdir, commit
from bam_jax.training.checkpoint import (
  Damaged,
  Unread,
  load_params,
  read_meta,
  verify,
)


def lock(workdir: Workdir) -> Iterator[Finding]:
  """Yields who is at work in the directory."""
  holder = locks.holder(workdir.path)
  if holder:
    text = (
      f"in use by {holder}: what is below may change while it is looked at; "
      "look again when it has ended"
    )
    yield Finding(Level.WARNING, "lock", text)
  else:
    yield Finding(Level.OK, "lock", "no command is at work there")


def config(workdir: Workdir) -> Generator[Finding, None, Experiment | None]:
  """Yields what made the directory; returns its experiment, if it has one."""
  name, path = "config.json", workdir.file
  try:
    made = workdir.made()
  except ValueError as error:
    yield Finding(Level.PROBLEM, name, one_line(error))
    return None
  if not made:
    yield Finding(
      Level.WARNING,
      name,
      f"there is no {path}: no command has begun there; is --workdir right?",
    )
    return None
  if not isinstance(made, Mapping) or "config" not in made:
    text = f"{path} is not bam_jax's; take another --workdir"
    yield Finding(Level.PROBLEM, name, text)
    return None
  versions = made.get("versions", {})
  shown = ", ".join(f"{package} {v}" for package, v in versions.items())
  text = f"made by commit {made.get('commit')} with {shown}"
  yield Finding(Level.OK, name, text)
  there = versions | {"commit": made.get("commit")}
  here = {package: importlib.metadata.version(package) for package in versions}
  here["commit"] = commit()
  differ = [f"{what} {v}" for what, v in here.items() if v != there[what]]
  if differ:
    yield Finding(
      Level.WARNING,
      name,
      f"{', '.join(differ)} is here: what is trained now may differ in its "
      "last digits, and what is called damaged below may only be of another "
      "version: look with that one before you delete it",
    )
  try:
    experiment = experiments.read(workdir.config())
    assert experiment.runs and experiment.seeds
    return experiment
  except (KeyError, TypeError, AttributeError, AssertionError) as error:
    yield Finding(
      Level.WARNING,
      name,
      f"{path} has other keys than this version ({one_line(error)}); what was "
      "planned is not known, and the same command would be refused: take the "
      "version of the commit above",
    )
  except (ValueError, OSError) as error:
    yield Finding(Level.PROBLEM, name, one_line(error))
  return None


def runs(workdir: Workdir, experiment: Experiment | None) -> Iterator[Finding]:
  """Yields how far each run is, and what in it is damaged.

  Args:
    workdir: the directory.
    experiment: of its config; None = it cannot be read.
  """
  planned = {run.name: run for run in experiment.runs} if experiment else {}
  there = sorted(p.name for p in (workdir.path / "runs").glob("[!.]*"))
  unknown = [name for name in there if name not in planned]
  for name in [*planned, *unknown]:
    if name in there:
      yield from _run(workdir, name, planned.get(name), experiment)
    else:
      yield Finding(Level.OK, f"run {name}", "not begun")


def _run(
  workdir: Workdir, name: str, run: Run | None, experiment: Experiment | None
) -> Iterator[Finding]:
  folder = workdir.run(name) / "checkpoints"
  # What Orbax left half has a longer name.
  seeds = _numbers(p.name.removeprefix("seed-") for p in folder.glob("seed-*"))
  groups = workdir.begun(name)
  states = [folder / f"training-{first}-{last}" for first, last in groups]
  total = len(seeds) + sum(len(_steps(path)) for path in states)
  whole: dict[int, int] = {}
  parts: list[str] = []
  notes: list[tuple[Level, str]] = []
  with bar(name, total, text="verifies") as advance:
    for seed in seeds:
      try:
        whole[seed] = load_params(workdir.params(name, seed))[1]["step"]
      except (Damaged, Unread) as error:
        notes.append((Level.PROBLEM, str(error)))
      advance(1)
    for (first, last), path in zip(groups, states, strict=True):
      step, damage = _states(path, advance)
      at = f"at step {step}" if step else "with no whole state"
      trials = f"seeds {first} to {last}" if last > first else f"seed {first}"
      parts.append(f"{trials} in training, {at}")
      notes += [(Level.PROBLEM, text) for text in damage]
  tasks = experiment.tasks_of(run) if experiment and run else ()
  scores, wrong = records.scores(workdir, name, tasks, whole, seeds)
  unscored = [seed for seed in whole if str(seed) not in scores]
  if unscored:
    parts.append(f"seeds not scored yet: {_list(unscored)}")
  lines, torn = records.metrics(workdir.run(name) / "metrics.jsonl")
  parts.append(f"{lines} lines of metrics")
  if experiment and not run:
    parts.append("no method of config.json has this run")
  wanted = experiment.seeds if experiment and run else ()
  notes += [*wrong, *torn]
  text = f"{len(whole)} of {len({*seeds, *wanted})} trials finished and whole"
  yield Finding(_worst(notes), f"run {name}", ", ".join([text, *parts]))
  for level, text in notes:
    yield Finding(level, f"run {name}", text)


def _states(
  path: Path, advance: Callable[[int], None]
) -> tuple[int, list[str]]:
  """Returns the step of the last whole state, 0 = none; and what is damaged."""
  last, damage = 0, {}
  for step in _steps(path):
    try:
      verify(path / str(step))
      last = step
    except (Damaged, Unread) as error:
      # A command at work deletes old states.
      if (path / str(step)).exists():
        damage[step] = str(error)
    advance(1)
  then = f"it goes on from step {last}" if last else "it begins anew"
  return last, [f"{text}; {AGAIN}: {then}" for text in damage.values()]


def _steps(path: Path) -> list[int]:
  return _numbers(each.name for each in path.glob("*"))


def _numbers(names: Iterable[str]) -> list[int]:
  return sorted(int(name) for name in names if name.isdigit())


def _worst(notes: list[tuple[Level, str]]) -> Level:
  levels = [level for level, _ in notes]
  worst = [x for x in (Level.PROBLEM, Level.WARNING) if x in levels]
  return worst[0] if worst else Level.OK


def data(workdir: Workdir, experiment: Experiment | None) -> Iterator[Finding]:
  """Yields whether feature shards, teacher logits and tokenizer are whole."""
  folders = [
    path
    for path in sorted(workdir.data.glob("[!.]*/[!.]*"))
    if path.is_dir() and path.parent.name not in ("teachers", "tokenizer")
  ]
  logits = sorted((workdir.data / "teachers").glob("*/*/seed-*"))
  whole, taught = 0, 0
  with bar("data", len(folders) + len(logits), text="verifies") as advance:
    for path in folders:
      try:
        sealed.verify(path)
        whole += 1
      except ValueError as error:
        yield Finding(Level.PROBLEM, "features", one_line(error))
      advance(1)
    for path in logits:
      wrong = _logits(path, workdir, experiment)
      if wrong:
        yield Finding(Level.PROBLEM, "teacher logits", wrong)
      taught += not wrong
      advance(1)
  counts = {"features": (whole, folders), "teacher logits": (taught, logits)}
  for name, (good, there) in counts.items():
    if there:
      level = Level.OK if good == len(there) else Level.PROBLEM
      yield Finding(level, name, f"{good} of {len(there)} datasets are whole")
  tokenizer = workdir.data / "tokenizer"
  if tokenizer.is_dir():
    try:
      words = load_tokenizer(tokenizer, vocab_size=None).vocab_size
      yield Finding(Level.OK, "tokenizer", f"{words} tokens, made there")
    except ValueError as error:
      text = f"{one_line(error)}; delete {workdir.path} and {AGAIN}"
      yield Finding(Level.PROBLEM, "tokenizer", text)


def _other_settings(experiment: Experiment, name: str, made_of: Mapping) -> str:
  """Says how the settings of a trial differ from those of the config."""
  there = {k: v for k, v in made_of.items() if k.startswith("settings.")}
  here = [
    shaped(experiment, run) for run in experiment.runs if run.name == name
  ]
  return differences(there, here[0]) if here else ""


def _logits(path: Path, workdir: Workdir, experiment: Experiment | None) -> str:
  """Says what is wrong with teacher logits: digests, rows, maker."""
  name = path.parents[1].name
  expected = {}
  try:
    # Another trial may lie there by now than the one that taught.
    trial = workdir.run(name) / "checkpoints" / path.name
    if trial.is_dir() and "content" in (meta := read_meta(trial)):
      expected["teacher"] = meta["content"]
      differ = experiment and _other_settings(experiment, name, meta["made_of"])
      if differ:
        return (
          f"{path} was made by a trial of other settings: {differ}; delete "
          f"{workdir.run(name)} and it, and {AGAIN}"
        )
    logits = logits_lib.read(path, expected=expected)
  except (ValueError, OSError) as error:
    return one_line(error)
  # A word that the teacher has not read is NaN.
  bad = np.isinf if logits.words is not None else lambda x: ~np.isfinite(x)
  if bad(logits.values).any():
    return f"{path} has logits that are not finite; delete it and {AGAIN}"
  return ""


def outcome(workdir: Workdir) -> Iterator[Finding]:
  """Yields whether results.json says what the runs' scores say."""
  name, path = "results.json", workdir.path / "results.json"
  if not path.exists():
    text = f"not written yet; {AGAIN} to its end"
    yield Finding(Level.OK, name, text)
    return
  cure = "type the same command with --config.stage=report"
  try:
    there = load.load(workdir.path)
  except ValueError as error:
    yield Finding(Level.PROBLEM, name, one_line(error))
    return
  try:
    settings = ConfigDict(there["settings"])
    wanted = there["methods"], there["average"]
    seeds = _seeds(there)
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    yield Finding(Level.PROBLEM, name, f"{path}: {one_line(error)}; {cure}")
    return
  try:
    now = results.gather(experiments.read(settings), workdir)
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    text = f"it cannot be held against the runs' scores ({one_line(error)})"
    yield Finding(Level.WARNING, name, text)
    return
  found = json.loads(json.dumps([now["methods"], now["average"]]))
  methods = ", ".join(there["methods"])
  if found == list(wanted):
    text = f"{methods}: it says what the runs' scores say"
    yield Finding(Level.OK, name, text)
  elif _seeds(now) != seeds:
    text = f"{path} is older than the runs' scores; {cure}"
    yield Finding(Level.WARNING, name, text)
  else:
    text = f"{path} does not say what the runs' scores say; {cure}"
    yield Finding(Level.PROBLEM, name, text)


def _seeds(found: Mapping) -> dict[str, dict[str, list[int]]]:
  return {
    method: {task: list(record["seeds"]) for task, record in records.items()}
    for method, records in found["methods"].items()
  }


def leftovers(workdir: Workdir) -> Iterator[Finding]:
  """Yields what stopped processes left: half files and states set aside."""
  patterns = (
    *(f"{folder}.*{HALF}" for folder in ("", "runs/*/", "runs/*/*/")),
    *(f"{folder}/.*{HALF}" for folder in ("report", "submission")),
    "runs/*/checkpoints/*orbax-checkpoint-tmp*",
    "runs/*/checkpoints/discarded*",
    "runs/*/checkpoints/taking-*",
    "runs/*/checkpoints/training-*/*orbax-checkpoint-tmp*",
    "runs/*/checkpoints/training-*/damaged-*",
    *(f"data/{folder}.*{HALF}" for folder in ("", "*/", "teachers/*/*/")),
    f"data/teachers/*/*/parts-*/.*{HALF}",
  )
  found = [
    path for each in patterns for path in sorted(workdir.path.glob(each))
  ]
  if found and not locks.holder(workdir.path):
    text = f"{_list(found)}: no run reads them; delete them for room"
    yield Finding(Level.WARNING, "leftovers", text)


def _list(things: list) -> str:
  more = f" and {len(things) - 5} more" if len(things) > 5 else ""
  return ", ".join(str(thing) for thing in things[:5]) + more
