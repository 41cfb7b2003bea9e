"""How scores grow with the rows that were trained on (Wang et al. 2019).

Everything is read from results.json: a study whose methods are alike but for a
variant that has a `data.limit` of its own and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import re

import numpy as np

from bam_jax.stats import compare, paired
from bam_jax.stats.bootstrap import Estimate
from bam_jax.stats.notation import AND

_VARIANT = re.compile(r"@([\w-]+)")
_KEY = "data.limit"


@dataclass(frozen=True)
class Point:
  """One of the methods that differ by rows.

  Attributes:
    method: its name.
    limits: task -> rows; "" = those of any task; {} = all there are.
  """

  method: str
  limits: Mapping[str, int]


@dataclass(frozen=True)
class Curve:
  """Methods that differ by rows alone, from few rows to all.

  Attributes:
    method: that of all rows, which need not be among them.
    first: what has fewer rows where that comes first; "" = it is the tasks that
      are scored.
    points: from few rows to many.
  """

  method: str
  first: str
  points: tuple[Point, ...]


def curves(results: Mapping) -> list[Curve]:
  """Returns the curves of a study, those of what comes first before the rest.

  Args:
    results: what results.json holds, with "variants" (name -> {key: value}).
  """
  found: dict[tuple[str, str], list[Point]] = {}
  for method in results["methods"]:
    mine = [
      match
      for match in _VARIANT.finditer(method)
      if [*results.get("variants", {}).get(match[1], ())] == [_KEY]
    ]
    if len(mine) != 1:
      continue
    (match,) = mine
    rest = method[match.end() :]
    # A last stage's variant stands at the very end.
    first = re.split(r"\+|->", method[: match.start()])[-1] if rest else ""
    limits = _limits(results["variants"][match[1]][_KEY])
    key = method[: match.start()] + rest, first
    found.setdefault(key, []).append(Point(method, limits))
  made = [
    Curve(
      method,
      first,
      (
        *sorted(points, key=lambda point: sum(point.limits.values())),
        *([Point(method, {})] if method in results["methods"] else []),
      ),
    )
    for (method, first), points in found.items()
  ]
  return sorted(
    (curve for curve in made if len(curve.points) > 1),
    key=lambda curve: not curve.first,
  )


def _limits(text: str) -> dict[str, int]:
  """Returns what "1000" or "mnli=1000,qnli=500" says."""
  parts = [part.rpartition("=") for part in text.split(",")]
  return {task.strip(): int(rows) for task, _, rows in parts}


def value(results: Mapping, point: Point, column: str) -> Estimate | None:
  """Returns the mean over trials with Student's interval; None = no trials."""
  scores = np.array(compare.scores(results, point.method, column), np.float64)
  if not len(scores) or not np.all(np.isfinite(scores)):
    return None
  return paired.student(float(scores.mean()), scores)


def count(
  results: Mapping, curve: Curve, point: Point, column: str
) -> int | None:
  """Returns how many rows a point has been trained on; None = nobody knows.

  Args:
    results: see `curves`.
    curve: the curve.
    point: of it.
    column: where what comes last has fewer rows, the task whose they are.
  """
  tasks = curve.first.split(AND) if curve.first else [column]
  there = [_there(results, task) for task in tasks]
  if not point.limits:
    return None if None in there else sum(there)
  if "" in point.limits:
    asked: Sequence[int] = [point.limits[""]] * len(tasks)
  elif all(task in point.limits for task in tasks):
    asked = [point.limits[task] for task in tasks]
  else:
    # The tasks of a set, whose name alone is known here.
    return sum(point.limits.values()) if curve.first else None
  known = [
    rows if rows is not None else most
    for rows, most in zip(there, asked, strict=True)
  ]
  return sum(map(min, known, asked))


def _there(results: Mapping, task: str) -> int | None:
  """Returns the training rows of a task that the study reads."""
  splits = results.get("coverage", {}).get(task)
  return next(iter(splits.values()))["rows"] if splits else None
