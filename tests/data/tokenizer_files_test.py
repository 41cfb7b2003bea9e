"""What the files of a tokenizer say is followed or refused, never ignored."""

import json
import re

import pytest
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

from bam_jax.data import probe
from bam_jax.data.tokenizer import load_tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "e", "##b"]
BERT = {"tokenizer_class": "BertTokenizer"}


def write(folder, words=WORDS, /, *, whole=None, **files):
  """Writes vocab.txt or tokenizer.json, and files by their names."""
  folder.mkdir(exist_ok=True)
  if whole is not None:
    (folder / "tokenizer.json").write_text(whole.to_str())
  else:
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
  for name, content in files.items():
    (folder / f"{name}.json").write_text(json.dumps(content))
  return folder


def ids(folder, text):
  found = load_tokenizer(folder, vocab_size=None)
  return found.backend.encode(text, add_special_tokens=False).ids


def pieces(folder, text):
  found = load_tokenizer(folder, vocab_size=None)
  return found.backend.encode(text, add_special_tokens=False).tokens


def byte_pairs(special, *, dropout=None, text=("a dog barked", "it's")):
  backend = tokenizers.Tokenizer(models.BPE(dropout=dropout))
  backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
  trainer = trainers.BpeTrainer(
    vocab_size=400,
    special_tokens=special,
    initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    show_progress=False,
  )
  backend.train_from_iterator(text, trainer)
  return backend


def marked(backend, single, pair, words):
  backend.post_processor = processors.TemplateProcessing(
    single=single,
    pair=pair,
    special_tokens=[(word, backend.token_to_id(word)) for word in words],
  )
  return backend


def word_pieces(**normalizer):
  backend = tokenizers.Tokenizer(
    models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]")
  )
  backend.normalizer = normalizers.BertNormalizer(**normalizer)
  backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
  backend.add_special_tokens(WORDS[:5])
  return backend


# --- added words


def test_added_tokens_json_is_followed(tmp_path):
  folder = write(tmp_path, added_tokens={"[E1]": 9, "[/E1]": 10})
  assert ids(folder, "a [E1] b[/E1]") == [5, 9, 6, 10]
  assert load_tokenizer(folder, vocab_size=11).vocab_size == 11
  with pytest.raises(ValueError, match=r"ids up to 10.*only 9 rows"):
    load_tokenizer(folder, vocab_size=9)


@pytest.mark.parametrize("numbers", [{"[E1]": 11}, {"a": 9}, {"[E1]": 4}])
def test_an_added_word_that_cannot_have_its_id_is_refused(tmp_path, numbers):
  folder = write(tmp_path, added_tokens=numbers)
  with pytest.raises(ValueError, match=r"added word .* has id .*has"):
    load_tokenizer(folder, vocab_size=None)


