"""What a report says, section by section, before it is written anywhere."""

from collections.abc import Iterator, Mapping, Sequence

from bam_jax.report import (
  atlas,
  averages,
  claims,
  confidence,
  ensembles,
  factors,
  figures,
  judged,
  mixtures,
  notes,
  tables,
)
from bam_jax.report import rows as by_rows
from bam_jax.report.document import (
  Block,
  Bold,
  Bullets,
  Code,
  Paragraph,
  Picture,
  Section,
  Table,
  Text,
  Warn,
  noted,
)
from bam_jax.stats import compare
from bam_jax.stats import search as tuning


def sections(results: Mapping) -> list[Section]:
  """Returns the report of a results.json.

  Args:
    results: what results.json holds; see `report.write` for what is optional.

  Raises:
    ValueError: the results hold no scores.
  """
  rows = tables.grid(results)
  parts = {
    "Results": _results(results, rows),
    "Averages with a name": _averages(results),
    "Gold and judges": _judged(results, rows),
    "Claims": _claims(results),
    "What each factor gives": _factors(results),
    "One model for all tasks": _noninferiority(results),
    "Published numbers, not ours": _published(results),
    "Gains over Single": _gains(rows),
    "Transfer atlas": _atlas(results),
    "Rows and scores": _rows(results),
    "Samplers": _mixtures(results),
    "All trials together": _ensembles(results),
    "Over all tasks": _overall(results),
    "Tests": _tests(results, rows),
    "Settings": _settings(results),
    "Differences": _differences(results),
    "Medians and their intervals": _spread(rows),
    "What the encoder reads": _coverage(results),
    "Each class": _classes(results),
    "Calibration": confidence.blocks(results),
    "Learning curves": _learning(results),
    "Schedules": _schedules(results),
    "Cost": _costs(results),
    "Every metric": _details(results),
    "How to make it again": _command(results),
  }
  found = {title: tuple(blocks) for title, blocks in parts.items()}
  return [Section(title, blocks) for title, blocks in found.items() if blocks]


def _results(results: Mapping, rows: tables.Grid) -> Iterator[Block]:
  if warning := notes.warning(rows):
    yield Warn(warning)
  columns = compare.columns(results)
  best, stars = tables.best(rows), tables.stars(results)
  yield Table(
    "scores",
    ["Method", "Trials", *map(tables.column_name, columns)],
    [
      [
        tables.method_name(method),
        tables.trials(row),
        *(
          _score(row[c], (method, c) in best, stars.get((method, c), ""))
          for c in columns
        ),
      ]
      for method, row in rows.items()
    ],
    notes.caption(results, rows),
  )
  yield Bullets((*notes.reading(results), *notes.family(results)))
  yield figures.scores(results)


def _score(summary: compare.Summary | None, bold: bool, stars: str) -> Text:
  median, plus_minus, sd = tables.cell(summary).partition(" ± ")
  return Bold(median) if bold else median, stars + plus_minus + sd


def _averages(results: Mapping) -> Iterator[Block]:
  for name, row, found in averages.found(results):
    yield from noted(name, found, f"{row.title}.", row.said)


def _published(results: Mapping) -> Iterator[Block]:
  rows = tables.published(results)
  if not rows:
    return
  columns = map(tables.column_name, next(iter(rows.values())))
  found = [["Published", *columns]] + [
    [tables.method_name(method), *(f"{score:.1f}" for score in row.values())]
    for method, row in rows.items()
  ]
  title = "Published numbers, not ours."
  yield from noted("published", found, title, notes.PUBLISHED)


def _settings(results: Mapping) -> Iterator[Block]:
  if search := results.get("search"):
    note = " ".join(tuning.budget(search))
    title = "Settings that were searched."
    yield from noted("settings", tuning.rows(search), title, note, names=3)


def _gains(rows: tables.Grid) -> Iterator[Block]:
  note = "Differences of the medians above."
  yield from noted("gains", tables.gains(rows), "Gains over Single.", note)
  yield from figures.gains(rows)


def _atlas(results: Mapping) -> Iterator[Block]:
  found, title = atlas.rows(results), "Transfer atlas."
  yield from noted("atlas", found, title, atlas.NOTE)
  yield from atlas.pictures(results)
  found, title = atlas.correlations(results), "What goes together."
  yield from noted("correlations", found, title, atlas.CORRELATIONS)


def _rows(results: Mapping) -> Iterator[Block]:
  found, title = by_rows.table(results), "Rows and scores."
  yield from noted("rows", found, title, by_rows.NOTE, names=3)
  yield from by_rows.pictures(results)


def _mixtures(results: Mapping) -> Iterator[Block]:
  found, title = mixtures.table(results), "Samplers."
  yield from noted("samplers", found, title, mixtures.NOTE, names=2)


