"""What makes a head's probabilities fit to act on, and how it is fitted.

A temperature, by which its logits are divided, and thresholds, from which on a
label is said. Both come from rows that were held out of training, and go with
the model wherever it is written.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np
import scipy

from bam_jax.stats import calibration as stats
from bam_jax.stats import temperature
from bam_jax.stats.thresholds import HALF, RULES, Rule, choose
from bam_jax.tasks.answers import Answer
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.table import Task

# The split that it is fitted on, a part of train.
SPLIT = "calibration"
KEY = "calibration.threshold"


@dataclasses.dataclass(frozen=True)
class Calibration:
  """What is done with a head's logits before anybody acts on them.

  Attributes:
    temperature: they are divided by it.
    thresholds: label -> the probability from which on it is said, None =
      never; {} = one half, or the most likely label. Of two classes the second
      one has one.
  """

  temperature: float = 1.0
  thresholds: Mapping[str, float | None] = dataclasses.field(
    default_factory=dict
  )

  def decide(self, answer: Answer) -> Answer:
    """Returns an answer with the labels that the thresholds say."""
    if not self.thresholds:
      return answer
    chances = answer.probabilities
    said = [
      name
      for name, least in self.thresholds.items()
      if least is not None and chances[name] >= least
    ]
    if answer.labels is not None:
      return dataclasses.replace(answer, labels=tuple(said))
    others = [name for name in chances if name not in self.thresholds]
    return dataclasses.replace(answer, label=(said or others)[0])

  def surely(self, task: Task, logits: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns what is said of rows and how sure each answer is.

    Args:
      task: whose they are.
      logits: f[N, C], not divided yet.

    Returns:
      said, [N] class numbers or bool[N, C] of labels that hold, and f[N], the
      probability that what is said of a row is so; of several labels that of
      the least sure one.
    """
    logits = logits.astype(np.float64) / self.temperature
    least = np.array(
      [_or_never(self.thresholds.get(x, HALF)) for x in task.labels]
    )
    if KINDS[task.kind].many:
      chances = scipy.special.expit(logits)
      said = chances >= least
      return said, np.where(said, chances, 1 - chances).min(-1)
    chances = scipy.special.softmax(logits, axis=-1)
    said = logits.argmax(-1)
    if self.thresholds:
      said = (chances[:, 1] >= least[1]).astype(np.int64)
    return said, np.take_along_axis(chances, said[:, None], -1)[:, 0]


def parse(raw: Any, meaning: Any) -> Calibration | None:
  """Reads what `dataclasses.asdict` has made; None = there is none.

  Args:
    raw: from JSON, which anybody may have written.
    meaning: the head that it is of.

  Raises:
    TypeError: it is something else.
  """
  if raw is None:
    return None
  found = Calibration(float(raw["temperature"]), dict(raw["thresholds"]))
  said = found.thresholds
  if said and said.keys() != {*decided(meaning)}:
    raise TypeError(f"thresholds of {', '.join(map(str, said))}")
  for name, value in said.items():
    if type(value) not in (float, int, type(None)):
      raise TypeError(f"the threshold of {name} is {value!r}")
  if not 0 < found.temperature < np.inf:
    raise TypeError(f"the temperature is {found.temperature}")
  return found


def decided(task: Any) -> tuple[str, ...]:
  """Returns the labels of a task, or a head, that are said by a threshold.

  All of several labels a row, the second of two classes, else none.
  """
  kind = KINDS[task.kind]
  if kind.calibrates != "row":
    return ()
  if kind.many:
    return task.labels
  return task.labels[1:] if len(task.labels) == 2 else ()


def rules(text: str, tasks: Sequence[Task]) -> dict[str, Rule]:
  """Returns what the thresholds of each task are chosen by.

  Args:
    text: the config's calibration.threshold; "" = there are no thresholds.
    tasks: that are trained.

  Raises:
    ValueError: it is something else, or of no task.
  """
  can = [task.name for task in tasks if decided(task)]
  every, some = {}, {}
  for part in (x.strip() for x in text.split(",") if x.strip()):
    name, _, rest = (x.strip() for x in part.partition("="))
    if name in RULES and not every:
      every = dict.fromkeys(can, _rule(part))
    elif name in can and name not in some:
      some[name] = _rule(rest)
    else:
      raise ValueError(
        f"{KEY} has {part!r}; it is f1 or precision=0.9 for all tasks of two "
        "classes or of several labels a row, or TASK=f1 for one of "
        f"{', '.join(can) or 'them, and there is none here'}, once each"
      )
  if text.strip() and not every | some:
    raise ValueError(
      f"{KEY} is {text!r}, but no task has two classes or several labels a "
      "row, and of more classes the most likely one is said; leave it out"
    )
  return every | some


def _rule(text: str) -> Rule:
  name, equals, value = (x.strip() for x in text.partition("="))
  try:
    wanted = float(value) if equals else None
  except ValueError:
    wanted = np.nan
  fits = wanted is None if name == "f1" else 0 < (wanted or 0) <= 1
  if name not in RULES or not fits:
    raise ValueError(
      f"{KEY} has {text!r}; it is f1, or precision= and a share, as in "
      "precision=0.9"
    )
  return Rule(name, wanted)


def fit(
  task: Task, logits: np.ndarray, labels: np.ndarray, rule: Rule | None
) -> tuple[Calibration, list[str]]:
  """Fits a temperature, and then thresholds of the calibrated probabilities.

  Args:
    task: whose rows they are.
    logits: f32[N, C] of rows that were not trained on.
    labels: f32[N], class numbers, or f32[N, C] of labels.
    rule: what thresholds are chosen by; None = there are none.

  Returns:
    The calibration, and sentences on what could not be had.
  """
  logits, notes = logits.astype(np.float64), []
  many = KINDS[task.kind].many
  sides = (logits, labels.astype(np.int64))
  if many:
    flat, gold = stats.each_label(logits[None], labels)
    sides = flat[0], gold
  found = temperature.fit(*sides)
  if found is None:
    notes.append(
      f"{task.name}: the model is right on all {len(logits)} held-out rows, so "
      "that no temperature can be fitted on them; it stays 1"
    )
  elif found == temperature.MOST:
    notes.append(
      f"{task.name}: the model is no better than chance on {len(logits)} "
      f"held-out rows; by a temperature of {found:g} its probabilities say so"
    )
  made = Calibration(found or 1.0)
  if rule is None:
    return made, notes
  logits = logits / made.temperature
  chances = (
    scipy.special.expit(logits)
    if many
    else scipy.special.softmax(logits, axis=-1)[:, 1:]
  )
  gold = labels if many else labels[:, None]
  said = {
    name: choose(chances[:, k], gold[:, k] == 1, rule)
    for k, name in enumerate(decided(task))
  }
  for name, each in said.items():
    if each.value is None:
      notes.append(
        f"{task.name}: no threshold gives {name} a precision of {rule.wanted:g}"
        f" on the held-out rows, {each.rows} of which have it; the best is "
        f"{each.precision:.2f}, so it is never said"
      )
    elif not each.rows:
      notes.append(
        f"{task.name}: no held-out row has {name}; its threshold stays one half"
      )
  thresholds = {name: each.value for name, each in said.items()}
  return dataclasses.replace(made, thresholds=thresholds), notes


def _or_never(threshold: float | None) -> float:
  return np.inf if threshold is None else threshold
