"""What a model's heads mean, on disk beside its parameters, and their answers.

With this, a tokenizer and parameters a model answers without the data that it
was trained on. Label names travel with it, so no order is ever guessed.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import json
import math
from pathlib import Path
import reprlib
from typing import Any

import numpy as np

from bam_jax.tasks import calibration, learn
from bam_jax.tasks.answers import Answer, Read
from bam_jax.tasks.calibration import Calibration
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.learn import USUAL, Learn
from bam_jax.tasks.spans import Limits
from bam_jax.tasks.table import Task

FILE = "heads.json"
SCHEMA = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
  """What one head means: the part of a task that answers need.

  Attributes:
    name: of the task.
    kind: of the task, a name of `kinds.KINDS`.
    text: names of its text columns, one or two.
    labels: label names; their position is the class number. () = regression.
    range: lowest and highest value of a regression task.
    headline: the metric that trials are compared by.
    learn: what the task chose for itself.
    calibration: what was fitted on rows held out of its training; None =
      nothing was.
  """

  name: str
  kind: str
  text: tuple[str, ...]
  labels: tuple[str, ...]
  range: tuple[float, float] | None
  headline: str
  learn: Learn = USUAL
  calibration: Calibration | None = None

  @staticmethod
  def of(task: Task) -> "Head":
    """Returns what the head of a task means, before any trial of it."""
    fields = {field.name for field in dataclasses.fields(Head)}
    fields -= {"calibration"}
    return Head(**{name: getattr(task, name) for name in fields})

  @property
  def parameters(self) -> str:
    """What its parameters are called."""
    return self.learn.head_of or self.name

  @property
  def classes(self) -> int:
    """Its columns, C."""
    return KINDS[self.kind].outputs(self)

  def formula(self, output: str) -> str:
    """Returns, of regression, how its value comes from the head's number x."""
    low, high = self.range
    inner = "1 / (1 + exp(-x))" if output == "sigmoid" else "x"
    return f"min(max({low:g} + {high - low:g} * {inner}, {low:g}), {high:g})"

  def tempered(self, logits: np.ndarray) -> np.ndarray:
    """Returns logits by the temperature of its calibration, if it has one."""
    return logits / self.calibration.temperature if self.calibration else logits


def answers(
  head: Head, logits: np.ndarray, read: Sequence[Read] | None = None
) -> list[Answer]:
  """Reads the answers off a head's logits.

  Args:
    head: whose labels are meant.
    logits: f[N, C], C >= the head's classes; of regression the first column is
      the prediction in [0, 1]. Where words or candidates are answered f[M, C].
    read: the N texts and their M words or candidates, where these are answered,
      or a `spans.Asked`.

  Raises:
    ValueError: a number is not finite.
  """
  own = np.asarray(logits[:, : head.classes], np.float64)
  if not np.isfinite(own).all():
    raise ValueError(
      f"the logits of {head.name} are not finite; the model has diverged, take "
      "another trial"
    )
  said = KINDS[head.kind].answer(head, head.tempered(own), read)
  fitted = head.calibration
  return [fitted.decide(each) for each in said] if fitted else said


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adapts:
  """What tasks have of their own inside the encoder (docs/adapters.md).

  Attributes:
    kind: of the adapters.
    rank: columns of their narrow product; 0 = they have none.
    shared: whether all tasks have one.
    alpha: by which their product counts; 0 = as published, if they have one,
      which files from before it could be said do not say.
  """

  kind: str
  rank: int
  shared: bool
  alpha: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
  """What all heads of one model share, and each of them.

  Attributes:
    heads: in the model's order.
    regression_output: see configs/common.py, `loss.regression_output`.
    max_length: tokens of an example in training.
    dtype: what was computed in.
    span: how contexts are read; None = no head answers questions.
    adapter: what tasks have inside the encoder; None = nothing.
  """

  heads: tuple[Head, ...]
  regression_output: str
  max_length: int
  dtype: str
  span: Limits | None = None
  adapter: Adapts | None = None

  def alone(self, name: str) -> "Description":
    """Returns the description of a model with one of the heads."""
    return dataclasses.replace(self, heads=(find(self.heads, name),))

  def calibrated(self, fitted: Mapping[str, Any]) -> "Description":
    """Returns the description of a trial, of which this was fitted.

    Args:
      fitted: task -> what scores.json keeps of it.
    """
    heads = (
      dataclasses.replace(
        head, calibration=calibration.parse(fitted.get(head.name), head)
      )
      for head in self.heads
    )
    return dataclasses.replace(self, heads=tuple(heads))

  def record(self) -> dict[str, Any]:
    """Returns what JSON is to say; `parse` reads it."""
    found = {"schema": SCHEMA} | dataclasses.asdict(self)
    for head in found["heads"]:
      if head["calibration"] is None:
        del head["calibration"]
    if found["adapter"] is None:
      del found["adapter"]
    return found

  def save(self, directory: Path, **others: Any) -> None:
    """Writes heads.json into a directory that is there."""
    text = json.dumps(self.record() | others, indent=2)
    (directory / FILE).write_text(text + "\n", encoding="utf-8")


