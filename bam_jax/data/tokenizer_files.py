"""Reads a tokenizer from the files of a Hugging Face directory.

What they say is followed or refused, never passed over: another reading of the
same text trains just as well, on other words.
"""

from collections.abc import Callable, Iterator, Mapping
import dataclasses
import json
from pathlib import Path
import reprlib
from typing import Any

import tokenizers

from bam_jax.data import added_tokens, probe, tokenizer_classes
from bam_jax.runtime.signatures import refuse_pointer

SETTINGS = tokenizer_classes.SETTINGS
# Type of a part of tokenizer.json -> keys of tokenizer_config.json, whose word
# counts, and their names in that part.
_HONOURED = {
  "BertNormalizer": {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
    "clean_text": "clean_text",
  },
  "ByteLevel": {"add_prefix_space": "add_prefix_space"},
}
_SWITCHES = {
  *(key for keys in _HONOURED.values() for key in keys),
  "do_basic_tokenize",
  "split_special_tokens",
}
# What is not to be cut into pieces where a text holds it.
_BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


@dataclasses.dataclass(frozen=True)
class Files:
  """What the files of a tokenizer give.

  Attributes:
    backend: the tokenizer, without truncation and padding.
    words: role -> word, of the special words that the files name.
    remarks: what a user has to know of how they are read.
  """

  backend: tokenizers.Tokenizer
  words: Mapping[str, str]
  remarks: tuple[str, ...]


def read(directory: Path) -> Files:
  """Reads the files of a tokenizer.

  `tokenizer.json` comes first, then `vocab.txt` (WordPiece), then `vocab.json`
  with `merges.txt` (byte-level BPE). What `tokenizer_config.json`,
  `special_tokens_map.json` and `added_tokens.json` say beside it is followed,
  as transformers does. Merges are never dropped by chance.

  Args:
    directory: where they are.

  Raises:
    ValueError: there is none of them, one is not what its name says, they say
      what cannot be followed, or a text is not always read alike.
  """
  # null says as much as a name that is not there.
  settings = {
    k: v for k, v in _json(directory / SETTINGS).items() if v is not None
  }
  # What else it says, code to load among it, is not for us.
  for name in sorted(_SWITCHES):
    if type(settings.get(name, True)) is not bool:
      raise ValueError(
        f"{directory / SETTINGS} says {name} {reprlib.repr(settings[name])}; "
        "it is true or false"
      )
  config = _json(directory / "config.json")
  remarks = [tokenizer_classes.check(directory, settings, config)]
  mapped = _json(directory / "special_tokens_map.json")
  numbers = _json(directory / "added_tokens.json")
  words = added_tokens.special(settings, mapped)

  def finish(backend: tokenizers.Tokenizer) -> list[str]:
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = settings.get("split_special_tokens", False)
    return [*added_tokens.add(backend, directory, settings, mapped, numbers)]

  whole = directory / tokenizer_classes.WHOLE
  if whole.is_file():
    state = _json(whole)
    remarks += _patch(state, settings)
    backend = _parse(whole, state)
  else:
    backend = _parts(directory, settings, words)
  remarks += finish(backend)
  _agree(backend, directory, settings)
  ids = _probe(directory, backend)
  if whole.is_file():

    def beside() -> list[list[int]]:
      other = _parts(directory, settings, words)
      finish(other)
      return _probe(directory, other)

    remarks += _stale(directory, backend, ids, beside)
  remarks += probe.unreached(backend)
  if settings.get("truncation_side", "right") != "right":
    remarks.append(
      f"truncation_side is {settings['truncation_side']}, but rows that are "
      "too long lose their end here"
    )
  return Files(backend, words, tuple(filter(None, remarks)))


def _parse(path: Path, state: Mapping[str, Any]) -> tokenizers.Tokenizer:
  try:
    return tokenizers.Tokenizer.from_str(json.dumps(state))
  except Exception as error:  # The library raises nothing narrower.
    raise ValueError(f"{path} is not a tokenizer: {error}") from error


def _patch(state: dict, settings: Mapping[str, Any]) -> Iterator[str]:
  """Changes tokenizer.json to what is followed of it; yields what to say."""
  model = state.get("model")
  if isinstance(model, dict) and model.get("dropout"):
    yield (
      f"tokenizer.json drops merges at random (dropout {model['dropout']}); "
      "that is off, so that a text is always read alike"
    )
    model["dropout"] = None
  for name, more in (
    ("normalizer", "normalizers"),
    ("pre_tokenizer", "pretokenizers"),
  ):
    for part in _walk(state.get(name), more):
      for key, theirs in _HONOURED.get(part.get("type"), {}).items():
        if key in settings:
          part[theirs] = settings[key]
      if part.get("type") == "Metaspace" and "add_prefix_space" in settings:
        _prefix(part, settings["add_prefix_space"])


def _prefix(part: dict, prefix: bool) -> None:
  """Has SentencePiece's blank put before a text, or not."""
  if "prepend_scheme" not in part:
    part["add_prefix_space"] = prefix
  elif not prefix:
    part["prepend_scheme"] = "never"
  elif part["prepend_scheme"] == "never":
    part["prepend_scheme"] = "always"


def _walk(part: Any, more: str) -> Iterator[dict]:
  """Yields a part of tokenizer.json, or all those of a sequence."""
  if not isinstance(part, dict):
    return
  yield part
  if isinstance(inner := part.get(more), list):
    for each in inner:
      yield from _walk(each, more)


