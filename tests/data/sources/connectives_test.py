"""Clauses and the word between them: what is found, and what is left out."""

import pytest

from bam_jax.data.sources import plain
from bam_jax.data.sources.connectives import CONNECTIVES, Pair, pairs

STAY = "The old man was in the house"


@pytest.mark.parametrize(
  ("text", "first", "second", "word"),
  [
    (
      "The rain had stopped by noon, but the roads were all wet.",
      "The rain had stopped by noon",
      "the roads were all wet",
      "but",
    ),
    (
      f"{STAY} because the storm had reached the town.",
      STAY,
      "the storm had reached the town",
      "because",
    ),
    # It belongs to what stands behind it, wherever that is.
    (
      f"Because the storm had reached the town, {STAY.lower()}.",
      STAY.lower(),
      "the storm had reached the town",
      "because",
    ),
    # Of words apart, as WikiText has them.
    (
      "The <unk> was near the town , and they had seen <unk> @-@ ships .",
      "The <unk> was near the town",
      "they had seen <unk> @-@ ships",
      "and",
    ),
  ],
)
def test_what_joins_two_clauses_is_found_and_taken_out(
  text, first, second, word
):
  assert [*pairs(text)] == [Pair(first, second, word)]


def test_a_word_may_join_a_sentence_to_the_one_before():
  (made,) = pairs(f"{STAY} for years. Then he went back to the sea.")
  assert made == Pair(f"{STAY} for years", "he went back to the sea", "then")


@pytest.mark.parametrize(
  "text",
  [
    # Words joined, not clauses.
    "The old man and the small boy were in the house all day.",
    "He bought apples, pears, and a large bag of red plums for her.",
    "He was known as the best player that the town had ever had.",
    "They met shortly after the war had come to its end there.",
    # Two that fit: nobody knows which joins what.
    f"{STAY} when the rain began, and the boy was in the field with us.",
    # None of five words, or more than five times the other.
    f"He slept, but {STAY.lower()}.",
    f"He was not at home today, but {' '.join(['the men were'] * 11)} there.",
    f"{STAY}, but {' '.join(['the men were'] * 17)} there.",
  ],
)
def test_what_joins_no_two_clauses_is_left_out(text):
  assert not [*pairs(text)]


def test_no_mark_tells_which_clause_came_last():
  text = f'{STAY}; then he left. But "the storm" had reached the town!'
  for pair in pairs(text):
    assert not pair.first.endswith((".", ";")) and pair.second[-1] not in ".!"


def test_real_text_has_pairs_of_most_words(glue_dir):
  file = glue_dir.parent / "wikitext" / "wikipedia_paragraphs.txt.gz"
  if not file.is_file():
    pytest.skip(f"there is no {file}")
  documents = plain.documents(file)
  made = [pair for document in documents[:40] for pair in pairs(document)]
  assert {pair.connective for pair in made} <= {*CONNECTIVES}
  assert len({pair.connective for pair in made}) >= 10
  for pair in made:
    words = [len(text.split()) for text in (pair.first, pair.second)]
    assert min(words) >= 3 and max(words) <= 60
