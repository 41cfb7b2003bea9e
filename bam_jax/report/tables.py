"""The tables of a report, and how their cells are written.

A grid is method -> column -> summary of its trials, or None. All text here is
plain: whoever writes it into a format escapes it there.
"""

from collections.abc import Iterable, Mapping, Sequence
import math

import numpy as np

from bam_jax.stats import classes as class_stats
from bam_jax.stats import compare, notation
from bam_jax.tasks import coverage
from bam_jax.tasks.table import TASKS

NONE = "–"
STARS = ((0.001, "∗∗∗"), (0.01, "∗∗"), (0.05, "∗"))
# Clark et al. (2019), Table 1: the average, then these tasks.
PUBLISHED_TASKS = (
  *("cola", "sst2", "mrpc", "stsb"),
  *("qqp", "mnli", "qnli", "rte"),
)
PUBLISHED = {
  "single": (84.0, 60.6, 93.2, 88.0, 90.0, 91.3, 86.6, 92.3, 70.4),
  "multi": (85.5, 60.3, 93.3, 88.0, 89.8, 91.4, 86.5, 92.2, 82.1),
  "single->single": (84.3, 61.7, 93.2, 88.7, 90.0, 91.4, 86.8, 92.5, 70.0),
  "multi->multi": (85.6, 60.9, 93.5, 88.1, 89.8, 91.5, 86.7, 92.3, 82.0),
  "single->multi": (86.0, 61.8, 93.6, 89.3, 89.7, 91.6, 87.0, 92.5, 82.8),
}

Grid = dict[str, dict[str, compare.Summary | None]]
Rows = list[list[str]]  # the header first


def method_name(method: str) -> str:
  """Writes a method for people: "single->multi" as "Single→Multi".

  What an encoder is trained on first comes before: "mnli+single" as
  "MNLI+Single". A variant's name follows: "multi@lambda_0" as "Multi, lambda
  0".
  """
  stages, variant = notation.varied(method)
  chain = stages.removesuffix(notation.FINETUNE)
  name = "→".join(map(_link, chain.split("->")))
  name += " +finetune" * (chain != stages)
  return f"{name}, {variant.replace('_', ' ')}" if variant else name


def _link(text: str) -> str:
  first, plus, kind = text.rpartition("+")
  return (first_name(first) + plus if plus else "") + _capital(kind)


def first_name(first: str) -> str:
  """Writes what comes first: "mnli&qnli@slow" as "MNLI & QNLI (slow)"."""
  return "+".join(map(_first, first.split("+")))


def _first(text: str) -> str:
  name, _, variant = text.partition("@")
  if name == notation.RANDOM:
    return _capital(name)
  shown = " & ".join(map(column_name, name.split(notation.AND)))
  if name == notation.CONTRAST:
    shown = _capital(name)
  return f"{shown} ({variant.replace('_', ' ')})" if variant else shown


def _capital(name: str) -> str:
  return name[:1].upper() + name[1:]


def column_name(column: str) -> str:
  """Writes a column for people: "average" as "Avg", "stsb" as "STS-B"."""
  if column == "average":
    return "Avg"
  known = TASKS.get(column)
  return known.title if known else column


def grid(results: Mapping) -> Grid:
  """Summarises every cell; a method that has not run yet has no line.

  Args:
    results: what results.json holds.

  Raises:
    ValueError: there are no scores at all.
  """
  rows = {}
  for method in results["methods"]:
    row = {}
    for column in compare.columns(results):
      scores = compare.scores(results, method, column)
      row[column] = compare.summary(scores) if scores else None
    if any(row.values()):
      rows[method] = row
  if not rows:
    raise ValueError("the results hold no scores yet; train and evaluate first")
  return rows


def cell(summary: compare.Summary | None) -> str:
  """Writes "70.4 ± 1.2", "70.4" for one trial, `NONE` for no number."""
  if summary is None or math.isnan(summary.median):
    return NONE
  if summary.n == 1:
    return f"{summary.median:.1f}"
  # Three characters whatever happened, so that lines stay within a terminal.
  digits = 1 if summary.sd < 9.95 else 0
  return f"{summary.median:.1f} ± {summary.sd:.{digits}f}"


def best(rows: Grid) -> set[tuple[str, str]]:
  """The (method, column) to set in bold: the highest median as printed.

  Equals are bold together; a column with one method has no best.
  """
  found = set()
  for column in next(iter(rows.values())):
    medians = {
      method: round(row[column].median, 1)
      for method, row in rows.items()
      if cell(row[column]) != NONE
    }
    if len(medians) > 1:
      top = max(medians.values())
      found |= {(m, column) for m, median in medians.items() if median == top}
  return found


def difference(a: compare.Summary | None, b: compare.Summary | None) -> str:
  """Writes the median of a minus that of b, as "+1.2"."""
  if NONE in (cell(a), cell(b)):
    return NONE
  # Of what is printed, so that the reader's own subtraction agrees.
  return f"{round(a.median, 1) - round(b.median, 1) + 0.0:+.1f}"


