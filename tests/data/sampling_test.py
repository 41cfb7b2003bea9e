"""Sampling: golden numbers of the reference code, epochs, shares and seeds."""

import numpy as np
import pytest

from bam_jax.data import sampling

SIZES = (50, 7, 200)
NAMES = ("cola", "mnli", "mrpc", "qnli", "qqp", "sst2", "stsb", "rte")
BOUNDS = np.cumsum(SIZES)


def draw(**changes):
  plan = {
    name: changes.pop(name, value)
    for name, value in {"batch_size": 16, "steps": 60, "seed": 0}.items()
  }
  mixing = {
    "kind": "power",
    "exponent": 0.75,
    "temperature": 2.0,
    "copies": (1, 3, 2),
  }
  mixing = sampling.Mixing(**mixing | changes)
  return sampling.train_order(SIZES, mixing, **plan)


def task_of(order):
  return np.searchsorted(BOUNDS, order, side="right")


# The next three hold what the reference code computes from its own table of
# sizes. They change only if that code is found to have been misread.
@pytest.mark.parametrize(
  ("exponent", "copies"),
  [
    (0.75, (3, 1, 3, 1, 1, 2, 2, 4)),
    (0.5, (7, 1, 7, 2, 1, 2, 6, 13)),
    (1.0, (1,) * 8),
  ],
)
def test_copies_are_the_reference_codes(exponent, copies):
  got, _ = sampling.copies_and_weights(
    sampling.REFERENCE_SIZES, exponent=exponent, anchor="mnli", over=NAMES
  )
  assert got == dict(zip(NAMES, copies, strict=True))


def test_weights_are_the_reference_codes():
  copies, weights = sampling.copies_and_weights(
    sampling.REFERENCE_SIZES, exponent=0.75, anchor="mnli", over=NAMES
  )
  golden = (0.8634, 0.9951, 0.8972, 1.3727, 1.0142, 0.7731, 1.2028, 0.8816)
  for name, weight in zip(NAMES, golden, strict=True):
    assert weights[name] == pytest.approx(weight, abs=5e-5), name
  rows = {n: sampling.REFERENCE_SIZES[n] * copies[n] for n in NAMES}
  mean = sum(rows[n] * weights[n] for n in NAMES) / sum(rows.values())
  assert mean == pytest.approx(1.0100, abs=5e-5)
  _, flat = sampling.copies_and_weights(
    sampling.REFERENCE_SIZES, exponent=1.0, anchor="mnli", over=NAMES
  )
  assert list(flat.values()) == pytest.approx([1.0] * 8)


def test_steps_are_the_reference_codes():
  copies, _ = sampling.copies_and_weights(
    sampling.REFERENCE_SIZES, exponent=0.75, anchor="mnli", over=NAMES
  )
  rows = sum(sampling.REFERENCE_SIZES[n] * copies[n] for n in NAMES)
  assert rows == 1_080_322
  assert sampling.count_steps(rows, batch_size=128, epochs=1) == 8_441
  assert sampling.count_steps(rows, batch_size=128, epochs=6.0) == 50_646


def test_own_tasks_are_anchored_on_the_largest_and_average_to_one():
  sizes = {"own": 81, "other": 1, "big": 10_000}
  copies, weights = sampling.copies_and_weights(
    sizes, exponent=0.5, anchor="", over=("own", "other")
  )
  assert copies == {"own": 11, "other": 100, "big": 1}
  assert weights["own"] + weights["other"] == pytest.approx(2)
  # Copies x weight x size stays in the proportion of n^exponent.
  shares = [sizes[n] * copies[n] * weights[n] / sizes[n] ** 0.5 for n in sizes]
  assert shares == pytest.approx([shares[0]] * 3)


def test_a_task_above_its_anchor_still_comes_once():
  copies, weights = sampling.copies_and_weights(
    {"small": 1, "big": 10_000}, exponent=0.5, anchor="small", over=("big",)
  )
  assert copies == {"small": 1, "big": 1}
  assert weights["big"] == pytest.approx(1)


def test_copies_name_the_task_that_has_no_size():
  with pytest.raises(ValueError, match=r"task 'wnli' has no size.* cola, mnli"):
    sampling.copies_and_weights(
      sampling.REFERENCE_SIZES, exponent=1, anchor="mnli", over=("rte", "wnli")
    )


@pytest.mark.parametrize(
  ("kind", "shares"),
  [
    ("power", (8, 1, 27)),
    ("uniform", (1, 1, 1)),
    ("proportional", (16, 1, 81)),
    ("log", (np.log(16), np.log(2), np.log(81))),
    ("temperature", (4, 1, 9)),
  ],
)
def test_probabilities(kind, shares):
  sizes = (16, 1, 81)
  got = sampling.probabilities(sizes, kind=kind, exponent=0.75, temperature=2)
  np.testing.assert_allclose(got, np.array(shares) / sum(shares))


