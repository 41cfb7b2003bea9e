"""What of a task's scores counts in an average over tasks."""

from collections.abc import Callable, Mapping
import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Counted:
  """What of a score counts.

  Attributes:
    value: score x100 -> what counts, x100.
    said: the same in words.
  """

  value: Callable[[float], float]
  said: str


# The overall score of CS224N takes correlations to [0, 1] before it averages.
COUNTED: Mapping[str, Counted] = {
  "score": Counted(lambda score: score, "itself"),
  "unit": Counted(lambda score: (score + 100) / 2, "(score + 100) / 2"),
  # Of what is better if it is less.
  "less": Counted(lambda score: -score, "with the other sign"),
}


@dataclasses.dataclass(frozen=True)
class Named:
  """An average that has a name beside that of the headline scores.

  Attributes:
    title: its name.
    metrics: task -> the metrics whose mean it counts by.
    least: task -> what it counts at least, x100.
    said: the same in words.
  """

  title: str
  metrics: Mapping[str, tuple[str, ...]]
  least: Mapping[str, float]
  said: str

  def trials(self, records: Mapping[str, Mapping]) -> list[float]:
    """Returns the average of every seed that all tasks have.

    Args:
      records: task -> what results.json holds under one method.

    Returns:
      In the order of the first task's seeds; [] where a task or a metric
      lacks, or other tasks were trained too.
    """
    if set(records) != set(self.metrics):
      return []
    by_seed = []
    for task, names in self.metrics.items():
      every = [records[task]["all"].get(name, ()) for name in names]
      each = zip(records[task]["seeds"], *every, strict=False)
      least = self.least.get(task, -math.inf)
      by_seed.append({s: max(np.mean(found), least) for s, *found in each})
    return [
      float(np.mean([scores[seed] for scores in by_seed]))
      for seed in by_seed[0]
      if all(seed in scores for scores in by_seed)
    ]


# Wang et al. (2019), "Can You Tell Me How to Get Past Sesame Street?", section
# 6: WNLI's dev set is adversarial, and a model below the share of its larger
# class counts as if it had always answered that.
AVERAGES: Mapping[str, Named] = {
  "glue": Named(
    title="GLUE score",
    metrics={
      "cola": ("matthews",),
      "sst2": ("accuracy",),
      "mrpc": ("accuracy", "f1"),
      "qqp": ("accuracy", "f1"),
      "stsb": ("pearson", "spearman"),
      "mnli": ("accuracy",),
      "qnli": ("accuracy",),
      "rte": ("accuracy",),
      "wnli": ("accuracy",),
    },
    least={"wnli": 56.3},
    said="The mean of GLUE's nine tasks: MRPC and QQP by the mean of accuracy"
    " and F1, STS-B by that of both correlations, MNLI on matched rows; WNLI"
    " counts 56.3, the share of its larger class, where it is below (∗).",
  ),
}
