"""Training: the state, the order of initialisation, the step and the loop.

The step is written for one trial; `over_trials` maps it over the trials that
are trained together, whose arrays carry a leading R axis everywhere outside.
"""

from collections.abc import Callable, Mapping, Sequence
import functools
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import optax

from bam_jax import losses, optim, schedules, sharding
from bam_jax.checkpoint import Checkpoints
from bam_jax.data import pipeline
from bam_jax.multitask import MultiTask, init_params
from bam_jax.writer import Writer


class Stopped(Exception):
  """A signal asked the run to stop; its state is saved."""


class NotFinite(ArithmeticError):
  """The loss or its gradient is no longer a number."""


@flax.struct.dataclass
class TrainState:
  """What a step reads and writes; every leaf has a leading R axis outside."""

  step: jax.Array
  params: Any
  opt_state: Any
  key: jax.Array


def over_trials(fn: Callable, trials: int) -> Callable:
  """Maps a function of one trial over R stacked ones; one costs no vmap."""
  if trials > 1:
    return jax.vmap(fn)

  def one(*args):
    out = fn(*jax.tree.map(lambda x: x[0], args))
    return jax.tree.map(lambda x: x[None], out)

  return one


def make_train_step(
  model: MultiTask,
  tx: optax.GradientTransformation,
  *,
  lam: optax.Schedule,
  rate: optax.Schedule,
  normaliser: float,
  accumulation: int,
) -> Callable[[TrainState, Mapping], tuple[TrainState, dict]]:
  """Returns step(state, batch) -> (state, sums) for one trial.

  `sums` has, per task, the summed `loss` (before weights) and the `count` of
  examples, f32[T], and the scalars `grad_norm` (before the clip), `lambda` and
  `rate`.

  Args:
    model: the model; its heads are the run's tasks, in order.
    tx: the optimiser.
    lam: step -> share of the gold label (section 3.2, teacher annealing).
    rate: step -> learning rate, for the record only.
    normaliser: what the summed loss is divided by: 1, or the batch size.
    accumulation: micro-batches that the rows are split into.
  """
  # A task of -1 (no example) takes the last entry: no classes, no loss.
  classes = np.array([c for _, c in model.heads] + [0], np.int32)
  num_tasks, widest = len(model.heads), int(classes.max())

  def loss_fn(params, batch, key, share):
    logits = model.apply(
      {"params": params}, batch, train=True, rngs={"dropout": key}
    )
    own = jnp.asarray(classes)[batch["task"]]
    targets = losses.soft_targets(
      losses.gold_targets(batch["label"], own, widest),
      losses.teacher_targets(batch["teacher"], own),
      batch["has_teacher"],
      share,
    )
    loss = losses.example_loss(logits, targets, own)
    task = jnp.where(batch["task"] < 0, num_tasks, batch["task"])
    per_task = functools.partial(
      jax.ops.segment_sum,
      segment_ids=task.ravel(),
      num_segments=num_tasks + 1,
    )
    sums = {
      "loss": per_task(loss.ravel())[:-1],
      "count": per_task(jnp.ones(loss.size))[:-1],
    }
    return (loss * batch["weight"]).sum() / normaliser, sums

  gradient = jax.grad(loss_fn, has_aux=True)

  def accumulated(params, batch, key, share):
    if accumulation == 1:
      return gradient(params, batch, key, share)

    def micro(total, item):
      part, number = item
      grads = gradient(params, part, jax.random.fold_in(key, number), share)
      return jax.tree.map(jnp.add, total, grads), None

    # Strided, so that every device keeps the rows it has.
    parts = jax.tree.map(
      lambda x: jnp.swapaxes(x.reshape(-1, accumulation, *x.shape[1:]), 0, 1),
      dict(batch),
    )
    shapes = jax.eval_shape(gradient, params, batch, key, share)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    total, _ = jax.lax.scan(micro, zeros, (parts, jnp.arange(accumulation)))
    return total

  def step(state: TrainState, batch: Mapping):
    key = jax.random.fold_in(state.key, state.step)
    share = lam(state.step)
    grads, sums = accumulated(state.params, batch, key, share)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    sums |= {
      "grad_norm": optax.tree.norm(grads),
      "lambda": jnp.asarray(share, jnp.float32),
      "rate": jnp.asarray(rate(state.step), jnp.float32),
    }
    params = optax.apply_updates(state.params, updates)
    return state.replace(
      step=state.step + 1, params=params, opt_state=opt_state
    ), sums

  return step


