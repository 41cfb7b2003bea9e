"""A tokenizer with what an encoder's input needs to know of it."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import hashlib
import itertools
import json
from pathlib import Path

import tokenizers

from bam_jax.data import tokenizer_files


@dataclasses.dataclass(frozen=True)
class _Form:
  """How a family marks sentences, where its tokenizer does not say.

  Attributes:
    cls: the word in front.
    sep: the word after each sentence.
    pad: the word that fills a row.
    between: how many `sep` stand between two sentences.
    second: the type of the second sentence.
  """

  cls: str
  sep: str
  pad: str
  between: int
  second: int

  @property
  def words(self) -> tuple[str, ...]:
    return self.cls, self.sep, self.pad


_BERT = _Form("[CLS]", "[SEP]", "[PAD]", between=1, second=1)
_ROBERTA = _Form("<s>", "</s>", "<pad>", between=2, second=0)
# Ids before, between and after one or two texts.
Marks = tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True)
class Tokenizer:
  """A tokenizer with what an encoder's input needs to know of it.

  Attributes:
    backend: the tokenizer itself, without truncation and padding.
    single: ids before and after one sentence: ([CLS],), ([SEP],).
    pair: ids before, between and after two: ([CLS],), ([SEP],), ([SEP],).
    second: type of the second sentence and of what follows it.
    begun: how many of the ids between have that type too, the last ones.
    pad: id of [PAD].
    digest: sha256 hex of the tokenizer's JSON; names it in caches.
    vocab_size: one more than its largest id.
    unknown: id of the word that stands for what is in no vocabulary; None
      where all text can be written.
    mask: id of [MASK]; None where there is none.
    words: role ("cls", "sep", "pad", "unk", "mask") -> its word.
    remarks: what a user has to know of how the files are read.
  """

  backend: tokenizers.Tokenizer
  single: Marks
  pair: Marks
  second: int
  begun: int
  pad: int
  digest: str
  vocab_size: int
  unknown: int | None
  mask: int | None
  words: Mapping[str, str]
  remarks: tuple[str, ...]

  @property
  def pieces(self) -> list[str]:
    """How its tokens are spelled, by their ids; "" where an id has none."""
    numbers = self.backend.get_vocab(with_added_tokens=True)
    found = [""] * self.vocab_size
    for piece, number in numbers.items():
      found[number] = piece
    return found


def load_tokenizer(
  directory: str | Path, *, vocab_size: int | None
) -> Tokenizer:
  """Reads a tokenizer from a Hugging Face directory.

  Special tokens stand where the tokenizer's own post-processor puts them; where
  it adds none, the words that the files name stand as in BERT, and RoBERTa's
  as in RoBERTa.

  Args:
    directory: where the files are.
    vocab_size: rows of the model's embedding; None skips the check.

  Raises:
    ValueError: no tokenizer (see `tokenizer_files.read`), a special token is
      missing or stands where this encoder does not look, or ids the model has
      no embedding for.
  """
  directory = Path(directory)
  files = tokenizer_files.read(directory)
  backend = files.backend
  form = _form(directory, backend, files.words)
  single, pair, second, begun = _marks(directory, backend, form)
  numbers = backend.get_vocab(with_added_tokens=True)
  # A post-processor may add numbers of its own.
  size = 1 + max(*numbers.values(), *itertools.chain(*single, *pair))
  if vocab_size is not None and size > vocab_size:
    raise ValueError(
      f"the tokenizer in {directory} has ids up to {size - 1}, the model's "
      f"embedding only {vocab_size} rows; take the tokenizer that belongs to "
      "the model"
    )
  text = backend.to_str()
  # It does not tell whether special words in a text are words.
  apart = "split" if backend.encode_special_tokens else ""
  model = json.loads(text)["model"]
  unknown = model.get("unk_id")
  if model.get("unk_token") is not None:
    unknown = backend.token_to_id(model["unk_token"])
  names = {number: word for word, number in numbers.items()}
  words = dict(zip(("cls", "sep", "pad"), form.words, strict=True))
  words |= files.words
  words |= {"cls": names.get(single[0][0], form.cls)}
  words |= {"sep": names.get(single[-1][0], form.sep)} if single[-1] else {}
  if unknown is not None:
    words["unk"] = names[unknown]
  masks = (files.words.get("mask"), "[MASK]", "<mask>")
  mask = next((w for w in masks if w in numbers), None)
  return Tokenizer(
    backend=backend,
    single=single,
    pair=pair,
    second=second,
    begun=begun,
    pad=numbers[form.pad],
    digest=hashlib.sha256((text + apart).encode()).hexdigest(),
    vocab_size=size,
    unknown=unknown,
    mask=None if mask is None else numbers[mask],
    words=words | ({} if mask is None else {"mask": mask}),
    remarks=files.remarks,
  )


def _form(
  directory: Path, backend: tokenizers.Tokenizer, words: Mapping[str, str]
) -> _Form:
  """Returns how texts are marked where no post-processor says it."""
  named = {k: w for k, w in words.items() if k in ("cls", "sep", "pad")}
  named = {k: w for k, w in named.items() if backend.token_to_id(w) is not None}
  forms = [dataclasses.replace(form, **named) for form in (_BERT, _ROBERTA)]
  # Llama's kin mark where a text begins and ends, and name no others.
  ends = {"cls": words.get("bos"), "sep": words.get("eos")} | named
  if None not in ends.values():
    forms.append(dataclasses.replace(_BERT, **ends))
  known = [f for f in forms if None not in map(backend.token_to_id, f.words)]
  if known:
    roberta = known[0].cls == _ROBERTA.cls
    return dataclasses.replace(
      _ROBERTA if roberta else _BERT,
      **dict(zip(("cls", "sep", "pad"), known[0].words, strict=True)),
    )
  lacking = [w for w in forms[0].words if backend.token_to_id(w) is None]
  raise ValueError(
    f"the tokenizer in {directory} has no {', '.join(lacking)}; a vocabulary "
    f"needs {', '.join(_BERT.words)}, or {', '.join(_ROBERTA.words)}, or what "
    f"{tokenizer_files.SETTINGS} names as cls_token, sep_token and pad_token"
  )


def _marks(
  directory: Path, backend: tokenizers.Tokenizer, form: _Form
) -> tuple[Marks, Marks, int, int]:
  """Returns what stands around one text and around two, and the second's type.

  And of how many that stand between it is the type.

  Raises:
    ValueError: the post-processor puts nothing in front.
  """
  cls, sep = map(backend.token_to_id, (form.cls, form.sep))
  # Any text will do to see what the post-processor adds.
  one, two = backend.encode(form.pad), backend.encode(form.pad, form.pad)
  single, pair = _around(one, 1), _around(two, 2)
  if not any(single) and not any(pair):
    between = (sep,) * form.between
    return ((cls,), (sep,)), ((cls,), between, (sep,)), form.second, 0
  second = max(two.type_ids)
  first = len(pair[0]) + two.sequence_ids.count(0)
  # Llama's kin begin each of two texts by a mark of its own.
  begun = sum(two.type_ids[first : first + len(pair[1])]) if second else 0
  types = [0] * (first + len(pair[1]) - begun)
  types += [second] * (len(two.ids) - len(types))
  if not (single[0] and pair[0]) or types != two.type_ids or second > 1:
    raise ValueError(
      f"the post-processor of the tokenizer in {directory} makes "
      f"{' '.join(one.tokens)} of one text and {' '.join(two.tokens)} of two; "
      "this encoder reads the first token of both, and knows the types 0 for "
      "the first and 1 for the second text: give a tokenizer.json whose "
      "post-processor is BERT's or RoBERTa's"
    )
  return single, pair, second, begun


def _around(found: tokenizers.Encoding, texts: int) -> Marks:
  """Returns the ids before, between and after the texts."""
  owners = found.sequence_ids
  starts = [owners.index(text) for text in range(texts)]
  ends = [len(owners) - owners[::-1].index(text) for text in range(texts)]
  gaps = zip([0, *ends], [*starts, len(owners)], strict=True)
  return tuple(tuple(found.ids[a:b]) for a, b in gaps)
