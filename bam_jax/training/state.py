"""The state of a run, how it begins, and what an evaluation makes of it.

It is written for one trial; `over_trials` maps functions over the trials that
are trained together, whose arrays carry a leading R axis everywhere outside.
"""

from collections.abc import Callable, Collection
import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from bam_jax.models.multitask import MultiTask, init_params
from bam_jax.training import sharding
from bam_jax.training.settings import Settings


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
class Plateau:
  """What evaluations without a gain have left of the rate.

  Attributes:
    scale: f32 what the rate is multiplied by.
    waited: i32 evaluations since the last gain, or since the rate fell.
  """

  scale: jax.Array
  waited: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
  """What evaluations without a gain do to a trial.

  Attributes:
    patience: after so many it ends; 0 = never.
    factor: what the rate is multiplied by at a plateau.
    waits: how many a plateau has at most: at one more the rate falls.
    least: share of the peak rate below which a trial ends.
  """

  patience: int
  factor: float = 1.0
  waits: int = 0
  least: float = 0.0

  @classmethod
  def of(cls, settings: Settings) -> "Rule":
    """Returns what the config says of a run."""
    config, patience = settings.config, settings.config.select.patience
    if config.optim.schedule != "plateau":
      return cls(patience=patience)
    return cls(
      patience=patience,
      factor=config.plateau.factor,
      waits=config.plateau.patience,
      least=config.plateau.least / settings.rate,
    )

  def ended(self, state: "TrainState") -> jax.Array:
    """Tells which of R trials take no more in: bool[R]."""
    waited = state.best.waited
    found = jnp.zeros(waited.shape, bool)
    if self.patience:
      found |= waited >= self.patience
    if state.plateau is not None:
      found |= state.plateau.scale < self.least
    return found


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
    plateau: None where the rate follows the step alone.
  """

  step: jax.Array
  params: Any
  opt_state: Any
  key: jax.Array
  bad: jax.Array
  best: Best | None
  average: Any = None
  mean: Any = None
  plateau: Plateau | None = None

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


def take_in(state: TrainState, scores: jax.Array, rule: Rule) -> TrainState:
  """Returns the state after an evaluation, its best perhaps replaced.

  Args:
    state: of R trials.
    scores: f32[R], the more the better.
    rule: a trial that has ended by it takes no more in, so that it ends the
      same beside any others.
  """
  best, over = state.best, rule.ended(state)
  better = (scores > best.score) & ~over
  now = Best(
    score=scores,
    step=state.step,
    waited=jnp.zeros_like(best.waited),
    params=state.kept,
  )
  waiting = best.replace(waited=best.waited + 1)
  plateau = state.plateau
  if plateau is not None:
    plateau = choose(over, plateau, fallen(plateau, better, rule))
  return state.replace(best=choose(better, now, waiting), plateau=plateau)


def fallen(plateau: Plateau, better: jax.Array, rule: Rule) -> Plateau:
  """Returns a plateau one evaluation later.

  Args:
    plateau: of R trials.
    better: bool[R], whether the evaluation was a gain.
    rule: says when the rate falls, and by how much.
  """
  waited = jnp.where(better, 0, plateau.waited + 1)
  falls = waited > rule.waits
  return Plateau(
    scale=jnp.where(falls, plateau.scale * rule.factor, plateau.scale),
    waited=jnp.where(falls, 0, waited),
  )


def make_init(
  model: MultiTask,
  tx,
  *,
  holds: Collection[str] = (),
  drawn: int = -1,
  more: Callable[[jax.Array], dict] = lambda key: {},
) -> Callable[[jax.Array, Any], TrainState]:
  """Returns init(seed, given) -> TrainState of one trial.

  `given` is a part of the parameter tree (an encoder, an encoder with some
  heads, {}); what it lacks is drawn from the seed, and so is what `more`
  draws besides the model's own. With `drawn` of 0 or more both are drawn from
  that seed, the same for all trials. `holds` names what of best, average, mean
  and plateau the state has.
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
      best=best if "best" in holds else None,
      average=params if "average" in holds else None,
      mean=params if "mean" in holds else None,
      plateau=Plateau(jnp.ones(()), zero) if "plateau" in holds else None,
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
