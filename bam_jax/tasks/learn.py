"""What a task may choose for itself: its head, its losses, what it counts.

A tasks file says it beside the task's other keys, and for any task the config
does, which comes last: `learn.KEY`, one value for all or TASK=VALUE for some.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import math
from typing import Any

from bam_jax.runtime.spelling import hint
from bam_jax.tasks.entry import Entry
from bam_jax.tasks.kind import TaskKind


@dataclasses.dataclass(frozen=True, kw_only=True)
class Learn:
  """What one task chooses; "" and None are as its kind, or the run, has it.

  Attributes:
    head: how its head is built: a row of `heads.HEADS`, and options behind it,
      NAME:OPTION=NUMBER; see `built`.
    head_of: the task whose head it shares.
    pool: of which tokens its head reads, a row of `pooling.POOLS`.
    layers: of the encoder that its head reads, one of `mixing.CHOICES`.
    dropout: share of what its head reads that is dropped in training.
    loss: against its labels, a row of `objectives.OBJECTIVES`.
    kd_loss: against a teacher's answers, where they have a loss of their own.
    adv_loss: by which two passes are compared.
    class_weight: what rows count by their class; "balanced", or a number for
      each class, 1/3.
    weight: of its loss among those of other tasks.
    unlabelled_weight: of the loss of a row without a label.
  """

  head: str = ""
  head_of: str = ""
  pool: str = ""
  layers: str = ""
  dropout: float | None = None
  loss: str = ""
  kd_loss: str = ""
  adv_loss: str = ""
  class_weight: str = ""
  weight: float | None = None
  unlabelled_weight: float | None = None

  def chosen(self, kind: TaskKind) -> dict[str, Any]:
    """Returns what it chooses that its kind does not have already."""
    usual = {"head": kind.head, "loss": kind.loss, "weight": 1.0}
    usual |= {"pool": USUAL_POOL, "unlabelled_weight": 1.0}
    usual |= {"layers": USUAL_LAYERS}
    return {
      key: value
      for key, value in dataclasses.asdict(self).items()
      if value not in ("", None, usual.get(key))
    }

  def built(self, kind: TaskKind) -> tuple[str, dict[str, float]]:
    """Returns how its head is built, and the options that it names.

    Raises:
      ValueError: what stands behind a colon is no OPTION=NUMBER.
    """
    name, *parts = (self.head or kind.head).split(":")
    options = {}
    for part in parts:
      option, _, text = part.partition("=")
      try:
        options[option.strip()] = float(text)
      except ValueError:
        raise ValueError(
          f"has {part!r} behind {name}; it is OPTION=NUMBER, as in"
          " mlp:width=512"
        ) from None
    return name.strip(), options

  def usual(self, kind: TaskKind) -> bool:
    """Tells whether its head is built as its kind's are."""
    return self.built(kind)[0] == kind.head


USUAL_POOL, USUAL_LAYERS = "cls", "last"
# The heads for which two texts are encoded each by itself, of `heads.HEADS`.
APART = frozenset(
  {"siamese", "pair", "attention", "bilinear", "vectors", "decoder"}
)
# What tasks that share a head share with it.
BUILT = ("head", "pool", "layers")
USUAL = Learn()
KEYS = tuple(field.name for field in dataclasses.fields(Learn))
# What numbers may be: what is said of others, and whether one is such.
NUMBERS: Mapping[str, tuple[str, Callable[[float], bool]]] = {
  "dropout": ("is a share, from 0 to below 1", lambda n: 0 <= n < 1),
  "weight": ("is a number above 0", lambda n: 0 < n < math.inf),
  "unlabelled_weight": ("is a number above 0", lambda n: 0 < n < math.inf),
}


def of_entry(entry: Entry) -> Learn:
  """Returns what a tasks file says of one task.

  Raises:
    ValueError: a value is no text, or a number that cannot be.
  """
  found = {}
  for key in KEYS:
    if key not in NUMBERS:
      value = entry.given.get(key)
      listed = key == "class_weight" and isinstance(value, list)
      found[key] = (
        "/".join(map(str, value)) if listed else entry.string(key, needed=False)
      )
    elif key in entry.given:
      value, (said, good) = entry.given[key], NUMBERS[key]
      if type(value) not in (int, float) or not good(value):
        entry.refuse(key, said)
      found[key] = float(value)
  return Learn(**found)


def parse(raw: Mapping[str, Any]) -> Learn:
  """Returns what JSON says, which anybody may have written.

  Raises:
    TypeError: it is not what `dataclasses.asdict` has made.
  """
  found = Learn(**raw)
  for key, value in dataclasses.asdict(found).items():
    wanted = (float, int, type(None)) if key in NUMBERS else (str,)
    if type(value) not in wanted:
      raise TypeError(f"{key} is {value!r}")
  return found


def typed(
  said: Mapping[str, str], tasks: Sequence[str]
) -> dict[str, dict[str, Any]]:
  """Returns task -> what the config says of it.

  Args:
    said: the config's `learn`.
    tasks: of the experiment.

  Raises:
    ValueError: it is said of no task, twice, or is a number that cannot be.
  """
  found: dict[str, dict[str, Any]] = {name: {} for name in tasks}
  for key in KEYS:
    parts = [part.strip() for part in said[key].split(",") if part.strip()]
    for part in parts:
      name, equals, value = (x.strip() for x in part.partition("="))
      if len(parts) == 1 and (not equals or ":" in name):
        value = _value(key, part, part)
        for mine in found.values():
          mine[key] = value
        continue
      if name not in found or not value:
        near = hint(name, tasks) if equals else ""
        raise ValueError(
          f"learn.{key} has {part!r}; it is one value for all tasks, or"
          f" TASK=VALUE,TASK=VALUE with tasks of {', '.join(tasks)}{near}"
        )
      if key in found[name]:
        raise ValueError(f"learn.{key} names {name} twice; name it once")
      found[name][key] = _value(key, value, part)
  return found


def _value(key: str, text: str, part: str) -> Any:
  """Returns the value that a text of the config means."""
  if key not in NUMBERS:
    return text
  said, good = NUMBERS[key]
  try:
    value = float(text)
  except ValueError:
    value = math.nan
  if not good(value):
    raise ValueError(f"learn.{key} has {part!r}; it {said}")
  return value