def p_value(p: float) -> str:
  """Writes "0.012", or "<0.001"."""
  return f"{p:.3f}" if p >= 0.001 else "<0.001"


def primary(results: Mapping) -> list[Mapping]:
  """Returns the tests that stars and the table of tests are of.

  Raises:
    ValueError: a test is of scores that are not there.
  """
  tests = results.get("tests", ())
  # Their family stands first.
  found = [test for test in tests if test["test"] == tests[0]["test"]]
  for test in found:
    for side in "ab":
      method = test[side]
      if method not in results["methods"] or not compare.scores(
        results, method, test["task"]
      ):
        raise ValueError(
          f"results.json tests {test['a']} against {test['b']} on"
          f" {test['task']} without having its scores; type the command"
          " that made it again, with --config.stage=report"
        )
  return found


def stars(results: Mapping) -> dict[tuple[str, str], str]:
  """Marks (method, column) that beats both baselines, as Table 1 does.

  The larger corrected p of the two primary tests counts, and the mean has to be
  above both. Empty where a baseline is missing.
  """
  tests = [test for test in primary(results) if test["b"] in compare.BASELINES]
  ps: dict[tuple[str, str], dict[str, float]] = {}
  for test in tests:
    a, b = (compare.scores(results, test[s], test["task"]) for s in "ab")
    above = sum(a) / len(a) > sum(b) / len(b)
    pair = ps.setdefault((test["a"], test["task"]), {})
    pair[test["b"]] = test["p_holm"] if above else 1.0
  found = {}
  for place, pair in ps.items():
    mark = [text for p, text in STARS if max(pair.values()) < p]
    if mark and set(pair) == set(compare.BASELINES):
      found[place] = mark[0]
  return found


def gains(rows: Grid) -> Rows:
  """Returns what every method has over single; just the header without it."""
  columns = list(next(iter(rows.values())))
  out = [["Method", *map(column_name, columns)]]
  single = rows.get("single", {})
  for method, row in rows.items():
    if single and method != "single":
      cells = [difference(row[c], single[c]) for c in columns]
      out.append([method_name(method), *cells])
  return out


def spread(rows: Grid) -> Rows:
  """Returns a line for every cell: median, its interval, mean ± sd."""
  out = [
    ["Task", "Method", "Trials", "Median", "95 % interval", "Mean ± sd"],
  ]
  for column in next(iter(rows.values())):
    for method, row in rows.items():
      found = row[column]
      if found is None or cell(found) == NONE:
        continue
      sd = f" ± {found.sd:.2f}" if found.n > 1 else ""
      out.append(
        [
          column_name(column),
          method_name(method),
          str(found.n),
          f"{found.median:.2f}",
          _between(found.low, found.high, ".2f"),
          f"{found.mean:.2f}{sd}",
        ]
      )
  return out


def differences(results: Mapping) -> Rows:
  """Returns a line for every pair and column: effects, every p, seeds.

  Just the header where results.json has no "differences".
  """
  tests: dict[tuple, dict[str, str]] = {}
  for test in results.get("tests", ()):
    text = f"{p_value(test['p'])} ({p_value(test['p_holm'])})"
    key = (test["a"], test["b"], test["task"])
    tests.setdefault(key, {})[test["test"]] = text
  kinds = list(dict.fromkeys(k for found in tests.values() for k in found))
  out = [["Task", "Pair", "Difference", "P(better)", *kinds, "Seeds needed"]]
  for row in results.get("differences", ()):
    key = (row["a"], row["b"], row["task"])
    seeds = row["seeds_needed"]
    ps = tests.get(key, {})
    out.append(
      [
        column_name(row["task"]),
        f"{method_name(row['a'])} over {method_name(row['b'])}",
        estimate(row["difference"], "+.2f"),
        estimate(row["superiority"], ".2f"),
        *(ps.get(kind, NONE) for kind in kinds),
        NONE if seeds is None else f"{seeds:,}",
      ]
    )
  return out


def classes(results: Mapping) -> Rows:
  """Returns a line for every class of every method and task.

  Of a search there are none: it compares settings.
  """
  heads = ("Precision", "Recall", "F1", "AUROC", "AP")
  out = [["Task", "Class", "Method", "Rows", *heads]]
  told = {} if results.get("search") else results.get("classes", {})
  tasks = dict.fromkeys(task for each in told.values() for task in each)
  for task in tasks:
    mine = {method: each[task] for method, each in told.items() if task in each}
    names, support = next(
      (each["labels"], each["support"]) for each in mine.values()
    )
    for number, name in enumerate(names):
      for method, each in mine.items():
        values = [each[key][number] for key in class_stats.COLUMNS]
        cells = [NONE if None in v else _spread(v) for v in values]
        row = [column_name(task), name, method_name(method)]
        out.append([*row, f"{support[number]:,}", *cells])
  return out


