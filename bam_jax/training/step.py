"""The step of a trial: losses, their gradient, and what is made of it."""

from collections.abc import Callable, Mapping
import functools

import jax
import jax.numpy as jnp
import optax

from bam_jax.models import encoders, hidden
from bam_jax.models.multitask import MultiTask, init_params
from bam_jax.training import adapting, groups, optim, schedules, spaces
from bam_jax.training.adversaries import ADVERSARIES
from bam_jax.training.distillation import TARGETS, Mix
from bam_jax.training.matching import Matching
from bam_jax.training.passes import Gradient, Passes
from bam_jax.training.settings import Settings
from bam_jax.training.state import TrainState, choose, make_init


def make_losses(
  model: MultiTask,
  mix: Mix = TARGETS,
  matched: Callable[..., jax.Array] | None = None,
) -> Callable[..., tuple[dict[str, jax.Array], jax.Array]]:
  """Returns losses(params, batch, key, share, shift=None) -> (outputs, loss).

  Of one trial. `outputs` are the model's, by space; `loss` is f32[B, E] before
  weights, 0 where there is no example. `key` is of dropout; `share` of the gold
  label is lambda, and `mix` says how it comes together with a teacher's answer;
  `shift` f32[B, S, D] is added to what the first layer reads. `matched` is what
  else is lost, see `Matching.bound`.
  """

  def example_losses(params, batch, key, share, shift=None):
    outputs = model.apply(
      {"params": params},
      batch,
      train=True,
      shift=shift,
      rngs={"dropout": key},
      **(hidden.asked(model.config) if matched else {}),
    )
    if matched:
      outputs, kept = outputs
    loss = spaces.example_losses(model.heads, outputs, batch, share, mix)
    if matched:
      loss += matched(params, hidden.found(kept, model.config), batch)
    return outputs, loss

  return example_losses


def make_train_step(
  gradient: Gradient,
  tx: optax.GradientTransformationExtraArgs,
  *,
  lam: optax.Schedule,
  rate: optax.Schedule,
  micro_rows: int,
  momentum: optax.Schedule | None = None,
  stays: optax.Schedule | None = None,
) -> Callable[[TrainState, Mapping], tuple[TrainState, dict]]:
  """Returns step(state, batch) -> (state, sums) for one trial.

  `sums` has, per task, the summed `loss` (before weights), the `count` of
  examples and what else `gradient` sums, f32[T], and the scalars `grad_norm`
  (before the clip), `lambda` and `rate`.

  Args:
    gradient: a row of `adversaries.ADVERSARIES`.
    tx: the optimiser; see `optim.make_optimizer`.
    lam: step -> share of the gold label (section 3.2, teacher annealing).
    rate: step -> the learning rate that tx takes, for the record only.
    micro_rows: rows of a micro-batch, which divide those of a batch; 0 = all.
    momentum: step -> what stays of the average of the parameters, which
      `gradient` is then given too; None = there is none.
    stays: step -> what stays of the mean of late steps; None = there is none.
  """

  def accumulated(params, batch, key, share, *average):
    rows = len(batch["tokens"])
    count, left = divmod(rows, micro_rows or rows)
    assert not left, f"{rows} rows are no micro-batches of {micro_rows}"
    if count == 1:
      return gradient(params, batch, key, share, *average)

    def micro(total, part):
      # One key for all: examples draw from it by what they are.
      grads = gradient(params, part, key, share, *average)
      return jax.tree.map(jnp.add, total, grads), None

    # Strided, so that every device keeps the rows it has.
    parts = jax.tree.map(
      lambda x: jnp.swapaxes(x.reshape(-1, count, *x.shape[1:]), 0, 1),
      groups.divided(batch, count),
    )
    shapes = jax.eval_shape(gradient, params, batch, key, share, *average)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    total, _ = jax.lax.scan(micro, zeros, parts)
    return total

  def step(state: TrainState, batch: Mapping):
    key = jax.random.fold_in(state.key, state.step)
    share = lam(state.step)
    average = () if momentum is None else (state.average,)
    grads, sums = accumulated(state.params, batch, key, share, *average)
    fallen = state.plateau is not None
    scaled = {"scale": state.plateau.scale} if fallen else {}
    updates, opt_state = tx.update(
      grads, state.opt_state, state.params, step=state.step, **scaled
    )
    sums |= {
      "grad_norm": optax.tree.norm(grads),
      "lambda": jnp.asarray(share, jnp.float32),
      "rate": jnp.asarray(rate(state.step), jnp.float32),
    }
    if fallen:
      sums["rate"] *= state.plateau.scale
    params = optax.apply_updates(state.params, updates)
    if momentum is not None:
      new = 1 - momentum(state.step)
      state = state.replace(
        average=optax.incremental_update(params, state.average, new)
      )
    if stays is not None:
      new = 1 - stays(state.step)
      state = state.replace(
        mean=optax.incremental_update(params, state.mean, new)
      )
    return state.replace(
      step=state.step + 1, params=params, opt_state=opt_state
    ), sums

  return step


