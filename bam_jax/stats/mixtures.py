"""How tasks were drawn and weighed, and what came of it (Wang et al. 2019).

Everything is read from results.json: a study whose methods differ by the keys
of `sampling`, and perhaps by their tasks, as tables 6 and 7 have it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bam_jax.stats import compare, paired
from bam_jax.stats.averages import AVERAGES
from bam_jax.stats.bootstrap import Estimate
from bam_jax.stats.notation import varied

GROUP = "sampling."
# Its keys that say how a loss is weighed; all others say how tasks are drawn.
WEIGHED = ("loss_scale", "loss_scale_exponent")
# Of GLUE's nine tasks it is their score, see `AVERAGES`.
GLUE = "glue"


@dataclass(frozen=True)
class Mixture:
  """One way to mix some tasks.

  Attributes:
    base: the method without its variant.
    drawn: how tasks are drawn, in words.
    weighed: how their losses are, in words.
    tasks: that were mixed.
    value: the mean over tasks of the mean of trials, with its interval.
  """

  base: str
  drawn: str
  weighed: str
  tasks: tuple[str, ...]
  value: Estimate


def found(results: Mapping) -> list[Mixture]:
  """Returns the mixtures of a study; [] where there are no two of one method.

  Args:
    results: what results.json holds, with "variants" and "settings".
  """
  usual = results.get("settings", {}).get("sampling", {})
  made = []
  for method, records in results["methods"].items():
    base, variant = varied(method)
    changes = results.get("variants", {}).get(variant, {})
    mine = {
      key.removeprefix(GROUP): value
      for key, value in changes.items()
      if key.startswith(GROUP)
    }
    if not mine or len(mine) < len(changes.keys() - {"tasks"}) or not usual:
      continue
    scores = _averages(records)
    if not len(scores) or not np.all(np.isfinite(scores)):
      continue
    keys = usual | mine
    made.append(
      Mixture(
        base,
        _said(keys, "kind", "exponent", [k for k in mine if k not in WEIGHED]),
        _said(keys, *WEIGHED, [k for k in mine if k in WEIGHED]),
        tuple(records),
        paired.student(float(scores.mean()), scores),
      )
    )
  bases = [each.base for each in made]
  return [each for each in made if bases.count(each.base) > 1]


def _averages(records: Mapping[str, Mapping]) -> np.ndarray:
  """Returns the mean over tasks of every trial that all of them have."""
  scores = AVERAGES[GLUE].trials(records)
  return np.array(scores or compare.average(records, [*records]), np.float64)


def _said(
  keys: Mapping[str, Any], kind: str, exponent: str, changed: Sequence[str]
) -> str:
  """Writes "power 0.75", another way that has no exponent, and what else it is.

  Args:
    keys: of the group, with what a variant changes.
    kind: the key that names the way.
    exponent: that of its number where it is "power".
    changed: keys that the variant changes.
  """
  word = keys[kind]
  told = {kind, exponent} if word == "power" else {kind}
  first = f"{word} {keys[exponent]:g}" if word == "power" else word
  others = [f"{key} {keys[key]}" for key in changed if key not in told]
  return ", ".join([first, *others])
