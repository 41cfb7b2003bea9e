"""What a run went through: its losses, its dev scores, its schedules."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np

from bam_jax.training import schedules, writer
from bam_jax.training.settings import Settings

# More than a picture can show; 20 trials of them still make a small file.
POINTS = 200
# Of every number: what a picture can show, and no rounding noise.
DIGITS = 6

Rows = Sequence[Mapping[str, Any]]


def read(path: Path, seeds: Iterable[int]) -> list[dict[str, Any]]:
  """Reads a run's metrics.jsonl.

  Args:
    path: of the file; one that is not there has no lines.
    seeds: those whose lines are wanted.

  Returns:
    The lines in the order of their steps. A line that cannot be read is left
    out: no score depends on it.
  """
  if not path.is_file():
    return []
  wanted = set(seeds)
  rows = [
    row
    for _, row in writer.parse(path.read_text("utf-8", errors="replace"))
    if isinstance(row, dict)
    and row.get("seed") in wanted
    and isinstance(row.get("step"), int)
  ]
  return sorted(rows, key=lambda row: row["step"])


def curves(rows: Rows, seeds: Sequence[int]) -> dict[str, dict[str, Any]]:
  """Returns the learning curves of one run.

  Args:
    rows: from `read`.
    seeds: one per trial.

  Returns:
    {"loss": {task: curve}, "score": {task: curve}}; without evaluations on the
    way no "score". A curve has "step" [K], counted from 1, "seeds" [R] and
    "values" [R, K], null where a trial has none. A loss is the mean since the
    line before.
  """
  kinds = {"loss": "task_loss", "score": "scores"}
  found: dict[str, dict[str, Any]] = {}
  for name, key in kinds.items():
    tables: dict[str, dict[tuple[int, int], float]] = {}
    for row in rows:
      for task, value in row.get(key, {}).items():
        tables.setdefault(task, {})[row["seed"], row["step"]] = value
    for task, table in tables.items():
      steps = thinned(sorted({step for _, step in table}))
      found.setdefault(name, {})[task] = {
        "step": steps,
        "seeds": list(seeds),
        "values": [
          [_short(table.get((seed, step))) for step in steps] for seed in seeds
        ],
      }
  return found


def thinned(steps: Sequence[int], points: int = POINTS) -> list[int]:
  """Returns at most so many of the steps, evenly, the ends among them."""
  if len(steps) <= points:
    return list(steps)
  places = np.linspace(0, len(steps) - 1, points).round().astype(int)
  return [steps[place] for place in places]


def schedule(
  config: ConfigDict, kind: str, steps: int, *, taught: bool
) -> dict[str, list]:
  """Returns points of what the schedules of a kind of run are.

  Args:
    config: the whole config.
    kind: single, multi, finetune or frozen.
    steps: of the run.
    taught: whether it has teachers, and so a lambda that matters.

  Returns:
    "step" [K], counted from 0, "rate" [K], that of the heads, and "lambda" [K]
    where it is taught.
  """
  shown = {"rate": schedules.rate_of(Settings.of(config, kind), steps)}
  if taught:
    shown["lambda"] = schedules.lambda_of(config, steps)
  at = thinned(range(steps))
  return {"step": at} | {
    name: [_short(x) for x in np.asarray(jax.vmap(each)(jnp.asarray(at)))]
    for name, each in shown.items()
  }


def logged(rows: Rows, *, taught: bool) -> dict[str, list]:
  """Returns `schedule` as it was noted on the way, of the first trial."""
  mine = [r for r in rows if "rate" in r and r["seed"] == rows[0]["seed"]]
  mine = [mine[k] for k in thinned(range(len(mine)))]
  names = ["rate", "lambda"] if taught else ["rate"]
  return {"step": [row["step"] - 1 for row in mine]} | {
    name: [_short(row[name]) for row in mine] for name in names
  }


def schedules_of(
  settings: Callable[[Any], Settings],
  runs: Iterable[Any],
  histories: Mapping[str, Rows],
) -> Iterator[tuple[str, dict[str, Any]]]:
  """Yields (kind or kind@variant, schedules) of the longest such run.

  Where patience may have ended a run early, its length is not in its history
  and the points are those that it logged; so they are where the rate falls at
  plateaus.

  Args:
    settings: a run -> its settings.
    runs: those of the experiment.
    histories: name of a run -> its rows.
  """
  longest: dict[str, tuple[int, Any]] = {}
  taught = set()
  for run in runs:
    stage = "first" if run.first else run.kind
    kind = "@".join(filter(None, (stage, run.variant)))
    # Of any run of the kind: the longest one need not be a student.
    taught |= {kind} if run.teachers else set()
    steps = max(
      (r["step"] for r in histories[run.name] if "rate" in r), default=0
    )
    if steps > longest.get(kind, (0, None))[0]:
      longest[kind] = steps, run
  for kind, (steps, run) in longest.items():
    config = settings(run).config
    if config.select.patience or config.optim.schedule == "plateau":
      points = logged(histories[run.name], taught=kind in taught)
    else:
      points = schedule(config, run.kind, steps, taught=kind in taught)
    yield kind, {"run": run.name, **points}


def _short(value: Any) -> float | None:
  """Cuts a number to `DIGITS`; JSON has no NaN, so that is null."""
  if not isinstance(value, (int, float, np.floating)) or not np.isfinite(value):
    return None
  return float(f"{value:.{DIGITS}g}")
