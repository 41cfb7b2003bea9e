"""What GLUE's diagnostic set is scored by."""

from collections.abc import Sequence


def r3(gold: Sequence[str], said: Sequence[str]) -> float:
  """Returns R3, the Matthews correlation of three classes, x100.

  Gorodkin 2004, as Wang et al. 2018 score the set: 0 is chance, also where
  everything is answered alike.

  Args:
    gold: N labels.
    said: N labels.
  """
  # Slow to import.
  from sklearn import metrics

  return 100 * float(metrics.matthews_corrcoef(gold, said))
