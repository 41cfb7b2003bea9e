"""Texts that several tasks label: read once, learned from as by each."""

import dataclasses

import jax
import numpy as np
import pytest

from bam_jax.data import pipeline, tables
from bam_jax.data.features import Features
from bam_jax.data.pool import TaskData, join
from bam_jax.data.ragged import offsets_of
from bam_jax.models.heads import HeadSpec
from bam_jax.models.multitask import init_params
from bam_jax.training.adversaries import ADVERSARIES, Passes
from bam_jax.training.step import make_losses
from configs import common
from tests import tiny
from tests.models.packed_test import LARGE, close

WIDTH, TEXTS, ALONE = 24, 7, 5
# Of each text which of the three tasks have a label; the fifth has none.
LABELLED = np.array(
  [[1, 1, 1, 0, 0, 1, 1], [0, 1, 1, 1, 0, 0, 1], [1, 0, 1, 0, 0, 1, 1]], bool
)
SPECS = (
  HeadSpec("topic", 3, output="logits", loss="ce"),
  HeadSpec("alone", 2, output="logits", loss="ce", head="tower"),
  HeadSpec("flags", 4, output="logits", loss="bce", head="mlp", pool="mean"),
  HeadSpec("score", 1, output="sigmoid", loss="mse", pool="late"),
)
POSITIONS = {"topic": 0, "flags": 2, "score": 3}


def texts(count: int, seed: int) -> Features:
  rng = np.random.default_rng(seed)
  lengths = rng.integers(4, 11, count)
  second = [np.arange(n) >= rng.integers(1, n) for n in lengths]
  return Features(
    tokens=rng.integers(5, 30, lengths.sum()).astype(np.int32),
    types=np.concatenate(second).astype(np.int8),
    offsets=offsets_of(lengths),
    index=np.arange(count),
    labels=None,
  )


def data(table: str) -> list[TaskData]:
  """Returns a table's three tasks around one that has its texts for itself."""
  rng, found = np.random.default_rng(3), []
  labels = {
    "topic": rng.integers(0, 3, TEXTS),
    "flags": rng.integers(0, 2, (TEXTS, 4)),
    "score": rng.random(TEXTS),
  }
  for (name, each), there in zip(labels.items(), LABELLED, strict=True):
    classes = SPECS[POSITIONS[name]].outputs
    rows = dataclasses.replace(
      texts(TEXTS, 0), labels=each.astype(np.float32), table=table
    ).take(there)
    teacher = rng.normal(size=(len(rows), classes)).astype(np.float32)
    teacher[1] = np.nan
    found.append(TaskData(name, rows, classes, teacher))
  own = dataclasses.replace(texts(ALONE, 1), labels=np.ones(ALONE, np.float32))
  return [found[0], TaskData("alone", own, 2, None), *found[1:]]


def batches(table: str, order, *, packing=True, micro_rows=0):
  return pipeline.TrialBatches(
    [join(data(table), weights=[1.0, 0.5, 2.0, 0.25])],
    np.array(order, np.int32)[None],
    width=WIDTH,
    packing=packing,
    row_shapes=1,
    multiple=micro_rows or 1,
    micro_rows=micro_rows,
  )


def losses_of(net, params, batch, adversary="none"):
  """Returns the gradient of a batch, and by task and index each loss."""
  losses, c = make_losses(net), common.base()
  c.adversary.update(LARGE)
  slope = ADVERSARIES[adversary](
    Passes(losses, SPECS, 1.0, tiny.ENCODER.width, c.adversary)
  )
  key = jax.random.key(5)
  gradient, sums = tiny.quickly(slope)(params, batch, key, 0.3)
  _, loss = tiny.quickly(losses)(params, batch, key, 0.3)
  here = batch["task"] >= 0
  by = np.lexsort((batch["index"][here], batch["task"][here]))
  return gradient, sums, np.asarray(loss)[here][by]


# All texts but the one without a label, and all of the task beside them.
EVERY = [[*range(TEXTS - 1), *range(TEXTS - 1, TEXTS - 1 + ALONE)]]


