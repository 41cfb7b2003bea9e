"""The pipeline: what stands in a batch, and that a batch is a function of k."""

import dataclasses

import numpy as np
import pytest

from bam_jax.data import features as features_lib
from bam_jax.data import pipeline, ragged
from bam_jax.data.pool import TaskData, join

WIDTH = 13
CLASSES = 3
ORDERS = np.random.default_rng(7).integers(0, 30, (2, 9, 6)).astype(np.int32)


def features(lengths, *, labelled=True, first_token=100, index=1000):
  """Examples whose tokens, types and labels can be told apart."""
  lengths = np.array(lengths, np.int32)
  total = int(lengths.sum())
  n = len(lengths)
  return features_lib.Features(
    tokens=np.arange(first_token, first_token + total, dtype=np.int32),
    types=(np.arange(total) % 3 == 1).astype(np.int8),
    offsets=ragged.offsets_of(lengths),
    index=np.arange(index, index + n, dtype=np.int64)[::-1].copy(),
    labels=np.arange(n, dtype=np.float32) / 4 if labelled else None,
  )


@pytest.fixture(scope="module")
def pool():
  """Two tasks of 18 and 12 examples; the first has a teacher but for one."""
  rng = np.random.default_rng(3)
  teacher = rng.normal(size=(18, CLASSES)).astype(np.float32)
  teacher[5] = np.nan
  first = features(rng.integers(1, 9, 18))
  second = features(
    rng.integers(1, 14, 12), labelled=False, first_token=5000, index=70
  )
  return join(
    [
      TaskData("first", first, CLASSES, teacher),
      TaskData("second", second, 1, None),
    ],
    weights=(0.5, 2.0),
  )


def plan(pool, orders=ORDERS, **changes):
  settings = {"width": WIDTH, "packing": True, "row_shapes": 2, "multiple": 2}
  pools = pool if isinstance(pool, list) else [pool] * len(orders)
  return pipeline.TrialBatches(pools, orders, **settings | changes)


def plan_one(pool, order, **changes):
  """Plans one trial, whose batches have no R axis."""
  return pipeline.Batches(plan(pool, order[None], **changes))


def equal(a, b):
  assert a.keys() == b.keys()
  for name, array in a.items():
    np.testing.assert_array_equal(array, b[name], err_msg=name)


def example(batch, row, slot):
  """Returns all that a batch of one trial says of one example."""
  there = batch["segments"][row] == slot + 1
  where = np.flatnonzero(there)
  assert where[0] == batch["cls"][row, slot]
  assert where[-1] - where[0] == len(where) - 1, "torn apart"
  names = ("task", "index", "label", "weight", "teacher", "has_teacher")
  return {
    **{n: batch[n][row, there] for n in ("tokens", "types", "positions")},
    **{n: batch[n][row, slot] for n in names},
  }


def wanted(pool, number):
  """Returns what a batch should say of an example, read from the pool."""
  found, learned = pool.features, pool.learned["example"]
  span = slice(found.offsets[number], found.offsets[number + 1])
  return {
    "tokens": found.tokens[span],
    "types": found.types[span],
    "positions": np.arange(pool.lengths[number]),
    "task": pool.task[number],
    "index": found.index[number],
    "label": learned.label[number],
    "weight": pool.weight[number],
    "teacher": learned.teacher[number],
    "has_teacher": learned.has_teacher[number],
  }


@pytest.mark.parametrize("packing", [True, False])
def test_a_step_holds_its_examples_and_nothing_else(pool, packing):
  batches = plan_one(pool, ORDERS[0], packing=packing)
  for k, numbers in enumerate(ORDERS[0]):
    batch = batches[k]
    found = [
      example(batch, row, slot) for row, slot in np.argwhere(batch["task"] >= 0)
    ]
    assert len(found) == len(numbers)
    expected = sorted(
      (wanted(pool, n) for n in numbers), key=lambda e: e["tokens"][0]
    )
    found.sort(key=lambda e: e["tokens"][0])
    for got, want in zip(found, expected, strict=True):
      equal(got, want)
    empty = batch["segments"] == 0
    assert (~empty).sum() == pool.lengths[numbers].sum()
    for name in ("tokens", "types", "positions"):
      assert not batch[name][empty].any(), name
    none = batch["task"] < 0
    assert (batch["index"][none] == -1).all()
    for name in ("cls", "label", "weight", "teacher", "has_teacher"):
      assert not batch[name][none].any(), name


