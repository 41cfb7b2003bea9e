"""The loop: steps, metrics, evaluations, checkpoints, and when to stop."""

from collections.abc import Callable, Mapping, Sequence
import contextlib
import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np

from bam_jax.data import pipeline
from bam_jax.models.multitask import MultiTask
from bam_jax.runtime import tracing
from bam_jax.runtime.console import say
from bam_jax.training import sharding
from bam_jax.training import state as states
from bam_jax.training.checkpoint import Checkpoints
from bam_jax.training.matching import PROJECTION, Matching
from bam_jax.training.settings import Settings
from bam_jax.training.state import TrainState
from bam_jax.training.step import guard, make_run
from bam_jax.training.writer import Writer


class Stopped(Exception):
  """A signal asked the run to stop; its state is saved."""


class NotFinite(ArithmeticError):
  """The loss or its gradient is no longer a number.

  Attributes:
    step: steps done before it, all trials.
  """

  def __init__(self, sentence: str, step: int):
    super().__init__(sentence)
    self.step = step


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
  """Some trials of one run, which are trained together.

  Attributes:
    model: the model.
    batches: the steps; their number is the run's length.
    seeds: one per trial.
    settings: of the run.
    mesh: from `sharding.make_mesh`.
    matching: what of a frozen teacher is matched; None = there is none.
  """

  model: MultiTask
  batches: pipeline.TrialBatches
  seeds: Sequence[int]
  settings: Settings
  mesh: jax.sharding.Mesh
  matching: Matching | None = None

  @property
  def tasks(self) -> list[str]:
    """The tasks, in the order of the model's heads."""
    return [spec.name for spec in self.model.heads]

  def put(self, k: int) -> dict[str, jax.Array]:
    """Sends the batch of step k to the devices."""
    return put(self.mesh, self.batches, k)


def mean(scores: Mapping[str, float]) -> float:
  """Returns the mean of {task: score}."""
  return sum(scores.values()) / len(scores)


@dataclasses.dataclass(frozen=True, eq=False)
class Watch:
  """What the loop turns to between its steps.

  Attributes:
    checkpoints: of these trials.
    writer: takes the metrics.
    stop: asked after each step; True ends the run after saving.
    evaluate: parameters [R, ...] -> {task: headline score} per trial.
    average: {task: headline score} -> the average by which steps are chosen.
  """

  checkpoints: Checkpoints
  writer: Writer
  stop: Callable[[], bool]
  evaluate: Callable[[Any], Sequence[Mapping[str, float]]]
  average: Callable[[Mapping[str, float]], float] = mean


def begin(
  job: Job, given: Any, checkpoints: Checkpoints, *, before: int | None
) -> tuple[Callable, TrainState, dict[str, Any]]:
  """Returns the jitted step, the state to go on from, and what was noted of it.

  The state comes from, in this order: (1) this run's own last whole checkpoint,
  (2) `given`, which holds another run's or a pretrained directory's
  parameters, (3) the seed, for what `given` lacks.

  Args:
    job: what is trained.
    given: a part of the parameter tree, [R, ...].
    checkpoints: of these trials.
    before: take no checkpoint of more steps than this; None = the latest.
  """
  init, step, shapes, place = make_step(
    job.model,
    len(job.batches),
    trials=len(job.seeds),
    settings=job.settings,
    mesh=job.mesh,
    matching=job.matching,
  )
  state, meta = checkpoints.restore(shapes, place, say, before=before)
  if state is None:
    state = init(np.asarray(job.seeds, np.uint32), given)
  return step, state, meta


