"""Ids, types and lengths must be BERT's own, to the token."""

import itertools
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from bam_jax.data import features
from bam_jax.data.sources import readers
from bam_jax.data.tokenizer import load_tokenizer
from bam_jax.tasks import table as tasks

_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "B", "##b"]


@pytest.fixture
def vocabulary(tmp_path):
  (tmp_path / "vocab.txt").write_text("\n".join(_WORDS) + "\n")
  return tmp_path


def _rows(found):
  return [
    (tokens.tolist(), types.tolist())
    for tokens, types in zip(
      np.split(found.tokens, found.offsets[1:-1]),
      np.split(found.types, found.offsets[1:-1]),
      strict=True,
    )
  ]


def _drop_one_at_a_time(a, b, budget):
  while a + b > budget:
    a, b = (a - 1, b) if a > b else (a, b - 1)
  return a, b


@pytest.mark.parametrize("budget", [2, 3, 20, 21])
def test_truncation_is_berts_for_every_pair_of_lengths(budget):
  pairs = list(itertools.product(range(45), repeat=2))
  a, b = np.array(pairs, np.int32).T
  left, right = features.truncate_pair(a, b, budget)
  want = [_drop_one_at_a_time(*pair, budget) for pair in pairs]
  np.testing.assert_array_equal(np.stack([left, right], 1), want)


def test_pair_has_two_separators_and_two_types(vocabulary):
  tokenizer = load_tokenizer(vocabulary, vocab_size=9)
  found = features.featurise(
    tokenizer, (["a b", ""], ["a", "bb b"]), None, max_length=16
  )
  assert _rows(found) == [
    ([2, 5, 6, 3, 5, 3], [0, 0, 0, 0, 1, 1]),
    ([2, 3, 6, 8, 6, 3], [0, 0, 1, 1, 1, 1]),
  ]
  assert found.index.tolist() == [0, 1] and found.labels is None
  dtypes = [found.tokens.dtype, found.types.dtype, found.offsets.dtype]
  assert dtypes == [np.int32, np.int8, np.int64]
  assert (found.lengths.dtype, found.index.dtype) == (np.int32, np.int64)


def test_single_sentence_is_cut_at_two_less_than_max_length(vocabulary):
  tokenizer = load_tokenizer(vocabulary, vocab_size=9)
  found = features.featurise(
    tokenizer, (["a a a", "a a a b b"],), np.array([1, 0]), max_length=5
  )
  assert _rows(found) == [([2, 5, 5, 5, 3], [0] * 5)] * 2
  assert found.labels.dtype == np.float32 and found.labels.tolist() == [1, 0]


def test_odd_token_of_a_cut_pair_is_the_first_sentences(vocabulary):
  tokenizer = load_tokenizer(vocabulary, vocab_size=9)
  texts = (["a a a a"], ["b b b b b"])
  found = features.featurise(tokenizer, texts, None, max_length=8)
  assert _rows(found) == [([2, 5, 5, 5, 3, 6, 6, 3], [0] * 5 + [1] * 3)]


def test_swapped_copy_has_its_own_numbers_and_is_cut_by_itself(vocabulary):
  tokenizer = load_tokenizer(vocabulary, vocab_size=9)
  texts = (["a a a a", "a"], ["b b b b b", "b"])
  swapped = features.featurise(tokenizer, texts, None, max_length=8, swap=True)
  want = features.featurise(tokenizer, texts[::-1], None, max_length=8)
  assert _rows(swapped) == _rows(want)
  assert swapped.index.tolist() == [2, 3]


def test_chunks_join_as_if_there_were_one(vocabulary, monkeypatch):
  tokenizer = load_tokenizer(vocabulary, vocab_size=9)
  texts = (["a", "b b", "a b a", "b", "a a"], ["b", "a", "", "a", "b"])
  want = _rows(features.featurise(tokenizer, texts, None, max_length=6))
  monkeypatch.setattr(features, "_CHUNK", 2)
  found = features.featurise(tokenizer, texts, None, max_length=6)
  assert _rows(found) == want
  assert found.index.tolist() == [0, 1, 2, 3, 4]
  assert len(features.featurise(tokenizer, ([], []), None, max_length=6)) == 0


def test_take_and_join_keep_rows_whole(vocabulary):
  tokenizer = load_tokenizer(vocabulary, vocab_size=9)
  texts = (["a", "b b", "a b a"],)
  every = features.featurise(
    tokenizer, texts, np.array([3, 1, 2]), max_length=9
  )
  picked = every.take(np.array([2, 0, 2]))
  assert _rows(picked) == [_rows(every)[i] for i in (2, 0, 2)]
  assert picked.index.tolist() == [2, 0, 2]
  assert picked.labels.tolist() == [2, 3, 2]
  assert every.take(np.array([False, True, False])).index.tolist() == [1]
  joined = features.Features.join(
    [picked, every.take(np.array([], int)), every]
  )
  assert _rows(joined) == _rows(picked) + _rows(every)
  assert joined.labels.tolist() == [2, 3, 2, 3, 1, 2]


