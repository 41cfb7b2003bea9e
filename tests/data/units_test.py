"""Units: whole in one step and one micro-batch, in as many rows as needed."""

import numpy as np
import pytest

from bam_jax.data import packing, pipeline
from bam_jax.data.features import Features
from bam_jax.data.fields import GROUP
from bam_jax.data.pool import TaskData, join
from bam_jax.data.ragged import offsets_of
from bam_jax.data.units import Dealer, Units, first_slots
from bam_jax.data.words import Words

WIDTH = 13


def questions(counts, lengths, *, index=None) -> Features:
  """Returns questions with so many candidates, of so many tokens each."""
  counts, lengths = np.array(counts), np.array(lengths)
  starts = np.cumsum(lengths) - lengths
  ends = offsets_of(counts)
  total = int(lengths.sum())
  rows = np.append(starts, total)[ends]
  relevance = np.arange(1, len(lengths) + 1, dtype=np.float32)
  return Features(
    tokens=np.arange(1, total + 1, dtype=np.int32),
    types=np.zeros(total, np.int8),
    offsets=rows.astype(np.int64),
    index=np.arange(len(counts)) if index is None else np.array(index),
    labels=relevance,
    words=Words(
      (starts - np.repeat(rows[:-1], counts)).astype(np.int32),
      ends,
      apart=True,
    ),
  )


def plain(lengths) -> Features:
  total = int(np.sum(lengths))
  return Features(
    tokens=np.arange(501, 501 + total, dtype=np.int32),
    types=np.zeros(total, np.int8),
    offsets=offsets_of(np.array(lengths)),
    index=np.arange(len(lengths)),
    labels=np.zeros(len(lengths), np.float32),
  )


COUNTS, LENGTHS = [3, 1, 4, 2], [5, 4, 3, 9, 6, 7, 8, 9, 2, 3]


def pool():
  return join(
    [
      TaskData("rank", questions(COUNTS, LENGTHS), 1, None),
      TaskData("plain", plain([4, 12, 3]), 2, None),
    ],
    weights=[1.0, 0.5],
  )


def test_questions_come_apart_into_examples_that_share_the_relevance():
  mine = pool()
  assert mine.lengths.tolist() == [*LENGTHS, 4, 12, 3]
  assert mine.task.tolist() == [0] * 10 + [1] * 3
  np.testing.assert_array_equal(np.diff(mine.units.offsets), [*COUNTS, 1, 1, 1])
  label = mine.learned["example"].label[:10]
  gold = np.arange(1, 11)
  np.testing.assert_allclose(label[:3], gold[:3] / 6, rtol=1e-6)
  np.testing.assert_allclose(label[4:8], gold[4:8] / 26, rtol=1e-6)
  drawn = mine.owners(np.array([3, 4, 6, 0])).tolist()
  assert drawn == [0] * COUNTS[3] + [1, 1] + [0] * COUNTS[0]
  # Taken and joined, candidates go with their question.
  rows = questions(COUNTS, LENGTHS)
  some = Features.join([rows.take(np.array([2])), rows.take(np.array([0]))])
  assert some.examples.lengths.tolist() == LENGTHS[4:8] + LENGTHS[:3]
  assert some.examples.tokens[0] == sum(LENGTHS[:4]) + 1
  assert some.words.apart and some.labels.tolist() == [5, 6, 7, 8, 1, 2, 3]


def test_a_step_has_all_examples_of_its_units_one_after_another():
  units = Units(np.array([0, 3, 4, 8]))
  numbers, owners = units.examples(np.array([[2, 0], [1, -1]], np.int32))
  assert numbers.tolist() == [[4, 5, 6, 7, 0, 1, 2], [3, *[-1] * 6]]
  assert owners.tolist() == [[0, 0, 0, 0, 1, 1, 1], [0, *[-1] * 6]]
  place = np.array([40, 41, 9, 3, 7, 70, 5])
  assert first_slots(owners[0], place).tolist() == [40] * 4 + [7] * 3
  assert first_slots(owners[1], place).tolist() == [40, *[-1] * 6]


def plan(order, **changes):
  settings = dict(width=WIDTH, packing=True, row_shapes=2, multiple=1)
  order = np.array(order, np.int32)[None]
  return pipeline.TrialBatches([pool()], order, **settings | changes)


def lying(batch) -> dict:
  """Returns example -> (row, slot) of a batch, by its first token."""
  there = zip(*np.nonzero(batch["task"] >= 0), strict=True)
  return {
    int(batch["tokens"][row, batch["cls"][row, slot]]): (int(row), int(slot))
    for row, slot in there
  }


