"""Pairs of clauses with the word between them, by rules and no parser.

DisSent (Nie et al. 2019) asks which word joins two clauses, and finds them by
the arcs of a dependency parser. Here they are found by commas, by where the
word stands, and by whether both sides look like clauses: a side does if it
begins as a subject may and a verb that a list knows follows soon. What is not
seen so is left out: few pairs, of which more are right.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import re

from bam_jax.data.sources.neighbours import sentences

# DisSent's fifteen.
CONNECTIVES = (
  *("and", "but", "because", "if", "when", "so", "though", "before"),
  *("as", "while", "after", "still", "also", "then", "although"),
)
# Those that join two clauses behind a comma, or two sentences.
_JOINS = ("and", "but", "so")
# Those that join a sentence to the one before it.
_ADVERBS = ("still", "also", "then")
# Those that may stand before either clause; the last may begin what is none.
_SUBORDINATES = (
  *("because", "if", "when", "though", "before"),
  *("as", "while", "after", "although"),
)
# Words of a clause, its length beside the other's (DisSent's own code).
FEWEST, MOST, RATIO = 5, 50, 5.0
# By which a clause may begin, beside names and nouns in the plural.
_SUBJECTS = frozenset(
  """
  i you he she it we they this these those there nobody nothing everyone
  everything someone something one the a an his her its their my our your
  some many most all both no each every several few any another other such
  two three four five six
  """.split()  # noqa: SIM905
)
_VERBS = frozenset(
  """
  is are was were am be been has have had do does did will would can could
  may might must shall should cannot won't can't don't didn't doesn't isn't
  aren't wasn't weren't hasn't haven't hadn't wouldn't couldn't shouldn't 's
  're 'll 've 'd 'm became become becomes began begins came comes gave gives
  got gets went goes held holds kept keeps knew knows led leads left leaves
  lost made makes met paid put read said says saw sees sent showed shows
  stood stands took takes thought thinks told won wins wrote writes ran runs
  fell falls felt feels found finds lived lives needs seems seemed wants
  wanted let lay lies grew grows brought brings built caught drew drove
  fought meant means rose sat set sold spent spoke struck taught wore
  remains remained
  """.split()  # noqa: SIM905
)
# A verb comes among so many words behind the subject's first.
_SOON = 8
_WORD = re.compile(r"[\w'’@-]+|<unk>|[^\w\s]")
_MARKS = (",", ";", ":", "-", "–", "—", ".", "!", "?")
_LETTERS = re.compile(r"\w|<unk>")
# Before a connective they make it a part of something else.
_BOUND = frozenset(
  """
  even just only ever or than shortly soon long if as and but such well so known
  seen used to regarded described referred serve served part same far much act
  acted role when after before
  """.split()  # noqa: SIM905
)
# They join words more often than clauses, and are asked for a plain subject.
_DOUBTFUL = ("as", "before", "after")


@dataclass(frozen=True)
class Pair:
  """Two clauses and what joins them.

  Attributes:
    first: without the word.
    second: that the word belongs to.
    connective: one of `CONNECTIVES`.
  """

  first: str
  second: str
  connective: str


@dataclass(frozen=True)
class _Text:
  """A sentence and its words.

  Attributes:
    text: the sentence.
    words: in small letters, marks too.
    places: where each begins and ends.
  """

  text: str
  words: tuple[str, ...]
  places: tuple[tuple[int, int], ...]

  @staticmethod
  def of(text: str) -> "_Text":
    found = [*_WORD.finditer(text)]
    words = tuple(match[0].lower().replace("’", "'") for match in found)
    return _Text(text, words, tuple(match.span() for match in found))

  def part(self, start: int, stop: int) -> "_Text":
    """Returns the words from start to stop, without marks around them."""
    while start < stop and not _LETTERS.match(self.words[start]):
      start += 1
    # The mark at the end would tell which of two came last.
    while start < stop and self.words[stop - 1] in _MARKS:
      stop -= 1
    if start >= stop:
      return _Text("", (), ())
    begin, end = self.places[start][0], self.places[stop - 1][1]
    return _Text.of(self.text[begin:end])


def pairs(document: str) -> Iterator[Pair]:
  """Yields the pairs of a document, one of a sentence at most.

  Args:
    document: text of any length.
  """
  before = None
  for text in sentences(document):
    sentence = _Text.of(text)
    found = _within(sentence) or (before and _behind(before, sentence))
    if found:
      yield found
    before = sentence


def _behind(before: _Text, here: _Text) -> Pair | None:
  """Returns what begins with a word that joins it to the sentence before."""
  for word in (*_JOINS, *_ADVERBS):
    if here.words[:1] == (word,):
      rest = here.part(1, len(here.words))
      return _paired(before.part(0, len(before.words)), rest, word)
  return None


def _within(here: _Text) -> Pair | None:
  """Returns the clauses of a sentence that one connective joins."""
  places = [i for i, word in enumerate(here.words) if word in CONNECTIVES]
  found = []
  for i in places:
    word, end = here.words[i], len(here.words)
    if i == 0 and word in _SUBORDINATES:
      found += [
        pair
        for comma in range(FEWEST, end - FEWEST)
        if here.words[comma] == ","
        # "Because it rained, they stayed": the word belongs to what is behind.
        and (pair := _paired(here.part(comma, end), here.part(1, comma), word))
      ][:1]
      continue
    if here.words[i - 1] in _BOUND:
      continue
    joined = word in _JOINS and here.words[i - 1 : i] == (",",)
    if i and (joined or word in _SUBORDINATES):
      pair = _paired(here.part(0, i), here.part(i + 1, end), word)
      found += [pair] if pair else []
  # Of two that fit nobody knows which joins what.
  return found[0] if len(found) == 1 else None


def _paired(first: _Text, second: _Text, connective: str) -> Pair | None:
  """Returns a pair where both sides look like clauses of a fair length."""
  counts = [
    sum(bool(_LETTERS.match(word)) for word in each.words)
    for each in (first, second)
  ]
  low, high = min(counts), max(counts)
  if low < FEWEST or high > min(MOST, RATIO * low):
    return None
  begins = _SUBJECTS - {"a", "an", "one"}
  if connective in _DOUBTFUL and second.words[0] not in begins:
    return None
  if not (_clause(first) and _clause(second)):
    return None
  return Pair(first.text, second.text, connective)


def _clause(each: _Text) -> bool:
  """Tells whether words look like a clause: a subject, and soon a verb."""
  words = each.words
  begins = (
    words[0] in _SUBJECTS
    or each.text[:1].isupper()
    or (words[0].endswith("s") and not _verb(words[0]))
  )
  return begins and any(_verb(word) for word in words[1 : 1 + _SOON])


def _verb(word: str) -> bool:
  return word in _VERBS or (len(word) > 4 and word.endswith("ed"))


def counted(found: Sequence[Pair]) -> dict[str, int]:
  """Returns how many pairs each connective joins, in the order of all."""
  every = [pair.connective for pair in found]
  return {each: every.count(each) for each in CONNECTIVES if each in every}
