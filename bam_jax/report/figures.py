"""Which pictures a report has, and the numbers in them."""

from collections.abc import Iterator, Mapping
import functools
import math
from typing import Any

import numpy as np

from bam_jax.report import curves, plots, tables
from bam_jax.report.document import Picture
from bam_jax.stats import aggregates, compare


def scores(results: Mapping) -> Picture:
  """Shows every trial of every method and column."""

  def draw() -> bytes:
    methods = tables.grid(results)
    return plots.strips(
      {
        tables.column_name(column): {
          tables.method_name(method): compare.scores(results, method, column)
          for method in methods
        }
        for column in compare.columns(results)
      }
    )

  text = "Score of every trial, one panel a column, one line a method;"
  return Picture("scores.png", f"{text} a bar marks the median", draw)


def gains(rows: tables.Grid) -> Iterator[Picture]:
  """Shows what every method has over single, where there is both."""
  header, *lines = tables.gains(rows)
  if not lines:
    return

  def number(cell: str) -> float:
    return math.nan if cell == tables.NONE else float(cell)

  def draw() -> bytes:
    texts = [line[1:] for line in lines]
    values = [[number(cell) for cell in line] for line in texts]
    return plots.matrix([line[0] for line in lines], header[1:], values, texts)

  text = "Gain of every method over Single in every column: purple above,"
  yield Picture("gains.png", f"{text} orange below, the darker the more", draw)


def profiles(results: Mapping) -> Iterator[Picture]:
  """Shows which share of its trials and tasks gains how much, of each method.

  Nothing for one method alone or for two or three numbers of each.
  """
  found = results.get("overall") or {"methods": ()}
  methods = list(found["methods"])
  if len(methods) < 2:
    return
  tasks, base = found["tasks"], found["base"]
  scores = {
    method: np.array(
      [*aggregates.table(results["methods"][method], tasks).values()]
    )
    for method in methods
  }
  if min(each.size for each in scores.values()) < 4:
    return
  medians = np.median(scores[base], 0)
  lines = {
    tables.method_name(method): aggregates.profile(each, medians)
    for method, each in scores.items()
  }
  name = tables.method_name(base)

  def draw() -> bytes:
    x = f"points over {name}'s median of the task"
    return curves.profiles(lines, x=x, y="share of trials and tasks above")

  text = "Performance profiles: the share of a method's trials and tasks that"
  text += f" gain more points than x over {name}'s median; higher is better"
  yield Picture("profiles.png", text, draw)


def learning(results: Mapping, kind: str) -> Iterator[Picture]:
  """Shows the losses or the dev scores of the runs that are scored.

  Args:
    results: what results.json holds.
    kind: "loss" or "score".
  """
  panels: dict[str, dict[str, Any]] = {}
  for method, runs in results.get("scored", {}).items():
    for task, run in runs.items():
      found = results.get("curves", {}).get(run, {}).get(kind, {}).get(task)
      if found:
        panel = panels.setdefault(tables.column_name(task), {})
        panel[tables.method_name(method)] = _line(found)
  if not panels:
    return
  what = {"loss": "training loss", "score": "score x100"}[kind]

  def draw() -> bytes:
    return curves.bands(panels, x="steps done, % of the run", y=what)

  name = {"loss": "losses.png", "score": "curves.png"}[kind]
  text = f"{what.capitalize()} while training, one panel a task, one line a"
  text += " method: median of the trials, in a band from quartile to quartile"
  yield Picture(name, text, draw)


def schedules(results: Mapping) -> Iterator[Picture]:
  """Shows the learning rate and lambda over the steps of each kind of run."""
  panels: dict[str, dict[str, Any]] = {}
  names = {"rate": "learning rate", "lambda": "lambda"}
  for key, name in names.items():
    for kind, found in results.get("schedules", {}).items():
      if key in found:
        line = found["step"], [found[key]]
        panels[f"{name}, {kind}"] = {kind: line}
  if panels:
    text = "Learning rate of the heads, and lambda where there are teachers,"
    text += " over the steps of the longest run of each kind"
    draw = functools.partial(curves.schedules, panels)
    yield Picture("schedules.png", text, draw)


def confusions(results: Mapping) -> Iterator[Picture]:
  """Shows which classes are taken for which, where there are three or more."""
  panels = {}
  told = {} if results.get("search") else results.get("classes", {})
  for method, tasks in told.items():
    for task, found in tasks.items():
      if len(found["confusion"]) > 2:
        title = f"{tables.column_name(task)}, {tables.method_name(method)}"
        panels[title] = found["labels"], found["confusion"]
  if panels:
    text = "Which classes are taken for which: of the rows of each (a line) the"
    text += " percentage that is said to be of each, over all trials"
    yield Picture("confusion.png", text, lambda: plots.confusions(panels))


def _line(curve: Mapping) -> tuple[list[float], list[list[float]]]:
  """Returns x in percent of the run, and the values of every trial."""
  steps = curve["step"]
  return [100 * step / steps[-1] for step in steps], [
    [math.nan if value is None else value for value in trial]
    for trial in curve["values"]
  ]
