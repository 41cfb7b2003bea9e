"""Damages files of a study, and looks whether a reader notices."""

from collections.abc import Mapping, Sequence
import json
from pathlib import Path
import re
import shutil
from typing import Any

from ml_collections import ConfigDict
import numpy as np

from bam_jax.stages.session import Session, opened
from bam_jax.study import predictions
from bam_jax.study.workdir import Workdir
from bam_jax.tasks.table import get_tasks
from bam_jax.training import loop
from bam_jax.training.checkpoint import Checkpoints
from benchmarks import fuse, study
from benchmarks.bench import Bench

# What is damaged, in turn; text that people may edit is not sealed.
PARTS = (
  "parameters",
  "states",
  "features",
  "teachers",
  "tokenizer",
  "dev_logits",
)
# Every how many cases the whole command is run in place of the reader alone.
COMMAND_EVERY = 20
# The exit code of what is the user's to mend.
WRONG = 2


def damage(dice: np.random.Generator, path: Path) -> str:
  """Turns a bit over or cuts the file short; says which."""
  data = bytearray(path.read_bytes())
  at = int(dice.integers(len(data)))
  if dice.random() < 0.5:
    bit = int(dice.integers(8))
    data[at] ^= 1 << bit
    said = f"bit {bit} of byte {at} of {len(data)}"
  else:
    said = f"cut from {len(data)} to {at} bytes"
    del data[at:]
  path.write_bytes(data)
  return said


def files(workdir: Path, part: str) -> list[Path]:
  """Returns the files of a part that hold anything, as paths in `workdir`.

  Of states only the newest whole one is damaged: it is read first.
  """
  places = [workdir]
  if part == "states":
    places = list(study.states(workdir))[-1:]
  return [
    path.relative_to(workdir)
    for place in places
    for path in sorted(place.rglob("*"))
    if fuse.part(path.relative_to(workdir)) == part
    and "-tmp" not in str(path.relative_to(workdir))
    and path.is_file()
    and path.stat().st_size
  ]


def session_of(workdir: Path) -> Session:
  """Returns the session of a working directory."""
  config = json.loads((workdir / "config.json").read_text())["config"]
  return opened(ConfigDict(config), Workdir(workdir))


def arrays(prefix: str, value: Any) -> dict[str, np.ndarray]:
  """Returns the arrays of a record (features), named."""
  return {
    f"{prefix}/{name}": np.asarray(each)
    for name, each in vars(value).items()
    if each is not None
  }


def look(
  workdir: Path, path: Path
) -> tuple[dict[str, np.ndarray], Sequence[str]]:
  """Reads what a file belongs to as the trainer does.

  Args:
    workdir: the working directory.
    path: of the file, in it.

  Returns:
    Arrays by name, and what was reported on the way.
  """
  part, names = fuse.part(path), path.parts
  if part == "parameters":
    found, meta = study.checkpoint(workdir.joinpath(*names[:4]))
    return found | {"meta": np.array(json.dumps(meta))}, []
  if part == "dev_logits":
    rows = {}
    for name, each in predictions.read(workdir / path).items():
      rows |= arrays("/".join(name), each)
    return rows, []
  session = session_of(workdir)
  if part == "states":
    return restored(session, workdir.joinpath(*names[:4]))
  if part == "teachers":
    run = next(run for run in session.experiment.runs if run.teachers)
    task, seed = get_tasks([names[3]])[0], int(names[4].removeprefix("seed-"))
    return {"logits": session.teachers.targets(run, task, [seed])}, []
  # The tokenizer decides what rows are looked for; both are read by this.
  task = get_tasks([task_of(workdir, names)])[0]
  corpus = session.materials.corpus
  found = arrays("train", corpus.taught(task))
  for split, rows in corpus.scored(task).items():
    found |= arrays(split, rows)
  return found, []


def task_of(workdir: Path, names: Sequence[str]) -> str:
  """Returns the task of a folder of features; the first of all for others."""
  folder = names[1]
  if folder == "tokenizer":
    folder = min(p.name for p in (workdir / "data").glob("*-*-*"))
  return folder.split("-")[0]


def restored(
  session: Session, path: Path
) -> tuple[dict[str, np.ndarray], Sequence[str]]:
  """Returns the state that training goes on from, and what was reported."""
  run = session.experiment.run(path.parts[-3])
  seeds = range(*map(int, path.name.split("-")[1:]))
  seeds = range(seeds.start, seeds.stop + 1)
  init, _, shapes, place = loop.make_step(
    session.materials.model(run),
    len(session.batches(run, seeds)),
    trials=len(seeds),
    settings=session.experiment.settings(run),
    mesh=session.materials.mesh,
  )
  checkpoints, said = Checkpoints(path), []
  try:
    state, meta = checkpoints.restore(shapes, place, said.append, before=None)
  finally:
    checkpoints.close()
  if state is None:
    state = init(np.asarray(seeds, np.uint32), session.given(run, seeds))
  window = json.dumps(study.untimed(dict(meta)))
  return study.flat(state) | {"meta": np.array(window)}, said


