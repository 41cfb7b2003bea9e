"""Packing: nothing lost, nothing overlapping, and full rows on real text."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import tokenizers

from bam_jax.data import packing, sampling

WIDTH = 16

batches = st.integers(1, 9).flatmap(
  lambda b: st.lists(
    st.lists(st.integers(0, WIDTH), min_size=b, max_size=b),
    min_size=1,
    max_size=6,
  )
)


def covered(lengths, placed, n):
  """Returns how many examples lie on each position of batch n."""
  count = np.zeros((placed.rows[n], WIDTH), int)
  for length, row, start in zip(
    lengths[n], placed.row[n], placed.start[n], strict=True
  ):
    if length:
      assert 0 <= row < placed.rows[n]
      assert start + length <= WIDTH
      count[row, start : start + length] += 1
    else:
      assert row == -1
  return count


@pytest.mark.parametrize("place", [packing.pack, packing.pad])
@given(batches)
@settings(max_examples=200, deadline=None)
def test_every_example_lies_once_without_overlap(place, lengths):
  lengths = np.array(lengths, np.int32)
  placed = place(lengths, WIDTH)
  for n in range(len(lengths)):
    count = covered(lengths, placed, n)
    assert count.max(initial=0) <= 1
    assert count.sum() == lengths[n].sum()
    assert count.any(axis=1).all(), "a row that is empty"


@given(batches)
@settings(max_examples=200, deadline=None)
def test_rows_are_contiguous_and_slots_count_up(lengths):
  lengths = np.array(lengths, np.int32)
  placed = packing.pack(lengths, WIDTH)
  for n, row in itertools.product(range(len(lengths)), range(WIDTH)):
    mine = np.flatnonzero(placed.row[n] == row)
    mine = mine[np.argsort(placed.start[n, mine])]
    ends = np.cumsum(lengths[n, mine])
    assert placed.start[n, mine].tolist() == [0, *ends][: len(mine)]
    assert placed.slot[n, mine].tolist() == list(range(len(mine)))


@given(batches)
@settings(max_examples=200, deadline=None)
def test_pack_is_first_fit_decreasing_one_batch_at_a_time(lengths):
  lengths = np.array(lengths, np.int32)
  placed = packing.pack(lengths, WIDTH)
  for n, batch in enumerate(lengths):
    free = []
    for b in sorted(range(len(batch)), key=lambda b: -batch[b]):
      if not batch[b]:
        continue
      fits = [r for r, room in enumerate(free) if room >= batch[b]]
      if not fits:
        fits = [len(free)]
        free.append(WIDTH)
      assert placed.row[n, b] == fits[0]
      assert placed.start[n, b] == WIDTH - free[fits[0]]
      free[fits[0]] -= batch[b]
    assert placed.rows[n] == len(free)


def test_equally_long_examples_keep_their_order():
  placed = packing.pack(np.full((1, 5), 7, np.int32), WIDTH)
  assert placed.row.tolist() == [[0, 0, 1, 1, 2]]
  assert placed.slot.tolist() == [[0, 1, 0, 1, 0]]


def test_a_batch_packs_the_same_whatever_is_packed_with_it():
  rng = np.random.default_rng(0)
  n = 2 * packing._CHUNK + 3
  lengths = rng.integers(0, WIDTH + 1, (n, 11)).astype(np.int32)
  whole = packing.pack(lengths, WIDTH)
  for k in (0, packing._CHUNK - 1, packing._CHUNK, n - 1):
    alone = packing.pack(lengths[k : k + 1], WIDTH)
    for name in ("row", "start", "slot", "rows"):
      np.testing.assert_array_equal(
        getattr(alone, name)[0], getattr(whole, name)[k]
      )


def test_no_batch_at_all_packs_to_nothing():
  placed = packing.pack(np.zeros((0, 4), np.int32), WIDTH)
  assert placed.row.shape == (0, 4)
  assert placed.rows.shape == (0,)


@given(
  counts=st.lists(st.integers(1, 40), min_size=1, max_size=30),
  at_most=st.integers(1, 4),
  multiple=st.integers(1, 8),
)
@settings(max_examples=200, deadline=None)
def test_row_shapes_waste_as_little_as_any_choice(counts, at_most, multiple):
  shapes = packing.row_shapes(
    np.array(counts), at_most=at_most, multiple=multiple
  )
  needed = sorted({-(-c // multiple) * multiple for c in counts})

  def total(chosen):
    return sum(min(s for s in chosen if s >= c) for c in counts)

  least = min(
    total((*chosen, needed[-1]))
    for size in range(at_most)
    for chosen in itertools.combinations(needed[:-1], size)
  )
  assert len(shapes) <= at_most
  assert all(shape % multiple == 0 for shape in shapes)
  assert list(shapes) == sorted(set(shapes))
  assert shapes[-1] == needed[-1]
  assert total(shapes) == least


def test_row_shapes_refuses_none():
  with pytest.raises(ValueError, match="row_shapes is 0; it must be at least"):
    packing.row_shapes(np.array([3]), at_most=0, multiple=1)
  with pytest.raises(ValueError, match="multiple is 0"):
    packing.row_shapes(np.array([3]), at_most=1, multiple=0)


# Folder, columns of the text, whether the first line is a header.
FILES = (
  ("RTE", (1, 2), True),
  ("MRPC", (3, 4), True),
  ("CoLA", (3,), False),
  ("STS-B", (7, 8), True),
)


@pytest.fixture(scope="module")
def glue_lengths(glue_dir, minilm):
  """Tokens of every training example, swapped copies of MRPC and STS-B too."""
  tokenizer = tokenizers.Tokenizer.from_file(str(minilm / "tokenizer.json"))
  tokenizer.no_padding()
  tokenizer.enable_truncation(128)
  found = []
  for folder, columns, header in FILES:
    text = (glue_dir / folder / "train.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in text.rstrip("\n").split("\n")]
    texts = [tuple(row[c] for c in columns) for row in rows[header:]]
    if len(columns) == 1:
      texts = [text for (text,) in texts]
    tokens = tokenizer.encode_batch_fast(texts)
    lengths = np.array([len(each.ids) for each in tokens], np.int32)
    found.append(np.tile(lengths, 1 + (folder in ("MRPC", "STS-B"))))
  return found


def test_real_text_fills_its_rows(glue_lengths):
  sizes = [len(lengths) for lengths in glue_lengths]
  order = sampling.train_order(
    sizes,
    sampling.Mixing(
      "power", exponent=0.75, temperature=1, copies=[1] * len(sizes)
    ),
    batch_size=128,
    steps=1000,
    seed=0,
  )
  lengths = np.concatenate(glue_lengths)[order]
  rows = packing.pack(lengths, 128).rows
  assert lengths.sum() / (rows.sum() * 128) >= 0.95
  shapes = packing.row_shapes(rows, at_most=3, multiple=1)
  sizes = np.array(shapes)[np.searchsorted(shapes, rows)]
  assert lengths.sum() / (sizes.sum() * 128) >= 0.90
  padded = packing.pad(lengths, 128).rows
  assert lengths.sum() / (padded.sum() * 128) < 0.30
