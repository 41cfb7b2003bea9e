"""How sure models are, and how right: the report's section on calibration.

All text here is plain, as in tables.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bam_jax.report import curves, plots, tables
from bam_jax.report.document import Block, Picture, noted
from bam_jax.stats import compare

CALIBRATION = (
  "Median over trials ± standard deviation: expected calibration error in"
  " 15 bins of confidence (of equal width, and of equal mass) and Brier score,"
  " x100; negative log-likelihood in nats. Lower is better. Regression has no"
  " confidence."
)
TEMPERATURE = (
  "Logits divided by a temperature that was fitted on training rows held out"
  " for it, never on dev: the measures above, on dev, before → after; medians"
  " over trials. No answer changes. AURC is the area under the risk-coverage"
  " curve, x100: the mean error over all shares of answered rows, the surest"
  " first; of several labels a row is right if all are. Lower is better."
)
THRESHOLDS = (
  "A label is said from its threshold on, which was chosen on the same held-out"
  " rows, instead of from one half; both on dev, one half → threshold, x100,"
  " medians over trials. Every score elsewhere in this report is at one half."
)
_MEASURES = {
  "ece": ("ECE", 100),
  "ece_equal_mass": ("ECE, equal mass", 100),
  "brier": ("Brier", 100),
  "nll": ("NLL", 1),
}


def calibration(results: Mapping) -> tables.Rows:
  """Returns a line for every method and task whose dev logits were kept."""
  out = [["Task", "Method", *(name for name, _ in _MEASURES.values())]]
  for task, method, found in _each(results):
    cells = []
    for key, (_, factor) in _MEASURES.items():
      one = compare.summary([factor * x for x in found[key]])
      sd = f" ± {one.sd:.2f}" if one.n > 1 else ""
      cells.append(f"{one.median:.2f}{sd}")
    out.append([task, method, *cells])
  return out


def temperature(results: Mapping) -> tables.Rows:
  """Returns a line for every method and task that was calibrated."""
  names = (name for name, _ in _MEASURES.values())
  out = [["Task", "Method", "Rows", "Temperature", *names, "AURC"]]
  for task, method, found in _each(results):
    if not (made := found.get("fitted")):
      continue
    cells = [
      _change(factor * np.array([found[key], made["after"][key]]))
      for key, (_, factor) in _MEASURES.items()
    ]
    by, area = np.median(made["temperature"]), np.median(made["area"])
    shown = f"{made['rows']:,}", f"{by:.2f}"
    out.append([task, method, *shown, *cells, f"{100 * area:.2f}"])
  return out


def thresholds(results: Mapping) -> tables.Rows:
  """Returns a line for every label that has a threshold, then two for all."""
  names = ("Precision", "Recall", "F1")
  out = [["Task", "Label", "Method", "Threshold", *names]]
  for task, method, found in _each(results):
    made = found.get("fitted", {}).get("thresholds")
    if not made:
      continue
    labels = made["labels"]
    rows = [*labels, "all (micro)", "all (macro)"] if labels[1:] else labels
    for k, label in enumerate(rows):
      values = [each[k] for each in made["values"]] if label in labels else []
      cells = [
        _change([[each[k] for each in made[way][name]] for way in _WAYS])
        for name in ("precision", "recall", "f1")
      ]
      out.append([task, label, method, _threshold(values), *cells])
  return out


_WAYS = ("half", "fitted")


def _threshold(values: list[float | None]) -> str:
  """Shows the median of the trials' thresholds, and how many have none."""
  known = [value for value in values if value is not None]
  never = len(values) - len(known)
  parts = [f"{np.median(known):.2f}"] if known else []
  if never:
    parts.append(f"never in {never} of {len(values)}" if known else "never")
  return ", ".join(parts) or tables.NONE


def _change(sides: Any) -> str:
  """Shows the medians of what was before and is after, f[2, R]."""
  before, after = np.median(np.asarray(sides), axis=-1)
  return f"{before:.2f} → {after:.2f}"


def _each(results: Mapping) -> Iterator[tuple[str, str, Mapping]]:
  """Yields the name of a task, that of a method, and what is known of both."""
  for method, tasks in results.get("calibration", {}).items():
    for task, found in tasks.items():
      yield tables.column_name(task), tables.method_name(method), found


def reliability(results: Mapping) -> Picture:
  """Shows accuracy against confidence."""
  panels: dict[str, dict[str, list]] = {}
  for task, method, found in _each(results):
    panels.setdefault(task, {})[method] = found["curve"]
  text = "Accuracy against confidence, one panel a task, one line a method; on"
  text += " the diagonal a model is as often right as it says"
  return Picture("calibration.png", text, lambda: plots.reliability(panels))


def abstention(results: Mapping) -> Iterator[Picture]:
  """Shows how right the surest answers are, whatever share of them is given."""
  panels: dict[str, dict[str, Any]] = {}
  for task, method, found in _each(results):
    if made := found.get("fitted"):
      shares = range(1, len(made["coverage"][0]) + 1)
      values = 100 * np.array(made["coverage"])
      panels.setdefault(task, {})[method] = [*shares], values.tolist()
  if panels:
    text = "Accuracy of the answers that are given where those least sure are"
    text += " not, by the share that is given, one panel a task, one line a"
    text += " method: median of the trials, in a band from quartile to quartile"
    x, y = "answered, % of the dev rows", "accuracy of these, %"
    yield Picture(
      "abstention.png", text, lambda: curves.bands(panels, x=x, y=y)
    )


def blocks(results: Mapping) -> Iterator[Block]:
  """Yields the section's blocks; nothing where no dev logits were kept."""
  found = calibration(results)
  yield from noted("calibration", found, "Calibration.", CALIBRATION, names=2)
  if len(found) > 1:
    yield reliability(results)
  title = "Temperatures from held-out rows."
  made = temperature(results)
  yield from noted("temperature", made, title, TEMPERATURE, names=2)
  title = "Thresholds from held-out rows."
  said = thresholds(results)
  yield from noted("thresholds", said, title, THRESHOLDS, names=3)
  yield from abstention(results)
