"""The state of a run, how it begins, and what an evaluation makes of it.

It is written for one trial; `over_trials` maps functions over the trials that
are trained together, whose arrays carry a leading R axis everywhere outside.
"""

from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from bam_jax.models.multitask import MultiTask, init_params
from bam_jax.training import sharding


@flax.struct.dataclass
class Best:
  """The best evaluation so far.

  Attributes:
    score: f32 the score.
    step: i32 steps done then.
    waited: i32 evaluations since.
    params: of then.
  """

  score: jax.Array
  step: jax.Array
  waited: jax.Array
  params: Any


@flax.struct.dataclass
class TrainState:
  """What a step reads and writes; every leaf has a leading R axis outside.

  Attributes:
    step: i32 steps done.
    params: parameters.
    opt_state: the optimiser's.
    key: of dropout.
    bad: i32 steps whose loss or gradient was not finite.
    best: None where the last step is kept, whatever its score.
    average: of the parameters of all steps, the later ones the more; None where
      nothing is held against it.
    mean: of the parameters of late steps, which are kept in their place; None
      where those of the step are.
  """

  step: jax.Array
  params: Any
  opt_state: Any
  key: jax.Array
  bad: jax.Array
  best: Best | None
  average: Any = None
  mean: Any = None

  @property
  def kept(self) -> Any:
    """The parameters that are scored and kept."""
    return self.params if self.mean is None else self.mean


def over_trials(fn: Callable, trials: int) -> Callable:
  """Maps a function of one trial over R stacked ones; one costs no vmap."""
  if trials > 1:
    return jax.vmap(fn)

  def one(*args):
    out = fn(*jax.tree.map(lambda x: x[0], args))
    return jax.tree.map(lambda x: x[None], out)

  return one


def choose(mask: jax.Array, new: Any, old: Any) -> Any:
  """Returns `new` where the mask bool[R] holds, else `old`; trees [R, ...]."""
  return jax.tree.map(
    lambda x, y: jnp.where(mask.reshape(-1, *[1] * (x.ndim - 1)), x, y),
    new,
    old,
  )


def take_in(
  state: TrainState, scores: jax.Array, *, patience: int
) -> TrainState:
  """Returns the state after an evaluation, its best perhaps replaced.

  Args:
    state: of R trials.
    scores: f32[R], the more the better.
    patience: a trial that has waited for this many evaluations takes no more
      in, so that it ends the same beside any others; 0 = waits for ever.
  """
  best = state.best
  better = scores > best.score
  if patience:
    better &= best.waited < patience
  now = Best(
    score=scores,
    step=state.step,
    waited=jnp.zeros_like(best.waited),
    params=state.kept,
  )
  waiting = best.replace(waited=best.waited + 1)
  return state.replace(best=choose(better, now, waiting))


def make_init(
  model: MultiTask,
  tx,
  *,
  selecting: bool,
  averaging: bool = False,
  late: bool = False,
  drawn: int = -1,
  more: Callable[[jax.Array], dict] = lambda key: {},
) -> Callable[[jax.Array, Any], TrainState]:
  """Returns init(seed, given) -> TrainState of one trial.

  `given` is a part of the parameter tree (an encoder, an encoder with some
  heads, {}); what it lacks is drawn from the seed, and so is what `more`
  draws besides the model's own. With `drawn` of 0 or more both are drawn from
  that seed, the same for all trials.
  """

  def init(seed: jax.Array, given: Any) -> TrainState:
    key = jax.random.key(seed)
    first = key if drawn < 0 else jax.random.key(drawn)
    params = merge(init_params(model, jax.random.fold_in(first, 0)), given)
    params |= more(jax.random.fold_in(first, 2))
    zero = jnp.zeros((), jnp.int32)
    best = Best(jnp.float32(-jnp.inf), zero, zero, params)
    return TrainState(
      step=zero,
      params=params,
      opt_state=tx.init(params),
      key=jax.random.fold_in(key, 1),
      bad=zero,
      best=best if selecting else None,
      average=params if averaging else None,
      mean=params if late else None,
    )

  return init


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
