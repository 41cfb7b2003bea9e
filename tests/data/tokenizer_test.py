"""Every family's tokenizer: the ids have to be transformers' own."""

import itertools
import json
import shutil

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, processors, trainers
import transformers

from bam_jax.data import features, tokenizer
from bam_jax.data.sources import readers
from bam_jax.tasks import table as tasks
from tests import unigram

ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
LLAMA = ["<|begin|>", "<|end|>", "<|pad|>", "<|mask|>"]
MODERN = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
TEXTS = (
  ["a dog  barked", "", " Café <s> it", "x" * 9],
  ["no", "it's  2", "中国\nok", "the dog barked"],
)


def byte_pairs(text, special):
  """A byte-level BPE of our own, trained on some text."""
  backend = tokenizers.Tokenizer(models.BPE())
  backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
  trainer = trainers.BpeTrainer(
    vocab_size=700,
    special_tokens=special,
    initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    show_progress=False,
  )
  backend.train_from_iterator(text, trainer)
  return backend


def as_roberta(backend, folder):
  """RoBERTa's files: vocab.json and merges.txt."""
  folder.mkdir()
  backend.model.save(str(folder))
  return transformers.RobertaTokenizer.from_pretrained(folder)


def as_modernbert(backend, folder):
  """ModernBERT's files: tokenizer.json, BERT's words, another normaliser."""
  backend.normalizer = tokenizers.normalizers.NFC()
  backend.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]",
    pair="[CLS] $A [SEP] $B [SEP]",
    special_tokens=[(w, backend.token_to_id(w)) for w in MODERN[1:3]],
  )
  theirs = transformers.PreTrainedTokenizerFast(
    tokenizer_object=backend,
    cls_token="[CLS]",
    sep_token="[SEP]",
    pad_token="[PAD]",
    unk_token="[UNK]",
    mask_token="[MASK]",
  )
  theirs.save_pretrained(folder)
  return theirs


def as_llama(backend, folder, single, pair, **more):
  """EuroBERT's files: tokenizer.json, and words for both ends of a text."""
  backend.post_processor = processors.TemplateProcessing(
    single=single,
    pair=pair,
    special_tokens=[(w, backend.token_to_id(w)) for w in LLAMA[:2]],
  )
  theirs = transformers.PreTrainedTokenizerFast(
    tokenizer_object=backend,
    bos_token=LLAMA[0],
    eos_token=LLAMA[1],
    pad_token=more.get("pad", LLAMA[2]),
    mask_token=LLAMA[3],
    model_input_names=["input_ids", "attention_mask"],
  )
  theirs.save_pretrained(folder)
  (folder / "config.json").write_text('{"model_type": "eurobert"}')
  return theirs


def assert_same(folder, theirs, texts, *, types=True):
  """Compares ids (and sentence types) of single sentences and of pairs."""
  ours = tokenizer.load_tokenizer(folder, vocab_size=None)
  for columns in (texts[:1], texts):
    found = features.featurise(ours, columns, None, max_length=512)
    want = theirs(*columns, return_token_type_ids=True)
    assert max(map(len, want["input_ids"])) <= 512, "cutting is ours"
    assert found.tokens.tolist() == [*itertools.chain(*want["input_ids"])]
    assert not types or found.types.tolist() == [
      *itertools.chain(*want["token_type_ids"])
    ]


@pytest.fixture(scope="module")
def pairs(glue_dir):
  """Two thousand real pairs."""
  (mrpc,) = tasks.get_tasks(["mrpc"])
  examples = readers.load(mrpc, "train", glue_dir=str(glue_dir), seed=0)
  return tuple(column[:2000] for column in examples.texts)


@pytest.mark.parametrize(
  "name", ["BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer"]
)
def test_word_pieces_on_real_pairs(minilm, pairs, name):
  assert_same(
    minilm, getattr(transformers, name).from_pretrained(minilm), pairs
  )


@pytest.mark.parametrize("saved", [False, True])
def test_robertas_byte_pairs_on_real_pairs(pairs, tmp_path, saved):
  backend = byte_pairs(itertools.chain(*pairs), ROBERTA)
  theirs = as_roberta(backend, tmp_path / "files")
  folder = tmp_path / "files"
  if saved:
    folder = tmp_path / "one"
    theirs.save_pretrained(folder)
    assert not (folder / "merges.txt").exists()
  assert_same(folder, theirs, pairs)
  ours = tokenizer.load_tokenizer(folder, vocab_size=700)
  assert (ours.single, ours.pair) == (((0,), (2,)), ((0,), (2, 2), (2,)))
  assert (ours.second, ours.pad) == (0, 1)


def test_modernberts_byte_pairs_on_real_pairs(pairs, tmp_path):
  backend = byte_pairs(itertools.chain(*pairs), MODERN)
  theirs = as_modernbert(backend, tmp_path)
  assert_same(tmp_path, theirs, pairs)


