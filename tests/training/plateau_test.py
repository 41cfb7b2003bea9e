"""A rate that falls at plateaus, against the paper's text in plain Python."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.training import schedules
from bam_jax.training import state as states
from tests import tiny

PLATEAU = {
  "optim.schedule": "plateau",
  "select.by": "average",
  "eval_every": 1,
}
R = 3


def told(scores, *, rate, patience, waits, factor, least):
  """Does what Wang et al. (2019), appendix B, say of evaluations.

  "We multiply the learning rate by 0.5 whenever validation performance fails
  to improve for more than 4 validation checks. We stop training if the learning
  rate falls below 1e-6. [...] We stop training if we see no improvement after
  more than 20 validation checks."

  Returns:
    the rate after every evaluation until the end, and the best one's number.
  """
  rates, best, kept, since_best, since_change = [], -np.inf, 0, 0, 0
  for number, score in enumerate(scores, 1):
    since_best, since_change = since_best + 1, since_change + 1
    if score > best:
      best, kept, since_best, since_change = score, number, 0, 0
    if since_change > waits:
      rate, since_change = rate * factor, 0
    rates.append(rate)
    # patience counts the evaluation after which it is over: 21 is the paper's.
    if rate < least or (patience and since_best > patience - 1):
      break
  return rates, kept


def state_of(trials):
  zero, params = jnp.zeros(trials, jnp.int32), jnp.zeros((trials, 2))
  return states.TrainState(
    zero,
    params,
    None,
    None,
    zero,
    states.Best(jnp.full(trials, -jnp.inf), zero, zero, params),
    plateau=states.Plateau(jnp.ones(trials), zero),
  )


@functools.partial(jax.jit, static_argnums=1)
def taken(scores, rule):
  def one(state, scores):
    state = states.take_in(state.replace(step=state.step + 1), scores, rule)
    return state, (state.plateau.scale, rule.ended(state))

  return jax.lax.scan(one, state_of(scores.shape[1]), scores)


def followed(scores, rule):
  """Takes scores [N, R] in; returns scales [N, R], ended [N, R], the state."""
  state, found = taken(scores, rule)
  return *map(np.asarray, found), state


@pytest.mark.parametrize(
  ("patience", "waits", "factor", "least", "peak"),
  [
    (21, 4, 0.5, 1e-6, 1e-4),  # the paper's
    (21, 4, 0.5, 1e-6, 1.28e-4),  # falls onto 1e-6, which is not below it
    (4, 1, 0.5, 1e-6, 1e-4),
    (0, 0, 0.25, 1e-5, 1e-3),
    (3, 9, 0.5, 1e-6, 1e-4),  # ends before the rate falls
  ],
)
def test_it_follows_the_papers_text(patience, waits, factor, least, peak):
  c = {
    "select.patience": patience,
    "plateau.patience": waits,
    "plateau.factor": factor,
    "plateau.least": least,
    "multi.rate": peak,
  }
  rule = states.Rule.of(tiny.settings(**PLATEAU, **c))
  rng = np.random.default_rng(patience)
  ends = set()
  for _ in range(8):
    # Equals, ups and downs; two that have ended see far better ones later.
    scores = rng.integers(0, 9, (80, R)) + rng.random() * np.arange(80)[
      :, None
    ] * (rng.random(R) < 0.5)
    scores = np.float32(scores)
    scales, over, state = followed(scores, rule)
    for trial in range(R):
      rates, kept = told(
        scores[:, trial],
        rate=1.0,
        patience=patience,
        waits=waits,
        factor=factor,
        least=least / peak,
      )
      n = len(rates)
      assert scales[:n, trial].tolist() == rates
      # What has ended takes nothing more in.
      assert (scales[n:, trial] == rates[-1]).all()
      assert over[: n - 1, trial].tolist() == [False] * (n - 1)
      assert int(state.best.step[trial]) == kept
      assert float(state.best.score[trial]) == scores[kept - 1, trial]
      if n < 80:
        assert over[n - 1 :, trial].all()
      ends.add(n)
      alone = followed(scores[:, [trial]], rule)
      np.testing.assert_array_equal(alone[0][:, 0], scales[:, trial])
      np.testing.assert_array_equal(alone[1][:, 0], over[:, trial])
      assert int(alone[2].best.step[0]) == kept
  assert len(ends) > 3


def test_the_papers_numbers():
  settings = tiny.settings(**PLATEAU, **{"select.patience": 21})
  rule = states.Rule.of(settings)
  # One gain, and then none.
  scales, over, _ = followed(np.float32([[7.0]] + [[7.0]] * 24), rule)
  assert np.flatnonzero(np.diff(scales[:, 0])).tolist() == [4, 9, 14, 19]
  assert scales[20, 0] == 1 / 16
  assert np.argmax(over[:, 0]) == 21


def test_every_trial_has_a_rate_of_its_own():
  net, c = tiny.model(), tiny.config(**PLATEAU, **{"optim.warmup": 0.0})
  init, step = tiny.functions(net, c, trials=2)
  state = tiny.start(init, (4, 4))
  state = state.replace(
    plateau=state.plateau.replace(scale=jnp.float32([1.0, 0.25]))
  )
  after, sums = step(state, tiny.batches(order=tiny.orders(1).repeat(2, 0))[0])
  np.testing.assert_allclose(sums["rate"], [1e-3, 0.25e-3], rtol=1e-6)
  assert after.plateau.scale.tolist() == [1.0, 0.25]
  moved = jax.tree.map(
    lambda new, old: (new - old)[0] / 4 - (new - old)[1],
    after.params,
    state.params,
  )
  assert max(float(jnp.abs(x).max()) for x in jax.tree.leaves(moved)) < 1e-7
  assert tiny.difference(after.params, state.params) > 1e-3


def test_the_rate_stays_at_its_peak_after_the_warm_up():
  changes = {"optim.warmup": 0.2, "multi.rate": 3e-4}
  rate = schedules.rate_of(tiny.settings(**PLATEAU, **changes), 50)
  found = np.array([rate(step) for step in (0, 5, 10, 30, 49)])
  np.testing.assert_allclose(found, np.array([0, 1.5, 3, 3, 3]) * 1e-4)
