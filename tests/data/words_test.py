"""Words: where they stand in the text and in the tokens, and what is kept."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from bam_jax.data import words
from bam_jax.data.features import Features, featurise
from bam_jax.data.sources.sentence import joined, split
from bam_jax.data.tokenizer import load_tokenizer
from tests import small

TEXTS = ["the old dog", "cat", "a red bird sees no cat here"]
# The last is cut at 6 tokens.
SPANS = [joined(text.split())[1] for text in TEXTS]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
  folder = small.write_encoder(tmp_path_factory.mktemp("words") / "encoder")
  return load_tokenizer(folder, vocab_size=15)


def test_a_word_is_read_at_its_first_token_and_not_where_it_is_cut(tokenizer):
  rows = featurise(tokenizer, [TEXTS], np.arange(11), max_length=6, words=SPANS)
  assert rows.words.at.tolist() == [1, 2, 3, 1, 1, 2, 3, 4, -1, -1, -1]
  assert rows.words.counts.tolist() == [3, 1, 7]
  assert rows.cut == 1
  last = rows.take(np.array([2, 0]))
  assert last.labels.tolist() == [4, 5, 6, 7, 8, 9, 10, 0, 1, 2]
  assert last.words.at.tolist() == [1, 2, 3, 4, -1, -1, -1, 1, 2, 3]
  again = Features.join([rows.take(np.array([i])) for i in range(3)])
  for mine, theirs in zip(
    (again.words.at, again.words.offsets, again.labels, again.tokens),
    (rows.words.at, rows.words.offsets, rows.labels, rows.tokens),
    strict=True,
  ):
    np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
  ("tokens", "wanted"),
  [
    # Two tokens of the first word, one of both others, none of the last.
    ([(0, 1), (1, 2), (3, 7)], [0, 2, 2, -1]),
    # What begins with the blank before it, as byte-level BPE has it.
    ([(0, 2), (2, 5), (5, 7), (7, 10)], [0, 1, 2, 3]),
    # A mark of no width, and a word that the normaliser has taken away.
    ([(0, 0), (0, 2), (8, 10)], [1, -1, -1, 2]),
    ([], [-1, -1, -1, -1]),
  ],
)
def test_the_first_token_that_has_a_letter_of_the_word(tokens, wanted):
  spans = np.array([(0, 2), (3, 5), (6, 7), (8, 10)], np.int32)
  tokens = np.array(tokens, np.int32).reshape(-1, 2)
  assert words.first_tokens(spans, tokens).tolist() == wanted


@given(st.text(max_size=40))
def test_a_text_is_split_without_loss_and_joined_back(text):
  found = split(text)
  parts = [text[a:b] for a, b in found]
  assert "".join(parts) == "".join(text.split())
  whole, spans = joined(parts)
  assert [whole[a:b] for a, b in spans] == parts
