"""What a head says of an example, and how that is read off its outputs."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, Protocol

import numpy as np
import scipy

from bam_jax.tasks import tags


class Meaning(Protocol):
  """What has to be known of a task to read its answers: a Task or a Head."""

  name: str
  labels: tuple[str, ...]
  range: tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class Read:
  """What was read of one example, where its words or candidates are answered.

  Attributes:
    text: the text; of a question the one that its candidates are in.
    words: i32[W, 2], where its words or candidates begin and end in it.
  """

  text: str
  words: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
  """A part of a text that a head has found.

  Attributes:
    label: the entity's type.
    start: of its first letter, counted from 0.
    end: behind its last letter.
    text: between the two.
    probability: mean probability of its words' tags.
  """

  label: str
  start: int
  end: int
  text: str
  probability: float


@dataclasses.dataclass(frozen=True)
class Part:
  """The part of a context that answers a question.

  Attributes:
    start: of its first letter, counted from 0; None = there is no answer.
    end: behind its last letter; None = there is no answer.
    text: between the two; "" = there is no answer.
    probability: of its first token times that of its last, in the window of the
      context that it is from.
  """

  start: int | None
  end: int | None
  text: str
  probability: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
  """What a head says of a candidate for a question.

  Attributes:
    text: of it.
    rank: among those of its question, 1 is the best.
    index: its place in the order that they were given in, from 0.
    score: of it; higher is better, and only those of one question compare.
    probability: softmax of the scores of all candidates of the question.
  """

  text: str
  rank: int
  index: int
  score: float
  probability: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
  """What a head says of one example.

  Attributes:
    label: the most likely label's name, or the text of the candidate that is
      chosen; None for regression.
    probabilities: label name -> probability; {} for regression.
    labels: those that hold; None where a row has one label.
    value: within the task's own range; None for classification.
    spans: what was found in the text; None where nothing is looked for.
    part: what of the context answers; None where no question was asked.
    candidates: of a question, the best first; None where there are none.
    abstained: nothing is said, as it would not be sure enough.
    disagreement: of several trials that said it together; None of one.
  """

  label: str | None = None
  probabilities: Mapping[str, float] = dataclasses.field(default_factory=dict)
  labels: tuple[str, ...] | None = None
  value: float | None = None
  spans: tuple[Span, ...] | None = None
  part: Part | None = None
  candidates: tuple[Candidate, ...] | None = None
  abstained: bool = False
  disagreement: float | None = None

  @property
  def confidence(self) -> float | None:
    """The probability that what is said is so; None where there is none.

    Of several labels it is that of the one that is least sure.
    """
    chances = self.probabilities
    if self.labels is not None:
      return min(p if x in self.labels else 1 - p for x, p in chances.items())
    return chances.get(self.label)

  def unless(self, least: float) -> "Answer":
    """Returns it, or says nothing where its confidence is below `least`."""
    if self.confidence is None or self.confidence >= least:
      return self
    labels = None if self.labels is None else ()
    return dataclasses.replace(self, label=None, labels=labels, abstained=True)

  def record(self) -> dict[str, Any]:
    """Returns what JSON is to say."""
    if self.disagreement is not None:
      alone = dataclasses.replace(self, disagreement=None)
      return alone.record() | {"disagreement": self.disagreement}
    if self.value is not None:
      return {"value": self.value}
    if self.spans is not None:
      return {"spans": [dataclasses.asdict(span) for span in self.spans]}
    if self.part is not None:
      return dataclasses.asdict(self.part)
    if self.candidates is not None:
      found = [dataclasses.asdict(each) for each in self.candidates]
      said = {} if self.label is None else {"label": self.label}
      return {**said, "candidates": found}
    chances = {"probabilities": dict(self.probabilities)}
    if self.abstained:
      name = "label" if self.labels is None else "labels"
      return {name: None, **chances, "abstained": True}
    if self.labels is not None:
      return {"labels": list(self.labels), **chances}
    return {"label": self.label, **chances}


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


def several(
  meaning: Meaning, logits: np.ndarray, read: Sequence[Read] | None
) -> list[Answer]:
  """Returns the labels of each example that hold, and the chances of all.

  Args:
    meaning: whose labels are meant.
    logits: f64[N, C], one column a label, which holds above 0.
    read: None, as no word is answered.
  """
  chances = scipy.special.expit(logits)
  return [
    Answer(
      labels=tuple(
        name
        for name, logit in zip(meaning.labels, row, strict=True)
        if logit > 0
      ),
      probabilities=dict(zip(meaning.labels, mine.tolist(), strict=True)),
    )
    for row, mine in zip(logits, chances, strict=True)
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


def tagged(
  meaning: Meaning, logits: np.ndarray, read: Sequence[Read]
) -> list[Answer]:
  """Returns the entities of each example, as parts of its text.

  Args:
    meaning: whose labels are meant, tags in IOB2.
    logits: f64[M, C] of all words, 0 where a word was not read, which then is
      outside of all entities.
    read: the texts, and where their M words are.
  """
  shares = scipy.special.softmax(logits, axis=1)
  lost = tags.unread(logits)
  best, ends = shares.argmax(axis=1), np.cumsum([len(x.words) for x in read])
  found = []
  for each, end in zip(read, ends.tolist(), strict=True):
    mine = slice(end - len(each.words), end)
    sure = shares[mine].max(axis=1, initial=0)
    said = [
      tags.OUTSIDE if gone else meaning.labels[number]
      for number, gone in zip(best[mine], lost[mine], strict=True)
    ]
    spans = []
    for label, first, last in tags.entities(said):
      start, stop = int(each.words[first, 0]), int(each.words[last - 1, 1])
      spans.append(
        Span(
          label=label,
          start=start,
          end=stop,
          text=each.text[start:stop],
          probability=float(sure[first:last].mean()),
        )
      )
    found.append(Answer(spans=tuple(spans)))
  return found
