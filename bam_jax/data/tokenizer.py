"""Reads a tokenizer from the files of a Hugging Face directory."""

import json
from pathlib import Path
import reprlib

import tokenizers

# Part of tokenizer.json, its type, its key, and the name of that key in
# tokenizer_config.json, whose word counts.
_HONOURED = (
  ("normalizer", "BertNormalizer", "lowercase", "do_lower_case"),
  ("pre_tokenizer", "ByteLevel", "add_prefix_space", "add_prefix_space"),
)
_SWITCHES = (
  *(name for _, _, _, name in _HONOURED),
  "strip_accents",
  "tokenize_chinese_chars",
)
# What is not to be cut into pieces where a text holds it.
_BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def read_backend(directory: Path) -> tokenizers.Tokenizer:
  """Reads the files of a tokenizer.

  `tokenizer.json` comes first, then `vocab.txt` (WordPiece), then `vocab.json`
  with `merges.txt` (byte-level BPE). Where `tokenizer_config.json` says
  `do_lower_case` or `add_prefix_space`, that is honoured, as transformers does.

  Args:
    directory: where they are.

  Raises:
    ValueError: there is none of them, or one is not what its name says.
  """
  file = directory / "tokenizer_config.json"
  # null says as much as a name that is not there.
  settings = {k: v for k, v in _json(file).items() if v is not None}
  # What else it says, code to load among it, is not for us.
  for name in _SWITCHES:
    if type(settings.get(name, True)) is not bool:
      raise ValueError(
        f"{file} says {name} {reprlib.repr(settings[name])}; it is true or "
        "false"
      )
  whole, vocabulary = directory / "tokenizer.json", directory / "vocab.txt"
  if whole.is_file():
    state = _json(whole)
    for part, kind, key, name in _HONOURED:
      found = state.get(part)
      if isinstance(found, dict) and found.get("type") == kind:
        found[key] = settings.get(name, found.get(key))
    try:
      return tokenizers.Tokenizer.from_str(json.dumps(state))
    except Exception as error:  # The library raises nothing narrower.
      raise ValueError(f"{whole} is not a tokenizer: {error}") from error
  if vocabulary.is_file():
    return _word_pieces(vocabulary, settings)
  pairs, merges = directory / "vocab.json", directory / "merges.txt"
  if pairs.is_file() and merges.is_file():
    return _byte_pairs(pairs, merges, settings)
  raise ValueError(
    f"no tokenizer in {directory}: neither tokenizer.json nor vocab.txt nor "
    "vocab.json with merges.txt"
  )


def _word_pieces(vocabulary: Path, settings: dict) -> tokenizers.Tokenizer:
  try:
    lines = vocabulary.read_text("utf-8").rstrip("\n").split("\n")
  except UnicodeDecodeError as error:
    raise ValueError(
      f"{vocabulary} is not UTF-8 ({error.reason} at byte {error.start})"
    ) from error
  words = {word: number for number, word in enumerate(lines)}
  if "[UNK]" not in words:
    raise ValueError(f"{vocabulary} has no [UNK], which WordPiece needs")
  backend = tokenizers.Tokenizer(
    tokenizers.models.WordPiece(words, unk_token="[UNK]")
  )
  backend.normalizer = tokenizers.normalizers.BertNormalizer(
    lowercase=settings.get("do_lower_case", True),
    strip_accents=settings.get("strip_accents"),
    handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
  )
  backend.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
  backend.add_special_tokens([word for word in _BERT if word in words])
  return backend


def _byte_pairs(
  vocabulary: Path, merges: Path, settings: dict
) -> tokenizers.Tokenizer:
  try:
    model = tokenizers.models.BPE.from_file(str(vocabulary), str(merges))
  except Exception as error:  # The library raises nothing narrower.
    raise ValueError(
      f"{vocabulary} and {merges.name} are not a tokenizer: {error}"
    ) from error
  backend = tokenizers.Tokenizer(model)
  backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
    add_prefix_space=settings.get("add_prefix_space", False)
  )
  words = backend.get_vocab()
  backend.add_special_tokens([word for word in _ROBERTA if word in words])
  return backend


def _json(path: Path) -> dict:
  if not path.is_file():
    return {}
  try:
    found = json.loads(path.read_text("utf-8"))
  except (ValueError, RecursionError) as error:
    raise ValueError(f"{path} is not JSON: {error}") from error
  if not isinstance(found, dict):
    raise ValueError(f"{path} is not a JSON object")
  return found
