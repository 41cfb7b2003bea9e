"""Which rows without a label a student is spared, by what teachers say."""

from collections.abc import Sequence
import dataclasses

from ml_collections import ConfigDict
import numpy as np

from bam_jax.tasks.kind import TaskKind


@dataclasses.dataclass(frozen=True)
class Trust:
  """What a teacher's answer has to be where it is all that a row teaches.

  Attributes:
    confidence: least probability of its most likely label; 0 = any.
    agreement: least share of the votes of several teachers, trials or judges,
      that its larger side has; 0 = any.
  """

  confidence: float = 0.0
  agreement: float = 0.0

  @classmethod
  def of(cls, teacher: ConfigDict) -> "Trust":
    """Returns what a config's `teacher` says."""
    return cls(teacher.confidence, teacher.agreement)

  def __bool__(self) -> bool:
    return bool(self.confidence or self.agreement)


def doubted(
  trust: Trust,
  kind: TaskKind,
  logits: np.ndarray,
  agreed: np.ndarray | None,
  gold: np.ndarray,
) -> np.ndarray:
  """Tells which rows teach nothing, bool[N]: no row that has a label.

  Args:
    trust: what is asked for.
    kind: of the task.
    logits: f32[N, C], what all teachers say together; a row of NaN has none and
      is not doubted.
    agreed: f32[N], the share of the larger side; None = there are no votes.
    gold: bool[N], the rows with a label.
  """
  if not trust or gold.all():
    return np.zeros(len(gold), bool)
  found = ~gold & ~np.isnan(logits).any(1)
  enough = kind.sure(np.where(found[:, None], logits, 0)) >= trust.confidence
  if agreed is not None:
    # A share such as 2/3 is as exact as its type.
    enough &= agreed >= trust.agreement - 1e-6
  return found & ~enough


def votes(kind: TaskKind, said: Sequence[np.ndarray]) -> np.ndarray | None:
  """Returns how far teachers agree on each row, f[N]; None = nobody votes.

  Args:
    kind: of the task.
    said: f32[N, C] of each teacher.
  """
  if len(said) < 2 or kind.agreed is None:
    return None
  return kind.agreed(np.stack(said))