@pytest.mark.parametrize(
  ("flags", "want"),
  [
    ({}, ["a", "<x>", "b"]),
    ({"lstrip": True}, ["a", " <x>", "b"]),
    ({"rstrip": True}, ["a", "<x> ", "b"]),
    ({"single_word": True}, ["a", "<x>", "b"]),
  ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_the_decoder_of_added_tokens_is_followed(tmp_path, flags, want, whole):
  word = {"content": "<x>", "special": True, "normalized": False} | flags
  folder = write(
    tmp_path,
    whole=word_pieces(lowercase=True) if whole else None,
    tokenizer_config=BERT | {"added_tokens_decoder": {"9": word}},
  )
  assert pieces(folder, "a <x> b") == want
  apart = ["[UNK]"] * 3 if "single_word" in flags else ["<x>"]
  assert pieces(folder, "a<x>") == ["a", *apart]


def test_markers_named_as_special_are_words(tmp_path):
  folder = write(
    tmp_path,
    [*WORDS, "[E1]"],
    special_tokens_map={"additional_special_tokens": ["[E1]", "[E2]"]},
  )
  assert ids(folder, "a [E1][E2]") == [5, 9, 10]


@pytest.mark.parametrize(
  "files",
  [
    dict(added_tokens={"x": "one"}),
    dict(added_tokens={"x": -1}),
    dict(tokenizer_config={"added_tokens_decoder": []}),
    dict(tokenizer_config={"added_tokens_decoder": {"9": {"content": 3}}}),
    dict(tokenizer_config={"added_tokens_decoder": {"9": {"content": "x"} |
                                                    {"lstrip": "yes"}}}),
    dict(tokenizer_config={"cls_token": 7}),
    dict(special_tokens_map={"additional_special_tokens": "x"}),
  ],
)  # fmt: skip
def test_added_words_that_are_none_are_refused(tmp_path, files):
  folder = write(tmp_path, **files)
  with pytest.raises(ValueError, match=r"whole number|no word with its flags"):
    load_tokenizer(folder, vocab_size=None)


# --- switches


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
  ("settings", "text", "want"),
  [
    ({"strip_accents": False}, "\u00c9", ["[UNK]"]),
    ({"strip_accents": True, "do_lower_case": False}, "\u00e9", ["e"]),
    ({"do_lower_case": False}, "A a", ["[UNK]", "a"]),
    ({"tokenize_chinese_chars": False}, "a\u4e2db", ["[UNK]"]),
    ({"tokenize_chinese_chars": True}, "a\u4e2db", ["a", "[UNK]", "b"]),
    ({"clean_text": False}, "a\u0000b", ["[UNK]"]),
  ],
)
def test_switches_are_followed(tmp_path, whole, settings, text, want):
  folder = write(
    tmp_path,
    whole=word_pieces(lowercase=True) if whole else None,
    tokenizer_config=BERT | settings,
  )
  assert pieces(folder, text) == want


def test_a_switch_in_a_sequence_is_followed(tmp_path):
  backend = word_pieces(lowercase=True)
  backend.normalizer = normalizers.Sequence(
    [normalizers.NFC(), backend.normalizer]
  )
  folder = write(
    tmp_path, whole=backend, tokenizer_config={"do_lower_case": False}
  )
  assert pieces(folder, "A") == ["[UNK]"]


@pytest.mark.parametrize(
  "settings",
  [
    {"do_lower_case": True},
    {"strip_accents": True},
    {"tokenize_chinese_chars": True},
  ],
)
def test_a_switch_that_nothing_follows_is_refused(tmp_path, settings):
  folder = write(
    tmp_path,
    whole=byte_pairs(["<s>", "<pad>", "</s>"]),
    tokenizer_config=settings,
  )
  (key,) = settings
  with pytest.raises(ValueError, match=f"says {key} True, but"):
    load_tokenizer(folder, vocab_size=None)
  write(tmp_path, whole=byte_pairs(["<s>", "<pad>", "</s>"]),
        tokenizer_config={key: False})  # fmt: skip
  load_tokenizer(folder, vocab_size=None)


@pytest.mark.parametrize(
  ("settings", "said"),
  [
    ({"do_basic_tokenize": False}, "do_basic_tokenize false, which vocab.txt"),
    ({"never_split": ["a"]}, "of which some are no added tokens"),
    ({"strip_accents": 1}, "strip_accents 1; it is true or false"),
  ],
)
def test_what_cannot_be_followed_is_refused(tmp_path, settings, said):
  folder = write(tmp_path, tokenizer_config=settings)
  with pytest.raises(ValueError, match=said):
    load_tokenizer(folder, vocab_size=None)


def test_special_words_are_split_where_the_files_say_so(tmp_path):
  folder = write(tmp_path, tokenizer_config=BERT)
  whole = load_tokenizer(folder, vocab_size=None)
  write(tmp_path, tokenizer_config=BERT | {"split_special_tokens": True})
  apart = load_tokenizer(folder, vocab_size=None)
  encode = dict(add_special_tokens=False)
  assert whole.backend.encode("[CLS]", **encode).ids == [2]
  assert apart.backend.encode("[CLS]", **encode).ids == [1, 1, 1]
  assert whole.digest != apart.digest


def test_dropout_of_merges_is_off_and_said(tmp_path):
  special = ["<s>", "<pad>", "</s>"]
  write(tmp_path / "a", whole=byte_pairs(special, dropout=0.5))
  write(tmp_path / "b", whole=byte_pairs(special))
  one, other = (
    load_tokenizer(tmp_path / name, vocab_size=None) for name in "ab"
  )
  assert probe.read(one.backend) == probe.read(other.backend)
  assert one.digest == other.digest
  (said,) = [text for text in one.remarks if "dropout" in text]
  assert "dropout 0.5" in said and len(one.remarks) == 1 + len(other.remarks)


# --- special words


def test_special_words_come_from_the_files(tmp_path):
  special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
  backend = marked(
    byte_pairs(special),
    "<bos> $A <eos>",
    "<bos> $A <eos> $B <eos>",
    ("<bos>", "<eos>"),
  )
  names = {"cls_token": "<bos>", "sep_token": {"content": "<eos>"}}
  names |= {"pad_token": "<pad>", "mask_token": "<mask>"}
  folder = write(tmp_path, whole=backend, tokenizer_config=names)
  found = load_tokenizer(folder, vocab_size=None)
  assert (found.single, found.pair) == (((2,), (1,)), ((2,), (1,), (1,)))
  assert (found.second, found.pad, found.mask) == (0, 0, 4)
  assert found.words["cls"] == "<bos>" and found.words["sep"] == "<eos>"


def test_special_words_without_a_post_processor_stand_as_in_bert(tmp_path):
  words = ["<p>", "<u>", "<c>", "<e>", "a", "b"]
  names = dict(zip(("pad", "unk", "cls", "sep"), words, strict=False))
  names = {f"{role}_token": word for role, word in names.items()}
  folder = write(tmp_path, words, special_tokens_map=names)
  found = load_tokenizer(folder, vocab_size=None)
  assert (found.pair, found.second) == (((2,), (3,), (3,)), 1)
  assert (found.pad, found.unknown, found.mask) == (0, 1, None)
  assert found.backend.encode("a <c> x", add_special_tokens=False).ids == [
    4, 2, 1,
  ]  # fmt: skip


@pytest.mark.parametrize(
  ("single", "pair"),
  [
    ("$A [SEP] [CLS]:2", "$A [SEP] $B:1 [SEP]:1 [CLS]:2"),  # XLNet
    ("$A [SEP]", "$A [SEP] $B [SEP]"),  # T5
    ("[CLS] $A [SEP]", "$A $B:1"),  # no template for two
    ("[CLS] $A [SEP]", "[CLS] $A:1 [SEP]:1 $B [SEP]"),  # the first is of 1
  ],
)
def test_marks_that_this_encoder_does_not_look_for_are_refused(
  tmp_path, single, pair
):
  backend = marked(word_pieces(), single, pair, ("[CLS]", "[SEP]"))
  folder = write(tmp_path, whole=backend)
  with pytest.raises(ValueError, match="this encoder reads the first token of"):
    load_tokenizer(folder, vocab_size=None)


def test_a_special_word_outside_the_vocabulary_is_said(tmp_path):
  folder = write(tmp_path, tokenizer_config={"bos_token": "<s>"})
  (said,) = load_tokenizer(folder, vocab_size=9).remarks
  assert said.startswith("bos_token <s> is not in the vocabulary")


# --- classes


@pytest.mark.parametrize(
  ("settings", "said"),
  [
    ("KoBertTokenizer", "KoBertTokenizer, which cuts words by Sentence"),
    ("BertJapaneseTokenizer", "which cuts words by MeCab"),
    ("PhobertTokenizer", "which cuts by fastBPE"),
    ("CanineTokenizer", "which reads characters"),
    ("XLMRobertaTokenizer", r"vocab.txt alone does not give; write tokenizer."),
    ("RobertaTokenizerFast", "vocab.txt alone does not give; write tokenizer"),
    ("Evil", "code that is not run here; take one with tokenizer.json"),
    (3, "tokenizer_class 3; it is the name of a class"),
    ({"word_tokenizer_type": "mecab"}, "BertJapaneseTokenizer, which cuts"),
    ({"subword_tokenizer_type": "character"}, "which cuts words by MeCab"),
  ],
)
@pytest.mark.parametrize("file", ["tokenizer_config", "config"])
def test_a_class_that_the_files_cannot_give_is_refused(
  tmp_path, settings, said, file
):
  if isinstance(settings, dict):
    file = "tokenizer_config"
  else:
    settings = {"tokenizer_class": settings}
  folder = write(tmp_path, **{file: settings})
  with pytest.raises(ValueError, match=said):
    load_tokenizer(folder, vocab_size=None)


@pytest.mark.parametrize(
  ("name", "remarks"),
  [("Evil", 1), ("EvilFast", 0), ("XLMRobertaTokenizer", 0), (None, 0)],
)
def test_tokenizer_json_says_all_whatever_the_class(tmp_path, name, remarks):
  folder = write(
    tmp_path,
    whole=word_pieces(lowercase=True),
    tokenizer_config={"tokenizer_class": name},
  )
  assert len(load_tokenizer(folder, vocab_size=9).remarks) == remarks


def test_sentencepieces_words_in_a_vocabulary_are_refused(tmp_path):
  folder = write(tmp_path, [*WORDS, "\u2581a", "\u2581b"])
  with pytest.raises(ValueError, match="2 words that begin with"):
    load_tokenizer(folder, vocab_size=None)


# --- vocabularies


def test_line_ends_of_windows_a_mark_and_words_that_stand_twice(tmp_path):
  want = load_tokenizer(write(tmp_path / "a"), vocab_size=None)
  (tmp_path / "b").mkdir()
  text = "\r\n".join(WORDS) + "\r\n"
  (tmp_path / "b/vocab.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
  assert load_tokenizer(tmp_path / "b", vocab_size=9).digest == want.digest
  twice = ["[PAD]", "a", *WORDS[1:]]
  folder = write(tmp_path / "c", twice, added_tokens={"[E1]": 10})
  assert ids(folder, "a b [E1]") == [6, 7, 10]  # the last of two counts


def test_a_vocabulary_beside_tokenizer_json_that_says_other_ids_is_said(
  tmp_path,
):
  write(tmp_path, whole=word_pieces(lowercase=True))
  (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
  assert not load_tokenizer(tmp_path, vocab_size=None).remarks
  other = [*WORDS[:5], *WORDS[:4:-1]]
  (tmp_path / "vocab.txt").write_text("\n".join(other))
  (said,) = load_tokenizer(tmp_path, vocab_size=None).remarks
  assert "by tokenizer.json than by vocab.txt beside it" in said


@pytest.mark.parametrize(
  ("lower", "words", "said"),
  [
    (True, ["US", "Us"], r"capital letters \(US, Us\), which no text"),
    (True, ["US", "Us", "UsA", "UsB"], r"\(US, Us, UsA and 1 more\)"),
    (True, ["[unused1]", "us"], ""),
    (False, ["us"], "no word of the vocabulary has a capital letter"),
    (False, ["Us"], ""),
    (False, ["\u4e2d"], "no word of the vocabulary has a capital"),
  ],
)
def test_words_that_no_text_reaches_are_said(tmp_path, lower, words, said):
  folder = write(
    tmp_path, [*WORDS, *words], tokenizer_config={"do_lower_case": lower}
  )
  remarks = load_tokenizer(folder, vocab_size=None).remarks
  assert len(remarks) == bool(said)
  assert not said or re.search(said, remarks[0])


def test_a_cased_vocabulary_of_bytes_is_not_warned_of(tmp_path):
  backend = byte_pairs(["<s>", "<pad>", "</s>"], text=("The US is", "Paris"))
  assert not load_tokenizer(
    write(tmp_path / "a", whole=backend), vocab_size=None
  ).remarks
  backend = byte_pairs(["<s>", "<pad>", "</s>"], text=("the us is", "paris"))
  backend.normalizer = normalizers.Lowercase()
  assert not load_tokenizer(
    write(tmp_path / "b", whole=backend), vocab_size=None
  ).remarks
