"""Numbers over all tasks and trials of a method together. Needs no JAX.

Agarwal et al. (2021), *Deep Reinforcement Learning at the Edge of the
Statistical Precipice*: the interquartile mean and performance profiles.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy

from bam_jax.stats import paired
from bam_jax.stats.bootstrap import Estimate


def interquartile_mean(scores: np.ndarray) -> Estimate:
  """The mean of the middle half of all scores, with its interval.

  A quarter of the scores is cut off at either end, whatever task they are of.
  The interval is Student's over the jackknife's pseudo-values, each without one
  seed: with five seeds a percentile bootstrap would be too narrow.

  Args:
    scores: f[R, T], x100.

  Returns:
    Its ends are NaN for a single seed.
  """
  return _estimate(_interquartile, scores)


def interquartile_gain(a: np.ndarray, b: np.ndarray) -> Estimate:
  """The interquartile mean of a less that of b, of the same seeds.

  Args:
    a: f[R, T], x100.
    b: f[R, T], of the same seeds and tasks in the same order.
  """
  return _estimate(
    lambda x: _interquartile(x[..., 0]) - _interquartile(x[..., 1]),
    np.stack([a, b], -1),
  )


def overall(
  records: Mapping[str, Mapping[str, Mapping]], names: Sequence[str]
) -> dict[str, Any]:
  """Summarises every method over tasks, and against the first of them.

  Args:
    records: method -> task -> {"scores": f[R], "seeds": i[R], ...}.
    names: the tasks that count, those with `in_average`.

  Returns:
    The "overall" of results.json: "tasks"; "base", single or else the first
    method; "methods": method -> number of "trials", "iqm" and its "gain" over
    the base (None for itself and where fewer than two seeds are shared), each
    with the ends of its interval. A method that lacks a task is left out.
  """
  whole = {m: table(tasks, names) for m, tasks in records.items() if names}
  whole = {m: found for m, found in whole.items() if found}
  if not whole:
    return {}
  base = "single" if "single" in whole else next(iter(whole))
  found = {}
  for method, scores in whole.items():
    common = [seed for seed in scores if seed in whole[base]]
    gain = None
    if method != base and len(common) > 1:
      pairs = [[side[s] for s in common] for side in (scores, whole[base])]
      gain = _triple(interquartile_gain(*map(np.array, pairs)))
    iqm = interquartile_mean(np.array([*scores.values()]))
    row = {"trials": len(scores), "iqm": _triple(iqm), "gain": gain}
    found[method] = row
  return {"tasks": list(names), "base": base, "methods": found}


def table(
  records: Mapping[str, Mapping], names: Sequence[str]
) -> dict[int, list[float]]:
  """Returns seed -> f[T] scores, of the seeds that every task has.

  Args:
    records: task -> {"scores": f[R], "seeds": i[R], ...}.
    names: the tasks; {} where one has no record.
  """
  if not all(name in records for name in names):
    return {}
  each = [
    dict(zip(records[name]["seeds"], records[name]["scores"], strict=True))
    for name in names
  ]
  common = [seed for seed in each[0] if all(seed in by for by in each)]
  rows = {seed: [by[seed] for by in each] for seed in common}
  # JSON has no NaN; such a trial has no place among the others.
  return {
    seed: row
    for seed, row in rows.items()
    if all(score is not None and np.isfinite(score) for score in row)
  }


def profile(
  scores: np.ndarray, base: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """The share of trials and tasks that gain more than so many points.

  Args:
    scores: f[R, T], x100.
    base: f[T], what is gained over, such as the medians of single.

  Returns:
    Points gained f[K], rising, and the share f[K] above each of them.
  """
  gains = np.sort((scores - base).ravel())
  points = np.unique(gains)
  above = len(gains) - np.searchsorted(gains, points, side="right")
  return points, above / len(gains)


def _interquartile(scores: np.ndarray) -> float:
  return float(scipy.stats.trim_mean(scores, 0.25, axis=None))


def _estimate(statistic, rows: np.ndarray) -> Estimate:
  """Jackknifes a statistic over the first axis."""
  n, value = len(rows), statistic(rows)
  if n < 2:
    return paired.student(value, np.empty(n))
  without = np.array([statistic(np.delete(rows, k, 0)) for k in range(n)])
  return paired.student(value, n * value - (n - 1) * without)


def _triple(found: Estimate) -> list[float | None]:
  # JSON has no NaN.
  ends = [None if np.isnan(end) else end for end in (found.low, found.high)]
  return [found.value, *ends]
