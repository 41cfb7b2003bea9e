"""Writes the report of a working directory from its results.json alone.

    python -m bam_jax.report --workdir=W

Needs no JAX. Names of encoders, methods and tasks are text from outside: they
are escaped wherever they meet Markdown, HTML, LaTeX, the terminal or a picture.
"""

from collections.abc import Mapping
from pathlib import Path

import rich.box
import rich.console
import rich.table
import rich.text

from bam_jax.report import latex, notes, page, tables
from bam_jax.report import markdown as markdowns
from bam_jax.report.document import Picture, Table, blocks_of
from bam_jax.report.sections import sections
from bam_jax.runtime.files import beside
from bam_jax.stats import compare

# Every file that a report may have, but for the two that it always has.
OWN = {
  *(f"{name}.png" for name in ("scores", "gains", "curves", "losses")),
  *(f"{name}.png" for name in ("schedules", "calibration", "profiles")),
  *(f"table_{name}.tex" for name in ("published", "gains", "tests")),
  *(f"table_{name}.tex" for name in ("differences", "spread", "calibration")),
  *(f"table_{name}.tex" for name in ("scores", "costs", "metrics")),
  *(f"table_{name}.tex" for name in ("settings", "claims", "overall")),
  "confusion.png",
  "judged.png",
  *("atlas.png", "rows.png", "rows_first.png", "table_rows.tex"),
  "table_samplers.tex",
  *("factors.png", "table_factors.tex", "table_interactions.tex"),
  *(f"table_{name}.tex" for name in ("atlas", "correlations", "ensembles")),
  "table_judged.tex",
  "abstention.png",
  *(f"table_{name}.tex" for name in ("temperature", "thresholds")),
  "table_classes.tex",
  "table_noninferiority.tex",
  "table_coverage.tex",
}


def write(results: Mapping, workdir: Path) -> Path:
  """Writes W/report: report.md, report.html, and their tables and pictures.

  Args:
    results: what results.json holds. Beside the contract's keys these are
      used where they are: "differences" (`compare.differences`), "claims" and
      "noninferiority" (`stats.claims`), "claims_named" (`Workdir.claims`),
      "overall" (`aggregates.overall`), "search" (`search.search`), "factors"
      (`factorial.effects`), "variants" (name -> {key: value}), "calibration"
      (method -> task -> `calibration.summary`, with "fitted" of
      `calibrations.fitted` where it was), "classes" (likewise,
      `classes.summary`), "split" ("dev" if not),
      "ensembles" (method -> column -> score of all trials together),
      "across" (`ensembles.across`, of all methods together),
      "settings" (the config), "seconds" and "steps" (run -> of each trial),
      "flops" and "joules" (likewise), "scored" (method -> task -> run),
      "curves" (run -> `history.curves`), "schedules" (kind ->
      `history.schedule`), "coverage" (task -> `coverage.record`), "device"
      (kind, count, jax), "data" and "command" (text).
    workdir: W.

  Returns:
    The path of report.md.

  Raises:
    ValueError: the results hold no scores.
  """
  folder = workdir / "report"
  parts = sections(results)
  pictures = {p.name: p.draw() for p in blocks_of(parts, Picture)}
  pieces = pictures | {
    f"table_{each.name}.tex": latex.render(each).encode()
    for each in blocks_of(parts, Table)
  }
  pieces["report.html"] = page.render(parts, pictures).encode()
  pieces["report.md"] = markdowns.render(parts).encode()
  for name, piece in pieces.items():
    with beside(folder / name) as part:
      part.write_bytes(piece)
  # What this report has no more of must not be taken for its own.
  for path in [*folder.glob("table_*.tex"), *folder.glob("*.png")]:
    if path.name in OWN and path.name not in pieces:
      path.unlink()
  return folder / "report.md"


def table(results: Mapping) -> rich.table.Table:
  """Returns the table of methods and columns for the terminal.

  Args:
    results: what results.json holds.

  Raises:
    ValueError: the results hold no scores.
  """
  grid, columns = tables.grid(results), compare.columns(results)
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
    caption=rich.text.Text(notes.warning(grid)),
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
  return markdowns.render(sections(results))


def _broken(name: str) -> str:
  """Breaks a long method name after every second step."""
  steps = name.replace(" +", "\n+").split("→")
  pairs = ["→".join(steps[i : i + 2]) for i in range(0, len(steps), 2)]
  return "→\n".join(pairs)