def guard(step: Callable, *, skip: bool) -> Callable:
  """Returns a step of R trials that never takes in what is not finite.

  Its sums also have `bad`, i32[R], the bad steps so far.

  Args:
    step: of R trials.
    skip: a trial with a bad step leaves that update out and goes on. Otherwise
      all trials stay for good as they were before the first bad step, which
      can so be looked at.
  """

  def guarded(state: TrainState, batch: Mapping):
    new, sums = step(state, batch)
    finite = jnp.isfinite(sums["loss"]).all(1) & jnp.isfinite(sums["grad_norm"])
    bad = state.bad + ~finite
    taken = finite if skip else jnp.broadcast_to((bad == 0).all(), bad.shape)
    params, opt_state, average, mean = choose(
      taken,
      (new.params, new.opt_state, new.average, new.mean),
      (state.params, state.opt_state, state.average, state.mean),
    )
    number = new.step if skip else jnp.where(taken, new.step, state.step)
    return state.replace(
      step=number,
      params=params,
      opt_state=opt_state,
      average=average,
      mean=mean,
      bad=bad,
    ), sums | {"bad": bad}

  return guarded


def make_run(
  model: MultiTask,
  *,
  steps: int,
  settings: Settings,
  matching: Matching | None = None,
) -> tuple[Callable, Callable]:
  """Returns (init, step) of one trial of a run, see make_init, make_train_step.

  Args:
    model: the model.
    steps: of the run; the schedules end there.
    settings: of the run.
    matching: what of a teacher is matched. Then step(state, batch, fixed) also
      takes the teacher's parameters.
  """
  config = settings.config
  rate = schedules.rate_of(settings, steps)
  more = matching.projection if matching else lambda key: {}
  shapes = jax.eval_shape(
    lambda k: init_params(model, k) | more(k), jax.random.key(0)
  )
  part = adapting.left(model, config)
  tx = optim.make_optimizer(
    adapting.without(shapes, part),
    optim.Adam.of(config.optim),
    layers=model.config.layers,
    rate=rate,
    layer_decay=settings.layer_decay,
  )
  mean = config.loss.reduction == "mean"
  adversary = ADVERSARIES[config.adversary.kind]
  momentum = adversary.momentum(config.adversary, steps)
  stays = schedules.average_of(config, steps)

  def step_of(matched, held=None):
    losses = make_losses(model, Mix.of(config.teacher), matched)
    passes = Passes(
      adapting.beside(losses, held) if held else losses,
      model.heads,
      settings.batch_size if mean else 1.0,
      encoders.of(model.config).embedded(model.config),
      config.adversary,
    )
    return make_train_step(
      adversary(passes),
      tx,
      lam=schedules.lambda_of(config, steps),
      rate=rate,
      micro_rows=config.micro_rows,
      momentum=momentum,
      stays=stays,
    )

  def whole(matched):
    if not part:
      return step_of(matched)
    return adapting.frozen(functools.partial(step_of, matched), part)

  def beside(state, batch, fixed):
    return whole(matching.bound(fixed, model.dtype))(state, batch)

  holds = {
    "best": config.select.by != "last",
    "average": momentum is not None,
    "mean": stays is not None,
    "plateau": config.optim.schedule == "plateau",
  }
  init = make_init(
    model,
    adapting.sparing(tx, part) if part else tx,
    holds=[name for name, held in holds.items() if held],
    drawn=config.init_seed,
    more=more,
  )
  return init, beside if matching else whole(None)