def _parts(
  directory: Path, settings: Mapping[str, Any], words: Mapping[str, str]
) -> tokenizers.Tokenizer:
  """Reads a tokenizer from its vocabulary and its settings."""
  vocabulary = directory / tokenizer_classes.VOCABULARY
  if vocabulary.is_file():
    return _word_pieces(vocabulary, settings, words.get("unk", "[UNK]"))
  pairs, merges = directory / tokenizer_classes.PAIRS, directory / "merges.txt"
  if pairs.is_file() and merges.is_file():
    return _byte_pairs(pairs, merges, settings)
  raise ValueError(
    f"no tokenizer in {directory}: neither tokenizer.json nor vocab.txt nor "
    "vocab.json with merges.txt; a SentencePiece model alone is not read, "
    "transformers' AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) "
    "writes tokenizer.json from it"
  )


def _word_pieces(
  path: Path, settings: Mapping[str, Any], unknown: str
) -> tokenizers.Tokenizer:
  refuse_pointer(path)
  try:
    # A byte order mark is no part of the first word.
    lines = path.read_text("utf-8-sig").rstrip("\n").split("\n")
  except UnicodeDecodeError as error:
    raise ValueError(
      f"{path} is not UTF-8 ({error.reason} at byte {error.start})"
    ) from error
  words = {word: number for number, word in enumerate(lines)}
  if unknown not in words:
    raise ValueError(
      f"{path} has no {unknown}, which WordPiece needs; give the "
      f"{tokenizer_classes.WHOLE} that belongs to the model"
    )
  for number, word in enumerate(lines):
    # The last of two counts; the number of the other must not be free.
    if words[word] != number:
      words[f"{word} (line {number + 1})"] = number
  prefix = settings.get("wordpieces_prefix", "##")
  blanks = sum(word.startswith("\u2581") for word in words)
  if blanks > sum(word.startswith(prefix) for word in words):
    raise ValueError(
      f"{path} has {blanks} words that begin with \u2581, as SentencePiece "
      "writes them, and WordPiece would find none of them; give the "
      "tokenizer.json that belongs to the model"
    )
  if not settings.get("do_basic_tokenize", True):
    raise ValueError(
      f"{path.parent / SETTINGS} says do_basic_tokenize false, which "
      f"{path.name} "
      "does not give; give the tokenizer.json that belongs to the model"
    )
  backend = tokenizers.Tokenizer(
    tokenizers.models.WordPiece(
      words, unk_token=unknown, continuing_subword_prefix=prefix
    )
  )
  backend.normalizer = tokenizers.normalizers.BertNormalizer(
    clean_text=settings.get("clean_text", True),
    lowercase=settings.get("do_lower_case", True),
    strip_accents=settings.get("strip_accents"),
    handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
  )
  backend.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
  backend.add_special_tokens([word for word in _BERT if word in words])
  return backend


def _byte_pairs(
  vocabulary: Path, merges: Path, settings: Mapping[str, Any]
) -> tokenizers.Tokenizer:
  refuse_pointer(vocabulary)
  refuse_pointer(merges)
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


def _agree(
  backend: tokenizers.Tokenizer, directory: Path, settings: Mapping[str, Any]
) -> None:
  """Refuses a setting that the tokenizer does not follow."""
  for key, does in probe.DOES.items():
    if key in settings and settings[key] != (got := does(backend)):
      raise ValueError(
        f"{directory / SETTINGS} says {key} {settings[key]}, but what "
        f"{tokenizer_classes.WHOLE} holds does the opposite ({got}) and has no "
        "such switch; mend the one that is wrong, or take the key out"
      )
  never = settings.get("never_split") or []
  added = {t.content for t in backend.get_added_tokens_decoder().values()}
  if not isinstance(never, list) or not added.issuperset(never):
    raise ValueError(
      f"{directory / SETTINGS} says never_split {reprlib.repr(never)}, of "
      "which some are no added tokens; name them in added_tokens_decoder"
    )


def _probe(directory: Path, backend: tokenizers.Tokenizer) -> list[list[int]]:
  """Returns the ids of the built-in sentences, the same each time."""
  try:
    # What it cannot do with a word that nobody knows it tells only when asked.
    found = probe.read(backend)
    same = probe.read(backend) == found
  except Exception as error:  # The library raises nothing narrower.
    raise ValueError(
      f"the tokenizer in {directory} cannot read a sentence ({error}); take "
      "the tokenizer that belongs to the model"
    ) from error
  if not same:
    raise ValueError(
      f"the tokenizer in {directory} reads the same text otherwise each time; "
      "switch off what it does at random"
    )
  return found


def _stale(
  directory: Path, backend: tokenizers.Tokenizer, ids: list, beside: Callable
) -> Iterator[str]:
  """Yields where a vocabulary beside tokenizer.json says other ids."""
  model = type(backend.model).__name__
  there = {"WordPiece": "vocab.txt", "BPE": "vocab.json"}.get(model)
  if there is None or not (directory / there).is_file():
    return
  if model == "BPE" and not isinstance(
    backend.pre_tokenizer, tokenizers.pre_tokenizers.ByteLevel
  ):
    return
  try:
    other = beside()
  except ValueError as error:
    yield f"tokenizer.json is followed, and not {there} beside it: {error}"
    return
  if found := probe.difference(ids, other):
    yield (
      f"{found} have other ids by tokenizer.json than by {there} beside it; "
      "tokenizer.json is followed, as transformers does: see which of the two "
      "belongs to the model"
    )


def _json(path: Path) -> dict:
  if not path.is_file():
    return {}
  refuse_pointer(path)
  try:
    found = json.loads(path.read_text("utf-8"))
  except (ValueError, RecursionError) as error:
    raise ValueError(f"{path} is not JSON: {error}") from error
  if not isinstance(found, dict):
    raise ValueError(f"{path} is not a JSON object")
  return found
