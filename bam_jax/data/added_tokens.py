"""The words that a tokenizer has beside its vocabulary, from its files.

Special words (the mark before a text, the one after it, padding ...) and the
words that somebody has added, each with its number and its flags.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
import reprlib
from typing import Any

import tokenizers

ROLES = ("cls", "sep", "pad", "unk", "mask", "bos", "eos")
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
_LISTS = ("additional_special_tokens", "extra_special_tokens")


def special(
  settings: Mapping[str, Any], mapped: Mapping[str, Any]
) -> dict[str, str]:
  """Returns role -> word, of those that the files name.

  Args:
    settings: what tokenizer_config.json says.
    mapped: what special_tokens_map.json says, which counts where the other one
      has no added_tokens_decoder, as in transformers.

  Raises:
    ValueError: a word is none.
  """
  found = {}
  for role in ROLES:
    key = f"{role}_token"
    here, there = settings.get(key), mapped.get(key)
    first, second = (here, there)
    if "added_tokens_decoder" not in settings:
      first, second = there, here
    value = second if first is None else first
    if value is not None:
      found[role] = _token(value, key).content
  return found


def add(
  backend: tokenizers.Tokenizer,
  directory: Path,
  settings: Mapping[str, Any],
  mapped: Mapping[str, Any],
  numbers: Mapping[str, Any],
) -> Iterator[str]:
  """Adds the words that the files name; yields what has to be said.

  Args:
    backend: is changed.
    directory: where the files are.
    settings: what tokenizer_config.json says.
    mapped: what special_tokens_map.json says.
    numbers: what added_tokens.json says: word -> id.

  Raises:
    ValueError: a word cannot have the id that a file gives it.
  """
  decoder = settings.get("added_tokens_decoder", {})
  _is(decoder, dict, "added_tokens_decoder")
  words = special(settings, mapped)
  lists = [*_listed(settings), *_listed(mapped)]
  marked = {*words.values(), *(token.content for token in lists)}
  wanted: dict[str, tuple[int, tokenizers.AddedToken]] = {}
  for word, number in numbers.items():
    mark = word in marked
    token = tokenizers.AddedToken(word, normalized=not mark, special=mark)
    wanted[word] = _number(number, word), token
  for number, value in decoder.items():
    token = _token(value, "added_tokens_decoder")
    wanted[token.content] = _number(number, token.content), token
  for number, token in sorted(wanted.values(), key=lambda pair: pair[0]):
    _give(backend, directory, number, token)
  for token in lists:
    if backend.token_to_id(token.content) not in _there(backend):
      backend.add_tokens([token])
  for role, word in words.items():
    number = backend.token_to_id(word)
    if number is None:
      yield (
        f"{role}_token {word} is not in the vocabulary; a text that holds it "
        "is cut into pieces"
      )
    elif number not in _there(backend):
      backend.add_special_tokens([word])


def _give(backend, directory, number, token) -> None:
  """Adds a word under a number."""
  word, before = token.content, backend.token_to_id(token.content)
  if before is None or (
    before == number and _there(backend).get(number) != token
  ):
    backend.add_tokens([token])
  if (got := backend.token_to_id(word)) != number:
    raise ValueError(
      f"the files in {directory} say that the added word {reprlib.repr(word)} "
      f"has id {number}, but beside the vocabulary of "
      f"{backend.get_vocab_size(with_added_tokens=False)} words it has {got}; "
      "give the files that were saved with the model"
    )


def _there(backend: tokenizers.Tokenizer) -> dict[int, tokenizers.AddedToken]:
  return backend.get_added_tokens_decoder()


def _listed(said: Mapping[str, Any]) -> Iterator[tokenizers.AddedToken]:
  """Yields the special words of the lists of a file."""
  for key in _LISTS:
    value = said.get(key) or []
    _is(value, (list, dict), key)
    for each in value.values() if isinstance(value, dict) else value:
      yield _token(each, key)


def _token(value: Any, key: str) -> tokenizers.AddedToken:
  """Returns the added token of a word, or of a word with its flags."""
  if isinstance(value, str):
    value = {"content": value, "special": True, "normalized": False}
  _is(value, dict, key)
  word = value.get("content")
  _is(word, str, key)
  flags = {flag: value[flag] for flag in _FLAGS if flag in value}
  for flag, got in flags.items():
    _is(got, bool, f"{key} {flag}")
  if key != "added_tokens_decoder":
    flags = {"normalized": False} | flags | {"special": True}
  return tokenizers.AddedToken(word, **flags)


def _number(value: Any, word: str) -> int:
  try:
    if isinstance(value, bool) or (number := int(value)) < 0:
      raise ValueError
  except (TypeError, ValueError):
    raise ValueError(
      f"the added word {reprlib.repr(word)} has id {reprlib.repr(value)}; it "
      "is a whole number"
    ) from None
  return number


def _is(value: Any, kind: Any, key: str) -> None:
  if not isinstance(value, kind):
    raise ValueError(
      f"the tokenizer's files say {key} {reprlib.repr(value)}, which is no "
      "word with its flags; mend it"
    )