@pytest.mark.parametrize("packing", [True, False])
def test_every_example_is_there_once_and_points_to_its_first(packing):
  batches = plan([[2, 5, 0], [1, 4, 3]], packing=packing)
  starts = np.cumsum(LENGTHS) - LENGTHS + 1
  for k, wanted in enumerate([[4, 5, 6, 7, 0, 1, 2], [3, 8, 9]]):
    batch = {name: array[0] for name, array in batches[k].items()}
    E = batch["task"].shape[1]
    found, group = lying(batch), batch[GROUP.name]
    mine = [found[int(starts[n])] for n in wanted]
    assert len(found) == len(wanted) + 1
    first = {4: mine[0], 3: mine[0]}
    for number, place in zip(wanted, mine, strict=True):
      begin = next(b for b in (8, 4, 3, 0) if b <= number)
      first.setdefault(begin, place)
      row, slot = first[begin]
      assert group[place] == row * E + slot
    # One by itself points to itself; where nothing lies there is nothing.
    (alone,) = [place for token, place in found.items() if token > 500]
    assert group[alone] == alone[0] * E + alone[1]
    assert (group[batch["task"] < 0] == -1).all()
  # 35 tokens of one question do not fit into a row of 13.
  rows = {place[0] for token, place in lying(first_of(batches)).items()}
  assert len(rows) > 3


def first_of(batches) -> dict:
  return {name: array[0] for name, array in batches[0].items()}


def test_a_batch_is_a_function_of_its_own_units():
  one, other = plan([[2, 5, 0]]), plan([[0, 1, 2], [2, 5, 0]], row_shapes=2)
  mine, theirs = one[0], other[1]
  used = mine["tokens"].shape[1]
  np.testing.assert_array_equal(
    mine["tokens"][0], theirs["tokens"][0, :used][:, :WIDTH]
  )
  part = one.read(0, slice(2, 4))
  for name, array in part.items():
    np.testing.assert_array_equal(array, one[0][name][:, 2:4])


@pytest.mark.parametrize("packing", [True, False])
def test_micro_batches_have_whole_units(packing):
  rng = np.random.default_rng(4)
  order = rng.permutation(7)[: 2 * 3].reshape(2, 3)
  batches = plan(order, packing=packing, multiple=5, micro_rows=5)
  seen = 0
  for k in range(2):
    batch = {name: array[0] for name, array in batches[k].items()}
    rows, E = batch["task"].shape
    parts = rows // 5
    assert rows % 5 == 0 and parts * 5 == batches.sizes[k]
    for row, slot in zip(*np.nonzero(batch["task"] >= 0), strict=True):
      first = batch[GROUP.name][row, slot] // E
      assert first % parts == row % parts
      seen += 1
  numbers, _ = pool().units.examples(order.astype(np.int32))
  assert seen == (numbers >= 0).sum()


def test_dealing_fills_few_micro_batches_and_refuses_a_unit_without_room():
  rng = np.random.default_rng(6)
  lengths = rng.integers(1, WIDTH + 1, (9, 24)).astype(np.int32)
  owners = np.sort(rng.integers(0, 8, (9, 24))).astype(np.int32)
  lengths[3, 20:], owners[3, 20:] = 0, -1
  dealer = Dealer(packing.pack, WIDTH, 11)
  parts, slots = dealer.planned(lengths, owners)
  for step in range(9):
    mine = slice(step, step + 1)
    placed = dealer.placed(
      lengths[mine], owners[mine], parts[mine], of=11 * int(parts[step] + 1)
    )
    count = parts[step] + 1
    there = owners[step] >= 0
    assert placed.row[0][~there].tolist() == [-1] * (~there).sum()
    assert placed.row.max() < 11 * count
    assert slots > placed.slot.max()
    free = np.zeros(11 * count, int)
    np.add.at(free, placed.row[0][there], lengths[step][there])
    assert free.max() <= WIDTH
    for unit in set(owners[step][there]):
      assert len({*(placed.row[0][owners[step] == unit] % count)}) == 1
    assert (parts[step] - 2) * 11 * WIDTH < lengths[step].sum()
  with pytest.raises(
    ValueError, match=r"takes 3 rows .* --config.micro_rows=3"
  ):
    plan([[0, 4], [2, 1]], packing=True, multiple=2, micro_rows=2)
