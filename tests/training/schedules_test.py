"""Rates and lambdas at the steps where schedules go wrong."""

import jax
import numpy as np
import pytest

from bam_jax.training import schedules


def _rates(**changes):
  settings = {"peak": 2.0, "steps": 40, "warmup": 0.1, "join": "continuous"}
  rate = jax.jit(schedules.learning_rate(**(settings | changes)))
  return np.array([rate(step) for step in range(41)])


def _lambdas(kind, *, value=0.5, **options):
  return _build(kind, options, value=value)


def _build(kind, options, *, value):
  lam = jax.jit(
    schedules.teacher_lambda(kind=kind, steps=10, value=value, options=options)
  )
  return np.array([lam(step) for step in range(10)])


def test_continuous_join_reaches_the_peak_once_and_ends_at_zero():
  rise, fall = 2.0 * np.arange(4) / 4, 2.0 * (40 - np.arange(4, 41)) / 36
  np.testing.assert_allclose(
    _rates(), np.concatenate([rise, fall]), rtol=1e-6, atol=1e-7
  )


def test_bert_join_drops_to_nine_tenths_of_the_peak():
  steps = np.arange(41)
  expected = np.where(steps < 4, 2.0 * steps / 4, 2.0 * (40 - steps) / 40)
  rates = _rates(join="bert")
  np.testing.assert_allclose(rates, expected, rtol=1e-6, atol=1e-7)
  np.testing.assert_allclose(rates[4], 0.9 * 2.0, rtol=1e-6)


def test_warmup_is_whole_steps_rounded_down():
  # int(0.12 * 40) = 4, as the reference code counts.
  np.testing.assert_array_equal(_rates(warmup=0.12), _rates(warmup=0.1))


@pytest.mark.parametrize("join", schedules.JOINS)
def test_without_warmup_the_first_step_has_the_peak(join):
  expected = 2.0 * (40 - np.arange(41)) / 40
  np.testing.assert_allclose(
    _rates(warmup=0.0, join=join), expected, rtol=1e-6, atol=1e-7
  )


@pytest.mark.parametrize("join", schedules.JOINS)
def test_a_run_of_one_step_learns(join):
  assert _rates(steps=1, join=join)[0] == 2.0


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"join": "continous"}, "did you mean 'continuous'"),
    ({"join": "x"}, "choose from continuous, bert"),
    ({"warmup": 1.0}, "0 <= warmup < 1"),
    ({"warmup": -0.1}, "0 <= warmup < 1"),
    ({"peak": -1e-4}, "learning rate -0.0001 is negative"),
    ({"peak": float("nan")}, "learning rate nan"),
    ({"steps": 0}, "a run of 0 steps"),
  ],
)
def test_bad_rates_say_what_is_allowed(changes, message):
  with pytest.raises(ValueError, match=message):
    _rates(**changes)


def test_linear_lambda_is_the_share_of_steps_done():
  np.testing.assert_allclose(_lambdas("linear"), np.arange(10) / 10, rtol=1e-6)


def test_constant_lambda_is_the_value():
  np.testing.assert_array_equal(_lambdas("constant", value=0.25), [0.25] * 10)


def test_lambda_works_inside_a_gradient():
  lam = schedules.teacher_lambda(kind="linear", steps=8, value=0, options={})
  slope = jax.jit(jax.grad(lambda x, step: x * lam(step)))
  assert slope(3.0, 6) == 0.75


def test_optax_schedules_span_the_run_when_no_steps_are_given():
  halfway = np.arange(10) / 10
  np.testing.assert_allclose(
    _lambdas("cosine_decay_schedule", init_value=1.0),
    (1 + np.cos(np.pi * halfway)) / 2,
    atol=1e-6,
  )
  np.testing.assert_allclose(
    _lambdas("polynomial_schedule", init_value=0.0, end_value=1.0, power=2),
    1 - (1 - halfway) ** 2,
    atol=1e-6,
  )


