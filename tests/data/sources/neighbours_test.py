"""Pairs of sentences of plain text: which follow, and which are of another."""

import numpy as np
import pytest

from bam_jax.data.sources import neighbours, plain
from bam_jax.tasks import own

LETTERS = "abcdefghijklmnopqrst"


@pytest.fixture
def task(tmp_path):
  """Twenty documents of two to six sentences, and two of one."""
  blocks = [
    "\n".join(f"{letter} says {i}." for i in range(2 + number % 5))
    for number, letter in enumerate(LETTERS)
  ]
  blocks[3:3], blocks[9:9] = ["Alone here."], ["no end of it"]
  (tmp_path / "a.txt").write_text("\n\n".join(blocks))
  entry = {
    "kind": "next_sentence",
    "train": "a.txt",
    "dev_share": 0.25,
    "labels": [*neighbours.LABELS],
  }
  return own.table({"next": entry}, tmp_path / "t.toml")["next"]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_half_follow_and_half_are_of_another_document(task, split):
  found = neighbours.read(task, split)
  follows = found.labels == neighbours.LABELS.index("next")
  assert abs(follows.mean() - 0.5) <= 0.51 / len(found)
  for first, second, next_ in zip(*found.texts, follows, strict=True):
    (a, _, i), (b, _, j) = first.split(), second.split()
    number = int(i[0])
    assert number % 2 == 0 and int(j[0]) % 2 == 1
    assert ((a, number + 1) == (b, int(j[0]))) if next_ else a != b
  # Each sentence that leads a pair does so once.
  assert len({*found.texts[0]}) == len(found)


def test_every_other_document_may_stand_in():
  """Also the first and the last; nothing is drawn from one's own."""
  counts = np.array([1, 3, 2])
  owner = np.repeat(np.arange(3), counts)
  taken = {one: set() for one in range(3)}
  draw = np.random.default_rng(4)
  for _ in range(60):
    for me, at in zip(
      owner, neighbours.of_others(owner, counts, draw), strict=True
    ):
      taken[me].add(int(at))
  assert taken == {0: {1, 2, 3, 4, 5}, 1: {0, 4, 5}, 2: {0, 1, 2, 3}}


def test_it_holds_out_the_documents_that_masked_words_do(task, tmp_path):
  masked = own.table(
    {"m": {"kind": "mlm", "train": "a.txt", "dev_share": 0.25}},
    tmp_path / "t.toml",
  )["m"]
  held = " ".join(plain.read(masked, "validation").texts[0])
  here, there = (
    neighbours.read(task, split).texts[0] for split in ("validation", "train")
  )
  assert all(sentence in held for sentence in here)
  assert not any(sentence in held for sentence in there)


@pytest.mark.parametrize(
  ("text", "want"),
  [
    ("One. Two! Three?", ["One.", "Two!", "Three?"]),
    ('He said "no." She left.', ['He said "no."', "She left."]),
    ("Version 1.5 runs.", ["Version 1.5 runs."]),
    ("一つ。二つ。三つ", ["一つ。", "二つ。", "三つ"]),
    ("no mark at all", ["no mark at all"]),
    ("Wait ... what?  ", ["Wait ...", "what?"]),
  ],
)
def test_where_sentences_end(text, want):
  assert neighbours.sentences(text) == want


def test_the_same_pairs_are_read_again(task):
  one, two = (neighbours.read(task, "train") for _ in range(2))
  assert one.texts == two.texts and one.labels.tolist() == two.labels.tolist()
