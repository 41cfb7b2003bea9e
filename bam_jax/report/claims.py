"""Tables of claims: what was claimed, what is not lost, and over all tasks.

All text here is plain, as in tables.py.
"""

from collections.abc import Iterator, Mapping
import itertools

from bam_jax.report import tables

CLAIMS = (
  "Claims are tested in the order in which they were named, each at 0.05"
  " without a correction, as long as all before it were shown; so all together"
  " show something false in 5 % of studies at most. p is of Student's t of the"
  " differences within seeds, two-sided; of a claim with ≥, that the loss is"
  " below the margin on each task of the average, p is the largest. p so far is"
  " the largest of it and of those before. All other tests of this report are"
  " exploratory."
)
NONINFERIORITY = (
  "What one model for all tasks loses to a model for each: mean difference"
  " within seeds with its 95 % interval. No more than the margin is lost where"
  " the lower end is above its negative on every task of the average;"
  " differences that do not vary tell nothing. Nobody named these"
  " before, so p is corrected by Holm over the methods; within one the largest"
  " p of a task counts. Intervals are over other seeds; those over other dev"
  " examples as well, where their answers were kept, are wider."
)
OVERALL = (
  "Interquartile mean: the mean of the middle half of all scores of a method,"
  " with its 95 % interval over seeds (jackknife), x100; the gain is of the"
  " same seeds."
)


def claims(results: Mapping) -> tables.Rows:
  """Returns a line for every claim and column; the header alone without any."""
  out = [
    ["Claim", "Column", "Difference", "p", "p so far", "Shown"],
  ]
  for row in results.get("claims", ()):
    relation = {">": ">", ">=": "≥"}[row["relation"]]
    a, b = (tables.method_name(row[side]) for side in "ab")
    name = f"{a} {relation} {b}"
    if "margin" in row:
      name += f" − {row['margin']:g}"
    verdict = "yes" if row["shown"] else f"no: {row['why']}"
    numbers = [_p(row["p"]), _p(row["p_gate"]), verdict]
    cells = row["columns"] or {"": None}
    for column, found in cells.items():
      named = tables.column_name(column) if column else tables.NONE
      text = tables.estimate(found, "+.2f") if found else tables.NONE
      out.append([name, named, text, *numbers])
      # What is of the whole claim stands once.
      name, numbers = "", ["", "", ""]
  return out


def naming(results: Mapping) -> Iterator[tuple[bool, str]]:
  """Yields how the claims came to be, and whether it must not be missed."""
  named = results.get("claims_named", ())
  if not named:
    return
  same = [[x["claims"], x["margin"]] for x in named]
  # From here on they are what they are now.
  first = len(same)
  while first and same[first - 1] == same[-1]:
    first -= 1
  if scored := named[first]["scored"]:
    yield (
      True,
      f"These claims were named when {scored} trials had scores already: they"
      " may have been made from what they are tested on, so take them as"
      " exploratory.",
    )
  else:
    yield False, "The claims were named before any trial had a score."
  for before, now in itertools.pairwise(named):
    if any(before[key] != now[key] for key in ("claims", "margin")):
      yield (
        True,
        f"The claims were changed when {now['scored']} trials had scores, from"
        f" “{before['claims']}” (margin {before['margin']:g}) to"
        f" “{now['claims']}” (margin {now['margin']:g}).",
      )
    if before["trials"] != now["trials"]:
      yield (
        bool(now["scored"]),
        f"The number of trials was changed from {before['trials']} to"
        f" {now['trials']} when {now['scored']} had scores; if that was because"
        " of them, p is too small.",
      )


def noninferiority(results: Mapping) -> tables.Rows:
  """Returns a line for every method and task; the header alone without any."""
  wide = {
    (test["a"], test["b"], test["task"]): test["difference"]
    for test in results.get("tests", ())
    if test["test"] == "crossed-effects"
  }
  out = [
    [
      *("Method", "Task", "Difference", "with other examples"),
      *("p", "p corrected", "Within the margin"),
    ]
  ]
  for row in results.get("noninferiority", ()):
    name = tables.method_name(row["a"])
    numbers = [
      *(_p(row["p"]), _p(row["p_holm"])),
      f"{'yes' if row['shown'] else 'not shown'} ({row['margin']:g})",
    ]
    for task, found in row["columns"].items():
      other = wide.get((row["a"], row["b"], task))
      out.append(
        [
          *(name, tables.column_name(task), tables.estimate(found, "+.2f")),
          tables.estimate(other, "+.2f") if other else tables.NONE,
          *numbers,
        ]
      )
      name, numbers = "", ["", "", ""]
  return out


def overall(results: Mapping) -> tables.Rows:
  """Returns a line for every method with all tasks; else just the header."""
  found = results.get("overall") or {"methods": {}, "base": ""}
  base = tables.method_name(found["base"])
  out = [["Method", "Trials", "Interquartile mean", f"Gain over {base}"]]
  for method, row in found["methods"].items():
    gain = row["gain"]
    out.append(
      [
        tables.method_name(method),
        str(row["trials"]),
        tables.estimate(row["iqm"], ".2f"),
        tables.estimate(gain, "+.2f") if gain else tables.NONE,
      ]
    )
  return out


def _p(p: float | None) -> str:
  return tables.NONE if p is None else tables.p_value(p)
