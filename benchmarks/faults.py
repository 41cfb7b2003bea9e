"""Stops a small study in every way, and looks whether its result is the same.

  python -m benchmarks.faults --out=DIR
  python -m benchmarks.faults --only=kills --kills=5 --seed=1 --out=DIR

kills: SIGKILL at random moments and in the middle of chosen writes. terms:
SIGTERM. processes: one of 2 or 4 is killed. flips: bits are turned over and
files cut short. The same command again goes on after the last finished case;
DIR/faults.jsonl has a line per case, DIR/faults.md the tables. Exit code 1: a
row does not hold.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
import json
from pathlib import Path
import shlex
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np

from bam_jax.runtime.console import bar, say
from bam_jax.runtime.distributed import HEARTBEAT
from bam_jax.runtime.preemption import STOPPED
from bam_jax.study.workdir import commit
from benchmarks import flips, job, study, tables
from benchmarks.bench import Bench, end

COUNTS = {"kills": 50, "terms": 20, "processes": 10, "flips": 200}
# Seconds from SIGTERM to the end of the process.
NOTICE = 30.0
# What a case of each row has to keep.
LIMITS = {
  "kills": "equal to the unkilled run in every bit",
  "terms": f"ended within {NOTICE:.0f} s, saved, equal in every bit",
  "processes": (
    f"the others end within {HEARTBEAT} + {job.SLACK:.0f} s and say why; equal "
    f"in every bit, on another number of processes to {job.TOLERANCE}"
  ),
  "flips": "detected with a sentence that names it, or harmless",
}
# Parts of a working directory in the middle of whose writing it is killed.
PARTS = (
  "states",
  "discarded",
  "parameters",
  "features",
  "teachers",
  "tokenizer",
  "metrics",
  "dev_logits",
  "scores",
  "results",
  "config",
)


def moment(
  rng: np.random.Generator, reference: dict, share: float
) -> dict[str, Any]:
  """Draws a moment to kill at: a time, or a change of a file.

  Args:
    rng: the dice.
    reference: from Bench.
    share: of the study that may be left.
  """
  if rng.random() < 0.5:
    after = rng.uniform(0, reference["seconds"] * share)
    return {"after": round(float(after), 3)}
  counts = {k: int(n * share) for k, n in reference["counts"].items()}
  part = str(rng.choice([p for p in PARTS if counts.get(p)]))
  # What C++ writes raises no event: it is hit some time after one.
  delay = float(rng.choice([0.0, rng.uniform(0, 0.03)]))
  nth = int(rng.integers(1, counts[part] + 1))
  return {"part": part, "nth": nth, "delay": round(delay, 4)}


def killed(bench: Bench, args: Sequence[str], mark: Mapping) -> int:
  """Runs the study until the moment; returns its exit code, -9 if killed."""
  if "part" in mark:
    fuse = [f"--{key}={value}" for key, value in mark.items()]
    return bench.run(args, fuse=fuse)
  process = bench.start(args)
  try:
    return process.wait(mark["after"])
  except subprocess.TimeoutExpired:
    process.kill()
    return process.wait()


def kill(
  bench: Bench, case: int, marks: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
  """Kills a study up to three times, then lets it finish.

  Args:
    bench: where.
    case: its number.
    marks: the moments; () = random ones.
  """
  rng, name = bench.dice("kills", case), bench.name(case)
  reference, args = bench.reference(name), study.arguments(name, bench.work)
  kills: list[dict] = []
  wrong: list[str] = []
  compared = 0
  times = len(marks) or int(rng.integers(1, 4))
  # One that ended before its first moment has not been killed: again.
  while not kills:
    bench.fresh()
    while len(kills) < times:
      mark = moment(rng, reference, 1 / (len(kills) + 1))
      mark = dict(marks[len(kills)]) if marks else mark
      code = killed(bench, args, mark)
      if code == 0:
        break
      if code != -signal.SIGKILL:
        wrong.append(f"it ended with {code} before it was killed")
      kills.append(mark | {"half": study.half_written(bench.work)})
      number, said = study.compare_states(reference["kept"], bench.work)
      compared, wrong = compared + number, wrong + said
  wrong += bench.finish(args, reference["whole"])
  return {"study": name, "kills": kills, "states": compared, "wrong": wrong}


def term(bench: Bench, case: int) -> dict[str, Any]:
  """Sends SIGTERM, then lets the study finish; every fourth one compiles."""
  rng, name = bench.dice("terms", case), bench.name(case)
  reference, args = bench.reference(name), study.arguments(name, bench.work)
  cold = case % 4 == 3
  while True:
    bench.fresh()
    cache = "cold" if cold else "cache"
    shutil.rmtree(bench.out / "cold", ignore_errors=True)
    seconds = reference["seconds"] * (2.0 if cold else 1.0)
    after = float(rng.uniform(0, seconds))
    process = bench.start(args, cache=cache)
    try:
      process.wait(after)
      continue  # it was done before
    except subprocess.TimeoutExpired:
      process.terminate()
    begun = time.monotonic()
    code = end(process)
    break
  took = time.monotonic() - begun
  wrong = []
  # Before main is reached there is nothing to save, and nobody to save it.
  early = code == -signal.SIGTERM and not bench.work.exists()
  if code not in (0, STOPPED) and not early:
    wrong.append(f"it ended with {code}")
  if took > NOTICE:
    wrong.append(f"it took {took:.1f} s")
  log = bench.log.read_text()
  said = [line for line in log.splitlines() if "stopped" in line]
  if code == STOPPED and not any("goes on from there" in x for x in said):
    wrong.append(f"it did not save: {said}")
  steps = {path.name for path in study.states(bench.work)}
  for line in said:
    words = line.split()
    if "step" in words and words[words.index("step") + 1] not in steps:
      wrong.append(f"{line}, but the states are {sorted(steps)}")
  number, more = study.compare_states(reference["kept"], bench.work)
  wrong += more + bench.finish(args, reference["whole"])
  return {
    "study": name,
    "cold": cold,
    "after": round(after, 3),
    "code": code,
    "seconds": round(took, 2),
    "said": said[-1:],
    "states": number,
    "wrong": wrong,
  }


CASES: dict[str, Callable[[Bench, int], dict]] = {
  "kills": kill,
  "terms": term,
  "processes": job.case,
  "flips": flips.case,
}


def measure(bench: Bench, row: str, cases: int) -> None:
  """Runs the cases of a row that are not in faults.jsonl yet."""
  file = bench.out / "faults.jsonl"
  known = {
    each["case"]
    for each in tables.read(file)
    if each["row"] == row and each["seed"] == bench.seed
  }
  left = [case for case in range(cases) if case not in known]
  with bar(row, cases, done=cases - len(left)) as advance:
    for case in left:
      begun = time.monotonic()
      found = CASES[row](bench, case)
      line = {
        "row": row,
        "case": case,
        "seed": bench.seed,
        "commit": commit(),
        **found,
        "whole_seconds": round(time.monotonic() - begun, 1),
      }
      with file.open("a") as lines:
        lines.write(json.dumps(line) + "\n")
      if found["wrong"]:
        say(f"{row} {case}: {'; '.join(found['wrong'])}")
        bench.keep(f"{row}-{bench.seed}-{case}")
      advance(1, "as it should" if not found["wrong"] else "wrong")


def main(args: Sequence[str] | None = None) -> int:
  """Measures what the command line asks for; 1 = a row does not hold."""
  parser = argparse.ArgumentParser(
    "python -m benchmarks.faults",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  for row, count in COUNTS.items():
    parser.add_argument(f"--{row}", type=int, default=count)
  parser.add_argument("--only", choices=list(COUNTS))
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--out", type=Path, required=True)
  parser.add_argument("--studies", default="plain,best,pair")
  given = parser.parse_args(args)
  studies = tuple(given.studies.split(","))
  bench = Bench(given.out.absolute(), given.seed, studies)
  bench.out.mkdir(parents=True, exist_ok=True)
  rows = [given.only] if given.only else list(COUNTS)
  shown = sys.argv[1:] if args is None else args
  return run(
    bench,
    {row: getattr(given, row) for row in rows},
    f"python -m benchmarks.faults {shlex.join(shown)}",
  )


def run(bench: Bench, rows: Mapping[str, int], command: str) -> int:
  """Measures some cases of some rows; writes and prints the tables.

  Args:
    bench: where.
    rows: how many cases of each.
    command: shown with the tables.

  Returns:
    1 = a row does not hold.
  """
  say(f"seed {bench.seed}, {bench.out}")
  for row, cases in rows.items():
    measure(bench, row, cases)
  lines = tables.read(bench.out / "faults.jsonl")
  text, holds = tables.show(lines, command=command, limits=LIMITS)
  print(text)
  (bench.out / "faults.md").write_text(text)
  return 0 if holds else 1


if __name__ == "__main__":
  sys.exit(main())
