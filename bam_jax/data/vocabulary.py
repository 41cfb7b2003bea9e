"""Trains the WordPiece vocabulary of an encoder that starts from scratch."""

from collections import Counter
from collections.abc import Iterable, Sequence
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
# Of more letters than these the rarest are unknown, as the library has it.
_LETTERS = 1000


def suite(seed: int) -> list[str]:
  """Returns the training text of the synthetic suite."""
  return [
    line
    for name, splits in synthetic.SIZES.items()
    for column in synthetic.generate(TASKS[name], "train", seed=seed)[0]
    for line in column
  ]


def letters_of(texts: Iterable[str], *, lowercase: bool) -> list[str]:
  """Returns the letters that a vocabulary of texts has, in order.

  Args:
    texts: of which it is.
    lowercase: whether it is of small letters without accents.
  """
  normal, counts = _normalizer(lowercase), Counter()
  for text in texts:
    counts.update(normal.normalize_str(text))
  found = [letter for letter in counts if not letter.isspace()]
  common = sorted(found, key=lambda letter: (-counts[letter], letter))
  return sorted(common[:_LETTERS])


def check_size(letters: Sequence[str], vocab_size: int) -> None:
  """Refuses a vocabulary that has no room for its letters.

  Args:
    letters: from `letters_of`.
    vocab_size: asked for.

  Raises:
    ValueError: it is too small.
  """
  least = len(_SPECIAL) + 2 * len(letters)
  if vocab_size < least:
    raise ValueError(
      f"scratch.vocab_size is {vocab_size}; the {len(letters)} letters of the"
      f" text, at the beginning of a word and inside, take {least}: set"
      f" --config.scratch.vocab_size={least + 1000} or more"
    )


def train_tokenizer(
  path: str | os.PathLike,
  texts: Sequence[str],
  *,
  vocab_size: int,
  lowercase: bool = True,
) -> None:
  """Writes a WordPiece vocabulary of texts to a directory.

  Args:
    path: directory for tokenizer.json, vocab.txt and tokenizer_config.json;
      made if need be.
    texts: of which it is.
    vocab_size: at most so many pieces.
    lowercase: whether it is of small letters without accents.

  Raises:
    ValueError: so many pieces have no room for the letters.
  """
  # The trainer numbers "##a" pieces in the order of a hash map, and breaks ties
  # by number; naming them beforehand makes two runs give the same vocabulary.
  letters = letters_of(texts, lowercase=lowercase)
  check_size(letters, vocab_size)
  known = [*_SPECIAL, *letters, *(f"##{c}" for c in letters)]
  learner = _tokenizer({"[UNK]": 0}, lowercase)
  learner.train_from_iterator(
    _spelt(texts, letters, lowercase=lowercase),
    tokenizers.trainers.WordPieceTrainer(
      vocab_size=vocab_size, special_tokens=known, show_progress=False
    ),
  )
  vocab = learner.get_vocab()
  path = pathlib.Path(path)
  path.mkdir(parents=True, exist_ok=True)
  pieces = sorted(vocab, key=vocab.__getitem__)
  settings = {
    "do_lower_case": lowercase,
    "model_max_length": 512,
    "tokenizer_class": "BertTokenizer",
  } | {f"{token[1:-1].lower()}_token": token for token in _SPECIAL}
  files = {
    "tokenizer.json": _tokenizer(vocab, lowercase).to_str(pretty=True),
    "vocab.txt": "\n".join(pieces) + "\n",
    "tokenizer_config.json": json.dumps(settings, indent=2) + "\n",
  }
  for name, content in files.items():
    (path / name).write_text(content, encoding="utf-8")


def _spelt(
  texts: Iterable[str], letters: Sequence[str], *, lowercase: bool
) -> Iterable[str]:
  """Returns texts of some letters alone; others stand between words."""
  normal, kept = _normalizer(lowercase), {*letters}
  for text in texts:
    strange = {c for c in normal.normalize_str(text) if not c.isspace()} - kept
    if strange:
      text = normal.normalize_str(text).translate(
        dict.fromkeys(map(ord, strange), " ")
      )
    yield text


def _normalizer(lowercase: bool) -> tokenizers.normalizers.BertNormalizer:
  return tokenizers.normalizers.BertNormalizer(lowercase=lowercase)


def _tokenizer(vocab: dict[str, int], lowercase: bool) -> tokenizers.Tokenizer:
  tokenizer = tokenizers.Tokenizer(
    tokenizers.models.WordPiece(vocab, unk_token="[UNK]")
  )
  tokenizer.normalizer = _normalizer(lowercase)
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
