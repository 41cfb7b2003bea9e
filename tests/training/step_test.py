"""The step of a run: its gradient, its trials, its targets, its first numbers.

Gradients are read off Adam's first moment, which without its decay (b1 = 0)
and without a clip is the gradient.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.training import state as states
from bam_jax.training.settings import Settings
from bam_jax.training.step import guard, make_run
from tests import tiny

HEADS = dict(zip(tiny.TASKS, tiny.CLASSES, strict=True))
INIT, STEP = tiny.functions(tiny.model(), tiny.config())
RAW = {"optim.b1": 0.0, "optim.clip": 0.0}


@functools.cache
def plain(remat=False, **changes):
  """Returns the step without dropout; its first moment is the gradient."""
  net = tiny.model(dropout=0.0, remat=remat)
  return tiny.functions(net, tiny.config(**RAW, **changes))[1]


@pytest.fixture(scope="module")
def state():
  return tiny.start(INIT)


def run(state, batch, *, at=0, step=None):
  """Returns (sums, gradient) of a step without dropout, `at` a step."""
  state = state.replace(step=jnp.full_like(state.step, at))
  after, sums = (step or plain())(state, batch)
  return jax.device_get((sums, after.opt_state[1].mu))


def test_a_single_trial_takes_no_vmap():
  # Under vmap there is no branching on a value.
  add = states.over_trials(lambda x: x + 1 if x > 0 else x, 1)
  assert add(jnp.ones(1)).tolist() == [2]
  assert states.over_trials(lambda x: x + x.size, 3)(jnp.ones(3)).tolist() == [
    2,
    2,
    2,
  ]


def test_three_trials_equal_each_of_them_alone():
  seeds, trials = (4, 0, 7), 3
  batches = tiny.batches(trials=trials)
  init, step = tiny.functions(tiny.model(), tiny.config(), trials=trials)
  shared = jax.device_get(tiny.start(INIT, (9,)).params["bert"])
  given = {"bert": jax.tree.map(lambda x: np.repeat(x, 3, 0), shared)}
  first = tiny.start(init, seeds, given)
  together, sums = step(first, batches[0])
  kernel = np.asarray(first.params["heads"]["mnli"]["kernel"])
  for trial, seed in enumerate(seeds):
    alone = tiny.start(INIT, (seed,), {"bert": shared})
    mine = {name: x[trial : trial + 1] for name, x in batches[0].items()}
    after, own = STEP(alone, mine)
    assert np.abs(kernel[trial - 1] - kernel[trial]).max() > 1e-2
    for a, b in ((together.params, after.params), (sums, own)):
      cut = jax.tree.map(lambda x, t=trial: x[t : t + 1], a)
      assert tiny.difference(cut, b) < 2e-6
  index = batches[0]["index"]
  assert len({tuple(sorted(i.ravel())) for i in index}) == 3, "one order"


def test_dropout_differs_by_step_and_by_trial(state):
  # Without a teacher, or lambda would tell the steps apart.
  batch = tiny.batches(taught=False)[0]

  def loss(step, seed):
    key = tiny.start(INIT, (seed,)).key
    _, sums = STEP(state.replace(step=jnp.array([step]), key=key), batch)
    return float(sums["loss"].sum())

  assert loss(0, 0) == loss(0, 0)
  assert len({loss(0, 0), loss(1, 0), loss(0, 1), loss(1, 1)}) == 4


def test_micro_batches_add_up_to_the_whole_batch(state):
  batch = tiny.batches(multiple=4)[0]
  sums, gradient = run(state, batch)
  half = batch["tokens"].shape[1] // 2
  parts, added = run(state, batch, step=plain(micro_rows=half))
  assert tiny.difference(gradient, added) < 1e-6 * max(1, sums["grad_norm"][0])
  np.testing.assert_array_equal(parts["count"], sums["count"])
  np.testing.assert_allclose(parts["loss"], sums["loss"], rtol=1e-6)
  np.testing.assert_allclose(parts["grad_norm"], sums["grad_norm"], rtol=1e-6)


def test_dropout_goes_with_the_example_wherever_it_lies(state):
  packed = tiny.batches(multiple=4)[0]
  padded = tiny.batches(packing=False)[0]
  wider, empty = {}, {"task": -1, "index": -1}
  for name, x in packed.items():
    slots = [(0, 0)] * x.ndim
    slots[2] = (0, 3 if x.shape[2] == packed["task"].shape[2] else 0)
    wider[name] = np.pad(x, slots, constant_values=empty.get(name, 0))
  assert wider["task"].shape[2] == 3 + packed["task"].shape[2]
  turned = {name: x[:, ::-1] for name, x in packed.items()}
  half = packed["tokens"].shape[1] // 2
  _, halves = tiny.functions(tiny.model(), tiny.config(micro_rows=half))
  want = STEP(state, packed)
  for step, batch in (
    (STEP, padded),
    (STEP, wider),
    (STEP, turned),
    (halves, turned),
  ):
    after, sums = step(state, batch)
    assert tiny.difference(after.params, want[0].params) < 2e-6
    for name, value in sums.items():
      np.testing.assert_allclose(value, want[1][name], rtol=1e-5, err_msg=name)
  # An example that moved on by one in number is another, and drops otherwise.
  other = packed | {"index": packed["index"] + (packed["index"] >= 0)}
  _, sums = STEP(state, other)
  assert (np.abs(sums["loss"] - want[1]["loss"]) > 1e-4).all()


def test_remat_changes_nothing(state):
  batch = tiny.batches()[0]
  (a, left), (b, right) = (
    run(state, batch, step=step) for step in (plain(), plain(remat=True))
  )
  assert tiny.difference(a, b) < 1e-6
  assert tiny.difference(left, right) < 1e-6


def test_packed_loss_and_gradient_equal_unpacked_ones(state):
  packed, padded = (tiny.batches(packing=p)[2] for p in (True, False))
  assert packed["tokens"].shape[1] < padded["tokens"].shape[1] == tiny.BATCH
  (a, left), (b, right) = (run(state, batch) for batch in (packed, padded))
  assert tiny.difference(a, b) < 1e-5
  assert tiny.difference(left, right) < 1e-5
  assert a["count"].sum() == tiny.BATCH


def changed(batch, name, task=None):
  """Returns the batch with other labels or another teacher."""
  other = dict(batch)
  there = batch["task"] >= 0 if task is None else batch["task"] == task
  if name == "label":
    classes = np.array([*HEADS.values(), 1])[batch["task"]]
    new = np.where(classes == 1, 1 - batch["label"], batch["label"] + 1)
    new = np.where(classes == 1, new, new % np.maximum(classes, 2))
  else:
    new, there = 1 - batch["teacher"], there[..., None]
  other[name] = np.where(there, new, batch[name]).astype(np.float32)
  return other


@pytest.mark.parametrize(
  ("at", "counts", "ignored"),
  [(0, "teacher", "label"), (tiny.STEPS, "label", "teacher")],
)
def test_the_target_moves_from_the_teacher_to_gold(state, at, counts, ignored):
  batch = tiny.batches()[0]
  sums, gradient = run(state, batch, at=at)
  assert sums["lambda"] == at / tiny.STEPS
  _, same = run(state, changed(batch, ignored), at=at)
  assert tiny.difference(gradient, same) == 0
  for task, name in enumerate(HEADS):
    _, other = run(state, changed(batch, counts, task), at=at)
    head = gradient["heads"][name], other["heads"][name]
    assert tiny.difference(*head) > 1e-2, name


def test_half_way_the_target_is_half_of_each(state):
  batch = tiny.batches()[0]
  grads = [run(state, batch, at=at)[1] for at in (0, 2, tiny.STEPS)]
  share = 2 / tiny.STEPS
  mixed = jax.tree.map(
    lambda a, b: (1 - share) * a + share * b, grads[0], grads[2]
  )
  # Cross-entropy and squared error have gradients linear in the target.
  assert tiny.difference(grads[1], mixed) < 1e-5


def test_without_a_teacher_gold_counts_from_the_first_step(state):
  untaught = tiny.batches(taught=False)[0]
  _, first = run(state, untaught)
  _, last = run(state, tiny.batches()[0], at=tiny.STEPS)
  assert tiny.difference(first, last) < 1e-6


def test_the_mean_is_the_sum_over_the_batch_size(state):
  batch = tiny.batches()[0]
  sums, gradient = run(state, batch)
  other, mean = run(state, batch, step=plain(**{"loss.reduction": "mean"}))
  scaled = jax.tree.map(lambda x: x * tiny.BATCH, mean)
  assert tiny.difference(gradient, scaled) < 1e-5
  np.testing.assert_array_equal(other["loss"], sums["loss"])


def test_the_weight_of_a_task_scales_its_part_of_the_gradient(state):
  def gradient(*weights):
    sums, found = run(state, tiny.batches(weights=weights)[0])
    assert sums["count"].sum() == tiny.BATCH
    return found

  alone = [gradient(*row) for row in np.eye(3)]
  for task, name in enumerate(HEADS):
    for other in alone[:task] + alone[task + 1 :]:
      assert not np.any(other["heads"][name]["kernel"])
  added = jax.tree.map(lambda a, b, c: 2 * a + 0.5 * b + 3 * c, *alone)
  assert tiny.difference(gradient(2, 0.5, 3), added) < 2e-5


def test_nan_in_one_task_shows_in_its_sum_alone(state):
  batch = tiny.batches()[0]
  bad = np.where(batch["task"] == 1, np.nan, batch["label"])
  sums, _ = run(state, batch | {"label": bad}, at=tiny.STEPS)
  assert np.isfinite(sums["loss"][0]).tolist() == [True, False, True]
  assert not np.isfinite(sums["grad_norm"]).any()


def test_given_parameters_come_before_the_seed(state):
  given = jax.device_get({"bert": state.params["bert"]})
  given["heads"] = {"rte": jax.device_get(state.params["heads"]["rte"])}
  other = tiny.start(INIT, (1,))
  got = tiny.start(INIT, (1,), given)
  assert tiny.difference(got.params["bert"], given["bert"]) == 0
  for name, source in (("rte", state), ("mnli", other), ("stsb", other)):
    assert (
      tiny.difference(got.params["heads"][name], source.params["heads"][name])
      == 0
    )
  assert tiny.difference(got.params["pooler"], other.params["pooler"]) == 0
  assert tiny.difference(got.params["bert"], other.params["bert"]) > 0


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"bert": {"layer_1": {"bias": np.ones(16)}}}, "layer_1/bias, which"),
    (
      {"pooler": {"bias": np.ones(17)}},
      r"pooler/bias \[17\], the .*\[16\]",
    ),
  ],
)
def test_given_parameters_of_another_model_are_refused(given, message):
  params = {"bert": {}, "pooler": {"bias": np.zeros(16, np.float32)}}
  with pytest.raises(ValueError, match=message):
    states.merge(params, given)


def test_the_first_steps_are_as_ever(state):
  found = []
  for k in range(2):
    state, sums = STEP(state, tiny.batches()[k])
    found.append([*sums["loss"][0], *sums["grad_norm"], *sums["rate"]])
  want = [
    [6.780979, 0.2629249, 1.378383, 15.18572, 1e-3],
    [5.506856, 0.06422736, 2.011666, 11.08191, 8e-4],
  ]
  np.testing.assert_allclose(
    found,
    want,
    rtol=2e-4,
    err_msg="the first two steps of a fixed run changed: every result that "
    "was ever reported changes with them. Only a change that means to (of the "
    "model, its initialisation, the seeds, dropout, the loss or the optimiser) "
    "may write new numbers here, and says so in its commit message",
  )


def poisoned(batch, trial):
  """Returns the batch of R trials with a label of one that is no number."""
  label = np.array(batch["label"])
  label[trial] = np.nan
  return batch | {"label": label}


@pytest.fixture(scope="module")
def pair():
  """Two trials' first state, and their guarded steps: (stop, skip)."""
  init, step = tiny.functions(tiny.model(), tiny.config(), trials=2)
  step = step.__wrapped__
  quick = {"xla_backend_optimization_level": 0}
  guarded = [
    jax.jit(guard(step, skip=skip), compiler_options=quick)
    for skip in (False, True)
  ]
  whole = jax.jit(step, compiler_options=quick)
  return tiny.start(init, (0, 1)), whole, *guarded


