"""What training on one task first gives another (Wang et al. 2019).

Everything is read from results.json: a study whose methods are single and
TASK+single for some tasks.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy

from bam_jax.stats import compare, paired
from bam_jax.stats.bootstrap import Estimate

# What nothing comes before, and what the name of all others ends with.
BASE = "single"
# Between fewer points two tasks always seem to go together.
MIN_POINTS = 4


def methods(results: Mapping) -> dict[str, str]:
  """Returns what is trained first -> the method, in the order of the study."""
  found = {}
  for method in results["methods"]:
    first, plus, rest = method.rpartition("+")
    if plus and rest == BASE and "->" not in first:
      found[first] = method
  return found if BASE in results["methods"] else {}


def gain(results: Mapping, method: str, column: str) -> Estimate | None:
  """Returns what a method gains over single, of the seeds that both have.

  Args:
    results: what results.json holds.
    method: the method.
    column: a task or "average".

  Returns:
    The mean difference within seeds with Student's interval; None where there
    is none.
  """
  mine, base = (_by_seed(results, each, column) for each in (method, BASE))
  seeds = sorted(mine.keys() & base.keys())
  if not seeds:
    return None
  return paired.difference([mine[x] for x in seeds], [base[x] for x in seeds])


def _by_seed(results: Mapping, method: str, column: str) -> dict[int, float]:
  scores = compare.scores(results, method, column)
  if not scores or not np.all(np.isfinite(scores)):
    return {}
  records = results["methods"][method]
  if column != "average":
    return dict(zip(records[column]["seeds"], scores, strict=True))
  # It has the seeds that all of its tasks have, in the order of the first.
  first, *others = (each["seeds"] for each in records.values())
  seeds = [seed for seed in first if all(seed in each for each in others)]
  # A task outside of the average may have been scored on fewer.
  same = len(seeds) == len(scores)
  return dict(zip(seeds, scores, strict=True)) if same else {}


def medians(results: Mapping) -> dict[str, list[float]]:
  """Returns column -> the medians of single and of every method after a task.

  Columns that one of them lacks are left out; all are if the points are few.
  """
  every = [BASE, *methods(results).values()]
  if len(every) < MIN_POINTS:
    return {}
  found = {}
  for column in compare.columns(results):
    scores = [compare.scores(results, method, column) for method in every]
    if all(scores):
      found[column] = [float(np.median(each)) for each in scores]
  return found


def correlation(x: Sequence[float], y: Sequence[float]) -> Estimate | None:
  """Returns Pearson's correlation with Fisher's 95 % interval.

  Args:
    x: f[N].
    y: f[N], of the same runs.

  Returns:
    None where one of them is constant or no number.
  """
  if not (np.isfinite([x, y]).all() and np.ptp(x) and np.ptp(y)):
    return None
  made = scipy.stats.pearsonr(x, y)
  low, high = made.confidence_interval()
  return Estimate(float(made.statistic), float(low), float(high))