def make_init(model: MultiTask, tx) -> Callable[[jax.Array, Any], TrainState]:
  """Returns init(seed, given) -> TrainState of one trial.

  `given` is a part of the parameter tree (an encoder, an encoder with some
  heads, {}); what it lacks is drawn from the seed.
  """

  def init(seed: jax.Array, given: Any) -> TrainState:
    key = jax.random.key(seed)
    params = merge(init_params(model, jax.random.fold_in(key, 0)), given)
    return TrainState(
      step=jnp.zeros((), jnp.int32),
      params=params,
      opt_state=tx.init(params),
      key=jax.random.fold_in(key, 1),
    )

  return init


def make_run(
  model: MultiTask, *, steps: int, settings: ConfigDict, config: ConfigDict
) -> tuple[Callable, Callable]:
  """Returns (init, step) of one trial of a run, see make_init, make_train_step.

  Args:
    model: the model.
    steps: of the run; the schedules end there.
    settings: batch_size, rate and layer_decay of this kind of run.
    config: the whole config.
  """
  rate = schedules.learning_rate(
    peak=settings.rate,
    steps=steps,
    warmup=config.optim.warmup,
    join=config.optim.warmup_join,
  )
  tx = optim.make_optimizer(
    jax.eval_shape(lambda k: init_params(model, k), jax.random.key(0)),
    layers=model.config.layers,
    rate_schedule=rate,
    layer_decay=settings.layer_decay,
    weight_decay=config.optim.weight_decay,
    clip=config.optim.clip,
    b1=config.optim.b1,
    b2=config.optim.b2,
    eps=config.optim.eps,
    bias_correction=config.optim.bias_correction,
  )
  lam = schedules.teacher_lambda(
    kind=config.teacher.schedule,
    steps=steps,
    value=config.teacher.value,
    options=config.teacher.options.to_dict(),
  )
  mean = config.loss.reduction == "mean"
  step = make_train_step(
    model,
    tx,
    lam=lam,
    rate=rate,
    normaliser=settings.batch_size if mean else 1.0,
    accumulation=config.accumulation,
  )
  return make_init(model, tx), step


def merge(params: Any, given: Any) -> Any:
  """Returns `params` with every leaf that `given` also has taken from it.

  Raises:
    ValueError: `given` has an array that `params` has not, or not in its shape;
      left out, the encoder would silently start from random weights.
  """

  def take(path, value):
    found = flat.pop(path, value)
    if found.shape != value.shape:
      raise ValueError(
        f"the parameters to start from have {sharding.path_name(path)} "
        f"{list(found.shape)}, the model {list(value.shape)}; start from "
        "another run or encoder"
      )
    return jnp.asarray(found, value.dtype)

  flat = dict(jax.tree_util.tree_leaves_with_path(given))
  merged = jax.tree_util.tree_map_with_path(take, params)
  if flat:
    names = sorted(map(sharding.path_name, flat))
    raise ValueError(
      f"the parameters to start from have {', '.join(names)}, which the model "
      "lacks; start from another run or encoder"
    )
  return merged


