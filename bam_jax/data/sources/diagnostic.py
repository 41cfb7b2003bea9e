"""GLUE's diagnostic set with its labels and what each row is about.

The file is diagnostic-full.tsv of https://gluebenchmark.com/diagnostics.
"""

from collections.abc import Sequence
import dataclasses
from pathlib import Path

from bam_jax.data.sources import rows
from bam_jax.runtime.spelling import hint

TEXTS = ("Premise", "Hypothesis")
LABEL = "Label"
# The coarse categories, each a column of fine ones with ; between them.
COARSE = (
  *("Lexical Semantics", "Predicate-Argument Structure"),
  *("Logic", "Knowledge"),
)


@dataclasses.dataclass(frozen=True)
class Diagnostic:
  """The rows of the set.

  Attributes:
    texts: premises and hypotheses, N each.
    labels: N names.
    groups: (a coarse category, a fine one of it, or "" for all of it) -> the
      numbers of its rows, in the order of the categories.
  """

  texts: tuple[Sequence[str], Sequence[str]]
  labels: Sequence[str]
  groups: dict[tuple[str, str], list[int]]


def read(path: Path, labels: Sequence[str]) -> Diagnostic:
  """Reads the set.

  Args:
    path: the file.
    labels: that a row may have.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it has other columns, no rows, or a row another label.
  """
  texts: tuple[list[str], list[str]] = [], []
  golds: list[str] = []
  found: dict[tuple[str, str], list[int]] = {}
  for where, row in rows.read(path, [*TEXTS, LABEL, *COARSE]):
    gold = rows.text_of((where, row), LABEL).strip()
    if gold not in labels:
      raise ValueError(
        f"{where} has the label {gold!r}; it is one of {', '.join(labels)}"
        f"{hint(gold, labels)}"
      )
    for column, name in zip(texts, TEXTS, strict=True):
      column.append(rows.text_of((where, row), name))
    for coarse in COARSE:
      cell = str(row[coarse] or "").split(";")
      fine = [each.strip() for each in cell if each.strip()]
      for key in [(coarse, ""), *((coarse, each) for each in fine)]:
        if fine:
          found.setdefault(key, []).append(len(golds))
    golds.append(gold)
  if not golds:
    raise ValueError(f"{path} has no rows; give GLUE's diagnostic-full.tsv")
  order = sorted(found, key=lambda key: (COARSE.index(key[0]), key[1]))
  return Diagnostic(texts, golds, {key: found[key] for key in order})
