"""Numbers over trials: medians, spreads, effects, and tests between methods.

Every p-value comes from scipy or statsmodels. Nothing here needs JAX, so a
laptop can read what a pod has trained.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
import functools
import math

import numpy as np

from bam_jax.stats import (
  bootstrap,
  crossed,
  effects,
  multibootstrap,
  notation,
  paired,
  ranks,
)
from bam_jax.stats.averages import COUNTED
from bam_jax.stats.bootstrap import Estimate

# The paper asks of every method whether it beats both of these (Table 1).
BASELINES = ("single", "multi")
# With two trials a side the smallest p there can be is 1/3: a test of them
# says nothing whatever they scored.
MIN_TRIALS = 3
# On simulated data without a difference the multi-bootstrap finds one in up to
# 12 % of cases with 5 trials a side, in 2 to 7 % with 10 or 20.
MIN_MULTI_TRIALS = 10
# Between fewer numbers than this their median lies too rarely: in 1 - 2^(1-n)
# of all samples at most, 94 % for five.
MIN_INTERVAL_TRIALS = 6
# What is tested, in the order of the rows; the first kind that every pair
# allows is the primary one, which the stars stand for. Trials of one seed share
# their order, heads' start and dropout, so it is the paired one; as if they
# were independent the paper's two find less than there is: the first is that
# of its stars (Table 1), its other tables have the second.
TESTS = (
  *("paired-t", "sign-flip"),
  *("bootstrap", "mann-whitney-u"),
  *("multi-bootstrap", "crossed-effects"),
)


@dataclass(frozen=True)
class Summary:
  """What a table cell says.

  Attributes:
    median: of the trials; the paper's number.
    mean: of the trials.
    sd: sample standard deviation (n - 1), NaN for a single trial.
    n: number of trials.
    low: lower end of the median's 95 % interval; see `bootstrap.interval`.
    high: upper end.
  """

  median: float
  mean: float
  sd: float
  n: int
  low: float
  high: float


def summary(scores: Sequence[float], *, seed: int = 0) -> Summary:
  """Summarises the trials of one cell.

  Args:
    scores: f[R], x100, at least one.
    seed: of the interval's resamples.

  Returns:
    Median with its BCa interval, mean, standard deviation, number of trials.
    The interval of a single trial or of scores that are not finite is NaN,
    that of equal scores is a point.

  Raises:
    ValueError: there are no scores.
  """
  if len(scores) == 0:
    raise ValueError("no scores to summarise; train at least one trial")
  x = np.asarray(scores, np.float64)
  sd = float(np.std(x, ddof=1)) if len(x) > 1 else math.nan
  low, high = _median_interval(tuple(map(float, x)), seed)
  return Summary(float(np.median(x)), float(np.mean(x)), sd, len(x), low, high)


# A report asks for the same cell several times.
@functools.lru_cache(maxsize=4096)
def _median_interval(
  scores: tuple[float, ...], seed: int
) -> tuple[float, float]:
  if not np.all(np.isfinite(scores)):
    return math.nan, math.nan
  found = bootstrap.interval(np.median, scores, seed=seed)
  return found.low, found.high


def average(
  records: Mapping[str, Mapping], names: Sequence[str]
) -> list[float]:
  """Averages over tasks within each trial.

  Args:
    records: task -> {"scores": f[R], "seeds": i[R], ...}, as results.json
      holds under one method; "counts_as" where something else of a score than
      itself counts, see `averages.COUNTED`.
    names: the tasks that count, those with `in_average`.

  Returns:
    One number per seed that every task has, in the order of the first task.
    Empty when a task has no record: a mean over fewer tasks would stand beside
    the others and not compare with them.
  """
  if not names or not all(name in records for name in names):
    return []
  by_seed = []
  for record in map(records.__getitem__, names):
    value = COUNTED[record.get("counts_as", "score")].value
    each = zip(record["seeds"], record["scores"], strict=True)
    by_seed.append({seed: value(score) for seed, score in each})
  return [
    float(np.array([scores[seed] for scores in by_seed], np.float64).mean())
    for seed in by_seed[0]
    if all(seed in scores for scores in by_seed)
  ]


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


def by_seed(results: Mapping, method: str, column: str) -> dict[int, float]:
  """The trials of one cell by their seeds, {} where those are not known.

  Args:
    results: what results.json holds.
    method: such as "single->multi".
    column: a task or "average".
  """
  records = results["methods"][method]
  found = scores(results, method, column)
  if column == "average":
    counted = results.get("counted", records)
    each = [records[name]["seeds"] for name in counted if name in records]
    seeds = [s for s in (each or [[]])[0] if all(s in other for other in each)]
  else:
    seeds = records.get(column, {}).get("seeds", [])
  return (
    dict(zip(seeds, found, strict=True)) if len(seeds) == len(found) else {}
  )


# (method, task) -> its part of what `multibootstrap.resample_examples` returns.
Resampled = Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]]


def shared(
  results: Mapping, a: str, b: str, column: str
) -> tuple[list[float], list[float]]:
  """The trials of two cells that have the same seed, in the same order.

  Args:
    results: what results.json holds.
    a: a method.
    b: another of the same study.
    column: a task or "average".
  """
  one, other = (by_seed(results, method, column) for method in (a, b))
  common = [seed for seed in one if seed in other]
  return [one[seed] for seed in common], [other[seed] for seed in common]


def compare(
  results: Mapping,
  resampled: Resampled | None = None,
  pseudo: crossed.Pseudo | None = None,
  *,
  seed: int = 0,
  progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict]:
  """Tests every method against the baselines, on the average and every task.

  A variant, and fine-tuning, is also tested against the method that it changes,
  and against variants that were trained on other tasks.

  All tests of one kind are one family for Holm's correction: whoever looks at
  the whole table for a small p has had that many chances. The kinds, `TESTS`,
  answer one question in different ways, so each is a family by itself. The
  family of the primary kind stands first: the paired t test, or the bootstrap
  where some pair has too few seeds in common. The multi-bootstrap needs the
  kept logits of `MIN_MULTI_TRIALS` trials, and draws the same seeds for both
  methods where they have the same; crossed effects need kept logits too, of
  `MIN_TRIALS` trials with the same seeds. Cells with fewer than `MIN_TRIALS`
  trials or a score that is not finite are not tested.

  Args:
    results: what results.json holds, with "average".
    resampled: scores on resamples of dev, of the same draws for each task.
    pseudo: scores divided among the dev examples.
    seed: of the resamples; every test starts from it, so that one method more
      changes no other's p.
    progress: called with how many of the differences are tested, and of how
      many.

  Returns:
    The "tests" of results.json: a, b, task, test, p, p_holm, and in "family"
    how many tests were corrected for. Rows of tests over dev examples also
    have the "difference" of the mean scores with the ends of its interval.
  """
  families: dict[str, list[dict]] = {kind: [] for kind in TESTS}
  pairs = list(_compared(results))
  for done, (a, b, column) in enumerate(pairs, 1):
    found = _tested(results, a, b, column, seed)
    found |= _over_examples(
      results, (a, column), (b, column), resampled or {}, pseudo or {}, seed
    )
    for kind, values in found.items():
      row = {"a": a, "b": b, "task": column, "test": kind}
      families[kind].append(row | values)
    progress(done, len(pairs))
  primary = next(k for k in TESTS if len(families[k]) == len(pairs))
  rows = []
  for kind in dict.fromkeys([primary, *TESTS]):
    family = families[kind]
    corrected = holm([row["p"] for row in family])
    rows += [
      row | {"p_holm": p, "family": len(family)}
      for row, p in zip(family, corrected, strict=True)
    ]
  return rows


def differences(results: Mapping, *, seed: int = 0) -> list[dict]:
  """Measures every difference that `compare` tests.

  Args:
    results: what results.json holds, with "average".
    seed: of the intervals' resamples.

  Returns:
    The "differences" of results.json: a, b, task; the "difference" of the
    medians and the "superiority", each with the ends of its interval;
    "seeds_needed".
  """
  rows = []
  for a, b, column in _compared(results):
    x, y = scores(results, a, column), scores(results, b, column)
    row = {"a": a, "b": b, "task": column}
    row["difference"] = _triple(effects.median_difference(x, y, seed=seed))
    row["superiority"] = _triple(effects.superiority(x, y))
    row["seeds_needed"] = effects.seeds_needed(x, y)
    rows.append(row)
  return rows


def _tested(
  results: Mapping, a: str, b: str, column: str, seed: int
) -> dict[str, dict]:
  """Returns kind -> {"p": ...} of every test of scores this pair allows."""
  x, y = scores(results, a, column), scores(results, b, column)
  found: dict[str, dict] = {}
  pairs = shared(results, a, b, column)
  if len(pairs[0]) >= MIN_TRIALS:
    found["paired-t"] = {"p": paired.t_test(*pairs)}
    if len(pairs[0]) <= paired.EXACT_SEEDS:
      found["sign-flip"] = {"p": paired.sign_flip(*pairs)}
  found["bootstrap"] = {"p": bootstrap.difference_test(x, y, seed=seed)}
  found["mann-whitney-u"] = {"p": ranks.mann_whitney(x, y)}
  return found


def _over_examples(
  results: Mapping,
  a: tuple[str, str],
  b: tuple[str, str],
  resampled: Resampled,
  pseudo: crossed.Pseudo,
  seed: int,
) -> dict[str, dict]:
  """Returns kind -> {"p", "difference"} of the tests over dev examples."""
  found: dict[str, multibootstrap.MultiBootstrap | crossed.Crossed] = {}
  one, other = (list(by_seed(results, *cell)) for cell in (a, b))
  kept = [resampled[cell] for cell in (a, b) if cell in resampled]
  fewest = min((len(full) for full, _ in kept), default=0)
  if len(kept) == 2 and fewest >= MIN_MULTI_TRIALS:
    found["multi-bootstrap"] = multibootstrap.resample_seeds(
      *kept, paired_seeds=one == other, seed=seed
    )
  common = [seed for seed in one if seed in other]
  if a in pseudo and b in pseudo and len(common) >= MIN_TRIALS:
    found["crossed-effects"] = crossed.compare(
      pseudo[a][[one.index(seed) for seed in common]],
      pseudo[b][[other.index(seed) for seed in common]],
    )
  return {
    kind: {"p": each.p, "difference": _triple(each.difference)}
    for kind, each in found.items()
  }


def _triple(found: Estimate) -> list[float]:
  return [found.value, found.low, found.high]


def _compared(results: Mapping) -> Iterator[tuple[str, str, str]]:
  """Yields (a, b, column) of all that can be tested."""
  for a, b in _pairs(results["methods"]):
    for column in columns(results):
      x, y = scores(results, a, column), scores(results, b, column)
      if min(len(x), len(y)) >= MIN_TRIALS and np.all(np.isfinite(x + y)):
        yield a, b, column


def _pairs(methods: Mapping[str, Mapping]) -> Iterator[tuple[str, str]]:
  """Yields (a, b): whether a beats b is asked.

  Args:
    methods: method -> task -> record.
  """
  asked = set()
  for i, a in enumerate(methods):
    # Multi is tested against single, never the other way round as well.
    earlier = BASELINES.index(a) if a in BASELINES else len(BASELINES)
    # What a variant or fine-tuning adds (Tables 3 and 4).
    origin = notation.origin(a)
    # Trained on other tasks (Table 5).
    other = [
      b
      for b in list(methods)[:i]
      if "@" in a + b and methods[a].keys() != methods[b].keys()
    ]
    for b in dict.fromkeys([*BASELINES[:earlier], origin, *other]):
      if b in methods and b != a and (b, a) not in asked:
        asked.add((a, b))
        yield a, b