def trial_of(tree, trial):
  return jax.tree.map(lambda x: np.asarray(x)[trial], tree)


def test_a_guard_changes_nothing_where_all_is_finite(pair):
  first, step, stop, skip = pair
  batch = tiny.batches(trials=2)[0]
  want, _ = step(first, batch)
  for guarded in (stop, skip):
    got, sums = guarded(first, batch)
    assert tiny.difference(got.params, want.params) == 0
    assert got.step.tolist() == [1, 1]
    assert sums["bad"].tolist() == [0, 0]


def test_a_bad_step_stops_all_trials_as_they_were(pair):
  first, _, stop, _ = pair
  batches = tiny.batches(trials=2)
  before, _ = stop(first, batches[0])
  state, sums = stop(before, poisoned(batches[1], 1))
  state, _ = stop(state, batches[2])
  assert sums["bad"].tolist() == [0, 1]
  assert state.step.tolist() == [1, 1]
  after = state.params, state.opt_state
  assert tiny.difference(after, (before.params, before.opt_state)) == 0


def test_a_skipped_step_leaves_out_one_update_of_one_trial(pair):
  first, _, _, skip = pair
  batches = tiny.batches(trials=2)
  before, _ = skip(first, batches[0])
  state, sums = skip(before, poisoned(batches[1], 1))
  # By the same program: another may round otherwise.
  want, _ = skip(before, batches[1])
  assert sums["bad"].tolist() == state.bad.tolist() == [0, 1]
  assert state.step.tolist() == [2, 2]
  for trial, same in ((0, want), (1, before)):
    mine = trial_of(state.params, trial)
    assert tiny.difference(mine, trial_of(same.params, trial)) == 0


