"""Trains the WordPiece vocabulary of an encoder that starts from scratch."""

import json
import os
import pathlib

import tokenizers
import tokenizers.decoders
import tokenizers.models
import tokenizers.normalizers
import tokenizers.pre_tokenizers
import tokenizers.processors
import tokenizers.trainers

from bam_jax.data.sources import synthetic
from bam_jax.tasks.table import TASKS

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


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
    for name, splits in synthetic.SIZES.items()
    for column in synthetic.generate(TASKS[name], "train", seed=seed)[0]
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
    (path / name).write_text(content, encoding="utf-8")


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
