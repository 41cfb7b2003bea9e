"""What a run has written down, and whether it can be so: scores and metrics."""

from collections.abc import Mapping, Sequence
import json
import math
from pathlib import Path
from typing import Any

from bam_jax.runtime.errors import one_line
from bam_jax.runtime.findings import Level
from bam_jax.study.workdir import Workdir
from bam_jax.tasks.table import Task

AGAIN = "run the same command again"


def scores(
  workdir: Workdir,
  name: str,
  tasks: Sequence[Task],
  finished: Mapping[int, int],
  seeds: list[int],
) -> tuple[Mapping, list[tuple[Level, str]]]:
  """Returns the scores of a run, and what is wrong with them.

  Args:
    workdir: the directory.
    name: of the run.
    tasks: of the run; () = it is no run of the config.
    finished: steps of each whole trial.
    seeds: of all trials, damaged ones too.
  """
  path = workdir.run(name) / "scores.json"
  cure = f"delete {path} and {AGAIN}: it scores anew"
  try:
    found = workdir.scores(name)
  except ValueError as error:
    return {}, [(Level.PROBLEM, str(error))]
  notes: list[tuple[Level, str]] = []
  if not isinstance(found, Mapping):
    return {}, [(Level.PROBLEM, f"{path} is not an object of seeds; {cure}")]
  for seed, entry in found.items():
    wrong = _entry(entry, tasks)
    step = finished.get(int(seed)) if seed.isdigit() else None
    if not wrong and step not in (None, entry["step"]):
      wrong = f"is of step {entry['step']}, the parameters of step {step}"
    if wrong:
      text = f"{path}: the entry of seed {seed} {wrong}; {cure}"
      notes.append((Level.PROBLEM, text))
    elif not seed.isdigit() or int(seed) not in seeds:
      gone = f"{path} has scores of seed {seed}, whose parameters are gone"
      notes.append((Level.WARNING, f"{gone}; {AGAIN}: it trains them anew"))
    else:
      said = entry.get("warnings", ())
      notes += [(Level.WARNING, str(warning)) for warning in said]
  return found, notes


def _entry(entry: Any, tasks: Sequence[Task]) -> str:
  """Says how an entry of scores.json is not what is written there."""
  try:
    scores, step = entry["scores"], entry["step"]
    values = [v for found in scores.values() for v in found.values()]
    for task in tasks:
      values.append(scores[task.name][task.headline])
      if entry["examples"][task.name] < 1:
        return f"has no examples of {task.name}"
  except (KeyError, TypeError, AttributeError, ValueError) as error:
    return f"is incomplete ({type(error).__name__} {one_line(error)})"
  numbers = all(type(v) in (int, float) and math.isfinite(v) for v in values)
  return "" if numbers and type(step) is int else "has what is no number"


def metrics(path: Path) -> tuple[int, list[tuple[Level, str]]]:
  """Returns the lines of metrics.jsonl, and what is wrong with them."""
  cure = f"delete {path}: only the learning curves are lost"
  text = path.read_text("utf-8", "replace") if path.exists() else ""
  lines, last = text.splitlines(), {}
  for number, line in enumerate(lines, 1):
    where = f"{path} line {number}"
    try:
      row = json.loads(line)
      seed, step = row["seed"], row["step"]
      # Losses and evaluations of one step are two lines.
      kind = (seed, "scores" in row)
      before = last.get(kind, 0)
      if not step > before:
        return len(lines), [
          (
            Level.PROBLEM,
            f"{where}: step {step} of seed {seed} comes after step {before}; "
            f"{cure}",
          )
        ]
      last[kind] = step
    except (ValueError, KeyError, TypeError) as error:
      # A process that was killed may have left half a line, its last.
      if number == len(lines) and not text.endswith("\n"):
        cut = f"{where} is cut short; {AGAIN}: it writes that line anew"
        return len(lines), [(Level.WARNING, cut)]
      wrong = f"{where} is no row of metrics ({one_line(error)}); {cure}"
      return len(lines), [(Level.PROBLEM, wrong)]
  return len(lines), []
