"""Makes a suite of five English-like tasks from one grammar, offline.

All five speak of the same clauses: the large tasks teach the synonyms, kinds
and opposites that the small ones are too small to teach. Training labels carry
noise, so that a teacher's soft ones are worth having; validation and test
labels are clean.
"""

from collections.abc import Callable
import functools
import zlib

import numpy as np

from bam_jax.data.sources import grammar
from bam_jax.data.sources.grammar import POOLS, Clause, Concept, Dice
from bam_jax.tasks.table import Task

_SCORED = {"validation": 500, "test": 500}
SIZES = {
  "entailment": {"train": 8000, **_SCORED},
  "acceptability": {"train": 3000, **_SCORED},
  "sentiment": {"train": 2000, **_SCORED},
  "paraphrase": {"train": 1000, **_SCORED},
  "similarity": {"train": 1000, **_SCORED},
}
# Share of the training labels that are wrong; standard deviation of values.
LABEL_NOISE = 0.1
# Chance that a word comes back as itself in the second sentence of a pair.
SAME_WORD = 0.3

# A row is decided by its own text to be of one split, whatever the seed.
_PARTS = ("validation", "test", "train", "train", "train", "train")
# What one determiner says more than another.
_WEAKER = (
  ("the", "a"),
  ("thes", "some"),
  ("thes", "a"),
  ("all", "thes"),
  ("every", "a"),
  ("every", "the"),
  ("all", "some"),
  ("some", "a"),
)


def _pair(a: Clause, b: Clause, dice: Dice) -> tuple[list[str], list[str]]:
  """Says two clauses; what they share is said in the same word or another."""
  first, second = grammar.words_for(a, dice), grammar.words_for(b, dice)
  for slot in second:
    same = slot in first and getattr(a, slot) == getattr(b, slot)
    if same and dice.chance(SAME_WORD):
      second[slot] = first[slot]
  return grammar.say(a, first), grammar.say(b, second)


def _acceptability(dice: Dice):
  """A clause whose nouns can stand where they stand, or not."""
  clause = grammar.clause(dice, modifiers=0.5, plain=False)
  words = grammar.words_for(clause, dice)
  if dice.chance(0.5):
    return (grammar.say(clause, words),), "acceptable"
  agents, objects, places = (POOLS[s] for s in ("agent", "object", "place"))
  wrong = dice.pick(("roles", "agent", "object", "place"))
  if wrong == "agent":
    words["agent"] = dice.pick(dice.pick(objects + places).words)
  elif wrong == "object":
    words["object"] = dice.pick(dice.pick(places).words)
  elif wrong == "place" and "place" in words:
    words["place"] = dice.pick(dice.pick(agents + objects).words)
  else:
    words["agent"], words["object"] = words["object"], words["agent"]
  return (grammar.say(clause, words),), "unacceptable"


def _sentiment(dice: Dice):
  """A deed or a quality, good or bad; "never" turns it round."""
  good, flip = dice.chance(0.5), dice.chance(0.25)
  wanted = -1 if good == flip else 1
  form = dice.uniform()
  if form < 0.5:
    clause = grammar.clause(dice, modifiers=0.4, plain=True)
    verb = dice.pick([v for v in POOLS["verb"] if v.valence == wanted])
    neutral = dice.pick([q for q in POOLS["quality"] if not q.valence])
    clause = clause.replace(
      verb=verb, negated=flip, quality=clause.quality and neutral
    )
    words = grammar.say(clause, grammar.words_for(clause, dice))
  else:
    subject = dice.pick(POOLS["agent"] + POOLS["object"])
    words = ["the", dice.pick(subject.words), "is"]
    if form < 0.75:
      # What comes before "but" does not count.
      words += [_quality(wanted if flip else -wanted, dice), "but"]
    words += ["never"] * flip + [_quality(wanted, dice)]
  return (words,), "positive" if good else "negative"


def _quality(valence: int, dice: Dice) -> str:
  concepts = [q for q in POOLS["quality"] if q.valence == valence]
  return dice.pick([word for q in concepts for word in q.words])


def _paraphrase(dice: Dice):
  """The same clause twice, or one with one or two meanings changed."""
  a = b = grammar.clause(dice, modifiers=0.4, plain=True)
  same = dice.chance(0.5)
  if not same:
    filled = a.slots(POOLS)
    for slot in {dice.pick(filled): 0, dice.pick(filled): 0}:
      new = grammar.other(getattr(a, slot), slot, dice, near=False)
      b = b.replace(**{slot: new})
  return _pair(a, b, dice), "equivalent" if same else "not_equivalent"


def _entailment(dice: Dice):
  """A premise and what follows from it, contradicts it, or does neither."""
  label = dice.pick(("contradiction", "entailment", "neutral"))
  clause = grammar.clause(dice, modifiers=0.5, plain=False)
  if label == "contradiction":
    a, b = _contradict(clause, dice)
  elif label == "neutral" and dice.chance(0.5):
    slot = dice.pick(clause.slots(("agent", "object", "place")))
    new = grammar.other(getattr(clause, slot), slot, dice, near=False)
    a, b = clause, clause.replace(**{slot: new})
  else:
    a, b = _weaken(clause, dice)
    if label == "neutral":
      a, b = b, a
  return _pair(a, b, dice), label