def test_shapes_and_types_of_the_contract(pool):
  batches = plan(pool)
  rows, room = batches.sizes[4], batches.examples
  shapes = {
    **dict.fromkeys(
      ("tokens", "types", "positions", "segments"), (2, rows, WIDTH)
    ),
    **dict.fromkeys(
      ("cls", "task", "index", "label", "weight", "has_teacher"),
      (2, rows, room),
    ),
    "teacher": (2, rows, room, CLASSES),
  }
  batch = batches[4]
  assert {name: each.shape for name, each in batch.items()} == shapes
  real = {"label", "weight", "teacher", "has_teacher"}
  for name, array in batch.items():
    assert array.dtype == (np.float32 if name in real else np.int32), name


def test_join_tells_tasks_weights_and_teachers_apart(pool):
  assert pool.task.tolist() == [0] * 18 + [1] * 12
  assert pool.weight.tolist() == [0.5] * 18 + [2.0] * 12
  learned = pool.learned["example"]
  taught = [1.0] * 5 + [0.0] + [1.0] * 12 + [0] * 12
  assert learned.has_teacher.tolist() == taught
  assert not learned.teacher[5].any()
  assert np.isfinite(learned.teacher).all()
  assert not learned.label[18:].any()


def test_each_example_keeps_the_answer_of_its_own_teacher():
  first = TaskData("first", features([3, 4, 5]), CLASSES, None)
  answers = np.array([[0.25], [0.75]], np.float32)
  second = TaskData("second", features([6, 7]), 1, answers)
  pool = join([first, second], weights=(1, 1))
  learned = pool.learned["example"]
  assert learned.teacher[:, 0].tolist() == [0, 0, 0, 0.25, 0.75]
  assert not learned.teacher[:, 1:].any()
  assert learned.has_teacher.tolist() == [0, 0, 0, 1, 1]


def test_a_row_without_gold_is_told_only_where_there_is_one():
  rows = features([3, 4, 5])
  rows = dataclasses.replace(rows, labels=np.float32([2, np.nan, np.nan]))
  answers = np.float32([[1, 2, 3, 4], [5, 6, 7, 8], [np.nan] * 4])
  data = TaskData("only", rows, 4, answers)
  pool = join([data], weights=(0.5,))
  assert pool.has_gold.tolist() == [1, 0, 0]
  assert pool.learned["example"].label.tolist() == [2, 0, 0]
  # The last has neither gold nor a teacher, so nothing is learned from it.
  assert pool.weight.tolist() == [0.5, 0.5, 0]
  batch = plan(pool, np.array([[[0, 1, 2]]]))[0]
  assert batch["has_gold"].dtype == np.float32
  assert batch["has_gold"].sum() == 1
  assert (
    "has_gold"
    not in plan(
      join([TaskData("x", features([3]), 4, None)], weights=[1]),
      np.array([[[0]]]),
    )[0]
  )


def test_join_may_start_at_a_later_task():
  data = TaskData("only", features([3, 4]), 2, None)
  assert join([data], weights=[1], positions=[5]).task.tolist() == [
    5,
    5,
  ]


def test_few_shapes_hold_all_steps_with_room_for_all_examples(pool):
  batches = plan(pool)
  assert len(batches.shapes) <= 2
  assert {len(batches[k]["tokens"][0]) for k in range(9)} <= set(batches.shapes)
  assert all(rows % 2 == 0 for rows in batches.shapes)
  assert (batches.sizes >= batches.rows).all()
  assert batches.examples % 4 == 0
  tokens = sum((batches[k]["segments"] > 0).sum() for k in range(9))
  assert batches.fill == pytest.approx(tokens / (2 * 13 * batches.sizes.sum()))


def test_room_for_examples_grows_by_fours():
  order = np.arange(5, dtype=np.int32)[None, None]
  for lengths, room in (([1] * 5, 8), ([3, 3, 3, 3, 13], 4), ([13] * 5, 4)):
    data = TaskData("only", features(lengths), 2, None)
    batches = plan(join([data], weights=[1]), order)
    assert batches.examples == room, lengths


def test_without_packing_there_is_one_example_a_row(pool):
  batches = plan(pool, packing=False)
  assert batches.shapes == (6,)
  assert batches.examples == 1
  for name in ("cls", "segments"):
    assert batches[3][name].max() == (name == "segments")
  assert (batches[3]["task"] >= 0).all()


def test_random_access_equals_iteration(pool):
  batches = plan(pool)
  in_order = list(batches)
  assert len(in_order) == len(batches) == 9
  for k in (8, 0, 5, 5):
    equal(batches[k], in_order[k])
  equal(batches[-1], in_order[8])
  with pytest.raises(IndexError):
    batches[9]


