"""What training on one task first gives another (Wang et al. 2019).

Everything is read from results.json: a study whose methods are single and
TASK+single for some tasks, or frozen and TASK+frozen.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy

from bam_jax.stats import compare, paired
from bam_jax.stats.bootstrap import Estimate

# What nothing comes before, and what the name of all others ends with.
BASES = ("single", "frozen")
# Between fewer points two tasks always seem to go together.
MIN_POINTS = 4


def base(results: Mapping) -> str:
  """Returns what methods of a study add a task to; "" = there is no such."""
  return next((each for each in BASES if _after(results, each)), "")


def methods(results: Mapping) -> dict[str, str]:
  """Returns what is trained first -> the method, in the order of the study."""
  return _after(results, base(results))


def _after(results: Mapping, last: str) -> dict[str, str]:
  found = {}
  for method in results["methods"]:
    first, plus, rest = method.rpartition("+")
    if plus and rest == last and "->" not in first:
      found[first] = method
  return found if last in results["methods"] else {}


def gain(results: Mapping, method: str, column: str) -> Estimate | None:
  """Returns what a method gains over the one that nothing comes before.

  Args:
    results: what results.json holds.
    method: the method.
    column: a task or "average".

  Returns:
    The difference with its 95 % interval: the multi-bootstrap's, over seeds and
    dev examples, where the study has one (of `compare.MIN_MULTI_TRIALS` trials
    on), else the mean within the seeds that both have with Student's; None
    where there is none.
  """
  pair = {"a": method, "b": base(results), "task": column}
  for row in results.get("tests", ()):
    if row["test"] == "multi-bootstrap" and row == row | pair:
      return Estimate(*row["difference"])
  mine, alone = compare.shared(results, method, pair["b"], column)
  if not mine or not np.all(np.isfinite([mine, alone])):
    return None
  return paired.difference(mine, alone)


def medians(results: Mapping) -> dict[str, list[float]]:
  """Returns column -> the medians of single and of every method after a task.

  Of frozen too, where tasks come before that. Columns that one of them lacks
  are left out; all are if the points are few.
  """
  baselines = [each for each in BASES if each in results["methods"]]
  every = [*baselines, *methods(results).values()]
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