def _contradict(clause: Clause, dice: Dice) -> tuple[Clause, Clause]:
  if dice.chance(0.3):
    pair = clause, clause.replace(negated=not clause.negated)
    return pair if dice.chance(0.5) else pair[::-1]
  slot = dice.pick(clause.slots(("verb", "quality")))
  clause = clause.replace(negated=False)
  new = grammar.opposite(getattr(clause, slot), slot)
  return clause, clause.replace(**{slot: new})


def _weaken(clause: Clause, dice: Dice) -> tuple[Clause, Clause]:
  """Returns a clause and one that it entails, and not the other way round."""
  move = dice.pick(("agent", "object", "drop", "determiner"))
  if move == "determiner":
    strong, weak = dice.pick(_WEAKER)
    return clause.replace(determiner=strong), clause.replace(determiner=weak)
  if move == "drop":
    slot, weak = dice.pick(("quality", "place")), None
    if getattr(clause, slot) is None:
      clause = clause.replace(**{slot: dice.pick(POOLS[slot])})
  else:
    # The name of its kind says less than the thing's own.
    slot, weak = move, Concept((getattr(clause, move).kind,))
  pair = clause, clause.replace(**{slot: weak})
  # "Every" and "never" turn the direction round for what they range over.
  ranged = ("agent", "quality") if clause.determiner in ("every", "all") else ()
  ranged += ("object", "place") if clause.negated else ()
  return pair[::-1] if slot in ranged else pair


def _similarity(dice: Dice):
  """Two clauses and, from 0 to 5, how much of their meaning they share."""
  a = b = grammar.clause(dice, modifiers=0.6, plain=True)
  change, total, score = dice.uniform(), 0.0, 0.0
  for slot in a.slots(POOLS):
    share = 1.0
    if dice.chance(change):
      near = dice.chance(0.3)
      share = 0.8 if near else 0.0
      new = grammar.other(getattr(a, slot), slot, dice, near=near)
      b = b.replace(**{slot: new})
    weight = 1.0 if slot in ("agent", "verb", "object") else 0.5
    total, score = total + weight, score + weight * share
  return _pair(a, b, dice), round(5 * score / total, 1)


_MAKERS: dict[str, Callable] = {
  "acceptability": _acceptability,
  "sentiment": _sentiment,
  "paraphrase": _paraphrase,
  "entailment": _entailment,
  "similarity": _similarity,
}


def generate(
  task: Task, split: str, *, seed: int
) -> tuple[tuple[list[str], ...], np.ndarray]:
  """Makes one split of one task, the same on every machine.

  Args:
    task: a row of `table.TASKS` whose origin is `Synthetic`.
    split: "train", "validation" or "test".
    seed: of the whole suite; no row is in two splits, for any two seeds.

  Returns:
    The texts, one list of N for each text column, and labels f32[N]: the
    number of the class, or the value scaled to [0, 1].

  Raises:
    ValueError: no such task or split.
  """
  if split not in SIZES.get(task.name, ()):
    raise ValueError(
      f"the synthetic suite has no {task.name!r} split {split!r}; it has "
      f"{', '.join(SIZES)} with train, validation and test"
    )
  texts, found = truth(task, split, seed=seed)
  if split == "train":
    found = _with_noise(found, len(task.labels), seed, task.name)
  return texts, found


def truth(
  task: Task, split: str, *, seed: int
) -> tuple[tuple[list[str], ...], np.ndarray]:
  """Returns what `generate` does, but for the noise in training labels."""
  texts, labels = _rows(task.name, split, seed)
  if task.labels:
    found = np.float32([task.labels.index(name) for name in labels])
  else:
    low, high = task.range
    found = np.float32([(value - low) / (high - low) for value in labels])
  return tuple(map(list, zip(*texts, strict=True))), found


def _with_noise(
  labels: np.ndarray, classes: int, seed: int, name: str
) -> np.ndarray:
  dice = Dice(seed, zlib.crc32(name.encode()), zlib.crc32(b"noise"))
  noisy = labels.copy()
  for i, label in enumerate(labels):
    if not classes:
      # The sum of four uniforms is bell-shaped, with a variance of 1/3.
      bell = (sum(dice.uniform() for _ in range(4)) - 2) * 3**0.5
      noisy[i] = min(max(label + LABEL_NOISE * bell, 0.0), 1.0)
    elif dice.chance(LABEL_NOISE):
      noisy[i] = (label + dice.pick(range(1, classes))) % classes
  return noisy


@functools.lru_cache(maxsize=32)
def _rows(name: str, split: str, seed: int):
  dice = Dice(seed, zlib.crc32(name.encode()), zlib.crc32(split.encode()))
  # A dict keeps the order, and no text comes twice.
  rows: dict[str, tuple] = {}
  while len(rows) < SIZES[name][split]:
    sentences, label = _MAKERS[name](dice)
    texts = tuple(" ".join(words) for words in sentences)
    # The copy with its sentences swapped belongs to the same split.
    key = "\n".join(sorted(texts))
    part = _PARTS[zlib.crc32(key.encode()) % len(_PARTS)]
    if part == split and key not in rows:
      rows[key] = texts, label
  texts, labels = zip(*rows.values(), strict=True)
  return texts, labels
