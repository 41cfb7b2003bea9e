"""What changes while training: the learning rate, and the teacher's lambda.

Both are optax schedules, functions of the step that work inside a jitted
function. The runs that they describe have `steps` steps, numbered from 0.
"""

from collections.abc import Callable, Iterable, Mapping
import inspect
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import optax

from bam_jax.runtime.spelling import hint
from bam_jax.training.settings import Settings

JOINS = ("continuous", "bert")
# How the rate falls after its peak: with the steps, or at a plateau, see
# `state.Rule`.
RATES = ("linear", "plateau")

# Those of optax that numbers describe: sgdr, join and inject want objects.
SCHEDULES = (
  "constant_schedule",
  "cosine_decay_schedule",
  "cosine_onecycle_schedule",
  "exponential_decay",
  "linear_onecycle_schedule",
  "linear_schedule",
  "piecewise_constant_schedule",
  "piecewise_interpolate_schedule",
  "polynomial_schedule",
  "warmup_constant_schedule",
  "warmup_cosine_decay_schedule",
  "warmup_exponential_decay_schedule",
)
LAMBDAS = ("linear", "constant", *SCHEDULES)


def _one_of(what: str, got: str, allowed: Iterable[str]) -> None:
  """Raises with the nearest of the allowed names if `got` is none of them."""
  allowed = tuple(allowed)
  if got not in allowed:
    raise ValueError(
      f"{what} {got!r} is not known; choose from {', '.join(allowed)}"
      f"{hint(got, allowed)}"
    )


def _check_steps(steps: int) -> None:
  if steps < 1:
    raise ValueError(f"a run of {steps} steps has no schedule; use 1 or more")


def learning_rate(
  *, peak: float, steps: int, warmup: float, join: str, falls: bool = True
) -> optax.Schedule:
  """Builds linear warm-up from 0 to `peak` and linear decay to 0 at `steps`.

  Args:
    peak: the highest rate.
    steps: number of steps of the run.
    warmup: share of the steps that warm up, 0 <= warmup < 1.
    join: "continuous" decays from the peak over the steps that remain. "bert"
      is the reference code: the decay starts at step 0 and the warm-up merely
      covers its beginning, so the rate drops to (1 - warmup) * peak where the
      warm-up ends.
    falls: whether it decays; otherwise it stays at the peak.

  Returns:
    step -> rate.

  Raises:
    ValueError: an argument is outside its range.
  """
  _one_of("learning rate join", join, JOINS)
  _check_steps(steps)
  if not 0 <= warmup < 1:
    raise ValueError(
      f"warmup {warmup} is not a share of the steps; use 0 <= warmup < 1,"
      " such as 0.1"
    )
  if not peak >= 0:
    raise ValueError(f"learning rate {peak} is negative or not a number")
  warm = int(warmup * steps)
  top = peak if join == "continuous" else peak * (1 - warm / steps)
  decay = optax.linear_schedule(top, 0.0 if falls else top, steps - warm)
  if not warm:
    return decay
  rise = optax.linear_schedule(0.0, peak, warm)
  return optax.join_schedules([rise, decay], [warm])


def _constant(steps: int, value: float) -> optax.Schedule:
  if not 0 <= value <= 1:
    raise ValueError(f"lambda {value} is outside [0, 1]")
  return optax.constant_schedule(value)


# Those that need no options: (steps, value) -> lambda.
_OURS = {
  "linear": lambda steps, value: optax.linear_schedule(0.0, 1.0, steps),
  "constant": _constant,
}


