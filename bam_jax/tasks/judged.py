"""Tasks of the synthetic suite that a judge has labelled, by their names.

`sentiment_gold20_noise10` is `sentiment` with the labels of 20 % of its
training rows, and the answers of a judge, who is wrong in 10 %, on all of them.
"""

from collections.abc import Sequence
import dataclasses
import re

from bam_jax.tasks.origins import Judge, Synthetic
from bam_jax.tasks.table import TASKS, Task

_NAME = re.compile(r"(\w+)_gold(\d+)_noise(\d+)", re.ASCII)
_SUITE = {
  task.name
  for task in TASKS.values()
  if isinstance(task.origin, Synthetic) and task.labels
}


def judge_of(name: str) -> Judge | None:
  """Returns the judge that the name of a task means; None = it means none."""
  found = _NAME.fullmatch(name)
  if not found or found[1] not in _SUITE:
    return None
  suite, gold, noise = found[1], int(found[2]), int(found[3])
  return Judge(suite=suite, gold=gold / 100, noise=noise / 100)


def table(names: Sequence[str]) -> dict[str, Task]:
  """Returns those of some tasks that a judge has labelled, by their names.

  Raises:
    ValueError: there is no such share, or no judge that is as often wrong.
  """
  found = {}
  for name in names:
    if not (judge := judge_of(name)):
      continue
    suite = TASKS[judge.suite]
    chance = 1 - 1 / len(suite.labels)
    if judge.gold > 1 or judge.noise > chance:
      raise ValueError(
        f"there is no task {name!r}: gold is from 0 to 100 percent of the rows "
        f"of {suite.name}, and noise from 0 to {100 * chance:.0f}, where a "
        "judge guesses"
      )
    found[name] = dataclasses.replace(
      suite, name=name, head=name, origin=Synthetic(judge)
    )
  return found
