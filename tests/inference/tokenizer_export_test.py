"""An exported tokenizer gives transformers the ids that were trained on."""

import json

import pytest
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

from bam_jax import doctor
from bam_jax.data.tokenizer import load_tokenizer
from bam_jax.inference import tokenizer_export
from bam_jax.runtime.findings import Level
from tests import small

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *small.WORDS, "The"]


def vocabulary(folder):
  (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")


def with_added_words(folder):
  vocabulary(folder)
  number = len(WORDS)
  (folder / "added_tokens.json").write_text(
    json.dumps({"[E1]": number, "<x>": number + 1})
  )


def cased_without_settings(folder):
  # transformers' BertTokenizer would lower-case it.
  backend = tokenizers.Tokenizer(
    models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]")
  )
  backend.normalizer = normalizers.BertNormalizer(lowercase=False)
  backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
  backend.add_special_tokens(WORDS[:5])
  backend.save(str(folder / "tokenizer.json"))


def dropping_pieces(folder):
  special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
  backend = tokenizers.Tokenizer(models.BPE(dropout=0.3))
  backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
  alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
  backend.train_from_iterator(
    small.WORDS,
    trainers.BpeTrainer(
      special_tokens=special, initial_alphabet=alphabet, show_progress=False
    ),
  )
  backend.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(
  ("make", "model", "before"),
  [
    (vocabulary, "bert", Level.OK),
    (with_added_words, "distilbert", Level.OK),
    (cased_without_settings, "bert", Level.WARNING),
    # And RobertaTokenizer would put no blank before a text.
    (dropping_pieces, "roberta", Level.WARNING),
  ],
)
def test_transformers_reads_an_export_as_it_was_trained(
  tmp_path, make, model, before
):
  (tmp_path / "config.json").write_text(json.dumps({"model_type": model}))
  make(tmp_path)
  ours = load_tokenizer(tmp_path, vocab_size=None)
  found = doctor.same_words(tmp_path, ours)
  assert (found.level, found.name) == (before, "tokenizer")
  tokenizer_export.write(tmp_path, ours, types=model == "bert")
  again = load_tokenizer(tmp_path, vocab_size=None)
  found = doctor.same_words(tmp_path, again)
  assert found.level == Level.OK, found.text
  assert "sentences have the ids of transformers' AutoTokenizer" in found.text
  assert (again.single, again.pair) == (ours.single, ours.pair)
  assert again.words.items() >= ours.words.items()
  settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
  kinds = "token_type_ids" in settings["model_input_names"]
  assert kinds == (model == "bert")


def test_a_tokenizer_that_transformers_cannot_read_is_a_warning(tmp_path):
  (tmp_path / "config.json").write_text('{"model_type": "bert"}')
  vocabulary(tmp_path)
  ours = load_tokenizer(tmp_path, vocab_size=None)
  (tmp_path / "vocab.txt").unlink()
  (tmp_path / "tokenizer.json").write_text("{")
  found = doctor.same_words(tmp_path, ours)
  assert found.level == Level.WARNING and "cannot read it" in found.text
