"""Makes a suite of five small English-like tasks from one grammar, offline.

All five speak of the same clauses, built of one lexicon of synonyms, opposites
and kinds: the large tasks teach what the small ones are too small to teach.
Training labels carry noise; validation and test labels are clean. Only
`Generator.random` is drawn from, because its bits are the same everywhere.
"""

from collections.abc import Callable, Iterable
import dataclasses
import functools
import json
import os
import pathlib
import zlib

import numpy as np
import tokenizers
import tokenizers.decoders
import tokenizers.models
import tokenizers.normalizers
import tokenizers.pre_tokenizers
import tokenizers.processors
import tokenizers.trainers

from bam_jax import tasks

SIZES = {
  "acceptability": {"train": 600, "validation": 500, "test": 500},
  "sentiment": {"train": 6000, "validation": 500, "test": 500},
  "paraphrase": {"train": 1000, "validation": 500, "test": 500},
  "entailment": {"train": 12000, "validation": 500, "test": 500},
  "similarity": {"train": 1000, "validation": 500, "test": 500},
}
LABEL_NOISE = 0.1

# A row is decided by its own text to be of one split, whatever the seed.
_PARTS = ("validation", "test", "train", "train", "train", "train")
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# kind: synonyms | synonyms | ...
_AGENTS = """
person: doctor physician | child kid | lady woman | friend pal | guest visitor
worker: farmer grower | sailor seaman | cook chef | clerk cashier | guard warden
artist: painter portraitist | author writer | singer vocalist | poet bard |
  actor performer
leader: king monarch | boss manager | captain skipper | teacher tutor |
  judge magistrate
animal: dog hound | cat feline | horse stallion | rabbit bunny | donkey mule
bird: eagle raptor | parrot macaw | rooster cockerel | pigeon dove | owl owlet
"""
_OBJECTS = """
food: bread loaf | soup broth | cookie biscuit | candy sweet | burger patty
vehicle: car automobile | truck lorry | boat ship | bike bicycle | train tram
garment: coat jacket | hat cap | shoe boot | shirt blouse | dress gown
furniture: sofa couch | lamp lantern | carpet rug | cupboard closet | bed bunk
device: phone mobile | computer laptop | camera webcam | radio stereo |
  engine motor
container: bag sack | box crate | bottle flask | bucket pail | basket hamper
text: book novel | letter note | poem verse | story tale | map chart
"""
_PLACES = """
building: house home | shop store | hotel inn | church chapel | jail prison
nature: forest woods | river stream | hill mound | beach shore | meadow field
town: street road | city metropolis | harbour port | park garden |
  market bazaar
"""
# synonyms / their opposites; the first block of each has a good and a bad side.
_VERBS = """
love adore / hate loathe
praise applaud / criticize blame
enjoy relish / dislike despise
repair mend / break smash
protect defend / attack assault
welcome greet / reject refuse
trust believe / doubt distrust
improve enhance / ruin spoil
help aid / hinder obstruct

buy purchase / sell vend
find discover / lose misplace
push shove / pull drag
lift raise / drop lower
open unlock / close shut
send mail / receive obtain
take grab / give donate
show reveal / hide conceal
start begin / stop halt
follow pursue / avoid evade
"""
_ADJECTIVES = """
great wonderful / terrible awful
happy cheerful / sad gloomy
brave bold / cowardly timid
clever smart / stupid dumb
kind gentle / cruel mean
clean spotless / dirty filthy
pretty beautiful / ugly hideous
honest truthful / crooked deceitful
calm peaceful / angry furious
healthy fit / sick ill
polite courteous / rude impolite
safe secure / dangerous risky

big large / small little
rich wealthy / poor broke
old ancient / young new
fast quick / slow sluggish
strong powerful / weak feeble
hot warm / cold chilly
loud noisy / quiet silent
heavy weighty / light weightless
"""


@dataclasses.dataclass(frozen=True)
class Concept:
  """One meaning: its words, its kind, its opposite's words, good or bad."""

  words: tuple[str, ...]
  kind: str = ""
  opposite: tuple[str, ...] = ()
  valence: int = 0


@dataclasses.dataclass(frozen=True)
class Clause:
  """Who does what to whom; a modifier that is not there is None."""

  quantifier: str
  agent: Concept
  verb: Concept
  object: Concept
  quality: Concept | None
  place: Concept | None
  negated: bool


def _kinds(table: str) -> tuple[Concept, ...]:
  concepts = []
  for line in table.replace("|\n", "|").strip().split("\n"):
    kind, sets = line.split(":")
    concepts += [Concept(tuple(s.split()), kind=kind) for s in sets.split("|")]
  return tuple(concepts)