def test_debertas_unigrams_on_real_pairs(pairs, tmp_path):
  size = unigram.write(tmp_path, [*itertools.chain(*pairs)], pieces=900)
  (tmp_path / "config.json").write_text('{"model_type": "deberta-v2"}')
  theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
  assert type(theirs).__name__ == "DebertaV2Tokenizer"
  assert_same(tmp_path, theirs, pairs)
  assert_same(tmp_path, theirs, TEXTS)
  ours = tokenizer.load_tokenizer(tmp_path, vocab_size=size)
  assert (ours.single, ours.pair) == (((1,), (2,)), ((1,), (2,), (2,)))
  assert (ours.second, ours.pad, ours.unknown) == (1, 0, 3)
  assert ours.mask == size - 1


def test_xlm_rs_unigrams_on_real_pairs(pairs, tmp_path):
  size = unigram.write(tmp_path, [*itertools.chain(*pairs)], pieces=900)
  text = (tmp_path / "tokenizer.json").read_text("utf-8")
  # XLM-R's own words, in their order.
  words = dict(
    zip(unigram.SPECIAL, ["<s>", "<pad>", "</s>", "<unk>"], strict=True)
  )
  for old, new in (words | {"[MASK]": "<mask>"}).items():
    text = text.replace(f'"{old}"', f'"{new}"')
  backend = tokenizers.Tokenizer.from_str(text)
  backend.post_processor = processors.TemplateProcessing(
    single="<s> $A </s>",
    pair="<s> $A </s> </s> $B </s>",
    special_tokens=[("<s>", 0), ("</s>", 2)],
  )
  backend.save(str(tmp_path / "tokenizer.json"))
  settings = {"tokenizer_class": "XLMRobertaTokenizer", "mask_token": "<mask>"}
  (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
  (tmp_path / "config.json").write_text('{"model_type": "xlm-roberta"}')
  theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
  assert type(theirs).__name__ == "XLMRobertaTokenizer"
  assert_same(tmp_path, theirs, pairs)
  assert_same(tmp_path, theirs, TEXTS)
  ours = tokenizer.load_tokenizer(tmp_path, vocab_size=size)
  assert (ours.single, ours.pair) == (((0,), (2,)), ((0,), (2, 2), (2,)))
  assert (ours.second, ours.pad, ours.unknown) == (0, 1, 3)
  assert ours.mask == size - 1


BOTH = "<|begin|> $A <|end|>"


@pytest.mark.parametrize(
  ("single", "pair", "marks"),
  [
    (BOTH, f"{BOTH} $B <|end|>", ((0,), (1,), (1,))),
    # Each text begins anew, as Llama's do; what begins the second is of it.
    (
      "<|begin|> $A",
      "<|begin|>:0 $A:0 <|begin|>:1 $B:1",
      ((0,), (0,), ()),
    ),
    (BOTH, f"{BOTH} <|begin|>:1 $B:1 <|end|>:1", ((0,), (1, 0), (1,))),
  ],
)
def test_euroberts_byte_pairs_have_the_ends_that_the_files_say(
  tmp_path, single, pair, marks
):
  backend = byte_pairs(itertools.chain(*TEXTS), LLAMA)
  theirs = as_llama(backend, tmp_path, single, pair)
  assert_same(tmp_path, theirs, TEXTS)
  ours = tokenizer.load_tokenizer(tmp_path, vocab_size=None)
  assert (ours.pair, ours.pad, ours.mask) == (marks, 2, 3)
  assert [ours.words[role] for role in ("cls", "sep")] == LLAMA[:2]
  assert ours.second == ours.begun == (":1" in pair)


def test_padding_may_be_what_ends_a_text(tmp_path):
  backend = byte_pairs(itertools.chain(*TEXTS), LLAMA)
  theirs = as_llama(backend, tmp_path, BOTH, f"{BOTH} $B <|end|>", pad=LLAMA[1])
  assert_same(tmp_path, theirs, TEXTS)
  assert tokenizer.load_tokenizer(tmp_path, vocab_size=None).pad == 1


def test_a_sentencepiece_model_alone_is_refused(tmp_path):
  (tmp_path / "spm.model").write_bytes(b"x")
  (tmp_path / "tokenizer_config.json").write_text('{"vocab_type": "spm"}')
  with pytest.raises(ValueError, match=r"SentencePiece.*save_pretrained\(DIR"):
    tokenizer.load_tokenizer(tmp_path, vocab_size=None)


def test_words_of_the_vocabulary_in_a_text_and_odd_characters(tmp_path):
  backend = byte_pairs(itertools.chain(*TEXTS), ROBERTA)
  assert_same(tmp_path / "a", as_roberta(backend, tmp_path / "a"), TEXTS)
  backend = byte_pairs(itertools.chain(*TEXTS), MODERN)
  assert_same(tmp_path / "b", as_modernbert(backend, tmp_path / "b"), TEXTS)


@pytest.mark.parametrize("file", ["tokenizer.json", "vocab.json"])
def test_add_prefix_space_is_honoured(tmp_path, file):
  theirs = as_roberta(byte_pairs(TEXTS[1], ROBERTA), tmp_path / "a")
  if file == "tokenizer.json":
    theirs.save_pretrained(tmp_path / "a")
    (tmp_path / "a/vocab.json").unlink()
  settings = tmp_path / "a/tokenizer_config.json"
  settings.write_text(json.dumps({"add_prefix_space": True}))
  theirs = transformers.RobertaTokenizer.from_pretrained(tmp_path / "a")
  assert theirs("dog") == theirs(" dog")  # not so without the prefix
  assert_same(tmp_path / "a", theirs, TEXTS)


def test_the_post_processor_decides_where_special_tokens_stand(tmp_path):
  backend = byte_pairs(TEXTS[0], MODERN)
  as_modernbert(backend, tmp_path / "a")
  cls, sep = map(backend.token_to_id, MODERN[1:3])
  backend.post_processor = processors.TemplateProcessing(
    single="[CLS] [CLS] $A [SEP]",
    pair="[CLS] $A [SEP] [CLS] $B:1 [SEP]:1",
    special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
  )
  (tmp_path / "b").mkdir()
  (tmp_path / "b/tokenizer.json").write_text(backend.to_str())
  ours = tokenizer.load_tokenizer(tmp_path / "b", vocab_size=None)
  assert ours.single == ((cls, cls), (sep,))
  assert ours.pair == ((cls,), (sep, cls), (sep,))
  found = features.featurise(ours, TEXTS, None, max_length=512)
  want = [
    each
    for pair in zip(*TEXTS, strict=True)
    for each in zip(
      backend.encode(*pair).ids, backend.encode(*pair).type_ids, strict=True
    )
  ]
  assert list(zip(found.tokens, found.types, strict=True)) == want
  other = tokenizer.load_tokenizer(tmp_path / "a", vocab_size=None)
  assert other.digest != ours.digest  # their rows differ, so do their caches


def test_special_tokens_without_an_embedding_are_refused(tmp_path):
  backend = byte_pairs(TEXTS[0], MODERN)
  cls, size = backend.token_to_id("[CLS]"), backend.get_vocab_size()
  backend.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [END]",
    pair="[CLS] $A [END] $B [END]",
    special_tokens=[("[CLS]", cls), ("[END]", size + 4)],
  )
  (tmp_path / "tokenizer.json").write_text(backend.to_str())
  tokenizer.load_tokenizer(tmp_path, vocab_size=size + 5)
  with pytest.raises(ValueError, match=f"has ids up to {size + 4}"):
    tokenizer.load_tokenizer(tmp_path, vocab_size=size)


