"""What a report says, whatever it is written in.

A grid is method -> column -> summary of its trials, or None. All text here is
plain: whoever writes it into a format escapes it there.
"""

from collections.abc import Iterable, Iterator, Mapping
import math

from bam_jax import stats
from bam_jax.tasks import TASKS, Task

NONE = "–"
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

Grid = dict[str, dict[str, stats.Summary | None]]


def method_name(method: str) -> str:
  """Writes a method for people: "single->multi" as "Single→Multi"."""
  parts = method.split("+")[0].split("->")
  options = [f" +{option}" for option in method.split("+")[1:]]
  return "".join(["→".join(p[:1].upper() + p[1:] for p in parts), *options])


def column_name(column: str) -> str:
  """Writes a column for people: "average" as "Avg", "stsb" as "STS-B"."""
  if column == "average":
    return "Avg"
  return (TASKS[column].folder if column in TASKS else "") or column


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
    for column in stats.columns(results):
      scores = stats.scores(results, method, column)
      row[column] = stats.summary(scores) if scores else None
    if any(row.values()):
      rows[method] = row
  if not rows:
    raise ValueError("the results hold no scores yet; train and evaluate first")
  return rows


def cell(summary: stats.Summary | None) -> str:
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


def difference(a: stats.Summary | None, b: stats.Summary | None) -> str:
  """Writes the median of a minus that of b, as "+1.2"."""
  if NONE in (cell(a), cell(b)):
    return NONE
  # Of what is printed, so that the reader's own subtraction agrees.
  return f"{round(a.median, 1) - round(b.median, 1) + 0.0:+.1f}"


def trials(row: Mapping[str, stats.Summary | None]) -> str:
  """Writes the number of trials of a line, "3–5" where cells differ."""
  counts = _counts([row])
  return "–".join(map(str, dict.fromkeys([counts[0], counts[-1]])))


def warning(rows: Grid) -> str:
  """The sentence that has to stand by a table of too few trials, or ""."""
  fewest = _counts(rows.values())[0]
  if fewest == 1:
    return "One trial: a single run proves nothing, another seed may turn it."
  if fewest < stats.MIN_TRIALS and len(rows) > 1:
    return f"{fewest} trials are too few to test a difference."
  return ""


def split(results: Mapping) -> str:
  """Returns what was scored: "dev", or "holdout", a part of train."""
  return results.get("split", "dev")


def published(results: Mapping) -> dict[str, dict[str, float]]:
  """Returns the paper's numbers for our tasks: method -> column -> score.

  Empty where they would mislead: other tasks than GLUE's, or no dev scores.
  The paper's average is over all of its tasks, so it comes with all of them.
  """
  tasks = [c for c in stats.columns(results) if c != "average"]
  shown = [task for task in tasks if task in PUBLISHED_TASKS]
  foreign = any(t not in TASKS or TASKS[t].source != "glue" for t in tasks)
  if not shown or foreign or split(results) != "dev":
    return {}
  if set(shown) == set(PUBLISHED_TASKS):
    shown = ["average", *shown]
  named = ("average", *PUBLISHED_TASKS)
  rows = {m: dict(zip(named, x, strict=True)) for m, x in PUBLISHED.items()}
  return {m: {c: row[c] for c in shown} for m, row in rows.items()}


def notes(results: Mapping) -> Iterator[str]:
  """Yields what has to be known to read the table, a sentence at a time.

  Args:
    results: what results.json holds; see `report.write` for what is optional.
  """
  columns = stats.columns(results)
  known = [TASKS[column] for column in columns if column in TASKS]
  on = "the dev split"
  if split(results) != "dev":
    on = "a part of train that was held out, not on dev"
  yield (
    f"Median of the trials ± standard deviation, x100, on {on}."
    " The highest median of a column is bold."
  )
  metrics: dict[str, dict[str, None]] = {}
  seeds = set()
  for records in results["methods"].values():
    for name, record in records.items():
      metrics.setdefault(record["metric"], {})[column_name(name)] = None
      seeds.add(tuple(record["seeds"]))
  yield "Metrics: " + "; ".join(
    f"{metric} for {', '.join(names)}" for metric, names in metrics.items()
  )
  for task in known:
    if len(task.dev) > 1 and split(results) == "dev":
      yield f"{task.folder} is {task.dev[0]}; more under Every metric."
    if not task.in_average and "average" in columns:
      yield f"{task.folder} does not count in Avg."
  settings = results.get("settings", {})
  layers, every = map(settings.get, ("encoder_layers", "encoder_every"))
  some = f", one layer in {every}" if every not in (None, 1) else ""
  cut = f", its first {layers} layers" if layers else ""
  yield f"Encoder: {results['encoder']}{some}{cut}"
  yield from (f"Data: {text}" for text in _data(results, known))
  for kind in ("single", "multi", "finetune"):
    if kind in settings and any(kind in m for m in results["methods"]):
      pairs = (f"{key} {value}" for key, value in settings[kind].items())
      yield f"{kind.capitalize()}: {', '.join(pairs)}"
  if settings.get("max_steps"):
    yield f"Every run was capped at {settings['max_steps']} steps."
  if len(seeds) == 1:
    (same,) = seeds
    yield f"Trials: {len(same)} (seeds {', '.join(map(str, same))})"
  times = [x for run in results.get("seconds", {}).values() for x in run]
  if times:
    yield f"Training time: {_time(sum(times))} for {len(times)} models"
  for key in ("device", "command"):
    if results.get(key):
      yield f"{key.capitalize()}: {results[key]}"
  yield f"Commit: {results.get('commit') or 'unknown'}"


def _data(results: Mapping, tasks: Iterable[Task]) -> Iterator[str]:
  given = results.get("settings", {}).get("data", {})
  sources = {task.source for task in tasks}
  if "glue" in sources and "glue_dir" in given:
    yield f"GLUE from {given['glue_dir'] or 'the Hugging Face hub'}"
  if "synthetic" in sources and "synthetic_seed" in given:
    yield f"synthetic suite, seed {given['synthetic_seed']}"
  if results.get("data"):
    yield results["data"]


def _time(seconds: float) -> str:
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f"{hours} h {minutes:02} min"
  return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def _counts(rows: Iterable[Mapping[str, stats.Summary | None]]) -> list[int]:
  return sorted({found.n for row in rows for found in row.values() if found})