def _opposites(table: str) -> tuple[Concept, ...]:
  concepts = []
  for block, valence in zip(table.strip().split("\n\n"), (1, 0), strict=True):
    for line in block.split("\n"):
      a, b = (tuple(side.split()) for side in line.split("/"))
      concepts.append(Concept(a, opposite=b, valence=valence))
      concepts.append(Concept(b, opposite=a, valence=-valence))
  return tuple(concepts)


AGENTS, OBJECTS, PLACES = map(_kinds, (_AGENTS, _OBJECTS, _PLACES))
VERBS, QUALITIES = map(_opposites, (_VERBS, _ADJECTIVES))
POOLS = {
  "agent": AGENTS,
  "verb": VERBS,
  "object": OBJECTS,
  "quality": QUALITIES,
  "place": PLACES,
}
# Singular and plural surface of a quantifier.
_DETERMINERS = {
  "the": ("the", "the"),
  "some": ("a", "some"),
  "every": ("every", "all"),
}


def _inflect(word: str) -> str:
  """Adds the s of a plural noun, and of a verb after a singular one."""
  if word.endswith(("s", "sh", "ch", "x")):
    return word + "es"
  if word.endswith("y") and word[-2] not in "aeiou":
    return word[:-1] + "ies"
  return word + "s"


class _Dice:
  """Draws by `Generator.random` alone."""

  def __init__(self, *entropy: int):
    sequence = np.random.SeedSequence(list(entropy))
    self._rng = np.random.Generator(np.random.PCG64(sequence))

  def chance(self, p: float) -> bool:
    return self._rng.random() < p

  def uniform(self) -> float:
    return float(self._rng.random())

  def pick(self, items):
    return items[int(self._rng.random() * len(items))]


def _say(clause: Clause, dice: _Dice) -> list[str]:
  """Speaks a clause, each meaning by any of its words."""
  plural = dice.chance(0.4)
  determiner = _DETERMINERS[clause.quantifier][plural]
  agent = dice.pick(clause.agent.words)
  verb = dice.pick(clause.verb.words)
  words = [determiner]
  if clause.quality:
    words.append(dice.pick(clause.quality.words))
  words.append(_inflect(agent) if plural else agent)
  if clause.negated:
    words.append("never")
  words.append(verb if plural else _inflect(verb))
  words += ["the", dice.pick(clause.object.words)]
  if clause.place:
    words += ["near", "the", dice.pick(clause.place.words)]
  return words


def _clause(dice: _Dice, *, modifiers: float, plain: bool) -> Clause:
  return Clause(
    quantifier="the" if plain else dice.pick(("the", "the", "some", "every")),
    agent=dice.pick(AGENTS),
    verb=dice.pick(VERBS),
    object=dice.pick(OBJECTS),
    quality=dice.pick(QUALITIES) if dice.chance(modifiers) else None,
    place=dice.pick(PLACES) if dice.chance(modifiers) else None,
    negated=not plain and dice.chance(0.15),
  )


def _other(concept: Concept, pool, dice: _Dice, *, near: bool) -> Concept:
  """Another meaning: of the same kind if `near`, else of another kind."""
  while True:
    new = dice.pick(pool)
    if new.words in (concept.words, concept.opposite):
      continue
    if not concept.kind or near == (new.kind == concept.kind):
      return new


def _opposite(concept: Concept) -> Concept:
  return Concept(concept.opposite, opposite=concept.words)


def _slots(clause: Clause, names: Iterable[str]) -> list[str]:
  return [n for n in names if getattr(clause, n) is not None]


def _replace(clause: Clause, slot: str, value) -> Clause:
  return dataclasses.replace(clause, **{slot: value})


def _kind(clause: Clause, slot: str) -> Clause:
  return _replace(clause, slot, Concept((getattr(clause, slot).kind,)))


def _acceptability(dice: _Dice):
  words = _say(_clause(dice, modifiers=0.5, plain=False), dice)
  if dice.chance(0.5):
    return (words,), "acceptable"
  good = list(words)
  while words == good:
    words = _break(list(good), dice)
  return (words,), "unacceptable"


def _break(words: list[str], dice: _Dice) -> list[str]:
  """Breaks agreement or word order at one place."""
  content = [i for i, w in enumerate(words) if w in _NUMBER]
  if dice.chance(0.6):
    i = dice.pick(content)
    words[i] = _NUMBER[words[i]]
  else:
    i = dice.pick(range(len(words) - 1))
    words[i : i + 2] = words[i + 1], words[i]
  return words


def _numbers() -> dict[str, str]:
  bases = [w for c in (*AGENTS, *VERBS) for w in c.words]
  pairs = {w: _inflect(w) for w in bases}
  return pairs | {s: w for w, s in pairs.items()}