def test_max_length_without_room_for_both_sentences_is_refused(vocabulary):
  tokenizer = load_tokenizer(vocabulary, vocab_size=9)
  with pytest.raises(ValueError, match=r"max_length is 4.*at least 5"):
    features.featurise(tokenizer, (["a"], ["b"]), None, max_length=4)


@pytest.mark.parametrize(("lower", "want"), [(True, 6), (False, 7)])
@pytest.mark.parametrize("file", ["vocab.txt", "tokenizer.json"])
def test_do_lower_case_is_honoured(vocabulary, lower, want, file):
  if file == "tokenizer.json":
    tokenizer = load_tokenizer(vocabulary, vocab_size=None)
    (vocabulary / file).write_text(tokenizer.backend.to_str())
    (vocabulary / "vocab.txt").unlink()
  settings = vocabulary / "tokenizer_config.json"
  settings.write_text(json.dumps({"do_lower_case": lower}))
  tokenizer = load_tokenizer(vocabulary, vocab_size=9)
  found = features.featurise(tokenizer, (["B"],), None, max_length=8)
  assert found.tokens.tolist() == [2, want, 3]


def test_padding_and_cutting_of_the_file_itself_are_switched_off(vocabulary):
  tokenizer = load_tokenizer(vocabulary, vocab_size=None)
  tokenizer.backend.enable_padding(length=7)
  tokenizer.backend.enable_truncation(2)
  (vocabulary / "tokenizer.json").write_text(tokenizer.backend.to_str())
  tokenizer = load_tokenizer(vocabulary, vocab_size=None)
  found = features.featurise(tokenizer, (["a a a"],), None, max_length=9)
  assert found.tokens.tolist() == [2, 5, 5, 5, 3]


def test_tokenizer_that_does_not_fit_is_refused(vocabulary, tmp_path):
  load_tokenizer(vocabulary, vocab_size=9)
  with pytest.raises(ValueError, match=r"ids up to 8.*only 8 rows"):
    load_tokenizer(vocabulary, vocab_size=8)
  for lost in ("[CLS]", "[SEP]", "[PAD]", "[UNK]"):
    text = "\n".join(_WORDS).replace(lost, "other")
    (vocabulary / "vocab.txt").write_text(text)
    with pytest.raises(ValueError, match=rf"has no \{lost}"):
      load_tokenizer(vocabulary, vocab_size=None)
  with pytest.raises(ValueError, match=r"neither tokenizer.json nor vocab"):
    load_tokenizer(tmp_path / "nothing", vocab_size=None)
  for text in ("{", "{}"):
    (vocabulary / "tokenizer.json").write_text(text)
    with pytest.raises(ValueError, match=r"tokenizer\.json is not"):
      load_tokenizer(vocabulary, vocab_size=None)


def test_ids_are_those_of_transformers_on_real_pairs(glue_dir, minilm):
  from transformers import BertTokenizer

  tokenizer = load_tokenizer(minilm, vocab_size=30522)
  theirs = BertTokenizer.from_pretrained(minilm)
  (mrpc,) = tasks.get_tasks(["mrpc"])
  examples = readers.load(mrpc, "train", glue_dir=str(glue_dir), seed=0)
  texts = [column[:2000] for column in examples.texts]
  found = features.featurise(tokenizer, texts, None, max_length=128)
  want = theirs(*texts)
  assert max(map(len, want["input_ids"])) <= 128, "cutting is tested elsewhere"
  assert found.tokens.tolist() == list(itertools.chain(*want["input_ids"]))
  assert found.types.tolist() == list(itertools.chain(*want["token_type_ids"]))
  single = features.featurise(tokenizer, texts[:1], None, max_length=128)
  want = itertools.chain(*theirs(texts[0])["input_ids"])
  assert single.tokens.tolist() == list(want)


def test_vocab_txt_gives_the_ids_of_tokenizer_json(minilm, tmp_path):
  shutil.copy(minilm / "vocab.txt", tmp_path)
  texts = (["Hé said [SEP] ``foo'' ,bar!", "中国 unbelievably 1,000", ""],)
  one, other = (
    features.featurise(
      load_tokenizer(folder, vocab_size=30522),
      texts,
      None,
      max_length=64,
    )
    for folder in (tmp_path, minilm)
  )
  assert _rows(one) == _rows(other)


def test_digest_tells_tokenizers_apart(vocabulary):
  first = load_tokenizer(vocabulary, vocab_size=None).digest
  assert load_tokenizer(vocabulary, vocab_size=9).digest == first
  (vocabulary / "vocab.txt").write_text("\n".join([*_WORDS, "c"]))
  assert load_tokenizer(vocabulary, vocab_size=None).digest != first


def test_features_import_neither_jax_nor_torch():
  code = (
    "import sys, bam_jax.data.features as f; "
    "print([m for m in ('jax', 'torch', 'tensorflow', 'transformers')"
    " if m in sys.modules])"
  )
  command = [sys.executable, "-c", code]
  done = subprocess.run(command, check=True, capture_output=True, text=True)
  assert done.stdout == "[]\n"