def make_step(
  model: MultiTask,
  steps: int,
  *,
  trials: int,
  settings: Settings,
  mesh: jax.sharding.Mesh,
  matching: Matching | None = None,
) -> tuple[Callable, Callable, Any, Any]:
  """Returns the jitted init and step of R trials; nothing is compiled yet.

  Args:
    model: the model.
    steps: of the run; the schedules end there.
    trials: R.
    settings: of the run.
    mesh: from `sharding.make_mesh`.
    matching: what of a frozen teacher is matched.

  Returns:
    init(seeds u32[R], given) -> state; step(state, batch) -> (state, sums);
    and the shape and the sharding of every leaf of the state.
  """
  init, one = make_run(model, steps=steps, settings=settings, matching=matching)
  init = states.over_trials(init, trials)
  skip = settings.config.nonfinite.policy == "skip"

  def step(state, batch, *fixed):
    # A teacher is one for all trials.
    each = states.over_trials(lambda *own: one(*own, *fixed), trials)
    return guard(each, skip=skip)(state, batch)

  shapes = jax.eval_shape(init, np.zeros(trials, np.uint32), {})
  place = sharding.state_sharding(mesh, shapes)
  whole = sharding.replicated(mesh)
  step = jax.jit(step, donate_argnums=0, out_shardings=(place, whole))
  if matching:
    step = Beside(step, matching.params, whole)
  return jax.jit(init, out_shardings=place), step, shapes, place


@dataclasses.dataclass(frozen=True, eq=False)
class Beside:
  """A jitted step that gets the same parameters with every batch.

  Attributes:
    step: jitted step(state, batch, fixed).
    params: on the host.
    place: where they lie, whole on every device, once they are asked for.
  """

  step: Callable
  params: Any
  place: jax.sharding.Sharding

  @functools.cached_property
  def fixed(self) -> Any:
    """The parameters on the devices."""
    where = jax.tree.map(lambda _: self.place, self.params)
    return sharding.spread(self.params, where)

  def __call__(self, state: TrainState, batch: Mapping) -> Any:
    """Runs the step."""
    return self.step(state, batch, self.fixed)

  def lower(self, state: Any, batch: Any) -> jax.stages.Lowered:
    """Lowers the step; nothing is on the devices."""
    fixed = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=self.place),
      self.params,
    )
    return self.step.lower(state, batch, fixed)

  def _cache_size(self) -> int:
    return self.step._cache_size()


def train(
  job: Job, given: Any, watch: Watch, *, profile: Path
) -> tuple[Any, list[int]]:
  """Trains R trials of one run; returns their parameters, and the step of each.

  Args:
    job: what is trained.
    given: a part of the parameter tree, [R, ...].
    watch: what the loop turns to between its steps.
    profile: folder of the trace that `config.profile` asks for.

  Raises:
    Stopped: `watch.stop` said so; the state is saved.
    NotFinite: the loss or the gradient is not finite; the state before that
      step is saved.
  """
  step, state, meta = begin(job, given, watch.checkpoints, before=None)
  start = int(jax.device_get(state.step).max())
  with (
    watch.writer.progress(start, len(job.batches), meta),
    tracing.profiled(
      tracing.counted(step),
      start=start,
      steps=tracing.profiled_steps(job.settings.config.profile),
      path=profile,
    ) as watched,
  ):
    state = loop(watched, state, job, watch, start=start)
  kept = state.best or state
  params = state.best.params if state.best else state.kept
  # What only served to match a teacher is no part of the model.
  params = {k: v for k, v in params.items() if k != PROJECTION}
  return params, jax.device_get(kept.step).tolist()


def put(
  mesh: jax.sharding.Mesh, batches: pipeline.TrialBatches, k: int
) -> dict[str, jax.Array]:
  """Sends the batch of step k to the devices."""
  read = functools.partial(batches.read, k)
  return sharding.put(mesh, read, int(batches.sizes[k]), trials=True)