_NUMBER = _numbers()


def _sentiment(dice: _Dice):
  good = dice.chance(0.5)
  flip = dice.chance(0.25)
  wanted = -1 if good == flip else 1
  subject = dice.pick(AGENTS + OBJECTS)
  form = dice.uniform()
  if form < 0.5:
    verb = dice.pick([v for v in VERBS if v.valence == wanted])
    clause = _clause(dice, modifiers=0.4, plain=True)
    neutral = dice.pick([q for q in QUALITIES if not q.valence])
    clause = dataclasses.replace(
      clause, verb=verb, negated=flip, quality=clause.quality and neutral
    )
    words = _say(clause, dice)
  else:
    word = dice.pick(_valued(wanted))
    words = ["the", dice.pick(subject.words), "is"]
    if form < 0.75:
      words += [dice.pick(_valued(-wanted if not flip else wanted)), "but"]
    words += ["never"] * flip + [word]
  return (words,), "positive" if good else "negative"


def _valued(valence: int) -> list[str]:
  return [w for q in QUALITIES if q.valence == valence for w in q.words]


def _paraphrase(dice: _Dice):
  a = b = _clause(dice, modifiers=0.4, plain=True)
  same = dice.chance(0.5)
  if not same:
    slot = dice.pick(_slots(a, POOLS))
    concept = getattr(a, slot)
    if concept.opposite and dice.chance(0.5):
      b = _replace(a, slot, _opposite(concept))
    else:
      b = _replace(a, slot, _other(concept, POOLS[slot], dice, near=True))
  return (_say(a, dice), _say(b, dice)), (
    "equivalent" if same else "not_equivalent"
  )


def _entailment(dice: _Dice):
  label = dice.pick(("contradiction", "entailment", "neutral"))
  clause = _clause(dice, modifiers=0.5, plain=False)
  if label == "contradiction":
    a, b = _contradict(clause, dice)
  elif label == "neutral" and dice.chance(0.5):
    slot = dice.pick(_slots(clause, POOLS))
    new = _other(getattr(clause, slot), POOLS[slot], dice, near=True)
    a, b = clause, _replace(clause, slot, new)
  else:
    a, b = _weaken(clause, dice)
    if label == "neutral":
      a, b = b, a
  return (_say(a, dice), _say(b, dice)), label


def _contradict(clause: Clause, dice: _Dice) -> tuple[Clause, Clause]:
  if dice.chance(0.3):
    pair = clause, dataclasses.replace(clause, negated=not clause.negated)
    return pair if dice.chance(0.5) else pair[::-1]
  slot = dice.pick(_slots(clause, ("verb", "quality")))
  clause = dataclasses.replace(clause, negated=False)
  return clause, _replace(clause, slot, _opposite(getattr(clause, slot)))


def _weaken(clause: Clause, dice: _Dice) -> tuple[Clause, Clause]:
  """Returns a clause and one that it entails, and not the other way round."""
  moves = ["agent", "object", "drop", "quantifier"]
  move = dice.pick(moves)
  if move == "quantifier":
    return _replace(clause, "quantifier", "every"), _replace(
      clause, "quantifier", "some"
    )
  if move == "drop":
    slot = dice.pick(("quality", "place"))
    if getattr(clause, slot) is None:
      clause = _replace(clause, slot, dice.pick(POOLS[slot]))
    weak = _replace(clause, slot, None)
  else:
    slot, weak = move, _kind(clause, move)
  # "Every" and "never" turn the direction round for what they range over.
  ranged = ("agent", "quality") if clause.quantifier == "every" else ()
  ranged += ("object", "place") if clause.negated else ()
  return (weak, clause) if slot in ranged else (clause, weak)


def _similarity(dice: _Dice):
  a = b = _clause(dice, modifiers=0.6, plain=True)
  change, total, score = dice.uniform(), 0.0, 0.0
  for slot in _slots(a, POOLS):
    weight = 1.0 if slot in ("agent", "verb", "object") else 0.5
    concept, share = getattr(a, slot), 1.0
    if dice.chance(change):
      if concept.opposite and dice.chance(0.5):
        new, share = _opposite(concept), 0.3
      else:
        near = dice.chance(0.5)
        new = _other(concept, POOLS[slot], dice, near=near)
        share = 0.5 if near and concept.kind else 0.0
      b = _replace(b, slot, new)
    total, score = total + weight, score + weight * share
  return (_say(a, dice), _say(b, dice)), round(5 * score / total, 1)


