"""Which variant of each method is best on rows held out of train.

A search is a study on `data.holdout` whose methods are variants: its cells.
Needs no JAX: everything is in results.json.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bam_jax.stats import compare, notation


def search(results: Mapping) -> dict[str, list[dict[str, Any]]]:
  """Returns the "search" of results.json: methods with two or more cells.

  Empty where dev was scored: settings are never chosen on it.

  Args:
    results: see `cells`.
  """
  if results.get("split", "dev") == "dev":
    return {}
  return {base: each for base, each in cells(results).items() if len(each) > 1}


def cells(results: Mapping) -> dict[str, list[dict[str, Any]]]:
  """Ranks the cells of each method.

  Args:
    results: what results.json holds, with "variants" (name -> {key: value}).

  Returns:
    Method -> cells, the best first, each with `method`, `changes` ({key:
    value}), `trials` and `median`, of the average over tasks, x100.
  """
  found: dict[str, list[dict[str, Any]]] = {}
  for method in results["methods"]:
    base, variant = notation.varied(method)
    scores = compare.scores(results, method, "average")
    if not variant or not scores or not np.all(np.isfinite(scores)):
      continue
    cell = {
      "method": method,
      "changes": results["variants"][variant],
      "trials": len(scores),
      "median": float(np.median(scores)),
    }
    found.setdefault(base, []).append(cell)
  # Sorting is stable: of equals the first asked for.
  return {
    base: sorted(each, key=lambda cell: -cell["median"])
    for base, each in found.items()
  }


def flags(cell: Mapping[str, Any]) -> str:
  """Returns what to type to train with the settings of a cell."""
  return " ".join(
    f"--config.{key}={value}" for key, value in cell["changes"].items()
  )


def budget(search: Mapping) -> Iterator[str]:
  """Yields what was tried for each method, and whether it was the same."""
  spent = {
    method: (len(cells), sum(cell["trials"] for cell in cells))
    for method, cells in search.items()
  }
  told = ", ".join(
    f"{method} {cells} settings with {trials} trials"
    for method, (cells, trials) in spent.items()
  )
  yield f"Budget: {told}. Scored on rows held out of train, never on dev."
  if len(set(spent.values())) > 1:
    yield "The budgets differ: a comparison of the best settings is not fair."
  if any(cell["trials"] == 1 for cells in search.values() for cell in cells):
    yield "With one trial a setting may be the best by its seed alone."


def rows(search: Mapping) -> list[list[str]]:
  """Returns the table of all cells, the header first."""
  out = [["Method", "Rank", "Settings", "Trials", "Median"]]
  for method, cells in search.items():
    for rank, cell in enumerate(cells, 1):
      changes = ", ".join(f"{k} {v}" for k, v in cell["changes"].items())
      numbers = str(cell["trials"]), f"{cell['median']:.2f}"
      out.append([method, str(rank), changes, *numbers])
  return out