def train(
  model: MultiTask,
  batches: pipeline.TrialBatches,
  *,
  seeds: Sequence[int],
  given: Any,
  settings: ConfigDict,
  config: ConfigDict,
  mesh: jax.sharding.Mesh,
  checkpoints: Checkpoints,
  writer: Writer,
  stop: Callable[[], bool],
) -> Any:
  """Trains R trials of one run and returns their parameters [R, ...].

  The state comes from, in this order: (1) this run's own last checkpoint,
  (2) `given`, which holds another run's or a pretrained directory's
  parameters, (3) the seed, for what `given` lacks.

  Args:
    model: the model.
    batches: the steps; their number is the run's length.
    seeds: one per trial.
    given: a part of the parameter tree, [R, ...].
    settings: epochs, batch_size, rate and layer_decay of this kind of run.
    config: the whole config.
    mesh: from `sharding.make_mesh`.
    checkpoints: of these trials.
    writer: takes the metrics.
    stop: asked after each step; True ends the run after saving.

  Raises:
    Stopped: `stop` said so; the state is saved.
    NotFinite: the loss or the gradient is not finite; nothing after the last
      good checkpoint is saved.
  """
  steps, trials = len(batches), len(seeds)
  init, step = (
    over_trials(fn, trials)
    for fn in make_run(model, steps=steps, settings=settings, config=config)
  )
  seed_array = jnp.asarray(seeds, jnp.uint32)
  shapes = jax.eval_shape(init, seed_array, given)
  place = sharding.state_sharding(mesh, shapes)
  state = checkpoints.restore(shapes, place)
  if state is None:
    state = jax.jit(init, out_shardings=place)(seed_array, given)
  start = int(jax.device_get(state.step)[0])
  jitted = jax.jit(step, donate_argnums=0, out_shardings=(place, None))
  with writer.progress(start, steps):
    state = loop(
      jitted,
      state,
      batches,
      put=functools.partial(sharding.put, mesh, trials=True),
      tasks=[name for name, _ in model.heads],
      start=start,
      config=config,
      checkpoints=checkpoints,
      writer=writer,
      stop=stop,
    )
  return state.params


def loop(
  step: Callable,
  state: TrainState,
  batches: Sequence,
  *,
  put: Callable,
  tasks: Sequence[str],
  start: int,
  config: ConfigDict,
  checkpoints: Checkpoints,
  writer: Writer,
  stop: Callable[[], bool],
) -> TrainState:
  """Runs the steps from `start` on; reads the device only on log steps."""
  pending = []
  for k in range(start, len(batches)):
    state, sums = step(state, put(batches[k]))
    pending.append(sums)
    done = k + 1
    stopping = stop() and done < len(batches)
    saving = stopping or done % config.checkpoint_every == 0
    if saving or done % config.log_every == 0 or done == len(batches):
      rows = jax.device_get(pending)
      pending = []
      check_finite(rows, done, batches, tasks, checkpoints.path)
      writer.steps(done, rows)
    if saving and done < len(batches):
      checkpoints.save(done, state)
    if stopping:
      checkpoints.wait()
      raise Stopped(f"stopped after step {done} of {len(batches)}")
  return state


def check_finite(
  rows: Sequence[Mapping],
  done: int,
  batches: Sequence,
  tasks: Sequence[str],
  path: Path,
) -> None:
  """Raises NotFinite with the step, the tasks and the examples to blame.

  Args:
    rows: the last steps' sums, arrays [R, ...].
    done: the number of the last of them, counted from 1.
    batches: what they were trained on.
    tasks: of the run, in order.
    path: the checkpoints, named in the message.
  """
  for k, row in enumerate(rows, start=done - len(rows)):
    finite = np.isfinite(row["loss"])
    if finite.all() and np.isfinite(row["grad_norm"]).all():
      continue
    blamed = ~(finite & np.isfinite(row["grad_norm"])[:, None])
    trial = int(np.flatnonzero(blamed.any(1))[0])
    # A loss that is not finite names its task; a gradient alone cannot.
    bad = np.flatnonzero(~finite[trial])
    bad = bad if len(bad) else np.flatnonzero(row["count"][trial])
    batch = batches[k]
    examples = [
      f"{tasks[task]} examples "
      f"{sorted(batch['index'][trial][batch['task'][trial] == task].tolist())}"
      for task in bad
    ]
    saved = sorted(int(p.name) for p in path.glob("*") if p.name.isdigit())
    last = f"step {saved[-1]} in {path}" if saved else "none yet"
    raise NotFinite(
      f"the loss or its gradient is not finite at step {k + 1} (trial "
      f"{trial}; {'; '.join(examples)}). Last good checkpoint: {last}. Try a "
      "lower rate, --config.dtype=float32, or look at those examples"
    )
