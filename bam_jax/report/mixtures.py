"""The table of samplers, task sets and weights of the loss."""

from collections.abc import Mapping, Sequence

from bam_jax.report import tables
from bam_jax.report.document import Bold, Text
from bam_jax.stats import mixtures as stats

NOTE = (
  "Mean over the tasks of a column, then over trials, x100, with Student's 95 %"
  " interval over these; of GLUE's nine tasks it is the GLUE score. The best of"
  " a column is bold, whether or not it is more than luck."
)


def table(results: Mapping) -> list[list[Text]]:
  """Returns a line for each sampler; the header alone without any.

  Columns are sets of tasks, weights of the loss, or both, as they differ.
  """
  found = stats.found(results)
  columns = dict.fromkeys((each.tasks, each.weighed) for each in found)
  lines: dict[tuple[str, str], dict] = {}
  for each in found:
    line = lines.setdefault((each.base, each.drawn), {})
    line[each.tasks, each.weighed] = each.value
  best = {
    column: max(
      round(line[column].value, 1) for line in lines.values() if column in line
    )
    for column in columns
  }
  head: list[Text] = ["Method", "Tasks drawn"]
  out = [[*head, *(_column(column, [*columns]) for column in columns)]]
  for (base, drawn), line in lines.items():
    cells = [_cell(line.get(column), best[column]) for column in columns]
    out.append([tables.method_name(base), drawn, *cells])
  return out


def _column(
  column: tuple[Sequence[str], str],
  columns: Sequence[tuple[Sequence[str], str]],
) -> str:
  tasks, weighed = column
  most = max(len(each) for each, _ in columns)
  whole = f"all {most} tasks" if len(tasks) == most else ""
  named = whole or ", ".join(map(tables.column_name, tasks))
  if len({each for _, each in columns}) == 1:
    return named
  loss = f"loss {weighed}"
  return loss if len({each for each, _ in columns}) == 1 else f"{named}; {loss}"


def _cell(value, best: float) -> Text:
  if value is None:
    return tables.NONE
  text = tables.estimate((value.value, value.low, value.high), ".1f")
  return (Bold(text),) if round(value.value, 1) == best else text