def find(
  heads: Sequence[Head], name: str, *, where: str = "this model"
) -> Head:
  """Returns the head of a task.

  Args:
    heads: those of a model.
    name: of the task.
    where: what the model is called in the sentence.

  Raises:
    ValueError: there is none.
  """
  for head in heads:
    if head.name == name:
      return head
  known = ", ".join(head.name for head in heads)
  raise ValueError(f"no head for {name!r}; {where} has --task={known}")


def load(path: Path) -> tuple[Description, dict[str, Any]]:
  """Reads heads.json; returns the description and all that the file says.

  Raises:
    ValueError: it is not there, or not what `Description.save` writes.
  """
  try:
    raw = json.loads(path.read_text("utf-8"))
  except (OSError, ValueError, RecursionError) as error:
    raise ValueError(f"{path} cannot be read ({error})") from error
  return parse(raw, path), raw


def parse(raw: Any, path: Path) -> Description:
  """Reads what `Description.record` returns.

  Args:
    raw: from JSON, which anybody may have written.
    path: named in errors.

  Raises:
    ValueError: it is something else.
  """

  def words(value) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(type(x) is str for x in value):
      raise TypeError(f"{reprlib.repr(value)} is no list of words")
    return tuple(value)

  try:
    if raw["schema"] != SCHEMA:
      raise ValueError(f"schema {reprlib.repr(raw['schema'])}, not {SCHEMA}")
    heads = []
    for each in raw["heads"]:
      low, high = each["range"] or (0, 1)
      made = Head(
        name=str(each["name"]),
        kind=str(each["kind"]),
        text=words(each["text"]),
        labels=words(each["labels"]),
        range=(float(low), float(high)) if each["range"] else None,
        headline=str(each["headline"]),
        learn=learn.parse(each["learn"]),
      )
      if made.kind not in KINDS:
        raise ValueError(f"head {made.name} is of no kind {made.kind!r}")
      told = made.labels or made.range or not KINDS[made.kind].defined
      if len(made.text) not in (1, 2) or not told:
        raise ValueError(f"head {made.name} has no text columns or no range")
      fitted = calibration.parse(each.get("calibration"), made)
      heads.append(dataclasses.replace(made, calibration=fitted))
    if raw["regression_output"] not in ("sigmoid", "linear") or not heads:
      raise ValueError("no heads, or an unknown regression_output")
    if raw["dtype"] not in ("float32", "bfloat16"):
      raise ValueError(f"dtype {reprlib.repr(raw['dtype'])}")
    return Description(
      heads=tuple(heads),
      regression_output=raw["regression_output"],
      max_length=int(raw["max_length"]),
      dtype=raw["dtype"],
      span=_limits(raw.get("span"), heads),
      adapter=_adapts(raw.get("adapter")),
    )
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise ValueError(
      f"{path} does not say what the heads mean ({type(error).__name__}: "
      f"{error}); export the run again"
    ) from error


def _adapts(raw: Any) -> Adapts | None:
  """Reads what tasks have inside the encoder, if anything."""
  if raw is None:
    return None
  found = Adapts(**raw)
  types = {"kind": str, "rank": int, "shared": bool, "alpha": float}
  said = {name: type(value) for name, value in raw.items()}
  if types | said != types or found.rank < 0 or not 0 <= found.alpha < math.inf:
    raise ValueError(f"adapter {reprlib.repr(raw)}")
  return found


def _limits(raw: Any, heads: Sequence[Head]) -> Limits | None:
  """Reads how contexts are read, where a head answers questions."""
  if not any(KINDS[head.kind].reads == "question context" for head in heads):
    return None
  return Limits(
    stride=int(raw["stride"]),
    longest=int(raw["longest"]),
    threshold=float(raw["threshold"]),
  )