def test_one_task_alone_is_drawn_always():
  for kind in ("power", "uniform", "proportional", "log", "temperature"):
    got = sampling.probabilities([1], kind=kind, exponent=0.75, temperature=2)
    assert got.tolist() == [1.0]


def test_loss_scale_is_relative_to_the_largest():
  got = sampling.loss_scale((1, 81, 16), kind="power", exponent=0.75)
  np.testing.assert_allclose(got, [1 / 27, 1, 8 / 27])
  got = sampling.loss_scale((1, 81, 16), kind="proportional", exponent=0.75)
  np.testing.assert_allclose(got, [1 / 81, 1, 16 / 81])
  got = sampling.loss_scale((1, 81, 16), kind="uniform", exponent=0.75)
  assert got.tolist() == [1, 1, 1]


@pytest.mark.parametrize("kind", sampling.SAMPLING)
def test_each_epoch_of_a_task_sees_each_example_once(kind):
  order = draw(kind=kind).reshape(-1)
  if kind == "copies":
    epoch = 50 * 1 + 7 * 3 + 200 * 2
    for start in range(0, len(order) - epoch + 1, epoch):
      seen = np.bincount(order[start : start + epoch], minlength=257)
      assert seen.tolist() == [1] * 50 + [3] * 7 + [2] * 200
    return
  for task, size in enumerate(SIZES):
    mine = order[task_of(order) == task]
    assert len(mine)
    for start in range(0, len(mine) - size + 1, size):
      epoch = mine[start : start + size]
      assert sorted(epoch) == list(range(BOUNDS[task] - size, BOUNDS[task]))


def test_epochs_are_shuffled_anew():
  first, second = np.split(draw(kind="round_robin")[1::3].reshape(-1)[:14], 2)
  assert sorted(first) == sorted(second)
  assert first.tolist() != second.tolist()


@pytest.mark.parametrize("kind", ["power", "log", "uniform", "proportional"])
def test_tasks_are_drawn_as_often_as_their_probability(kind):
  order = draw(kind=kind, steps=4000)
  got = np.bincount(task_of(order).reshape(-1)) / order.size
  want = sampling.probabilities(SIZES, kind=kind, exponent=0.75, temperature=2)
  # Four standard deviations of the share of 64,000 draws.
  assert np.abs(got - want).max() < 4 * 0.5 / np.sqrt(order.size)


def test_batches_of_round_robin_are_of_one_task_each():
  tasks = task_of(draw(kind="round_robin", steps=7))
  assert tasks.min(axis=1).tolist() == [0, 1, 2, 0, 1, 2, 0]
  assert tasks.max(axis=1).tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_tasks_are_mixed_inside_a_batch():
  assert len(set(task_of(draw(kind="uniform"))[0])) == 3


@pytest.mark.parametrize("kind", sampling.SAMPLING)
def test_order_is_a_function_of_the_seed(kind):
  order = draw(kind=kind)
  assert order.shape == (60, 16)
  assert order.dtype == np.int32
  np.testing.assert_array_equal(order, draw(kind=kind))
  assert (order != draw(kind=kind, seed=1)).any()


# Where tasks come by the share of the run that is done, a cap makes it another.
@pytest.mark.parametrize(
  "kind",
  [
    kind
    for kind in sampling.SAMPLING
    if not kind.startswith("sequential") and kind != "annealed"
  ],
)
def test_a_capped_run_is_the_beginning_of_the_full_one(kind):
  np.testing.assert_array_equal(draw(kind=kind, steps=9), draw(kind=kind)[:9])