def test_batches_are_a_function_of_the_order(pool):
  one, same, other = plan(pool), plan(pool), plan(pool, ORDERS[:, ::-1])
  for k in range(9):
    equal(one[k], same[k])
    equal(one[k], other[8 - k])
  assert one[0]["label"].sum() != other[0]["label"].sum()


def test_trials_share_shapes_and_keep_their_own_order(pool):
  both = plan(pool)
  alone = [plan_one(pool, order) for order in ORDERS]
  for k in range(9):
    assert both.rows[k] == max(each.plan.rows[k] for each in alone)
    for trial, each in enumerate(alone):
      rows, room = each.plan.rows[k], each.plan.examples
      for name, array in both[k].items():
        got, want = array[trial], each[k][name]
        if want.ndim == 2 and want.shape[1] == WIDTH:
          np.testing.assert_array_equal(got[:rows], want[:rows])
        else:
          np.testing.assert_array_equal(got[:rows, :room], want[:rows])
      assert not both[k]["segments"][trial, rows:].any()


def test_each_trial_has_the_teacher_of_its_own_pool(pool):
  learned = pool.learned["example"]
  learned = dataclasses.replace(learned, teacher=learned.teacher + 10)
  other = dataclasses.replace(pool, learned={"example": learned})
  both = plan([pool, other], np.stack([ORDERS[0], ORDERS[0]]))
  for k in range(9):
    first, second = both[k]["teacher"]
    there = both[k]["task"][0] >= 0
    np.testing.assert_array_equal(first[there] + 10, second[there])
    np.testing.assert_array_equal(both[k]["tokens"][0], both[k]["tokens"][1])


def test_hosts_read_the_rows_of_one_and_the_same_batch(pool):
  batches = plan(pool, multiple=3)
  for k in range(9):
    third = batches.sizes[k] // 3
    parts = [
      batches.read(k, slice(host * third, (host + 1) * third))
      for host in range(3)
    ]
    joined = {
      name: np.concatenate([part[name] for part in parts], axis=1)
      for name in parts[0]
    }
    equal(joined, batches[k])


def test_a_batch_that_does_not_divide_is_answered_with_one_that_does(pool):
  message = r"batch_size 6 is not a multiple of 4 \(devices or .*try 8"
  with pytest.raises(ValueError, match=message):
    plan(pool, packing=False, multiple=4)
  assert plan(pool, multiple=4).sizes.min() >= 4


def test_an_example_longer_than_a_row_is_refused(pool):
  with pytest.raises(ValueError, match=r"rows of 12 .* example of 13; set max"):
    plan(pool, width=12)


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("count", [1, 4, 11, 12])
def test_evaluation_sees_every_example_once_in_one_shape(packing, count):
  found = [features(np.arange(n) % 9 + 1) for n in (count, 5)]
  batches = pipeline.eval_batches(
    [(found[0], 2), (found[1], 1)],
    pipeline.Layout(WIDTH, 4, packing=packing),
    multiple=2,
  )
  assert len(batches) == -(-(count + 5) // 4)
  assert len({batch["tokens"].shape for batch in batches}) == 1
  seen = {task: [] for task in (2, 1)}
  for batch in batches:
    for task, numbers in seen.items():
      numbers.extend(batch["index"][batch["task"] == task])
      for b, e in zip(*np.nonzero(batch["task"] == task), strict=True):
        first = count if task == 1 else 0
        row = found[task == 1].take([batch["index"][b, e] - first])
        start = batch["cls"][b, e]
        tokens = batch["tokens"][b, start : start + len(row.tokens)]
        np.testing.assert_array_equal(tokens, row.tokens)
  # One data set after the other, whatever numbers their examples have.
  assert sorted(seen[2]) == list(range(count))
  assert sorted(seen[1]) == list(range(count, count + 5))
  assert sum(batch["weight"].sum() for batch in batches) == count + 5


def test_batches_of_an_evaluation_need_nearly_the_same_rows():
  lengths = np.random.default_rng(0).integers(1, WIDTH + 1, 400)
  batches = pipeline.eval_batches(
    [(features(np.sort(lengths)), 0)],
    pipeline.Layout(WIDTH, 40, packing=True),
    multiple=1,
  )
  assert np.ptp(batches.plan.rows) <= 1


def test_an_empty_split_has_no_batches():
  empty = pipeline.eval_batches(
    [(features([]), 0)],
    pipeline.Layout(WIDTH, 4, packing=True),
    multiple=1,
  )
  assert list(empty) == []
