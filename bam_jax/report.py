"""Writes the report of a working directory from its results.json alone.

    python -m bam_jax.report --workdir=W

Needs no JAX. Names of encoders, methods and tasks are text from outside: they
are escaped wherever they meet Markdown, the terminal or the picture.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
import json
import math
import os
from pathlib import Path
import re
import sys

import rich.box
import rich.console
import rich.table
import rich.text

from bam_jax import plots, stats, tables, tuning

SCHEMA = 1


def load(workdir: Path) -> dict:
  """Reads and checks W/results.json.

  Raises:
    ValueError: the file is missing, is not JSON or has another schema.
  """
  path = workdir / "results.json"
  if not path.is_file():
    raise ValueError(
      f"no {path}; train first: python -m bam_jax.main --workdir={workdir}"
    )
  try:
    results = json.loads(path.read_text(encoding="utf-8"))
  except ValueError as error:
    raise ValueError(f"{path} is not JSON ({error}); evaluate again") from None
  found = results.get("schema") if isinstance(results, dict) else None
  if found != SCHEMA:
    raise ValueError(
      f"{path} has schema {found!r} and {SCHEMA} is read here; evaluate again"
    )
  return results


def write(results: Mapping, workdir: Path) -> Path:
  """Writes W/report/report.md and its pictures.

  Args:
    results: what results.json holds. Beside the contract's keys these are
      used where they are: "differences" (`stats.differences`), "search"
      (`tuning.search`), "variants" (name -> {key: value}), "calibration"
      (method -> task -> `calibration.summary`), "split" ("dev" if not),
      "settings" (the config), "seconds" (run -> f[R], of training), "data",
      "device", "command" (text).
    workdir: W.

  Returns:
    The path of report.md.

  Raises:
    ValueError: the results hold no scores.
  """
  folder = workdir / "report"
  pieces = {"scores.png": _picture(results), "report.md": markdown(results)}
  if results.get("calibration"):
    pieces["calibration.png"] = _curves(results)
  folder.mkdir(parents=True, exist_ok=True)
  for name, piece in pieces.items():
    # Beside it first: whoever reads the folder never sees half a file.
    part = folder / f".{name}.part"
    part.write_bytes(piece.encode() if isinstance(piece, str) else piece)
    os.replace(part, folder / name)
  if "calibration.png" not in pieces:
    (folder / "calibration.png").unlink(missing_ok=True)
  return folder / "report.md"


def table(results: Mapping) -> rich.table.Table:
  """Returns the table of methods and columns for the terminal.

  Args:
    results: what results.json holds.

  Raises:
    ValueError: the results hold no scores.
  """
  grid, columns = tables.grid(results), stats.columns(results)
  best = tables.best(grid)
  counts = list(dict.fromkeys(tables.trials(row) for row in grid.values()))
  what = "score" if counts == ["1"] else "median ± sd"
  # Nine tasks and their average fit in 80 columns, so no spare blank, and the
  # spread stands on a line of its own.
  out = rich.table.Table(
    title=rich.text.Text(
      f"{tables.split(results).capitalize()} {what}, x100,"
      f" trials: {', '.join(counts)}"
    ),
    caption=rich.text.Text(tables.warning(grid)),
    title_style="",
    title_justify="left",
    caption_style="bold",
    caption_justify="left",
    min_width=40,
    box=rich.box.SIMPLE,
    padding=(0, 0, 0, 1),
    pad_edge=False,
    show_edge=False,
  )
  out.add_column("Method", no_wrap=True)
  for column in columns:
    name = rich.text.Text(tables.column_name(column))
    out.add_column(name, justify="right", no_wrap=True)
  for method, row in grid.items():
    cells = [
      rich.text.Text(
        tables.cell(row[column]).replace(" ± ", "\n±"),
        style="bold" if (method, column) in best else "",
      )
      for column in columns
    ]
    out.add_row(rich.text.Text(_broken(tables.method_name(method))), *cells)
  return out


def markdown(results: Mapping) -> str:
  """Returns the text of report.md.

  Args:
    results: what results.json holds.

  Raises:
    ValueError: the results hold no scores.
  """
  grid, columns = tables.grid(results), stats.columns(results)
  warning = tables.warning(grid)
  best, stars = tables.best(grid), tables.stars(results)
  search = results.get("search", {})
  rows = [
    [
      _escape(tables.method_name(method)),
      tables.trials(row),
      *(
        _cell(row[c], (method, c) in best, stars.get((method, c), ""))
        for c in columns
      ),
    ]
    for method, row in grid.items()
  ]
  header = [
    "Method",
    "Trials",
    *(_escape(tables.column_name(c)) for c in columns),
  ]
  pieces = [
    "# Results",
    *([f"> **{warning}**"] if warning else []),
    _table(header, rows),
    "\n".join(
      f"- {_escape(note)}"
      for note in (*tables.notes(results), *tables.family(results))
    ),
    "![Score of every trial, one panel a column, one line a method;"
    " a bar marks the median](scores.png)",
    *_gains(grid, columns),
    *_tests(results, grid),
    *_section(
      "Settings",
      tuning.rows(search),
      *(tuning.budget(search) if search else []),
    ),
    *_section(
      "Differences", tables.differences(results), tables.DIFFERENCES_NOTE
    ),
    *_section(
      "Medians and their intervals",
      tables.spread(grid),
      tables.spread_note(grid),
    ),
    *_calibration(results),
    *_published(results),
    *_details(results),
  ]
  return "\n\n".join(pieces) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
  """Writes the report of --workdir and prints its table."""
  parser = argparse.ArgumentParser(
    prog="python -m bam_jax.report",
    description="Writes W/report from W/results.json and prints the table.",
  )
  parser.add_argument(
    "--workdir",
    type=Path,
    required=True,
    help="the working directory of a run, the one with results.json",
  )
  workdir = parser.parse_args(argv).workdir
  try:
    results = load(workdir)
    path = write(results, workdir)
  except (ValueError, OSError) as error:
    print(error, file=sys.stderr)
    return 2
  rich.console.Console().print(table(results))
  print(f"report: {path}")
  return 0


def _broken(name: str) -> str:
  """Breaks a long method name after every second step."""
  steps = name.replace(" +", "\n+").split("→")
  pairs = ["→".join(steps[i : i + 2]) for i in range(0, len(steps), 2)]
  return "→\n".join(pairs)


def _cell(summary: stats.Summary | None, bold: bool, stars: str = "") -> str:
  median, plus_minus, sd = tables.cell(summary).partition(" ± ")
  median = f"**{median}**" if bold else median
  return median + stars + plus_minus + sd


def _gains(grid: tables.Grid, columns: Sequence[str]) -> Iterator[str]:
  if "single" not in grid or len(grid) == 1:
    return
  single = grid["single"]
  yield "## Gains over Single"
  yield _table(
    ["Method", *(_escape(tables.column_name(column)) for column in columns)],
    [
      [
        _escape(tables.method_name(m)),
        *(tables.difference(row[c], single[c]) for c in columns),
      ]
      for m, row in grid.items()
      if m != "single"
    ],
  )
  yield "Differences of the medians above."


def _tests(results: Mapping, grid: tables.Grid) -> Iterator[str]:
  if not results.get("tests"):
    return
  # The kind that stands first is the one the stars are of.
  kind = results["tests"][0]["test"]
  tests = [test for test in results["tests"] if test["test"] == kind]
  columns = list(dict.fromkeys(test["task"] for test in tests))
  rows: dict[tuple[str, str], dict[str, str]] = {}
  least = 1.0
  for test in tests:
    a, b = (grid.get(test[side], {}).get(test["task"]) for side in "ab")
    if a is None or b is None:
      raise ValueError(
        f"results.json tests {test['a']} against {test['b']} on"
        f" {test['task']} without having its scores; evaluate again"
      )
    p = _escape(tables.p_value(test["p_holm"]))
    cell = f"{tables.difference(a, b)} ({p})"
    bold = f"**{cell}**" if test["p_holm"] < 0.05 else cell
    rows.setdefault((test["a"], test["b"]), {})[test["task"]] = bold
    least = min(least, stats.smallest_p(a.n, b.n))
  yield "## Tests"
  yield _table(
    ["Pair", *(_escape(tables.column_name(column)) for column in columns)],
    [
      [
        _escape(f"{tables.method_name(a)} over {tables.method_name(b)}"),
        *(row.get(column, tables.NONE) for column in columns),
      ]
      for (a, b), row in rows.items()
    ],
  )
  text = (
    f"Difference of the medians and, in brackets, p ({_escape(kind)},"
    f" two-sided) after Holm's correction for all {len(tests)} tests of the"
    " table; bold below 0.05."
  )
  if least * len(tests) >= 0.05:
    text += (
      " With so few trials no p of a Mann-Whitney test can fall below"
      f" {tables.p_value(least)}, nor below"
      f" {tables.p_value(min(1.0, least * len(tests)))} when corrected: nothing"
      " in it can be significant."
    )
  yield text


def _section(title: str, rows: tables.Rows, *notes: str) -> Iterator[str]:
  """Yields a heading, a table and its notes; nothing without rows."""
  header, *rows = rows
  if rows:
    yield f"## {title}"
    yield _escaped(header, rows)
    yield from map(_escape, notes)


def _calibration(results: Mapping) -> Iterator[str]:
  rows = tables.calibration(results)
  yield from _section("Calibration", rows, tables.CALIBRATION_NOTE)
  if len(rows) > 1:
    yield (
      "![Accuracy against confidence, one panel a task, one line a method; on"
      " the diagonal a model is as often right as it says](calibration.png)"
    )


def _published(results: Mapping) -> Iterator[str]:
  rows = tables.published(results)
  if not rows:
    return
  yield "## Published numbers, not ours"
  columns = map(tables.column_name, next(iter(rows.values())))
  yield _table(
    ["Published", *columns],
    [
      [tables.method_name(method), *(f"{score:.1f}" for score in row.values())]
      for method, row in rows.items()
    ],
  )
  yield (
    "Clark et al. (2019), Table 1: BERT-Large, all eight tasks of GLUE and"
    " their whole train splits, medians of at least 20 trials on the dev"
    " split. Another encoder, other data or fewer tasks do not compare."
  )


def _details(results: Mapping) -> Iterator[str]:
  methods = {m: r for m, r in results["methods"].items() if r}
  rows: dict[tuple[str, str], list[str]] = {}
  for records in methods.values():
    for task, record in records.items():
      for metric in record.get("all", ()):
        split, _, name = metric.rpartition("/")
        rows[task, metric] = [
          _escape(tables.column_name(task)),
          _escape(f"{name} ({split})" if split else name),
          # Of the first dev split; the others have their own number of rows.
          tables.NONE if split else str(record.get("examples", tables.NONE)),
        ]
  for (task, metric), row in rows.items():
    for records in methods.values():
      scores = records.get(task, {}).get("all", {}).get(metric, ())
      scores = [math.nan if score is None else score for score in scores]
      row.append(tables.cell(stats.summary(scores) if scores else None))
  if rows:
    yield "## Every metric"
    names = [_escape(tables.method_name(method)) for method in methods]
    yield _table(["Task", "Metric", "Examples", *names], list(rows.values()))


def _escape(text: object) -> str:
  """Escapes what Markdown, its tables and its HTML would take for theirs."""
  text = " ".join(str(text).split())
  text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
  # An underscore inside a word is no emphasis and paths are full of them.
  return re.sub(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  rule = [":--", *["--:"] * (len(header) - 1)]
  return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *rows])


def _escaped(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  return _table([*map(_escape, header)], [[*map(_escape, r)] for r in rows])


def _curves(results: Mapping) -> bytes:
  panels: dict[str, dict[str, list]] = {}
  for method, tasks in results["calibration"].items():
    for task, found in tasks.items():
      panel = panels.setdefault(tables.column_name(task), {})
      panel[tables.method_name(method)] = found["curve"]
  return plots.reliability(panels)


def _picture(results: Mapping) -> bytes:
  methods = tables.grid(results)
  return plots.strips(
    {
      tables.column_name(column): {
        tables.method_name(method): stats.scores(results, method, column)
        for method in methods
      }
      for column in stats.columns(results)
    }
  )


if __name__ == "__main__":
  sys.exit(main())
