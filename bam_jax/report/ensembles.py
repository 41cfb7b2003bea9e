"""What a method's trials score together, beside what one of them scores."""

from collections.abc import Mapping
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


def rows(results: Mapping) -> tables.Rows:
  """Returns a line for each method with several trials; else the header."""
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
    seeds = next(iter(results["methods"][method].values()))["seeds"]
    out.append([tables.method_name(method), str(len(seeds)), *cells])
  return out
