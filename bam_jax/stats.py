"""Numbers over trials: medians, spreads, and tests between methods.

Every p-value comes from scipy or statsmodels. Nothing here needs JAX, so a
laptop can read what a pod has trained.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import math

import numpy as np
import scipy.stats

# The paper asks of every method whether it beats both of these (Table 1).
BASELINES = ("single", "multi")
# With two trials a side the smallest p there can be is 1/3: a test of them
# says nothing whatever they scored.
MIN_TRIALS = 3
# Up to here every way of dealing the trials to the two sides is counted: all
# of eight against eight.
EXACT_SPLITS = 20_000


@dataclass(frozen=True)
class Summary:
  """What a table cell says.

  Attributes:
    median: of the trials; the paper's number.
    mean: of the trials.
    sd: sample standard deviation (n - 1), NaN for a single trial.
    n: number of trials.
  """

  median: float
  mean: float
  sd: float
  n: int


def summary(scores: Sequence[float]) -> Summary:
  """Summarises the trials of one cell.

  Args:
    scores: f[R], x100, at least one.

  Returns:
    Median, mean, sample standard deviation and number of trials.

  Raises:
    ValueError: there are no scores.
  """
  if len(scores) == 0:
    raise ValueError("no scores to summarise; train at least one trial")
  x = np.asarray(scores, np.float64)
  sd = float(np.std(x, ddof=1)) if len(x) > 1 else math.nan
  return Summary(float(np.median(x)), float(np.mean(x)), sd, len(x))


def average(
  records: Mapping[str, Mapping], names: Sequence[str]
) -> list[float]:
  """Averages over tasks within each trial.

  Args:
    records: task -> {"scores": f[R], "seeds": i[R], ...}, as results.json
      holds under one method.
    names: the tasks that count, those with `in_average`.

  Returns:
    One number per seed that every task has, in the order of the first task.
    Empty when a task has no record: a mean over fewer tasks would stand beside
    the others and not compare with them.
  """
  if not names or not all(name in records for name in names):
    return []
  by_seed = [
    dict(zip(records[name]["seeds"], records[name]["scores"], strict=True))
    for name in names
  ]
  return [
    float(np.array([scores[seed] for scores in by_seed], np.float64).mean())
    for seed in by_seed[0]
    if all(seed in scores for scores in by_seed)
  ]


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float:
  """Two-sided p of the Mann-Whitney U test of independent trials.

  Exact where there are no ties or few trials; otherwise the normal
  approximation with the correction for ties.

  Args:
    a: f[R1], x100.
    b: f[R2], x100; R2 may differ from R1.
  """
  # Means of equal scores may differ in their last bit and must still tie.
  a, b = np.round(a, 9), np.round(b, 9)
  tied = len(np.unique([*a, *b])) < len(a) + len(b)
  # scipy's "auto" takes the approximation for any tie, even at three trials,
  # and dev sets of 277 rows tie all the time.
  few = math.comb(len(a) + len(b), len(a)) <= EXACT_SPLITS
  method = (
    scipy.stats.PermutationMethod(n_resamples=EXACT_SPLITS)
    if tied and few
    else "auto"
  )
  return float(scipy.stats.mannwhitneyu(a, b, method=method).pvalue)


def smallest_p(n_a: int, n_b: int) -> float:
  """The p of trials that do not overlap at all, so the least there can be."""
  return mann_whitney(range(n_a), range(n_a, n_a + n_b))


def holm(ps: Sequence[float]) -> list[float]:
  """Corrects p-values for their number by Holm's method, keeping their order.

  Args:
    ps: the p-values of one family of tests.
  """
  if len(ps) == 0:
    return []
  # Slow to import, and most reports hold no test.
  from statsmodels.stats.multitest import multipletests

  return [float(p) for p in multipletests(ps, method="holm")[1]]


def scores(results: Mapping, method: str, column: str) -> list[float]:
  """The trials of one cell, [] where there are none.

  Args:
    results: what results.json holds.
    method: such as "single->multi".
    column: a task or "average".
  """
  found = (
    results.get("average", {}).get(method, ())
    if column == "average"
    else results["methods"][method].get(column, {}).get("scores", ())
  )
  # JSON has no NaN, so a correlation of constants may come as null.
  return [math.nan if score is None else score for score in found]


def columns(results: Mapping) -> list[str]:
  """The columns of a table: "average", then every task in its order.

  The average is left out where it only repeats one task's scores, because it
  would be tested, and corrected for, twice.
  """
  methods = results["methods"]
  tasks = list(dict.fromkeys(t for tasks in methods.values() for t in tasks))
  means = {m: scores(results, m, "average") for m in methods}
  copied = any(
    all(mean == scores(results, m, t) for m, mean in means.items())
    for t in tasks
  )
  return tasks if copied or not any(means.values()) else ["average", *tasks]


def compare(results: Mapping) -> list[dict]:
  """Tests every method against the baselines, on the average and every task.

  The whole list is one family for Holm's correction: whoever looks at all of
  it for a small p has had that many chances. Cells with fewer than
  `MIN_TRIALS` trials or a score that is not finite are not tested.

  Args:
    results: what results.json holds, with "average".

  Returns:
    The "tests" of results.json: a, b, task, test, p, p_holm.
  """
  tests = []
  for a, b in _pairs(list(results["methods"])):
    for column in columns(results):
      x, y = scores(results, a, column), scores(results, b, column)
      if min(len(x), len(y)) < MIN_TRIALS or not np.all(np.isfinite(x + y)):
        continue
      test = {"a": a, "b": b, "task": column, "test": "mann-whitney-u"}
      tests.append(test | {"p": mann_whitney(x, y)})
  corrected = holm([test["p"] for test in tests])
  return [t | {"p_holm": p} for t, p in zip(tests, corrected, strict=True)]


def _pairs(methods: Sequence[str]) -> Iterator[tuple[str, str]]:
  for a in methods:
    # Multi is tested against single, never the other way round as well.
    earlier = BASELINES.index(a) if a in BASELINES else len(BASELINES)
    yield from ((a, b) for b in BASELINES[:earlier] if b in methods)
