"""Claims that were named beforehand, and non-inferiority on every task.

A claim is tested at the full level, without a correction for the others: they
stand in an order, and one that is not shown closes the gate for those behind it
(a fixed sequence keeps the error of the whole family). Everything else of a
report is exploratory, under Holm's correction. Needs no JAX.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bam_jax.stats import compare, notation, paired
from bam_jax.stats.bootstrap import LEVEL

BETTER, NOT_WORSE = ">", ">="


@dataclass(frozen=True)
class Claim:
  """What a study sets out to show.

  Attributes:
    a: a method.
    relation: `BETTER`: its mean is above b's; `NOT_WORSE`: it loses less than
      the margin.
    b: another method of the same study.
    column: a task or "average"; "" = the average, for `NOT_WORSE` each task
      that counts in it.
  """

  a: str
  relation: str
  b: str
  column: str = ""

  def __str__(self) -> str:
    on = f" on {self.column}" if self.column else ""
    return f"{self.a} {self.relation} {self.b}{on}"


def sequence(
  results: Mapping, claims: Sequence[Claim], margin: float
) -> list[dict[str, Any]]:
  """Tests claims in their order, each at the full level while the gate is open.

  Args:
    results: what results.json holds, with "average".
    claims: in the order in which they were named.
    margin: points that `NOT_WORSE` lets a method lose on a task.

  Returns:
    The "claims" of results.json: "claim" (as it was named), a, b, relation,
    test; "columns": column -> mean difference within seeds with the ends of its
    interval; the two-sided "p" (None where it could not be tested), the largest
    p so far as "p_gate", whether it is "shown", and in "why" why not. Of
    `NOT_WORSE` also the "margin".
  """
  rows, gate, ahead = [], 0.0, ""
  for claim in claims:
    row = _tested(results, claim, margin)
    if row["p"] is not None:
      gate = max(gate, row["p"])
    row["p_gate"] = gate if row["p"] is not None and not ahead else None
    if ahead and not row["why"]:
      row["why"] = f"not tested, as {ahead} was not shown"
    row["shown"] = not row["why"]
    if not row["shown"]:
      ahead = ahead or str(claim)
    rows.append(row)
  return rows


def noninferiority(results: Mapping, margin: float) -> list[dict[str, Any]]:
  """Asks of every method with one model for all tasks what it loses to single.

  Nobody named these: p is corrected by Holm over the methods. Within a method
  nothing is: it has to lose less than the margin on each task, so its p is the
  largest of them (an intersection-union test).

  Args:
    results: what results.json holds.
    margin: points that may be lost on a task.

  Returns:
    The "noninferiority" of results.json: rows as of `sequence`, with "p_holm"
    in place of "p_gate"; [] where nothing can be asked.
  """
  methods = results["methods"]
  rows = [
    _tested(results, Claim(a, NOT_WORSE, "single"), margin)
    for a in methods
    if notation.varied(a)[0].endswith("multi") and "single" in methods
  ]
  rows = [row for row in rows if row["p"] is not None]
  corrected = compare.holm([row["p"] for row in rows])
  for row, p in zip(rows, corrected, strict=True):
    row |= {"p_holm": p, "shown": p < 1 - LEVEL}
  return rows


def _tested(results: Mapping, claim: Claim, margin: float) -> dict[str, Any]:
  """Tests a claim by itself; says why where it is not shown."""
  better = claim.relation == BETTER
  row: dict[str, Any] = {
    "claim": str(claim),
    "a": claim.a,
    "b": claim.b,
    "relation": claim.relation,
    "test": "paired-t",
    "columns": {},
    "p": None,
    **({} if better else {"margin": margin}),
  }
  methods = results["methods"]
  if missing := [m for m in (claim.a, claim.b) if not methods.get(m)]:
    return row | {"why": f"{missing[0]} has no scores"}
  # WNLI, on which models say the larger class, counts as little as in a mean.
  every = results.get("counted") or [
    *dict.fromkeys([*methods[claim.b], *methods[claim.a]])
  ]
  of = [claim.column] if claim.column else ["average"] if better else every
  ps = []
  for column in of:
    lacks = [
      method
      for method in (claim.a, claim.b)
      if column in every and column not in methods[method]
    ]
    if lacks:
      return row | {"why": f"{lacks[0]} has no scores of {column}"}
    a, b = (
      np.array(x) for x in compare.shared(results, claim.a, claim.b, column)
    )
    if len(a) < compare.MIN_TRIALS or not np.all(np.isfinite([a, b])):
      return row | {
        "why": f"on {column} fewer than {compare.MIN_TRIALS} trials of the same"
        " seeds have a score"
      }
    found = paired.difference(a, b)
    row["columns"][column] = [found.value, found.low, found.high]
    ps.append(paired.t_test(a, b) if better else paired.not_below(a, b, margin))
  row["p"] = max(ps)
  (value, *_), *_ = row["columns"].values()
  for column, (_, low, high) in row["columns"].items():
    if np.isclose(low, high, rtol=0.0, atol=1e-9):
      return row | {
        "why": f"on {column} all seeds differ by the same, which tells nothing"
      }
  if row["p"] >= 1 - LEVEL:
    return row | {"why": f"p is not below {1 - LEVEL:.2f}"}
  return row | {"why": "the other way round" if better and value < 0 else ""}