def teacher_lambda(
  *, kind: str, steps: int, value: float, options: Mapping[str, Any]
) -> optax.Schedule:
  """Builds lambda, the weight of gold labels against a teacher's (section 3.2).

  Args:
    kind: "linear" is the paper's teacher annealing, step / steps: 0 at the
      first step and (steps - 1) / steps at the last. "constant" is `value`.
      Otherwise the name of an optax schedule, one of `SCHEDULES`.
    steps: number of steps of the run.
    value: lambda of the kind "constant", in [0, 1].
    options: keyword arguments of the optax schedule. Its steps, begins and
      boundaries are counted in steps when they are integers and as shares of
      the run when they are floats; `decay_steps` and `transition_steps` that
      are left out are the whole run.

  Returns:
    step -> lambda.

  Raises:
    ValueError: unknown names, missing or unfit options, or a lambda that
      leaves [0, 1] during the run.
  """
  _one_of("lambda schedule", kind, LAMBDAS)
  _check_steps(steps)
  if kind in _OURS and options:
    raise ValueError(
      f"lambda schedule {kind!r} takes no options, got"
      f" {', '.join(map(str, options))}; empty them or name an optax schedule"
    )
  if kind in _OURS:
    return _OURS[kind](steps, value)
  build = getattr(optax, kind)
  filled = _fill(build, kind, steps, options)
  try:
    schedule = build(**filled)
    lambdas = np.asarray(jax.vmap(schedule)(jnp.arange(steps)))
  except (TypeError, ValueError) as error:
    raise ValueError(
      f"optax.{kind} does not take the options {filled}: {error}"
    ) from error
  low, high = lambdas.min(), lambdas.max()
  if not (low >= -1e-6 and high <= 1 + 1e-6):
    raise ValueError(
      f"lambda must stay in [0, 1], but optax.{kind} with the options {filled}"
      f" goes from {low:.4g} to {high:.4g} in {steps} steps"
    )
  return schedule


def rate_of(settings: Settings, steps: int) -> optax.Schedule:
  """Returns the learning rate of a run of so many steps."""
  optim = settings.config.optim
  return learning_rate(
    peak=settings.rate,
    steps=steps,
    warmup=optim.warmup,
    join=optim.warmup_join,
    falls=optim.schedule == "linear",
  )


def lambda_of(config: ConfigDict, steps: int) -> optax.Schedule:
  """Returns lambda of a run of so many steps, by the run's config."""
  teacher = config.teacher
  return teacher_lambda(
    kind=teacher.schedule,
    steps=steps,
    value=teacher.value,
    options=teacher.options.to_dict(),
  )


# What stays of the mean of the weights, by (steps that are in it, decay).
AVERAGES: Mapping[str, Callable[[Any, float], Any]] = {
  "swa": lambda steps, decay: steps / (steps + 1.0),
  "ema": lambda steps, decay: jnp.where(steps > 0, decay, 0.0),
}


def average_of(config: ConfigDict, steps: int) -> optax.Schedule | None:
  """Returns what stays of the mean of the weights in each step of a run.

  Nothing before the mean begins, so that it is the weights until then.

  Args:
    config: the whole config.
    steps: of the run.

  Returns:
    step -> share; None where there is no mean.
  """
  optim = config.optim
  if optim.average not in AVERAGES:
    return None
  stays, decay = AVERAGES[optim.average], optim.average_decay
  first = int(optim.average_start * steps)

  def share(step):
    within = jnp.maximum(step - first, 0).astype(jnp.float32)
    return jnp.where(step > first, stays(within, decay), 0.0)

  return share


def _fill(
  build: Callable[..., optax.Schedule],
  kind: str,
  steps: int,
  options: Mapping[str, Any],
) -> dict[str, Any]:
  """Checks the options' names and turns shares of the run into steps."""
  known = inspect.signature(build).parameters
  for name in options:
    _one_of(f"option of optax.{kind}", name, known)
  filled: dict[str, Any] = {
    name: steps for name in ("decay_steps", "transition_steps") if name in known
  }
  for name, given in options.items():
    if name.endswith("_steps") or name == "transition_begin":
      given = _count(given, steps)
    elif name == "boundaries_and_scales":
      given = {_count(step, steps): scale for step, scale in given.items()}
    filled[name] = given
  missing = [
    name
    for name, parameter in known.items()
    if parameter.default is parameter.empty and name not in filled
  ]
  if missing:
    raise ValueError(f"optax.{kind} also needs the options {missing}")
  return filled


def _count(given: Any, steps: int) -> Any:
  return round(given * steps) if isinstance(given, float) else given
