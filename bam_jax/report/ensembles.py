"""What a method's trials score together, beside what one of them scores."""

from collections.abc import Mapping

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
      median = compare.summary(compare.scores(results, method, column) or [0])
      score = found.get(column)
      cells.append(
        tables.NONE
        if score is None
        else f"{score:.1f} ({score - median.median:+.1f})"
      )
    trials = len(next(iter(results["methods"][method].values()))["seeds"])
    out.append([tables.method_name(method), str(trials), *cells])
  return out
