"""Masks: whole words, so many, and the same wherever an example lies."""

import dataclasses

import numpy as np
import pytest

from bam_jax.data import masking
from bam_jax.data.masking import Masker
from bam_jax.data.ragged import offsets_of
from bam_jax.data.words import Words

N, MASK = 7, 4
OTHERS = np.arange(50, 90)
LENGTHS = np.array([40, 3, 0, 21, 1, 60, 9])


def examples(whole=True, share=0.3):
  """Returns N examples of words of 1 to 3 tokens behind a first token."""
  rng = np.random.default_rng(4)
  begins = []
  for length in LENGTHS:
    mine = np.zeros(length, bool)
    at = 0
    while at < length:
      mine[at] = True
      at += rng.integers(1, 4)
    begins.append(mine)
  words = Words(
    np.concatenate([1 + np.arange(length) for length in LENGTHS]).astype(
      np.int32
    ),
    offsets_of(LENGTHS),
    drawn=True,
  )
  marks = np.concatenate(begins).astype(np.float32)
  masker = Masker(share, MASK, OTHERS, whole)
  index = 100 + np.arange(N)
  return masking.make(masker, ["mlm"], [(words, marks, index)]), begins


def written(found, row, start, *, step=5, width=80, places=90):
  """Returns the batch of all examples, whose tokens are 1000 + their place."""
  rows = int(row.max()) + 1
  batch = {
    "tokens": np.zeros((rows, width), np.int32),
    "place": np.zeros((rows, places), np.int32),
    "masked": np.full((rows, places), -1, np.int32),
    "side": np.zeros((rows, places), np.int32),
  }
  for number, (b, first) in enumerate(zip(row, start, strict=True)):
    size = LENGTHS[number] + 2
    batch["tokens"][b, first : first + size] = 1000 + np.arange(size)
  found.write(batch, np.arange(N), row, start, step=step)
  return batch


def of_each(batch, row, start):
  """Returns for each example where it is masked, and what stands there now."""
  said = []
  for number, (b, first) in enumerate(zip(row, start, strict=True)):
    there = batch["masked"][b] >= 0
    place = batch["place"][b][there] - first
    mine = (place >= 0) & (place < LENGTHS[number] + 2)
    assert (batch["masked"][b][there][mine] == 1000 + place[mine]).all()
    now = batch["tokens"][b, first + place[mine]]
    said.append(dict(zip(place[mine].tolist(), now.tolist(), strict=True)))
  return said


ALONE = (np.arange(N), np.zeros(N, int))
PACKED = (np.array([0, 1, 1, 1, 0, 2, 0]), np.array([0, 0, 5, 7, 42, 3, 45]))


def test_a_language_model_says_what_is_beside_each_token_and_masks_none():
  plain, _ = examples()
  words = dataclasses.replace(plain.words, sides=2)
  index = 100 + np.arange(N)
  found = masking.make(None, ["lm"], [(words, plain.begins * 1.0, index)])
  assert found.most.tolist() == (2 * LENGTHS).tolist()
  row, start = (
    np.array([0, 1, 1, 2, 2, 3, 4]),
    np.array([0, 5, 20, 0, 40, 7, 3]),
  )
  batch = written(found, row, start, places=130)
  before = written(plain.of(1), row, start, places=130)["tokens"]
  assert (before == MASK).any() and not (batch["tokens"] == MASK).any()
  for number, (b, first) in enumerate(zip(row, start, strict=True)):
    mine = batch["place"][b], batch["masked"][b], batch["side"][b]
    mine = np.stack(mine, 1)[batch["masked"][b] >= 0]
    length = LENGTHS[number]
    inside = (mine[:, 0] >= first) & (mine[:, 0] < first + length + 2)
    said = {tuple(each) for each in mine[inside].tolist()}
    # The marks around a text are said, and nobody asks what is beside them.
    assert said == {
      (first + at, 1000 + at + way, int(way < 0))
      for at in range(1, length + 1)
      for way in (1, -1)
    }
  # A decoder says what is behind alone.
  one = masking.make(
    None,
    ["seq2seq"],
    [(dataclasses.replace(words, sides=1), plain.begins * 1.0, index)],
  )
  behind = written(one, row, start, places=130)
  ahead = batch["side"] == 0
  there = behind["masked"] >= 0
  assert there.sum() == LENGTHS.sum() and not behind["side"].any()
  said = {*zip(behind["place"][there], behind["masked"][there], strict=True)}
  both = ahead & (batch["masked"] >= 0)
  assert said == {
    *zip(batch["place"][both], batch["masked"][both], strict=True)
  }
  # Beside one that is masked, each has its own.
  both = masking.make(
    plain.masker,
    ["mlm", "lm"],
    [(each, plain.begins * 1.0, index) for each in (plain.words, words)],
  )
  assert both.most.tolist() == [*plain.most, *found.most]


def test_whole_words_are_masked_and_no_more_than_the_share():
  found, begins = examples()
  shortest = [1, 1, 0, 1, 1, 1, 1]
  for number, mine in enumerate(begins):
    if len(mine):
      starts = np.append(np.flatnonzero(mine), len(mine))
      shortest[number] = np.diff(starts).min()
  want = np.maximum(np.rint(0.3 * LENGTHS), shortest)
  assert found.most.tolist() == want.tolist()
  for step in range(20):
    said = of_each(written(found, *ALONE, step=step), *ALONE)
    for number, (mine, each) in enumerate(zip(begins, said, strict=True)):
      assert len(each) <= found.most[number]
      assert bool(each) == bool(LENGTHS[number])
      word = np.cumsum(mine)
      at = np.array(sorted(each), int) - 1
      for name in np.unique(word[at]):
        assert (np.flatnonzero(word == name)[:, None] == at).any(1).all()


def test_they_do_not_ask_where_an_example_lies():
  found, _ = examples()
  alone = of_each(written(found, *ALONE), *ALONE)
  assert of_each(written(found, *PACKED), *PACKED) == alone
  # Another step, trial or example draws others.
  assert of_each(written(found, *ALONE, step=6), *ALONE) != alone
  assert of_each(written(found.of(1), *ALONE), *ALONE) != alone
  other, _ = examples()
  other.whose[:, 1] += 1
  assert of_each(written(other, *ALONE), *ALONE) != alone
  assert of_each(written(found.of(0), *ALONE), *ALONE) == alone


def test_of_ten_masked_tokens_eight_are_hidden_and_one_is_another():
  found, _ = examples(whole=False, share=0.5)
  kinds = {"mask": 0, "other": 0, "same": 0}
  for step in range(300):
    for each in of_each(written(found, *ALONE, step=step), *ALONE):
      for place, now in each.items():
        same = now == 1000 + place
        assert same or now == MASK or now in OTHERS
        kinds["same" if same else "mask" if now == MASK else "other"] += 1
  total = sum(kinds.values())
  assert total == 300 * found.most.sum() == 300 * round(67.0)
  assert kinds["mask"] / total == pytest.approx(0.8, abs=0.02)
  assert kinds["other"] / total == pytest.approx(0.1, abs=0.02)


def test_the_room_of_a_row_is_what_its_examples_may_take():
  most = np.array([[3, 5, 0, 2], [1, 9, 4, 0]])
  row = np.array([[0, 1, -1, 0], [0, 0, 1, -1]])
  assert masking.in_a_row(most, row) == 10
