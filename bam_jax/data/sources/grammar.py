"""A lexicon of synonyms, opposites and kinds, and the clauses made of it.

Only `Generator.random` is drawn from: its bits are the same everywhere.
"""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses

import numpy as np

# A kind, and its meanings: words that may stand for one another.
_AGENTS = """
person: doctor physician | teacher tutor
leader: king monarch | boss manager
animal: dog hound | cat kitten
"""
_OBJECTS = """
vehicle: car automobile | boat ship
garment: coat jacket | hat cap
text: book novel | letter note
"""
_PLACES = """
building: house home | shop store
landscape: hill mountain | lake pond
"""
# A meaning and its opposite: good and bad ones first, then neutral ones.
_VERBS = """
love adore / hate loathe
repair mend / destroy wreck
praise applaud / criticize blame

buy purchase / sell trade
"""
_QUALITIES = """
great wonderful / terrible awful
happy cheerful / sad gloomy
clever smart / stupid dumb

big large / small little
"""
# Determiner -> whether what follows is plural. "thes" is a plural "the".
DETERMINERS = {
  "the": False,
  "thes": True,
  "a": False,
  "some": True,
  "every": False,
  "all": True,
}


@dataclasses.dataclass(frozen=True)
class Concept:
  """One meaning.

  Attributes:
    words: that may stand for one another.
    kind: what it is one of.
    opposite: the words of its opposite.
    valence: 1 good, -1 bad, 0 neither.
  """

  words: tuple[str, ...]
  kind: str = ""
  opposite: tuple[str, ...] = ()
  valence: int = 0


@dataclasses.dataclass(frozen=True)
class Clause:
  """Who does what to whom; a modifier that is not there is None."""

  determiner: str
  agent: Concept
  verb: Concept
  object: Concept
  quality: Concept | None
  place: Concept | None
  negated: bool

  def slots(self, names: Iterable[str]) -> list[str]:
    """Returns those of the named slots that are filled."""
    return [name for name in names if getattr(self, name) is not None]

  def replace(self, **changes) -> "Clause":
    """Returns the clause with other slots."""
    return dataclasses.replace(self, **changes)


def _kinds(table: str) -> tuple[Concept, ...]:
  concepts = []
  for line in table.strip().split("\n"):
    kind, sets = line.split(":")
    concepts += [Concept(tuple(s.split()), kind=kind) for s in sets.split("|")]
  return tuple(concepts)


def _opposites(table: str) -> tuple[Concept, ...]:
  concepts = []
  for block, valence in zip(table.strip().split("\n\n"), (1, 0), strict=True):
    kinds = ("good", "bad") if valence else ("plus", "minus")
    for line in block.split("\n"):
      a, b = (tuple(side.split()) for side in line.split("/"))
      concepts.append(Concept(a, kinds[0], b, valence))
      concepts.append(Concept(b, kinds[1], a, -valence))
  return tuple(concepts)


POOLS: Mapping[str, tuple[Concept, ...]] = {
  "agent": _kinds(_AGENTS),
  "verb": _opposites(_VERBS),
  "object": _kinds(_OBJECTS),
  "quality": _opposites(_QUALITIES),
  "place": _kinds(_PLACES),
}


class Dice:
  """Draws by `Generator.random` alone."""

  def __init__(self, *entropy: int):
    """Starts the stream that these numbers name."""
    sequence = np.random.SeedSequence(list(entropy))
    self._rng = np.random.Generator(np.random.PCG64(sequence))

  def uniform(self) -> float:
    """Returns a number in [0, 1)."""
    return float(self._rng.random())

  def chance(self, p: float) -> bool:
    """Returns True with this probability."""
    return self.uniform() < p

  def pick(self, items: Sequence):
    """Returns one of the items."""
    return items[int(self.uniform() * len(items))]


def clause(dice: Dice, *, modifiers: float, plain: bool) -> Clause:
  """Draws a clause.

  Args:
    dice: to draw with.
    modifiers: chance of a quality, and of a place.
    plain: only "the", and no "never".
  """

  def modifier(slot: str) -> Concept | None:
    return dice.pick(POOLS[slot]) if dice.chance(modifiers) else None

  return Clause(
    determiner=dice.pick(("the", "thes") if plain else tuple(DETERMINERS)),
    agent=dice.pick(POOLS["agent"]),
    verb=dice.pick(POOLS["verb"]),
    object=dice.pick(POOLS["object"]),
    quality=modifier("quality"),
    place=modifier("place"),
    negated=not plain and dice.chance(0.15),
  )


def words_for(clause: Clause, dice: Dice) -> dict[str, str]:
  """Chooses a word for every filled slot."""
  return {
    slot: dice.pick(getattr(clause, slot).words) for slot in clause.slots(POOLS)
  }


def say(clause: Clause, words: Mapping[str, str]) -> list[str]:
  """Puts a clause into words; number agrees throughout."""
  plural = DETERMINERS[clause.determiner]
  spoken = ["the" if clause.determiner == "thes" else clause.determiner]
  spoken += [words["quality"]] if "quality" in words else []
  spoken.append(inflect(words["agent"]) if plural else words["agent"])
  spoken += ["never"] if clause.negated else []
  spoken.append(words["verb"] if plural else inflect(words["verb"]))
  spoken.append(inflect(words["object"]))
  spoken += ["near", inflect(words["place"])] if "place" in words else []
  return spoken


def inflect(word: str) -> str:
  """Adds the s of a plural noun, and of a verb after a singular one."""
  if word.endswith(("s", "sh", "ch", "x")):
    return word + "es"
  if word.endswith("y") and word[-2] not in "aeiou":
    return word[:-1] + "ies"
  return word + "s"


def other(concept: Concept, slot: str, dice: Dice, *, near: bool) -> Concept:
  """Draws another meaning: of the same kind if `near`, else of another one."""
  found = [
    each
    for each in POOLS[slot]
    if (each.kind == concept.kind) == near
    and each.words != concept.words
    # Far from a good one is a bad one.
    and (near or not each.valence or each.valence == -concept.valence)
  ]
  return dice.pick(found) if found else concept


def opposite(concept: Concept, slot: str) -> Concept:
  """Returns the meaning of the opposite words."""
  return next(c for c in POOLS[slot] if c.words == concept.opposite)
