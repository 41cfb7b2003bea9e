"""The kinds of tasks: everything that differs between them, one row each."""

from collections.abc import Callable, Mapping
import dataclasses

import numpy as np
import scipy.special

from bam_jax.tasks import answers
from bam_jax.tasks.answers import Answer, Meaning


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskKind:
  """One kind of task.

  Attributes:
    name: of the kind.
    outputs: (task) -> columns C of its head.
    output: what the columns of the head are: "logits", or "value", which goes
      through `loss.regression_output`.
    loss: its objective, a name of `objectives.OBJECTIVES`.
    metrics: those that it can be scored by; the first is the usual one.
    predicted: outputs f[..., N, C] -> what metrics take, [..., N].
    gold: labels f32[N] -> what metrics compare with that, [N].
    chance: (task) -> a metric, and what guessing has by it, x100.
    answer: (task, outputs f64[N, C]) -> what they say of each example.
    mean: outputs f32[K, N, C] of K teachers -> of all together, f32[N, C].
    written: (label name -> as a file writes it, answer) -> the GLUE server's
      word for it.
    problem_type: transformers' name.
  """

  name: str
  outputs: Callable[[Meaning], int]
  output: str
  loss: str
  metrics: tuple[str, ...]
  predicted: Callable[[np.ndarray], np.ndarray]
  gold: Callable[[np.ndarray], np.ndarray]
  chance: Callable[[Meaning], tuple[str, float]]
  answer: Callable[[Meaning, np.ndarray], list[Answer]]
  mean: Callable[[np.ndarray], np.ndarray]
  written: Callable[[Mapping[str, str], Answer], str]
  problem_type: str


def mean_probability(logits: np.ndarray) -> np.ndarray:
  """Averages in probability space: the softmax of it is the mean softmax.

  Args:
    logits: f32[K, N, C].

  Returns:
    f32[N, C].
  """
  mean = scipy.special.logsumexp(
    scipy.special.log_softmax(logits, axis=-1), axis=0
  ) - np.log(len(logits))
  return mean.astype(np.float32)


_ROWS = (
  TaskKind(
    name="classification",
    outputs=lambda task: len(task.labels),
    output="logits",
    loss="ce",
    metrics=("accuracy", "f1", "matthews"),
    predicted=lambda logits: logits.argmax(-1),
    gold=lambda labels: labels.astype(np.int64),
    chance=lambda task: ("accuracy", 100 / len(task.labels)),
    answer=answers.labelled,
    mean=mean_probability,
    written=lambda words, answer: words[answer.label],
    problem_type="single_label_classification",
  ),
  TaskKind(
    name="regression",
    outputs=lambda task: 1,
    output="value",
    loss="mse",
    metrics=("spearman", "pearson"),
    # SciPy would correlate float32 in float32.
    predicted=lambda values: values[..., 0].astype(np.float64),
    gold=np.float64,
    chance=lambda task: ("spearman", 0.0),
    answer=answers.valued,
    mean=lambda values: np.mean(values, axis=0),
    written=lambda words, answer: f"{answer.value:.3f}",
    problem_type="regression",
  ),
)

KINDS: Mapping[str, TaskKind] = {kind.name: kind for kind in _ROWS}