def test_float_steps_are_shares_of_the_run_and_integers_are_steps():
  by_share = _lambdas(
    "linear_schedule",
    init_value=0.0,
    end_value=1.0,
    transition_steps=0.5,
    transition_begin=0.2,
  )
  np.testing.assert_allclose(
    by_share, np.clip((np.arange(10) - 2) / 5, 0, 1), atol=1e-6
  )
  by_step = _lambdas(
    "linear_schedule",
    init_value=0.0,
    end_value=1.0,
    transition_steps=5,
    transition_begin=2,
  )
  np.testing.assert_array_equal(by_share, by_step)


def test_boundaries_may_be_shares_of_the_run():
  jumps = _lambdas(
    "piecewise_constant_schedule",
    init_value=0.2,
    boundaries_and_scales={0.5: 2.0, 8: 2.0},
  )
  np.testing.assert_allclose(jumps, [0.2] * 5 + [0.4] * 3 + [0.8] * 2)


@pytest.mark.parametrize(
  ("kind", "options"),
  [
    ("constant_schedule", {"value": 0.5}),
    ("cosine_decay_schedule", {"init_value": 1.0}),
    ("cosine_onecycle_schedule", {"peak_value": 1.0}),
    ("exponential_decay", {"init_value": 1.0, "decay_rate": 0.5}),
    ("linear_onecycle_schedule", {"peak_value": 1.0}),
    ("linear_schedule", {"init_value": 1.0, "end_value": 0.0}),
    ("piecewise_constant_schedule", {"init_value": 1.0}),
    (
      "piecewise_interpolate_schedule",
      {"interpolate_type": "linear", "init_value": 1.0},
    ),
    (
      "polynomial_schedule",
      {"init_value": 0.0, "end_value": 1.0, "power": 2},
    ),
    (
      "warmup_constant_schedule",
      {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 0.5},
    ),
    (
      "warmup_cosine_decay_schedule",
      {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 0.5},
    ),
    (
      "warmup_exponential_decay_schedule",
      {
        "init_value": 0.0,
        "peak_value": 1.0,
        "warmup_steps": 0.5,
        "decay_rate": 0.5,
      },
    ),
  ],
)
def test_every_schedule_offered_can_be_built(kind, options):
  lambdas = _build(kind, options, value=0.5)
  assert np.all((lambdas >= 0) & (lambdas <= 1))


def test_the_test_above_builds_them_all():
  marks = test_every_schedule_offered_can_be_built.pytestmark
  assert [kind for kind, _ in marks[0].args[1]] == list(schedules.SCHEDULES)


@pytest.mark.parametrize(
  ("kind", "options", "message"),
  [
    ("liner", {}, "did you mean 'linear'"),
    ("cosine_decay", {}, "did you mean 'cosine_decay_schedule'"),
    ("join_schedules", {}, "choose from linear, constant, "),
    ("linear", {"power": 2}, "'linear' takes no options, got power"),
    ("cosine_decay_schedule", {"init_valu": 1.0}, "did you mean 'init_value'"),
    ("cosine_decay_schedule", {}, r"also needs the options \['init_value'\]"),
    (
      "cosine_decay_schedule",
      {"init_value": "a"},
      r"cosine_decay_schedule does not take the options \{.*'a'\}",
    ),
    (
      "linear_schedule",
      {"init_value": 0.0, "end_value": 2.0},
      r"must stay in \[0, 1\].* from 0 to 1.8 in 10 steps",
    ),
    (
      "polynomial_schedule",
      {"init_value": 0.5, "end_value": -0.5, "power": 1},
      r"must stay in \[0, 1\]",
    ),
    ("constant_schedule", {"value": float("nan")}, r"must stay in \[0, 1\]"),
  ],
)
def test_bad_lambdas_say_what_is_allowed(kind, options, message):
  with pytest.raises(ValueError, match=message):
    _build(kind, options, value=0.5)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_constant_lambda_outside_the_unit_interval_is_refused(value):
  with pytest.raises(ValueError, match=r"lambda .* is outside \[0, 1\]"):
    _lambdas("constant", value=value)