def _spread(values: Sequence[float]) -> str:
  """Writes median and deviation of shares, x100, without an interval."""
  sd = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
  return f"{100 * np.median(values):.1f}{sd}"


def costs(results: Mapping) -> Rows:
  """Returns a line for every run: trials, steps, time, FLOPs, energy.

  A column that nothing is known for is left out.
  """
  seconds, steps = results.get("seconds", {}), results.get("steps", {})
  columns = {
    "Step kept": (steps, ",.0f"),
    "Seconds a trial": (seconds, ",.1f"),
    "FLOPs a trial": (results.get("flops", {}), ".2e"),
    "Joules a trial": (results.get("joules", {}), ",.0f"),
  }
  shown = {k: v for k, v in columns.items() if any(v[0].values())}
  out = [["Run", "Trials", *shown]]
  for run, times in seconds.items():
    if not times:
      continue
    cells = []
    for values, form in shown.values():
      one = values.get(run) or NONE
      cells.append(one if one is NONE else f"{np.median(one):{form}}")
    out.append([run, str(len(times)), *cells])
  return out


def coverage_of(results: Mapping) -> Rows:
  """Returns a line for every task and split: rows, unknown, cut, repeated."""
  out = [["Task", "Split", "Rows", "Unknown words", "Rows cut", "In train"]]
  parsed = map(coverage.parse, results.get("coverage", {}).values())
  worded = any(each.words for splits in parsed for each in splits.values())
  out[0] += ["Words not read"] * worded
  for task, splits in results.get("coverage", {}).items():
    for split, each in coverage.parse(splits).items():
      cut = NONE if each.cut is None else f"{each.cut:.1%}"
      blank = f" ({each.unlabelled:,} without a label)" * bool(each.unlabelled)
      cells = [split, f"{each.rows:,}{blank}", f"{each.unknown:.1%}", cut]
      cells.append(f"{each.repeated:,}")
      unread = NONE if each.unread is None else f"{each.unread:,}"
      cells += [unread] * worded
      out.append([column_name(task), *cells])
  return out


def details(results: Mapping) -> Rows:
  """Returns a line for every task and metric, with every method's median."""
  methods = {m: r for m, r in results["methods"].items() if r}
  rows: dict[tuple[str, str], list[str]] = {}
  for records in methods.values():
    for task, record in records.items():
      for metric in record.get("all", ()):
        part, _, name = metric.rpartition("/")
        rows[task, metric] = [
          column_name(task),
          f"{name} ({part})" if part else name,
          # Of the first dev split; the others have their own number of rows.
          NONE if part else str(record.get("examples", NONE)),
        ]
  for (task, metric), row in rows.items():
    for records in methods.values():
      scores = records.get(task, {}).get("all", {}).get(metric, ())
      scores = [math.nan if score is None else score for score in scores]
      row.append(cell(compare.summary(scores) if scores else None))
  names = map(method_name, methods)
  return [["Task", "Metric", "Examples", *names], *rows.values()]


def trials(row: Mapping[str, compare.Summary | None]) -> str:
  """Writes the number of trials of a line, "3–5" where cells differ."""
  found = counts([row])
  return "–".join(map(str, dict.fromkeys([found[0], found[-1]])))


def split(results: Mapping) -> str:
  """Returns what was scored: "dev", or "holdout", a part of train."""
  return results.get("split", "dev")


def published(results: Mapping) -> dict[str, dict[str, float]]:
  """Returns the paper's numbers for our tasks: method -> column -> score.

  Empty where they would mislead: other tasks than GLUE's, or no dev scores.
  The paper's average is over all of its tasks, so it comes with all of them.
  """
  tasks = [c for c in compare.columns(results) if c != "average"]
  shown = [task for task in tasks if task in PUBLISHED_TASKS]
  foreign = any(t not in TASKS or not TASKS[t].glue for t in tasks)
  if not shown or foreign or split(results) != "dev":
    return {}
  if set(shown) == set(PUBLISHED_TASKS):
    shown = ["average", *shown]
  named = ("average", *PUBLISHED_TASKS)
  rows = {m: dict(zip(named, x, strict=True)) for m, x in PUBLISHED.items()}
  return {m: {c: row[c] for c in shown} for m, row in rows.items()}


def estimate(found: Sequence[float | None], form: str) -> str:
  """Writes "+1.2 [-0.3, +2.7]", an estimate with the ends of its interval.

  Args:
    found: value, low and high; the ends may be None or NaN.
    form: of a number.
  """
  value, low, high = found
  return f"{value:{form}} {_between(low, high, form)}"


def _between(low: float | None, high: float | None, form: str) -> str:
  if low is None or high is None or math.isnan(low):
    return NONE
  return f"[{low:{form}}, {high:{form}}]"


def counts(rows: Iterable[Mapping[str, compare.Summary | None]]) -> list[int]:
  """Returns every number of trials that a cell has, the least first."""
  return sorted({found.n for row in rows for found in row.values() if found})
