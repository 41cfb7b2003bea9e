"""The tokenizer's files of an exported model: they say all that is read.

Where a file leaves something to its reader, two readers read two things: so
tokenizer.json is written whole, and its class is the one that adds nothing.
"""

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any

import tokenizers

from bam_jax.data import probe
from bam_jax.data.tokenizer import Tokenizer, load_tokenizer

# It reads tokenizer.json and nothing else, in every version of transformers.
_CLASS = "PreTrainedTokenizerFast"
# Code that is not exported, and marks that tokenizer.json has itself.
_DROPPED = ("auto_map", "add_bos_token", "add_eos_token", "tokenizer_file")
_FLAGS = ("lstrip", "rstrip", "normalized", "single_word", "special")


def write(directory: Path, tokenizer: Tokenizer, *, types: bool) -> None:
  """Writes the files that say how a text is read, over those that are there.

  Args:
    directory: with copies of the files that the tokenizer was read from.
    tokenizer: what they were read as.
    types: whether the encoder tells a first text from a second.

  Raises:
    ValueError: what is written would be read otherwise.
  """
  backend = tokenizers.Tokenizer.from_str(tokenizer.backend.to_str())
  if not backend.num_special_tokens_to_add(False):
    backend.post_processor = _marks(tokenizer)
  names = ["input_ids", *["token_type_ids"] * types, "attention_mask"]
  words = {f"{role}_token": word for role, word in tokenizer.words.items()}
  there = _json(directory / "tokenizer_config.json")
  settings = {k: v for k, v in there.items() if k not in _DROPPED} | {
    "tokenizer_class": _CLASS,
    "model_input_names": names,
    "added_tokens_decoder": {
      str(number): {"content": token.content}
      | {flag: getattr(token, flag) for flag in _FLAGS}
      for number, token in sorted(backend.get_added_tokens_decoder().items())
    },
    **words,
  }
  mapped = _json(directory / "special_tokens_map.json") | words
  texts = {
    "tokenizer.json": backend.to_str(pretty=True),
    "tokenizer_config.json": json.dumps(settings, indent=2),
    "special_tokens_map.json": json.dumps(mapped, indent=2),
  }
  for name, text in texts.items():
    (directory / name).write_text(f"{text}\n", "utf-8")
  again = load_tokenizer(directory, vocab_size=None)
  found = probe.difference(
    probe.read(tokenizer.backend), probe.read(again.backend)
  )
  marks = [
    (t.single, t.pair, t.second, t.begun, t.pad) for t in (tokenizer, again)
  ]
  if found or marks[0] != marks[1]:
    raise ValueError(
      f"the tokenizer cannot be exported: {found or 'a pair of texts'} would "
      "have other ids than in training; report its files as a defect"
    )


def _marks(tokenizer: Tokenizer) -> tokenizers.processors.TemplateProcessing:
  """Returns what puts the marks around texts that the encoder reads."""
  names = {
    number: word
    for word, number in tokenizer.backend.get_vocab(True).items()
    if number
    in {i for run in (*tokenizer.pair, *tokenizer.single) for i in run}
  }

  def template(runs, texts: str) -> list[str]:
    parts = [f"{names[number]}:0" for number in runs[0]]
    for place, (text, after) in enumerate(zip(texts, runs[1:], strict=True)):
      kind = place * tokenizer.second
      parts += [f"${text}:{kind}", *(f"{names[n]}:{kind}" for n in after)]
    return parts

  return tokenizers.processors.TemplateProcessing(
    single=template(tokenizer.single, "A"),
    pair=template(tokenizer.pair, "AB"),
    special_tokens=[(word, number) for number, word in names.items()],
  )


def _json(path: Path) -> Mapping[str, Any]:
  return json.loads(path.read_text("utf-8")) if path.is_file() else {}