@pytest.mark.parametrize("words", [ROBERTA, MODERN])
def test_without_a_post_processor_the_words_tell(tmp_path, words):
  backend = byte_pairs(TEXTS[0], words)
  (tmp_path / "tokenizer.json").write_text(backend.to_str())
  ours = tokenizer.load_tokenizer(tmp_path, vocab_size=None)
  names = {v: k for k, v in backend.get_vocab().items()}
  found = [[names[i] for i in ids] for ids in ours.pair]
  cls, sep, between = (
    ("<s>", "</s>", 2) if words is ROBERTA else (*words[1:3], 1)
  )
  assert found == [[cls], [sep] * between, [sep]]
  assert ours.second == (words is MODERN)


def test_the_longer_mark_between_sentences_counts_in_the_length(tmp_path):
  as_roberta(byte_pairs(TEXTS[0], ROBERTA), tmp_path / "a")
  ours = tokenizer.load_tokenizer(tmp_path / "a", vocab_size=None)
  texts = (["a dog barked on and on"], ["the dog"])
  found = features.featurise(ours, texts, None, max_length=9)
  assert found.lengths.tolist() == [9]
  assert found.tokens[[0, -1]].tolist() == [0, 2]
  assert (found.tokens == 2).sum() == 3
  with pytest.raises(ValueError, match=r"max_length is 5.*at least 6, 4 of"):
    features.featurise(ours, texts, None, max_length=5)


def test_files_that_are_no_tokenizer_are_refused(tmp_path):
  as_roberta(byte_pairs(TEXTS[0], ROBERTA), tmp_path / "a")
  (tmp_path / "a/merges.txt").write_text("a b c d\n")
  with pytest.raises(ValueError, match=r"merges\.txt are not a tokenizer"):
    tokenizer.load_tokenizer(tmp_path / "a", vocab_size=None)
  shutil.move(tmp_path / "a/merges.txt", tmp_path / "a/gone")
  with pytest.raises(ValueError, match=r"nor vocab\.json with merges\.txt"):
    tokenizer.load_tokenizer(tmp_path / "a", vocab_size=None)
