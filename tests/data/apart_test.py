"""Questions whose candidates are read apart from them, each pair by itself."""

import numpy as np

from bam_jax.data.apart import apart
from bam_jax.data.features import featurise
from bam_jax.data.tokenizer import load_tokenizer
from tests import small


def test_each_candidate_is_marked_as_a_text_alone(tmp_path):
  words = load_tokenizer(small.write_encoder(tmp_path / "e"), vocab_size=None)
  texts = (["a dog", "the old cat"], ["no cat sees", "a red bird"])
  # Candidates: "no", "cat sees" and "a", "red", "bird".
  spans = [
    np.array([[0, 2], [3, 11]]),
    np.array([[0, 1], [2, 5], [6, 10]]),
  ]
  rows = featurise(
    words, texts, np.arange(5.0), max_length=8, words=[*map(np.array, spans)]
  )
  found = apart(rows, words, most=8)
  tokens = np.array([words.backend.id_to_token(i) for i in found.tokens])
  said = [
    " ".join(each) for each in np.split(tokens, found.examples.offsets[1:-1])
  ]
  assert said == [
    "[CLS] a dog [SEP] [CLS] no [SEP]",
    "[CLS] a dog [SEP] [CLS] cat sees [SEP]",
    "[CLS] the old cat [SEP] [CLS] a [SEP]",
    "[CLS] the old cat [SEP] [CLS] red [SEP]",
    "[CLS] the old cat [SEP] [CLS] bird [SEP]",
  ]
  # Second texts, and their marks, are told by types.
  assert found.types.sum() == 3 + 4 + 3 * 3
  assert found.offsets.tolist() == [0, 15, 39]
  assert found.words.at.tolist() == [0, 7, 0, 8, 16]
  np.testing.assert_array_equal(found.labels, rows.labels)
  np.testing.assert_array_equal(found.words.offsets, rows.words.offsets)