def loop(
  step: Callable, state: TrainState, job: Job, watch: Watch, *, start: int
) -> TrainState:
  """Runs the steps from `start` on; reads the device only when it must."""
  config, batches = job.settings.config, job.batches
  checkpoints, writer = watch.checkpoints, watch.writer
  pending = []
  steps = range(start, len(batches))
  with contextlib.closing(sharding.ahead(job.put, steps)) as ready:
    for k, batch in enumerate(ready, start):
      state, sums = step(state, batch)
      pending.append(sums)
      done, last = k + 1, k + 1 == len(batches)
      every = config.eval_every
      evaluating = bool(every) and (last or done % every == 0)
      logging = last or done % config.log_every == 0
      stopping = watch.stop() and not last
      saving = not last and (stopping or done % config.checkpoint_every == 0)
      if evaluating or logging or saving:
        rows, pending = jax.device_get(pending), []
        try:
          check_finite(rows, done, batches, job.tasks, config.nonfinite)
        except NotFinite as error:
          if config.nonfinite.policy == "stop":
            # The guarded step has left the state as it was before the bad one.
            writer.add(rows[: error.step - done])
            checkpoints.save(error.step, state, writer.window())
            checkpoints.wait()
          raise
        writer.add(rows)
      if logging:
        writer.log(done)
      if evaluating:
        scores = watch.evaluate(state.kept)
        writer.scores(done, scores)
        if state.best:
          state, ended = consider(state, scores, watch, job.settings)
          if ended:
            writer.log(done)
            break
      if saving:
        checkpoints.save(done, state, writer.window())
      if stopping:
        checkpoints.wait()
        raise Stopped(f"stopped after step {done} of {len(batches)}")
  return state


def consider(
  state: TrainState,
  scores: Sequence[Mapping[str, float]],
  watch: Watch,
  settings: Settings,
) -> tuple[TrainState, bool]:
  """Takes an evaluation in; tells whether all trials have ended.

  Args:
    state: of R trials.
    scores: {task: headline score} per trial.
    watch: whose average counts.
    settings: of the run; `select.by` is "average" or a task.
  """
  by, rule = settings.config.select.by, states.Rule.of(settings)
  shown = [each.get(by, watch.average(each)) for each in scores]
  state, ended = _take_in(state, np.asarray(shown, np.float32), rule)
  return state, bool(jax.device_get(ended).all())


@functools.partial(jax.jit, static_argnums=2)
def _take_in(
  state: TrainState, scores: jax.Array, rule: states.Rule
) -> tuple[TrainState, jax.Array]:
  state = states.take_in(state, jnp.asarray(scores), rule)
  return state, rule.ended(state)


def check_finite(
  rows: Sequence[Mapping],
  done: int,
  batches: Sequence,
  tasks: Sequence[str],
  nonfinite: ConfigDict,
) -> None:
  """Looks through the sums of the last steps for what is not finite.

  Args:
    rows: the last steps' sums, arrays [R, ...].
    done: the number of the last of them, counted from 1.
    batches: what they were trained on.
    tasks: of the run, in order.
    nonfinite: `policy` and `limit`.

  Raises:
    NotFinite: names the step, the tasks and the examples to blame.
  """
  for k, row in enumerate(rows, start=done - len(rows)):
    finite = np.isfinite(row["loss"])
    good = finite.all(1) & np.isfinite(row["grad_norm"])
    if good.all():
      continue
    trial = int(np.flatnonzero(~good)[0])
    # A loss that is not finite names its task; a gradient alone cannot.
    bad = np.flatnonzero(~finite[trial])
    bad = bad if len(bad) else np.flatnonzero(row["count"][trial])
    batch = batches[k]
    examples = [
      f"{tasks[task]} examples "
      f"{sorted(batch['index'][trial][batch['task'][trial] == task].tolist())}"
      for task in bad
    ]
    sentence = (
      f"the loss or its gradient is not finite at step {k + 1} (trial "
      f"{trial}; {'; '.join(examples)}; neighbours in the row of a bad one are "
      "named too)"
    )
    if nonfinite.policy == "stop":
      raise NotFinite(sentence, k)
    if row["bad"].max() > nonfinite.limit:
      raise NotFinite(
        f"{sentence}, and more than nonfinite.limit={nonfinite.limit} steps "
        "were skipped before",
        k,
      )
    say(f"{sentence}; that update is left out")