def expected(
  kept: Path, source: Path, path: Path, found: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
  """Returns what should have been read.

  Args:
    kept: the working directory with all states of training.
    source: the undamaged one.
    path: of the damaged file, in it.
    found: what was read; of a state, the number of its steps.
  """
  if fuse.part(path) != "states":
    return look(source, path)[0]
  folder = kept.joinpath(*path.parts[:3], f"all-{path.parts[3]}")
  step = int(found["step"].max())
  # Nothing was restored: the run begins anew, as the kept one did.
  if not step:
    return dict(found)
  state, meta = study.checkpoint(folder / str(step))
  return state | {"meta": np.array(json.dumps(meta))}


def names_it(said: str, workdir: Path, path: Path) -> bool:
  """Tells whether a sentence names a file, or a directory that holds it."""
  places = [workdir / path, *(workdir / path).parents]
  inside = [
    str(p) for p in places if p.is_relative_to(workdir) and p != workdir
  ]
  return any(place in said for place in inside)


def case(bench: Bench, number: int) -> dict[str, Any]:
  """Damages one file, then reads it or runs the whole command again.

  Args:
    bench: where.
    number: of the case.
  """
  dice, name = bench.dice("flips", number), bench.name(number)
  reference, half = bench.reference(name), bench.half(name)
  parts = [part for part in PARTS if files(half, part)]
  part = parts[number % len(parts)]
  command = number % COMMAND_EVERY == COMMAND_EVERY - 1 - number // 20 % 5
  unfinished = command or part == "states" or dice.random() < 0.5
  source = half if unfinished else reference["whole"]
  path = files(source, part)
  path = path[int(dice.integers(len(path)))]
  bench.fresh(source)
  how = damage(dice, bench.work / path)
  if command:
    args = study.arguments(name, bench.work)
    outcome, wrong = ran(bench, args, reference["whole"], path)
  else:
    outcome, wrong = read(bench.work, reference["kept"], source, path)
  return {
    "study": name,
    "part": part,
    "file": str(path),
    "unfinished": unfinished,
    "damage": how,
    "by": "command" if command else "reader",
    "outcome": outcome,
    "wrong": wrong,
  }


def read(
  workdir: Path, kept: Path, source: Path, path: Path
) -> tuple[str, list[str]]:
  """Reads a damaged file; returns the outcome and what is wrong with it."""
  try:
    found, said = look(workdir, path)
  except (ValueError, OSError) as error:
    if names_it(str(error), workdir, path):
      return "detected", []
    return "unnamed", [f"{path}: {error!r:.300} does not name it"]
  except Exception as error:
    return "no sentence", [f"{path}: {error!r:.300}"]
  want = expected(kept, source, path, found)
  names = study.unequal(want, found)
  if names:
    return "silent", [f"{path}: {names[0]} and {len(names) - 1} more changed"]
  if not said:
    return "harmless", []
  if not all(names_it(each, workdir, path) for each in said):
    return "unnamed", [f"{path}: {said} does not name it"]
  return "detected", []


def ran(
  bench: Bench, args: Sequence[str], whole: Path, path: Path
) -> tuple[str, list[str]]:
  """Runs the command on damage, does what it says, and runs it again."""
  outcome = "harmless"
  # One sentence may come from the command, one from reading its result.
  for _ in range(3):
    bench.log.unlink(missing_ok=True)
    code = bench.run(args)
    said = bench.log.read_text()
    if "set aside" in said:
      outcome = "detected"
    if code == 0:
      try:
        wrong = study.differences(whole, bench.work)
        return (outcome if not wrong else "silent"), wrong
      except ValueError as error:
        said = str(error)
    elif code != WRONG:
      return "no sentence", [f"{path}: the command ended with {code}"]
    outcome = "detected"
    cure = re.search(r"delete (\S+?)[;,]? (?:and|again)", said)
    again = re.search(r"--config\.stage=\w+", said)
    if not names_it(said, bench.work, path) or not (cure or again):
      return "unnamed", [f"{path}: {said[-300:]!r} names neither it nor a cure"]
    if not cure:
      bench.run([*args, again[0]])
      continue
    gone = Path(cure[1])
    assert gone.is_relative_to(bench.work), gone
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
  return "unnamed", [f"{path}: what the sentences say does not mend it"]