def test_after_skipped_steps_the_rate_that_is_used_is_the_one_that_is_told():
  # Without moments an update is the rate wherever there is a gradient.
  c = tiny.config(
    **{
      "optim.b1": 0.0,
      "optim.b2": 0.0,
      "optim.eps": 1e-30,
      "optim.clip": 0.0,
      "optim.weight_decay": 0.0,
      "multi.layer_decay": 1.0,
      "multi.rate": 0.1,
    }
  )
  skipped, steps = {2, 3, 7, 12, 18}, 20
  init, step = make_run(
    tiny.model(dropout=0.0), steps=steps, settings=Settings.of(c, "multi")
  )
  step = jax.jit(guard(states.over_trials(step, 1), skip=True))
  state = tiny.start(jax.jit(states.over_trials(init, 1)))
  batches = tiny.batches()
  for k in range(steps):
    batch = batches[k % len(batches)]
    after, sums = step(state, poisoned(batch, 0) if k in skipped else batch)
    used = tiny.difference(after.params, state.params)
    told = 0.0 if k in skipped else float(sums["rate"][0])
    np.testing.assert_allclose(used, told, rtol=1e-4, atol=1e-7)
    state = after
  assert state.bad.tolist() == [len(skipped)]


def test_each_trial_keeps_its_own_best_and_ends_after_its_patience():
  zero = jnp.zeros(3, jnp.int32)
  params = jnp.zeros((3, 2))
  best = states.Best(jnp.full(3, -jnp.inf), zero, zero, params)
  state = states.TrainState(zero, params, None, None, zero, best)
  for step, scores in enumerate(
    [[5.0, 5.0, 5.0], [6.0, 4.0, 5.0], [7.0, 4.0, jnp.nan], [1.0, 9.0, 9.0]], 1
  ):
    state = state.replace(
      step=jnp.full(3, step), params=jnp.full((3, 2), float(step))
    )
    state = states.take_in(state, jnp.array(scores), states.Rule(patience=2))
  assert state.best.score.tolist() == [7.0, 5.0, 5.0]
  assert state.best.step.tolist() == [3, 1, 1]
  assert state.best.params[:, 0].tolist() == [3.0, 1.0, 1.0]