@pytest.mark.parametrize("kind", ["power", "uniform", "annealed"])
def test_a_task_that_has_ended_is_skipped(kind):
  most = (100, 14, np.inf)
  order = draw(kind=kind, ends=most, epochs=3.0)
  tasks = task_of(order).reshape(-1)
  assert np.bincount(tasks)[:2].tolist() == [100, 14]
  # Each of its rows as often, none of them cut off.
  assert np.bincount(order.reshape(-1))[:57].tolist() == [2] * 57
  # Until a task ends the run is what it is where none does.
  first = min(np.flatnonzero(tasks == task)[-1] for task in (0, 1))
  free = draw(kind=kind, epochs=3.0).reshape(-1)
  np.testing.assert_array_equal(order.reshape(-1)[:first], free[:first])
  # Of those that are left each has its share.
  if kind == "uniform":
    rest = tasks[np.flatnonzero(tasks == 1)[-1] + 1 :]
    before = rest[: np.flatnonzero(rest == 0)[-1] + 1]
    assert abs((before == 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(len(before))
  np.testing.assert_array_equal(order, draw(kind=kind, ends=most, epochs=3.0))


def test_a_run_may_end_with_its_tasks():
  order = draw(ends=(50, 7, 7), steps=4, kind="uniform")
  assert np.bincount(task_of(order).reshape(-1)).tolist() == [50, 7, 7]


def test_only_tasks_that_are_drawn_by_chance_end():
  for kind in ("round_robin", "sequential", "copies"):
    with pytest.raises(ValueError, match=f"sampling '{kind}' does not draw"):
      draw(kind=kind, ends=(50, 7, np.inf))


def test_order_is_the_same_on_every_machine_and_version():
  # Runs go on by number: where this fails (a numpy that draws differently, or
  # a change here), a run begun before cannot be continued after. Change the
  # numbers only with a line in the release notes.
  assert draw()[3, :6].tolist() == [144, 41, 69, 124, 40, 61]


def test_no_step_at_all_is_refused():
  with pytest.raises(ValueError, match=r"0.01 epochs of 90 .* not one step"):
    sampling.count_steps(90, batch_size=32, epochs=0.01)
  assert sampling.count_steps(90, batch_size=32, epochs=0.5) == 1


def test_unknown_names_are_answered_with_the_known():
  with pytest.raises(ValueError, match=r"'powr': it is one of power, .*copies"):
    draw(kind="powr")
  with pytest.raises(ValueError, match="'log': it is one of uniform, prop"):
    sampling.loss_scale(SIZES, kind="log", exponent=1)
  with pytest.raises(ValueError, match="temperature is 0; it must be above"):
    draw(kind="temperature", temperature=0)


def plain(kind, steps, size, epochs, seed):
  """Returns the task of every place, step after step, as a loop has it."""
  total, found = sum(SIZES), []
  drawn = iter(sampling._rng(seed, "tasks").random(steps * size))
  last = max(-(-epochs // 1) - 1, 1)
  for k in range(steps):
    epoch, share = divmod(k * epochs / steps + 1e-9, 1)
    if kind == "sequential":
      share = k / steps
    for _ in range(size):
      if kind == "annealed":
        powers = [n ** (1 - 0.8 * epoch / last) for n in SIZES]
        at, chance = 0, next(drawn) * sum(powers)
        while chance >= powers[at]:
          chance, at = chance - powers[at], at + 1
        found.append(at)
      else:
        found.append(
          0 if share < 50 / total else 1 if share < 57 / total else 2
        )
  return np.reshape(found, (steps, size))


@pytest.mark.parametrize("epochs", [1.0, 3.0, 2.5])
@pytest.mark.parametrize(
  "kind", ["sequential", "sequential_epochs", "annealed"]
)
def test_orders_by_epochs_are_those_of_a_plain_loop(kind, epochs):
  order = draw(kind=kind, epochs=epochs, steps=90, batch_size=5, seed=3)
  expected = plain(kind, 90, 5, epochs, 3)
  assert np.array_equal(task_of(order), expected)
  # Which examples come is a matter of their task alone, and none comes again
  # before all have come.
  for task, (size, end) in enumerate(zip(SIZES, BOUNDS, strict=True)):
    mine = order[expected == task] - (end - size)
    for start in range(0, len(mine) - size + 1, size):
      assert sorted(mine[start : start + size]) == list(range(size))
  again = draw(kind=kind, epochs=epochs, steps=90, batch_size=5, seed=3)
  assert np.array_equal(order, again)


def test_sequential_ends_with_the_last_task_and_epochs_come_back_to_the_first():
  whole = task_of(draw(kind="sequential", epochs=3.0))[:, 0]
  assert (np.diff(whole) >= 0).all()
  assert set(whole) == {0, 1, 2}
  by_epoch = task_of(draw(kind="sequential_epochs", epochs=3.0))[:, 0]
  assert np.flatnonzero(np.diff(by_epoch) < 0).tolist() == [19, 39]


def test_the_last_epoch_of_annealed_is_nearly_uniform():
  mixing = sampling.Mixing(
    "annealed",
    exponent=9.0,
    temperature=2.0,
    copies=(),
    epochs=25.0,
    anneal=0.8,
  )
  assert mixing.exponents[[0, 12, 24]] == pytest.approx([1.0, 0.6, 0.2])
  order = draw(kind="annealed", epochs=4.0, steps=4000)
  first, last = (
    np.bincount(task_of(x).ravel()) for x in np.split(order, 4)[::3]
  )
  assert first / first.sum() == pytest.approx(np.divide(SIZES, 257), abs=0.01)
  powers = np.power(SIZES, 0.2)
  assert last / last.sum() == pytest.approx(powers / powers.sum(), abs=0.01)


def test_a_task_alone_is_drawn_alike_in_every_order():
  kinds = ("power", "annealed", "round_robin", "sequential_epochs")
  orders = [
    sampling.train_order(
      (9,),
      sampling.Mixing(
        kind, exponent=0.7, temperature=2.0, copies=(1,), epochs=2.0
      ),
      batch_size=4,
      steps=7,
      seed=1,
    )
    for kind in kinds
  ]
  assert all(np.array_equal(orders[0], each) for each in orders)
