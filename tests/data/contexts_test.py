"""Windows of contexts, against transformers' own with its stride."""

import itertools

import numpy as np
import pytest
import tokenizers
import transformers

from bam_jax.data import contexts
from bam_jax.data.sources.examples import Examples
from bam_jax.data.tokenizer import load_tokenizer
from bam_jax.data.windows import Lengths

LETTERS = "abcdefghijklmnop"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, "##x", "?"]
QUESTIONS = ["a?", "b c?", "a?", "d?"]
CONTEXTS = [
  "a b  cx d, e f\ng h i j k l m n o p",
  "\u00e0 bxx c",
  "a b  cx d, e f\ng h i j k l m n o p",
  "p o n",
]
GOLDS = [
  [("cx d", 5), ("p", 35)],
  [],
  # Longer than any window.
  [(CONTEXTS[0], 0)],
  [(" o ", 1)],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("tokenizer")
  (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
  return folder


@pytest.fixture(scope="module")
def tokenizer(folder):
  return load_tokenizer(folder, vocab_size=None)


def windows(tokenizer, golds=GOLDS, most=13, stride=3):
  return contexts.windows(
    tokenizer, QUESTIONS, CONTEXTS, golds, lengths=Lengths(most, stride)
  )


def rows_of(found, number):
  """Returns tokens, types, and chars and labels of places, of each window."""
  for row in np.flatnonzero(found.windows.source == number):
    part = found.take(np.array([row]))
    yield part.tokens, part.types, part.windows.chars, part.labels, part.words


@pytest.mark.parametrize(
  ("most", "stride"), [(13, 3), (13, 0), (12, 2), (40, 8)]
)
def test_they_are_those_of_transformers(folder, tokenizer, most, stride):
  theirs = transformers.BertTokenizerFast(str(folder / "vocab.txt"))
  found = windows(tokenizer, most=most, stride=stride)
  for number, (question, context) in enumerate(
    zip(QUESTIONS, CONTEXTS, strict=True)
  ):
    want = theirs(
      question,
      context,
      truncation="only_second",
      max_length=most,
      stride=stride,
      return_overflowing_tokens=True,
      return_offsets_mapping=True,
    )
    mine = list(rows_of(found, number))
    assert len(mine) == len(want["input_ids"])
    for k, (tokens, types, chars, _, words) in enumerate(mine):
      assert tokens.tolist() == want["input_ids"][k]
      assert types.tolist() == want["token_type_ids"][k]
      of = want.sequence_ids(k)
      at = [i for i, each in enumerate(of) if each == 1]
      assert words.at.tolist() == [0, *at]
      offsets = [want["offset_mapping"][k][i] for i in at]
      assert [*map(tuple, chars[1:].tolist())] == offsets
      assert chars[0].tolist() == [0, 0]


def test_labels_say_where_the_answer_is_or_that_it_is_not_there(tokenizer):
  found = windows(tokenizer)
  assert found.index.tolist() == list(range(len(found)))
  seen = []
  for _, _, chars, labels, _ in rows_of(found, 0):
    there = labels[1:].any()
    seen.append(there)
    assert labels[0] == (0 if there else 3)
    if there:
      (first,), (last,) = np.nonzero(labels == 1)[0], np.nonzero(labels == 2)[0]
      assert CONTEXTS[0][chars[first, 0] : chars[last, 1]] == "cx d"
  assert True in seen and False in seen
  for _, _, _, labels, _ in rows_of(found, 1):
    assert labels.tolist() == [3] + [0] * (len(labels) - 1)
  # Nothing is learned where no window has the answer whole, and it is counted.
  assert all(np.isnan(each[3]).all() for each in rows_of(found, 2))
  assert contexts.unread(found).tolist() == [2]
  ((_, _, chars, labels, _),) = rows_of(found, 3)
  assert labels.tolist() == [0, 0, 3, 0] and chars[2].tolist() == [2, 3]


def test_windows_share_half_of_their_room_at_most(tokenizer):
  room = 13 - 3 - 2
  for stride in (room // 2, 100):
    chars = [each[2] for each in rows_of(windows(tokenizer, stride=stride), 0)]
    for one, two in itertools.pairwise(chars):
      shared = {*map(tuple, one[1:])} & {*map(tuple, two[1:])}
      assert len(shared) == room // 2
  examples = Examples("qa", "train", (QUESTIONS, CONTEXTS), None, "")
  for stride in (0, 3, 100):
    found = windows(tokenizer, stride=stride)
    counts = contexts.counts(tokenizer, examples, Lengths(13, stride))
    assert counts.tolist() == np.bincount(found.windows.source).tolist()


def test_rows_and_parts_keep_their_places(tokenizer):
  found = windows(tokenizer)
  part = found.take(found.windows.source == 1)
  joined = type(found).join([part, found.take(found.windows.source == 3)])
  assert joined.source.tolist() == [1] * len(part) + [3]
  assert joined.windows.chars[-3:].tolist() == [[0, 1], [2, 3], [4, 5]]
  assert windows(tokenizer, None).labels is None


def test_a_space_that_a_token_begins_with_is_in_no_answer():
  text = "a  b\u3000c"
  got = contexts._trimmed(text, np.array([(0, 1), (1, 4), (4, 6), (1, 3)]))
  assert got.tolist() == [[0, 1], [3, 4], [5, 6], [3, 3]]


def test_a_question_that_leaves_no_room_is_one_sentence(tokenizer):
  with pytest.raises(
    ValueError, match="1 of 3 questions leave no room"
  ) as said:
    windows(tokenizer, most=6)
  assert "in 6 tokens, such as 'b c?', which has 3" in str(said.value)
  assert "--config.max_length=70" in str(said.value)
  contexts.check_room(tokenizer, QUESTIONS, max_length=7)


def test_backends_with_byte_offsets_still_point_into_the_text(tmp_path):
  words = {"<s>": 0, "</s>": 1, "<pad>": 2, "<unk>": 3}
  letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
  words |= {each: 4 + n for n, each in enumerate(letters)}
  made = tokenizers.Tokenizer(
    tokenizers.models.BPE(words, [], unk_token="<unk>")
  )
  made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
    add_prefix_space=False
  )
  made.add_special_tokens(["<s>", "</s>", "<pad>", "<unk>"])
  made.save(str(tmp_path / "tokenizer.json"))
  ours = load_tokenizer(tmp_path, vocab_size=None)
  context = "\u00e9 \U0001f600 ok"
  found = contexts.windows(
    ours, ["e"], [context], [[("ok", 4)]], lengths=Lengths(30, 0)
  )
  (first,), (last,) = (
    np.nonzero(found.labels == 1)[0],
    np.nonzero(found.labels == 2)[0],
  )
  a, b = found.windows.chars[first, 0], found.windows.chars[last, 1]
  assert context[a:b] == "ok"
