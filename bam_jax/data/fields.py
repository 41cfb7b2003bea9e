"""The fields of a batch: what stands in each array, and where.

A head writes into one of the spaces, and what it learns stands where it writes:
of an example in the example's slot, of a word at the word's first token, of a
masked token at one of the row's places.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

# What an array has a number for: each token [B, S], each example [B, E], or
# each place of a row where words of the vocabulary are said [B, P].
TOKEN, SLOT, PLACE = "token", "slot", "place"


@dataclasses.dataclass(frozen=True)
class Field:
  """One array of a batch.

  Attributes:
    name: of the array.
    per: what it has a number for: TOKEN, SLOT or PLACE.
    dtype: of its numbers.
    empty: what stands where nothing lies.
    wide: whether it has a last axis of C columns.
  """

  name: str
  per: str
  dtype: Any = np.int32
  empty: int = 0
  wide: bool = False


@dataclasses.dataclass(frozen=True)
class Space:
  """Where a head writes, and what it is held against there.

  Attributes:
    label: class numbers, or values in [0, 1].
    teacher: a teacher's outputs; None = nobody teaches here.
    has_teacher: 1 where there are any.
    where: what else says where heads write.
  """

  label: Field
  teacher: Field | None = None
  has_teacher: Field | None = None
  where: tuple[Field, ...] = ()

  @property
  def fields(self) -> tuple[Field, ...]:
    """All of them."""
    found = (self.label, self.teacher, self.has_teacher, *self.where)
    return tuple(each for each in found if each is not None)


# What a forward pass reads.
FORWARD = (
  Field("tokens", TOKEN),
  Field("types", TOKEN),
  Field("positions", TOKEN),
  Field("segments", TOKEN),
  Field("cls", SLOT),
  Field("task", SLOT, empty=-1),
)
# What training and scoring read of every example.
EXAMPLES = (
  Field("index", SLOT, empty=-1),
  Field("weight", SLOT, np.float32),
)
# In the batches of a run of which some example lacks gold: 0 where it does.
HAS_GOLD = Field("has_gold", SLOT, np.float32)

# In the batches of a run of which some task says what stands beside each token:
# 1 where the token at a place is the one before, and else 0.
SIDE = Field("side", PLACE)
# In the batches of a run of which some examples stay together: where in all the
# slots of its step [B * E] the first of them lies, for each of them.
GROUP = Field("group", SLOT, empty=-1)

EXAMPLE, WORDS, VOCABULARY = "example", "token", "vocabulary"
VECTOR = "vector"
SPACES: Mapping[str, Space] = {
  # f32[B, E, C]
  EXAMPLE: Space(
    label=Field("label", SLOT, np.float32),
    teacher=Field("teacher", SLOT, np.float32, wide=True),
    has_teacher=Field("has_teacher", SLOT, np.float32),
  ),
  # f32[B, S, C]; -1 = no label, as at every token but a word's first.
  WORDS: Space(
    label=Field("tag", TOKEN, empty=-1),
    teacher=Field("tag_teacher", TOKEN, np.float32, wide=True),
    has_teacher=Field("has_tag_teacher", TOKEN, np.float32),
  ),
  # f32[B, P, V]; the token that stood at each place before it was masked.
  VOCABULARY: Space(
    label=Field("masked", PLACE, empty=-1), where=(Field("place", PLACE),)
  ),
  # [B, E, 2 D]; what is learned of an example's two vectors is its label.
  VECTOR: Space(label=Field("label", SLOT, np.float32)),
}


@dataclasses.dataclass(frozen=True)
class Room:
  """How large the arrays of a batch are.

  Attributes:
    rows: B.
    width: tokens in a row, S.
    examples: slots in a row, E.
    places: where words of the vocabulary are said, P.
  """

  rows: int
  width: int
  examples: int
  places: int = 0

  def empty(
    self, fields: Sequence[Field], *, trials: int = 0, columns: int = 0
  ) -> dict[str, np.ndarray]:
    """Returns arrays in which nothing lies.

    Args:
      fields: which.
      trials: R of a first axis; 0 = without one.
      columns: C of the wide ones.
    """
    sides = {TOKEN: self.width, SLOT: self.examples, PLACE: self.places}
    lead = (trials, self.rows) if trials else (self.rows,)
    return {
      each.name: np.full(
        (*lead, sides[each.per], *[columns] * each.wide), each.empty, each.dtype
      )
      for each in fields
    }