def _ensembles(results: Mapping) -> Iterator[Block]:
  found, title = ensembles.rows(results), "All trials together."
  note = ensembles.NOTE + ensembles.MORE * bool(results.get("across"))
  yield from noted("ensembles", found, title, note)


def _judged(results: Mapping, rows: tables.Grid) -> Iterator[Block]:
  found, title = judged.rows(results, rows), "Gold and judges."
  yield from noted("judged", found, title, judged.NOTE, names=3)
  yield from judged.pictures(results)


def _claims(results: Mapping) -> Iterator[Block]:
  told = list(claims.naming(results))
  note = " ".join([*(text for _, text in told), claims.CLAIMS])
  header, *rows = claims.claims(results)
  if not rows:
    return
  yield from (Warn(text) for grave, text in told if grave)
  yield Table("claims", header, rows, f"Claims. {note}", names=2)
  yield from (Paragraph(text) for grave, text in told if not grave)
  yield Paragraph(claims.CLAIMS)


def _factors(results: Mapping) -> Iterator[Block]:
  found, note = factors.rows(results), factors.note(results)
  yield from noted("factors", found, "Effects of the factors.", note, names=4)
  yield from factors.pictures(results)
  found, title = factors.interactions(results), "Two factors together."
  yield from noted("interactions", found, title, factors.INTERACTIONS, names=2)


def _noninferiority(results: Mapping) -> Iterator[Block]:
  yield from noted(
    "noninferiority",
    claims.noninferiority(results),
    "One model for all tasks.",
    claims.NONINFERIORITY,
    names=2,
  )


def _overall(results: Mapping) -> Iterator[Block]:
  found = claims.overall(results)
  yield from noted("overall", found, "Over all tasks.", claims.OVERALL)
  yield from figures.profiles(results)


def _tests(results: Mapping, rows: tables.Grid) -> Iterator[Block]:
  if not results.get("tests"):
    return
  tests = tables.primary(results)
  columns = list(dict.fromkeys(test["task"] for test in tests))
  lines: dict[tuple[str, str], dict[str, Text]] = {}
  trials = 0, 0
  for test in tests:
    a, b = (rows[test[side]][test["task"]] for side in "ab")
    cell = f"{tables.difference(a, b)} ({tables.p_value(test['p_holm'])})"
    bold = (Bold(cell),) if test["p_holm"] < 0.05 else cell
    lines.setdefault((test["a"], test["b"]), {})[test["task"]] = bold
    trials = max(trials, (a.n, b.n), key=min)
  note = notes.tests(tests[0]["test"], len(tests), trials)
  yield Table(
    "tests",
    ["Pair", *map(tables.column_name, columns)],
    [
      [
        f"{tables.method_name(a)} over {tables.method_name(b)}",
        *(line.get(column, tables.NONE) for column in columns),
      ]
      for (a, b), line in lines.items()
    ],
    note,
  )
  yield Paragraph(note)


def _differences(results: Mapping) -> Iterator[Block]:
  found = tables.differences(results)
  yield from noted(
    "differences", found, "Differences.", notes.DIFFERENCES, names=2
  )


def _spread(rows: tables.Grid) -> Iterator[Block]:
  title = "Medians and their intervals."
  note = notes.spread(rows)
  yield from noted("spread", tables.spread(rows), title, note, names=2)


def _coverage(results: Mapping) -> Iterator[Block]:
  found = tables.coverage_of(results)
  for text in notes.unread(results):
    yield Warn(text)
  title = "What the encoder reads."
  yield from noted("coverage", found, title, notes.COVERAGE, names=2)


def _classes(results: Mapping) -> Iterator[Block]:
  found = tables.classes(results)
  yield from noted("classes", found, "Each class.", notes.CLASSES, names=3)
  yield from figures.confusions(results)


def _learning(results: Mapping) -> Iterator[Block]:
  pictures: Sequence[Picture] = [
    *figures.learning(results, "score"),
    *figures.learning(results, "loss"),
  ]
  if pictures:
    yield Paragraph(notes.learning(results))
    yield from pictures


def _schedules(results: Mapping) -> Iterator[Block]:
  pictures = list(figures.schedules(results))
  if pictures:
    yield Paragraph(notes.schedules(results))
    yield from pictures


def _costs(results: Mapping) -> Iterator[Block]:
  found = tables.costs(results)
  yield from noted("costs", found, "Cost.", notes.COSTS)


def _details(results: Mapping) -> Iterator[Block]:
  found = tables.details(results)
  if len(found) > 1:
    caption = "Every metric: median of the trials ± standard deviation, x100."
    yield Table("metrics", found[0], found[1:], caption, names=2)


def _command(results: Mapping) -> Iterator[Block]:
  if results.get("command"):
    yield Paragraph(notes.command(results))
    yield Code(results["command"])
