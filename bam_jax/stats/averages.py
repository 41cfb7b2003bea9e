"""What of a task's score counts in an average over tasks."""

from collections.abc import Callable, Mapping
import dataclasses


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
}
