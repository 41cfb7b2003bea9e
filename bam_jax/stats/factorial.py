"""What each factor of a factorial study gives (Box, Hunter and Hunter 2005).

A study of several options by two values each: its cells are variants of one
method that all name the same keys, and among them every value meets each of all
else equally often. So each factor is compared over all cells at once, in as
many trials as if the study were of it alone. Needs no JAX: everything is in
results.json.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import itertools
import json
import string
from typing import Any

import numpy as np

from bam_jax.stats import compare, paired
from bam_jax.stats.bootstrap import Estimate
from bam_jax.stats.notation import varied

# Two factors with all four ways of them: with fewer cells nothing is crossed.
MIN_CELLS = 4
# From here on two factors together are confounded with no other two.
CLEAR = 5


@dataclass(frozen=True)
class Factor:
  """An option of two values.

  Attributes:
    low: key -> value: the config's own, or else that of the first cell.
    high: key -> the other value; keys that always change together are one.
  """

  low: Mapping[str, Any]
  high: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Design:
  """The cells of a factorial study.

  Attributes:
    method: that all cells are variants of.
    cells: the methods.
    factors: F of them.
    signs: f64[cells, F], 1 where a factor is high and -1 where it is low.
    same: key -> value of what all cells change alike.
  """

  method: str
  cells: tuple[str, ...]
  factors: tuple[Factor, ...]
  signs: np.ndarray
  same: Mapping[str, Any]

  @property
  def letters(self) -> str:
    """What the factors are called in a relation."""
    return string.ascii_uppercase[: len(self.factors)]

  def relation(self) -> tuple[str, ...]:
    """Returns the words that are the same in all cells, the shortest first.

    Of ("ABCDE",) the effect of E is confounded with that of A, B, C and D
    together; () = all combinations are there.
    """
    found = []
    for size in range(1, len(self.letters) + 1):
      for chosen in itertools.combinations(range(len(self.letters)), size):
        product = self.signs[:, chosen].prod(1)
        if np.ptp(product) == 0:
          sign = "" if product[0] > 0 else "-"
          found.append(sign + "".join(self.letters[k] for k in chosen))
    return tuple(found)


def effects(results: Mapping) -> list[dict[str, Any]]:
  """Measures the factors of every factorial design of a study.

  Args:
    results: what results.json holds, with "variants" and "average".

  Returns:
    The "factors" of results.json, one for each design: "method", "same",
    "cells", "relation", "resolution" (None where all combinations are there);
    "factors": "letter", "low", "high" and "columns": column -> mean over seeds
    of the effect within a seed, with the ends of its interval; "interactions":
    "letters" and "columns", where no two factors are confounded with another
    two. [] where there is no design, or a cell of it has no scores yet.
  """
  found = []
  for design in designs(results):
    words = design.relation()
    resolution = min((len(w.strip("-")) for w in words), default=None)
    singles = [
      {
        "letter": letter,
        "low": dict(factor.low),
        "high": dict(factor.high),
        "columns": _columns(results, design, signs),
      }
      for letter, factor, signs in zip(
        design.letters, design.factors, design.signs.T, strict=True
      )
    ]
    pairs = []
    if resolution is None or resolution >= CLEAR:
      for i, k in itertools.combinations(range(len(design.factors)), 2):
        signs = design.signs[:, i] * design.signs[:, k]
        pairs.append(
          {
            "letters": design.letters[i] + design.letters[k],
            "columns": _columns(results, design, signs),
          }
        )
    found.append(
      {
        "method": design.method,
        "same": dict(design.same),
        "cells": len(design.cells),
        "relation": list(words),
        "resolution": resolution,
        "factors": singles,
        "interactions": pairs,
      }
    )
  return found


def effect(scores: np.ndarray, signs: np.ndarray) -> Estimate:
  """What the mean over cells gains where a factor is high.

  It is taken within each seed, over all cells, so that what a seed does to all
  of them falls out; the interval is Student's over seeds.

  Args:
    scores: f[cells, R], x100.
    signs: f[cells], 1 or -1, as many of each.
  """
  each = 2 * signs @ scores / len(signs)
  return paired.student(float(each.mean()), each)


def designs(results: Mapping) -> Iterator[Design]:
  """Yields the designs among the variants of each method.

  Args:
    results: see `effects`.
  """
  groups: dict[tuple, dict[str, Mapping[str, Any]]] = {}
  for method in results["methods"]:
    base, variant = varied(method)
    changes = results.get("variants", {}).get(variant)
    if changes:
      same = base, tuple(sorted(changes))
      groups.setdefault(same, {})[method] = changes
  for (base, _), cells in groups.items():
    if len(cells) < MIN_CELLS:
      continue
    design = _design(base, cells, results.get("settings", {}))
    if design:
      yield design


def _design(
  method: str, cells: Mapping[str, Mapping[str, Any]], settings: Mapping
) -> Design | None:
  """Returns the design that cells make; None = they make none."""
  together: dict[tuple[bool, ...], list[tuple[str, Any, Any]]] = {}
  first, same = next(iter(cells.values())), {}
  for key in first:
    values = [changes[key] for changes in cells.values()]
    kinds = {json.dumps(value): value for value in values}
    if len(kinds) == 1:
      same[key] = first[key]
      continue
    if len(kinds) > 2:
      return None
    own = json.dumps(_own(settings, key))
    low = kinds.get(own, values[0])
    high = next(value for value in kinds.values() if value != low)
    rises = tuple(value == high for value in values)
    together.setdefault(rises, []).append((key, low, high))
  signs = np.where(np.array([*together], bool).T, 1.0, -1.0)
  n, count = len(cells), len(together)
  balanced = count >= 2 and not signs.sum(0).any()
  if not balanced or (signs.T @ signs != n * np.eye(count)).any():
    return None
  factors = tuple(
    Factor(
      low={key: low for key, low, _ in keys},
      high={key: high for key, _, high in keys},
    )
    for keys in together.values()
  )
  return Design(method, tuple(cells), factors, signs, same)


def _own(settings: Mapping, key: str) -> Any:
  """Returns what the config itself says of "optim.average"."""
  found: Any = settings
  for part in key.split("."):
    if not isinstance(found, Mapping) or part not in found:
      return None
    found = found[part]
  return found


def _columns(
  results: Mapping, design: Design, signs: np.ndarray
) -> dict[str, list[float | None]]:
  """Returns column -> the effect, where all cells share a seed."""
  found = {}
  for column in compare.columns(results):
    scores = _shared(results, design.cells, column)
    if scores.shape[1]:
      it = effect(scores, signs)
      # JSON has no NaN.
      ends = [None if np.isnan(end) else end for end in (it.low, it.high)]
      found[column] = [it.value, *ends]
  return found


def _shared(results: Mapping, cells: Sequence[str], column: str) -> np.ndarray:
  """Returns the scores of the seeds that all cells have, f[cells, R]."""
  each = [compare.by_seed(results, cell, column) for cell in cells]
  seeds = [
    seed
    for seed in each[0]
    if all(np.isfinite(scores.get(seed, np.nan)) for scores in each)
  ]
  return np.array([[scores[seed] for seed in seeds] for scores in each])
