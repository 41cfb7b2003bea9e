"""The mean of late weights: what it is, and that it is what is kept."""

import jax
import numpy as np
import pytest

from bam_jax.stages import values
from bam_jax.training import state as states
from bam_jax.training.schedules import average_of
from bam_jax.training.step import guard
from configs import common
from tests import tiny

FIRST = 2


def steps_of(**changes):
  """Returns the states after each step of a trial, on the host."""
  c = tiny.config(**{"optim.average_start": FIRST / tiny.STEPS}, **changes)
  init, step = tiny.functions(tiny.model(), c)
  state, found = tiny.start(init), []
  batches = tiny.batches()
  for k in range(tiny.STEPS):
    state, _ = step(state, batches[k])
    found.append(jax.device_get(state))
  return found


@pytest.fixture(scope="module")
def plain():
  return steps_of()


def test_without_it_there_is_no_mean(plain):
  assert plain[-1].mean is None
  assert plain[-1].kept is plain[-1].params
  assert average_of(tiny.config(), 9) is None


def test_swa_is_the_mean_of_the_late_weights(plain):
  found = steps_of(**{"optim.average": "swa"})
  # It changes nothing of what is trained.
  assert tiny.difference(found[-1].params, plain[-1].params) == 0
  for number, state in enumerate(found):
    late = [each.params for each in plain[min(FIRST, number) : number + 1]]
    want = jax.tree.map(lambda *x: np.mean(x, axis=0), *late)
    assert tiny.difference(state.kept, want) < 1e-6
    assert (tiny.difference(state.kept, state.params) > 0) == (number > FIRST)


def test_ema_forgets_early_weights(plain):
  decay = 0.75
  found = steps_of(**{"optim.average": "ema", "optim.average_decay": decay})
  want = plain[FIRST].params
  for state, each in zip(found[FIRST + 1 :], plain[FIRST + 1 :], strict=True):
    want = jax.tree.map(
      lambda mean, new: decay * mean + (1 - decay) * new, want, each.params
    )
    assert tiny.difference(state.kept, want) < 1e-6


def test_the_best_evaluation_is_of_the_mean():
  c = tiny.config(
    **{
      "optim.average": "swa",
      "optim.average_start": 0.0,
      "select.by": "average",
    }
  )
  init, step = tiny.functions(tiny.model(), c)
  state, batches = tiny.start(init), tiny.batches()
  for k in range(3):
    state, _ = step(state, batches[k])
  kept = states.take_in(
    state, np.float32([0.5]), states.Rule(patience=0)
  ).best.params
  assert tiny.difference(kept, state.mean) == 0
  assert tiny.difference(kept, state.params) > 0


def test_a_bad_step_leaves_the_mean_as_it_was():
  c = tiny.config(**{"optim.average": "swa", "optim.average_start": 0.0})
  init, step = tiny.functions(tiny.model(), c)
  state, batch = tiny.start(init), tiny.batches()[0]
  was = jax.device_get(state.mean)
  bad = jax.tree.map(np.array, state.params)
  bad["pooler"]["kernel"][...] = np.nan
  after, _ = guard(lambda s, b: step(s, b), skip=True)(
    state.replace(params=bad), batch
  )
  assert tiny.difference(after.mean, was) == 0


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"average_start": 0.25}, "average_start is 0.25.*average is none, which"),
    ({"average": "swa", "average_decay": 0.9}, "decay is 0.9.*average=ema"),
    ({"average": "mean"}, "optim.average .*'mean'"),
    ({"average": "ema", "average_decay": 1.0}, "optim.average_decay"),
  ],
)
def test_what_no_mean_reads_is_refused(changes, said):
  c = common.base()
  c.optim.update(changes)
  with pytest.raises(ValueError, match=said):
    values.check(c)
  for good in ({"average": "ema", "average_decay": 0.9}, {"average": "swa"}):
    c = common.base()
    c.optim.update(good)
    values.check(c)
