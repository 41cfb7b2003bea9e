"""What is learned of a judge: by its errors, and by how much gold there is."""

from collections.abc import Iterator, Mapping
from typing import Any

from bam_jax.report import curves, tables
from bam_jax.report.document import Picture
from bam_jax.stats import compare
from bam_jax.tasks.judged import judge_of

NOTE = (
  "Median of the trials ± standard deviation, x100, by the share of the"
  " training rows that keep a label; the judge answers all of them, and is"
  " wrong in as many as is said. Without a teacher only rows with a label are"
  " learned from."
)

# (task of the suite, percent that the judge is wrong about) -> percent of the
# rows with gold -> task.
Cells = dict[tuple[str, int], dict[int, str]]


def cells(results: Mapping) -> Cells:
  """Returns which tasks of a study differ in nothing but the share of gold."""
  found: Cells = {}
  for column in compare.columns(results):
    if judge := judge_of(column):
      line = judge.suite, round(100 * judge.noise)
      found.setdefault(line, {})[round(100 * judge.gold)] = column
  return {line: dict(sorted(tasks.items())) for line, tasks in found.items()}


def rows(results: Mapping, grid: tables.Grid) -> tables.Rows:
  """Returns a line for every method and judge; the header alone without any.

  Args:
    results: what results.json holds.
    grid: of it.
  """
  lines = cells(results)
  shares = sorted({share for tasks in lines.values() for share in tasks})
  out = [["Method", "Task", "Judge wrong", *(f"{n} % gold" for n in shares)]]
  for method, row in grid.items():
    for (suite, noise), tasks in lines.items():
      found = [tables.cell(row.get(tasks.get(share, ""))) for share in shares]
      if set(found) != {tables.NONE}:
        wrong = f"{noise} %" if _taught(method) else tables.NONE
        out.append([tables.method_name(method), suite, wrong, *found])
  return out


def pictures(results: Mapping) -> Iterator[Picture]:
  """Shows scores over the share of gold, one line a judge.

  A panel for each method that is taught; what is not is a line in each.
  """
  panels: dict[str, dict[str, Any]] = {}
  lines = cells(results)
  suites = {suite for suite, _ in lines}
  methods = results["methods"]
  for taught in filter(_taught, methods):
    for suite in suites:
      name = tables.method_name(taught)
      title = f"{suite}, {name}" if len(suites) > 1 else name
      for method in (taught, *(m for m in methods if not _taught(m))):
        for (task, noise), tasks in lines.items():
          label = f"judge wrong in {noise} %"
          if not _taught(method):
            label = f"{tables.method_name(method)}, no judge"
          if task == suite and (line := _line(results, method, tasks)):
            panels.setdefault(title, {})[label] = line
  if any(len(x) > 1 for found in panels.values() for x, _ in found.values()):

    def draw() -> bytes:
      return curves.bands(panels, x="rows with a label, %", y="score x100")

    text = (
      "Score by the share of rows with a label, one line a judge, one panel"
    )
    text += (
      " a method: median of the trials, in a band from quartile to quartile"
    )
    yield Picture("judged.png", text, draw)


def _taught(method: str) -> bool:
  return "->" in method


def _line(
  results: Mapping, method: str, tasks: Mapping[int, str]
) -> tuple[list[int], list[list[float]]] | None:
  """Returns the shares of gold, and the scores of every trial; None = none."""
  found = {
    share: compare.scores(results, method, task)
    for share, task in tasks.items()
  }
  found = {share: scores for share, scores in found.items() if scores}
  trials = min(map(len, found.values()), default=0)
  if not trials:
    return None
  values = [scores[:trials] for scores in found.values()]
  return [*found], [list(each) for each in zip(*values, strict=True)]
