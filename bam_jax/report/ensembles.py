"""What a method's trials score together, beside what one of them scores."""

from collections.abc import Callable, Mapping
import statistics

from bam_jax.report import tables
from bam_jax.stats import compare

NOTE = (
  "All trials answer together: their probabilities, or numbers, are averaged."
  " In brackets, how far that is above the median trial. It costs as many"
  " passes as there are trials (bam_jax.predict --trial=all); a student of all"
  " of them (teacher.trials=ensemble) or a soup (bam_jax.soup) costs one. There"
  " is one ensemble of a study, so no test."
)
MORE = (
  " All methods is the mean of every trial of every method. Best of each task"
  " takes each column from the method whose median is highest there, as the"
  ' paper "Less is More" answers in its Table 6: it is chosen on these very'
  " numbers, so it is too good."
)


def rows(results: Mapping) -> tables.Rows:
  """Returns a line for each method with several trials, and for methods."""
  columns = compare.columns(results)
  out = [["Ensemble of", "Trials", *map(tables.column_name, columns)]]
  for method, found in results.get("ensembles", {}).items():
    cells = []
    for column in columns:
      score, trials = found.get(column), compare.scores(results, method, column)
      gain = 0.0 if score is None else score - statistics.median(trials)
      cells.append(
        tables.NONE if score is None else f"{score:.1f} ({gain:+.1f})"
      )
    out.append(
      [tables.method_name(method), str(_trials(results, method)), *cells]
    )
  for name, found in results.get("across", {}).items():
    cells = map(_plain(found["scores"]), columns)
    out.append([name, str(found["trials"]), *cells])
  return out


def _trials(results: Mapping, method: str) -> int:
  return len(next(iter(results["methods"][method].values()))["seeds"])


def _plain(found: Mapping[str, float | None]) -> Callable[[str], str]:
  def cell(column: str) -> str:
    score = found.get(column)
    return tables.NONE if score is None else f"{score:.1f}"

  return cell