@pytest.mark.parametrize("packing", [True, False])
def test_a_table_teaches_what_its_columns_would_alone(packing):
  net = tiny.model(heads=SPECS, dropout=0.0)
  params = init_params(net, jax.random.key(3))
  wide = batches("t", EVERY, packing=packing)
  fold = batches("", [range(int(LABELLED.sum()) + ALONE)], packing=packing)
  found = [
    losses_of(net, params, {k: x[0] for k, x in each[0].items()})
    for each in (wide, fold)
  ]
  assert (found[0][2] > 0).sum() == LABELLED.sum() + ALONE
  jax.tree.map(close, *found)
  # Each text is read once.
  read = [int((each[0]["segments"] > 0).sum()) for each in (wide, fold)]
  own = texts(ALONE, 1).lengths.sum()
  labelled = texts(TEXTS, 0).lengths
  assert read[0] == own + labelled[LABELLED.any(0)].sum()
  assert read[1] == own + (labelled * LABELLED.sum(0)).sum()


@pytest.mark.parametrize("adversary", ["none", "smart", "freelb"])
def test_packing_changes_nothing_of_a_table(adversary):
  """With dropout: what a text draws is its first label's, wherever it lies."""
  net = tiny.model(heads=SPECS)
  params = init_params(net, jax.random.key(3))
  ways = [batches("t", EVERY, packing=packing) for packing in (True, False)]
  packed, own = ways
  assert packed.sizes < own.sizes and packed.examples > own.examples
  packed.sizes, own.examples = own.sizes, packed.examples
  found = [
    losses_of(net, params, {k: x[0] for k, x in each[0].items()}, adversary)
    for each in ways
  ]
  jax.tree.map(close, *found)


def test_a_text_is_a_unit_and_comes_into_one_micro_batch():
  wide = batches("t", [[0, 3, 5], [1, 8, 2]], micro_rows=1)
  assert len(wide) == 2 and wide.sizes.max() <= 3
  for k, count in enumerate([2 + 1 + 3, 2 + 1 + 3]):
    batch = wide[k]
    row, slot = np.nonzero(batch["task"][0] >= 0)
    assert len(row) == count
    # The slots of a text begin where it does, one after the other.
    index, task = (batch[name][0][row, slot] for name in ("index", "task"))
    for text in {*index[task != 1].tolist()}:
      mine = (index == text) & (task != 1)
      assert len({*row[mine].tolist()}) == 1
      assert np.diff(slot[mine]).tolist() == [1] * (mine.sum() - 1)
      begins = batch["cls"][0][row[mine], slot[mine]]
      assert len({*begins.tolist()}) == 1
      segment = batch["segments"][0][row[mine][0], begins[0]]
      assert segment == slot[mine][0] + 1


def test_evaluation_reads_a_text_once_and_answers_in_the_order_of_rows():
  # Dev rows of a column are those that have a label in it.
  sets = [(each.features, n) for n, each in enumerate(data("t validation"))]
  layout = pipeline.Layout(WIDTH, batch_size=4, packing=True)
  found = pipeline.eval_batches(sets, layout, multiple=1)
  tokens, seen = 0, []
  ends = np.cumsum([len(rows) for rows, _ in sets])
  for k in range(len(found)):
    batch = found[k]
    tokens += int((batch["segments"] > 0).sum())
    for row, slot in np.argwhere(batch["task"] >= 0):
      number, task = (batch[name][row, slot] for name in ("index", "task"))
      rows = sets[task][0]
      at = number - (ends[task] - len(rows))
      first, last = rows.offsets[at : at + 2]
      begin = batch["cls"][row, slot]
      there = batch["tokens"][row, begin : begin + last - first]
      np.testing.assert_array_equal(there, rows.tokens[first:last])
      seen.append(number)
  assert sorted(seen) == list(range(ends[-1]))
  once = texts(TEXTS, 0).lengths[LABELLED.any(0)].sum()
  assert tokens == once + texts(ALONE, 1).lengths.sum()


def test_a_table_of_which_one_task_is_trained_is_that_task():
  rows = data("t")[:2]
  pool = join(rows, weights=[1.0, 1.0])
  assert pool.units is None and pool.text is None
  assert tables.blocks(["t", "", "t", "", "u"]) == [[0, 2], [1], [3], [4]]
