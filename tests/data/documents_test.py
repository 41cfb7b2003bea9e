"""Documents as parts: nothing is lost, and no word is torn that fits."""

import numpy as np
import pytest
import tokenizers
from tokenizers import models, pre_tokenizers

from bam_jax.data import documents
from bam_jax.data.tokenizer import load_tokenizer

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES += ["play", "##ing", "##er", "##s", "the", "old", ",", "a", "##a"]
TEXTS = ["the players , playing the old", "", "a", "a" * 17 + " old , the old"]
MOST = 7


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
  folder = tmp_path_factory.mktemp("words")
  (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
  return load_tokenizer(folder, vocab_size=None)


def test_every_token_is_in_one_part(tokenizer):
  found = documents.parts(tokenizer, TEXTS, most=MOST)
  named = np.array(PIECES)[found.tokens]
  rows = [
    named[a:b].tolist()
    for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)
  ]
  for row in rows:
    assert row[0] == "[CLS]" and row[-1] == "[SEP]" and len(row) <= MOST
  # "the play ##er ##s ," fills a part, and the next one begins with a word.
  assert rows[0][1:-1] == ["the", "play", "##er", "##s", ","]
  assert rows[1][1:-1] == ["play", "##ing", "the", "old"]
  assert found.source.tolist() == [0, 0, 1, 2, 3, 3, 3, 3, 3]
  for number, text in enumerate(TEXTS):
    whole = tokenizer.backend.encode(text, add_special_tokens=False).tokens
    mine = [rows[i][1:-1] for i in np.flatnonzero(found.source == number)]
    assert [piece for row in mine for piece in row] == whole


def test_a_part_ends_where_a_word_does(tokenizer):
  found = documents.parts(tokenizer, ["the old players"], most=MOST)
  assert found.lengths.tolist() == [7]
  # Of a word of three pieces there is room for two.
  found = documents.parts(tokenizer, ["the old , players"], most=MOST)
  assert found.lengths.tolist() == [5, 5]


def test_it_says_where_words_begin(tokenizer):
  found = documents.parts(tokenizer, TEXTS, most=MOST)
  assert len(found.words.at) == len(found.tokens) - 2 * len(found)
  assert found.words.drawn and found.words.counts[2] == 0
  at = np.repeat(found.offsets[:-1], found.words.counts) + found.words.at
  named = np.array(PIECES)[found.tokens[at]]
  inside = np.char.startswith(named, "##")
  # What is left of a word that is longer than a part begins one too.
  first = found.words.at == 1
  assert found.labels.tolist() == (~inside | first).astype(float).tolist()
  assert (inside & first).any()


def test_a_row_without_room_for_text_is_refused(tokenizer):
  with pytest.raises(ValueError, match=r"max_length is 2; .* at least 3, 2 of"):
    documents.parts(tokenizer, TEXTS, most=2)


def test_a_tokenizer_without_words_is_told_from_one_with_them(
  tokenizer, tmp_path
):
  assert documents.knows_words(tokenizer)
  marks = {name: number for number, name in enumerate(PIECES[:5])}
  pieces = [*marks, *"ab ", "a b"]
  made = tokenizers.Tokenizer(
    models.BPE({name: i for i, name in enumerate(pieces)}, [])
  )
  made.add_special_tokens(list(marks))
  made.save(str(tmp_path / "tokenizer.json"))
  alone = load_tokenizer(tmp_path, vocab_size=None)
  assert not documents.knows_words(alone)
  made.pre_tokenizer = pre_tokenizers.Whitespace()
  made.save(str(tmp_path / "tokenizer.json"))
  assert documents.knows_words(load_tokenizer(tmp_path, vocab_size=None))