_MAKERS: dict[str, Callable] = {
  "acceptability": _acceptability,
  "sentiment": _sentiment,
  "paraphrase": _paraphrase,
  "entailment": _entailment,
  "similarity": _similarity,
}


def generate(
  task: tasks.Task, split: str, *, seed: int
) -> tuple[tuple[list[str], ...], np.ndarray]:
  """Makes one split of one task, the same on every machine.

  Args:
    task: a row of `tasks.TASKS` whose source is "synthetic".
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
  texts, labels = _generate(task.name, split, seed)
  if task.labels:
    noisy = [float(task.labels.index(name)) for name in labels]
  else:
    low, high = task.range
    noisy = [(value - low) / (high - low) for value in labels]
  noisy = np.asarray(noisy, np.float32)
  if split == "train":
    noisy = _with_noise(noisy, len(task.labels), seed, task.name)
  return tuple(map(list, zip(*texts, strict=True))), noisy


def _with_noise(
  labels: np.ndarray, classes: int, seed: int, name: str
) -> np.ndarray:
  dice = _Dice(seed, zlib.crc32(name.encode()), 99)
  noisy = labels.copy()
  for i, label in enumerate(labels):
    if not classes:
      # Four uniforms: bell-shaped, sd 0.1, without a library's normal.
      bell = sum(dice.uniform() for _ in range(4)) - 2
      noisy[i] = min(max(label + LABEL_NOISE * 3**0.5 * bell, 0.0), 1.0)
    elif dice.chance(LABEL_NOISE):
      noisy[i] = (label + dice.pick(range(1, classes))) % classes
  return noisy


@functools.lru_cache(maxsize=32)
def _generate(name: str, split: str, seed: int):
  dice = _Dice(seed, zlib.crc32(name.encode()), zlib.crc32(split.encode()))
  seen, texts, labels = set(), [], []
  while len(texts) < SIZES[name][split]:
    sentences, label = _MAKERS[name](dice)
    row = tuple(" ".join(words) for words in sentences)
    key = "\n".join(sorted(row))
    part = _PARTS[zlib.crc32(key.encode()) % len(_PARTS)]
    if part != split or key in seen:
      continue
    seen.add(key)
    texts.append(row)
    labels.append(label)
  return tuple(texts), tuple(labels)


def train_tokenizer(
  path: str | os.PathLike, *, seed: int, vocab_size: int
) -> None:
  """Writes a WordPiece vocabulary of the suite's training text to a directory.

  Args:
    path: directory for tokenizer.json, vocab.txt and tokenizer_config.json;
      made if need be.
    seed: of the suite.
    vocab_size: at most so many pieces.
  """
  text = [
    line
    for name, splits in SIZES.items()
    for column in generate(tasks.TASKS[name], "train", seed=seed)[0]
    for line in column
  ]
  # The trainer numbers "##a" pieces in the order of a hash map, and breaks ties
  # by number; naming them beforehand makes two runs give the same vocabulary.
  letters = sorted({c for line in text for c in line if not c.isspace()})
  known = [*_SPECIAL, *letters, *(f"##{c}" for c in letters)]
  learner = _tokenizer({"[UNK]": 0})
  learner.train_from_iterator(
    text,
    tokenizers.trainers.WordPieceTrainer(
      vocab_size=vocab_size, special_tokens=known, show_progress=False
    ),
  )
  vocab = learner.get_vocab()
  path = pathlib.Path(path)
  path.mkdir(parents=True, exist_ok=True)
  pieces = sorted(vocab, key=vocab.__getitem__)
  settings = {
    "do_lower_case": True,
    "model_max_length": 512,
    "tokenizer_class": "BertTokenizer",
  } | {f"{token[1:-1].lower()}_token": token for token in _SPECIAL}
  files = {
    "tokenizer.json": _tokenizer(vocab).to_str(pretty=True),
    "vocab.txt": "\n".join(pieces) + "\n",
    "tokenizer_config.json": json.dumps(settings, indent=2) + "\n",
  }
  for name, content in files.items():
    part = path / f".{name}.{os.getpid()}"
    part.write_text(content, encoding="utf-8")
    part.replace(path / name)


def _tokenizer(vocab: dict[str, int]) -> tokenizers.Tokenizer:
  tokenizer = tokenizers.Tokenizer(
    tokenizers.models.WordPiece(vocab, unk_token="[UNK]")
  )
  tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
  tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
  tokenizer.decoder = tokenizers.decoders.WordPiece()
  if "[CLS]" in vocab:
    tokenizer.add_special_tokens(list(_SPECIAL))
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
      single="[CLS]:0 $A:0 [SEP]:0",
      pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
      special_tokens=[(t, vocab[t]) for t in ("[CLS]", "[SEP]")],
    )
  return tokenizer
