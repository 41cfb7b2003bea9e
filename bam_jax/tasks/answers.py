"""What a head says of an example, and how that is read off its outputs."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, Protocol

import numpy as np


class Meaning(Protocol):
  """What has to be known of a task to read its answers: a Task or a Head."""

  name: str
  labels: tuple[str, ...]
  range: tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class Read:
  """What was read of one example, where its words are answered.

  Attributes:
    text: the text.
    words: i32[W, 2], where its words begin and end in it.
  """

  text: str
  words: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
  """What a head says of one example.

  Attributes:
    label: the most likely label's name; None for regression.
    probabilities: label name -> probability; {} for regression.
    value: within the task's own range; None for classification.
  """

  label: str | None = None
  probabilities: Mapping[str, float] = dataclasses.field(default_factory=dict)
  value: float | None = None

  def record(self) -> dict[str, Any]:
    """Returns what JSON is to say."""
    if self.value is not None:
      return {"value": self.value}
    return {"label": self.label, "probabilities": dict(self.probabilities)}


def labelled(
  meaning: Meaning, logits: np.ndarray, read: Sequence[Read] | None
) -> list[Answer]:
  """Returns the most likely label of each example, and all probabilities.

  Args:
    meaning: whose labels are meant.
    logits: f64[N, C], one column a label.
    read: None, as no word is answered.
  """
  shares = np.exp(logits - logits.max(axis=1, keepdims=True))
  shares /= shares.sum(axis=1, keepdims=True)
  return [
    Answer(
      label=meaning.labels[best],
      probabilities=dict(zip(meaning.labels, row, strict=True)),
    )
    for best, row in zip(logits.argmax(axis=1), shares.tolist(), strict=True)
  ]


def valued(
  meaning: Meaning, values: np.ndarray, read: Sequence[Read] | None
) -> list[Answer]:
  """Returns the value of each example within the task's own range.

  Args:
    meaning: whose range is meant.
    values: f64[N, 1], 0 and 1 are the ends of the range. Raw outputs may leave
      it, and a server refuses such a value.
    read: None, as no word is answered.
  """
  low, high = meaning.range
  found = np.clip(low + values[:, 0] * (high - low), low, high)
  return [Answer(value=value) for value in found.tolist()]
