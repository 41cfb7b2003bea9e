"""Adam as BERT uses it: clipped, decayed by name, with a rate for every depth.

Only the rates live inside `optax.multi_transform`. The clip and the moments
stand before it, so the clip sees the norm of all parameters together and the
moments exist once. Nothing here looks at shapes: parameters may be stacked
over trials, where a LayerNorm scale has two axes.
"""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import optax

from bam_jax.models import adapter_tree
from bam_jax.models.encoders import ENCODERS

Params = Any  # {"bert": ..., "pooler": ..., "heads": ...}, leaves are arrays


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam:
  """What the optimiser is made of but for its rates.

  Attributes:
    kind: of its moments, a row of `MOMENTS`.
    b1: decay of the first moment m.
    b2: decay of the second moment v.
    eps: added to the root of v, outside of it.
    bias_correction: whether m and v are divided by 1 - b^t, as Adam's paper
      does. BERT, and so BAM, leaves them as they are.
    weight_decay: decoupled; like the rest of the update it is multiplied by
      the rate of its layer.
    clip: largest norm of all gradients together; 0 turns it off.

  Raises:
    ValueError: the decay or the clip is negative.
  """

  kind: str
  b1: float
  b2: float
  eps: float
  bias_correction: bool
  weight_decay: float
  clip: float

  def __post_init__(self):
    for name in ("weight_decay", "clip"):
      if not (value := getattr(self, name)) >= 0:
        raise ValueError(f"{name} {value} is not possible; use 0 (off) or more")

  @classmethod
  def of(cls, config: ConfigDict) -> "Adam":
    """Returns what `config.optim` says."""
    return cls(
      **{each.name: config[each.name] for each in dataclasses.fields(cls)}
    )


def _map_paths(function, params: Params) -> Any:
  """Maps over parameter paths such as "bert/layer_0/query/kernel"."""
  return jax.tree_util.tree_map_with_path(
    lambda path, _: function(
      jax.tree_util.keystr(path, simple=True, separator="/")
    ),
    params,
  )


def depth_of(path: str, layers: int) -> int:
  """Says how deep a parameter lies: 0 for embeddings, L+2 for the heads.

  Args:
    path: names joined by "/", as in "bert/layer_0/query/kernel".
    layers: L, the number of layers of the encoder.

  Returns:
    0 to L in the encoder, as its row says, and of an adapter that of its layer;
    L + 1 for the pooler and L + 2 for all else that belongs to a task.

  Raises:
    ValueError: no depth is known for the path.
  """
  depth = None
  match path.split("/"):
    case ["pooler", _, *_]:
      depth = layers + 1
    case ["adapters", *names]:
      depth = adapter_tree.depth(names, layers)
    case ["heads", _, *_] | ["projection", _]:
      depth = layers + 2
    case [kind, *names] if kind in ENCODERS:
      depth = ENCODERS[kind].depth(names, layers)
  if depth is None:
    raise ValueError(
      f"parameter {path!r} has no depth in an encoder of {layers} layers; known"
      f" are those of {', '.join(ENCODERS)}, pooler and heads"
    )
  return depth


def rate_scale(depth: int, *, layers: int, layer_decay: float) -> float:
  """Gives the factor of the learning rate at a depth: alpha^(L + 2 - depth).

  Args:
    depth: from `depth_of`.
    layers: L, the number of layers of the encoder.
    layer_decay: alpha; 1, or anything that is not positive, turns it off.
  """
  return layer_decay ** (layers + 2 - depth) if layer_decay > 0 else 1.0


def decay_mask(params: Params) -> Any:
  """Marks what weight decay applies to: all but biases and LayerNorm scales.

  Args:
    params: the parameters; only their names are looked at.

  Returns:
    A tree of bool like `params`, True where weights decay.
  """
  return _map_paths(
    lambda path: path.rsplit("/", 1)[-1] not in ("bias", "scale"), params
  )


def moments(adam: Adam) -> optax.GradientTransformation:
  """Scales gradients to m / (sqrt(v) + eps), corrected for bias or as BERT did.

  Args:
    adam: its clip and its weight decay are not looked at.
  """
  return MOMENTS[adam.kind](adam)


def _adam(adam: Adam) -> optax.GradientTransformation:
  corrected = optax.scale_by_adam(adam.b1, adam.b2, adam.eps)
  if adam.bias_correction:
    return corrected

  def update(updates, state, params=None):
    # optax has no switch for it: keep its moments and drop its quotient, which
    # the compiler then removes.
    _, state = corrected.update(updates, state, params)
    scaled = jax.tree.map(
      lambda m, v: m / (jnp.sqrt(v) + adam.eps), state.mu, state.nu
    )
    return scaled, state

  return optax.GradientTransformation(corrected.init, update)


def _amsgrad(adam: Adam) -> optax.GradientTransformation:
  """Divides by the largest v so far (Reddi et al. 2018, algorithm 2)."""
  return optax.scale_by_amsgrad(
    adam.b1,
    adam.b2,
    adam.eps,
    bias_correction_mu=adam.bias_correction,
    bias_correction_nu=adam.bias_correction,
  )


# What gradients are scaled by.
MOMENTS: Mapping[str, Callable[[Adam], optax.GradientTransformation]] = {
  "adam": _adam,
  "amsgrad": _amsgrad,
}


def scale_by_rate(
  rate: optax.Schedule,
) -> optax.GradientTransformationExtraArgs:
  """Scales updates to -rate(step) times them; `step` comes with each update.

  optax's own counts the updates that were taken, and falls behind the run
  where one is left out. What a plateau has left of the rate comes as `scale`.

  Args:
    rate: step -> learning rate.
  """

  def update(updates, state, params=None, *, step, scale=None, **extra):
    del params, extra
    factor = -rate(step) if scale is None else -rate(step) * scale
    return jax.tree.map(lambda u: jnp.asarray(factor, u.dtype) * u, updates), (
      state
    )

  return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


def make_optimizer(
  params: Params,
  adam: Adam,
  *,
  layers: int,
  rate: optax.Schedule,
  layer_decay: float,
) -> optax.GradientTransformationExtraArgs:
  """Chains the clip, Adam, weight decay and the rates of all depths.

  Its update takes `step`, the steps done before: the rate follows the run's
  own count, Adam's correction that of the updates that were taken. Where the
  rate falls at a plateau, the update takes `scale` too.

  Args:
    params: the parameters, arrays or shapes; only their names are looked at,
      so those of one trial and of R stacked trials give the same optimiser.
    adam: its settings.
    layers: L, the number of layers of the encoder.
    rate: step -> learning rate of the heads.
    layer_decay: alpha, by which the rate falls with every layer downwards; 1,
      or anything that is not positive, turns it off.

  Returns:
    An optax transformation, to be `vmap`ped where trials are stacked.

  Raises:
    ValueError: a parameter has no depth.
  """

  def rate_at(depth: int) -> optax.GradientTransformationExtraArgs:
    scale = rate_scale(depth, layers=layers, layer_decay=layer_decay)
    return scale_by_rate(lambda step: scale * rate(step))

  def label(depth: int) -> str:
    return f"depth_{depth}"

  return optax.chain(
    optax.clip_by_global_norm(adam.clip) if adam.clip > 0 else optax.identity(),
    moments(adam),
    optax.add_decayed_weights(adam.weight_decay, mask=decay_mask(params)),
    optax.multi_transform(
      {label(depth): rate_at(depth) for depth in range(layers + 3)},
      _map_paths(lambda path: label(depth_of(path, layers)), params),
    ),
  )
