"""Targets mixed by lambda, and the loss of every example against them.

Every example sits in C columns, as many as the widest head has, and owns only
the first of them: none for a slot without an example. The other columns hold
whatever the heads of other tasks made of this example, NaN included, so they
are replaced before any arithmetic: multiplying by a mask would keep the NaN, in
the value or in the gradient.

An objective is a row of `OBJECTIVES`; a task's kind names its own, and a task
may choose another.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models.heads import HeadSpec
from bam_jax.training import bernoulli, chosen, classes, divergences
from bam_jax.training.divergences import logits_of

_MASKED = bernoulli.MASKED


@dataclasses.dataclass(frozen=True)
class Objective:
  """How a head's columns are held against a target.

  Attributes:
    gold: (label f32[...], or f32[..., C] if `many`, C) -> the target f32[...,
      C] that it is; None = it compares outputs with outputs alone and is no
      loss.
    taught: a teacher's outputs f32[..., C] -> the target that they are; in
      columns that are not owned they are -1e30. None as `gold` is.
    loss: (outputs, targets), f32[..., C] -> f32[...]; in columns that are not
      owned outputs are -1e30 and targets 0. None as `gold` is.
    distance: (outputs, outputs), f32[..., C] -> f32[...], 0 where they are the
      same; in columns that are not owned both are -1e30. Where one of them is
      meant to move it is the first.
    wants: what outputs are: "logits" of classes, or "values"; tasks choose
      among those that want what their kind's own does. "" = none but that one.
    many: a label is f32[..., C] of what holds, and not one number.
    proper: its loss against a target is least at that target.
    chooses: each column is a choice among an example's places, or a question's
      candidates, and not a place among the columns: outputs come as
      log-probabilities over these, a teacher's too, and the loss of an example
      or a question is the sum over its own.
  """

  gold: Callable[[jax.Array, int], jax.Array] | None
  taught: Callable[[jax.Array], jax.Array] | None
  loss: Callable[[jax.Array, jax.Array], jax.Array] | None
  distance: Callable[[jax.Array, jax.Array], jax.Array] | None
  wants: str = ""
  many: bool = False
  proper: bool = True
  chooses: bool = False


def of_classes(apart: Callable[[jax.Array, jax.Array], jax.Array]) -> Objective:
  """Returns a row of a divergence that has a value for a label too.

  Args:
    apart: of two logits, see divergences.py.
  """
  return dataclasses.replace(
    _CE,
    loss=lambda logits, targets: apart(logits, logits_of(targets)),
    distance=apart,
  )


def of_outputs(apart: Callable[[jax.Array, jax.Array], jax.Array]) -> Objective:
  """Returns a row of what compares logits with logits alone."""
  return Objective(None, None, None, apart, wants="logits")


# Section 3.1 of Clark et al. 2019: classes by cross-entropy, values by their
# squared error.
_CE = Objective(
  gold=lambda label, C: (jnp.arange(C) == label[..., None]).astype(jnp.float32),
  taught=lambda outputs: jax.nn.softmax(outputs, axis=-1),
  loss=classes.cross_entropy,
  distance=divergences.symmetric_kl,
  wants="logits",
)
OBJECTIVES: Mapping[str, Objective] = {
  "ce": _CE,
  "focal": dataclasses.replace(_CE, loss=classes.focal(2), proper=False),
  "mse": Objective(
    gold=lambda label, C: jnp.where(jnp.arange(C) == 0, label[..., None], 0.0),
    taught=lambda outputs: outputs,
    loss=lambda outputs, targets: jnp.square(outputs[..., 0] - targets[..., 0]),
    distance=lambda one, two: jnp.square(one[..., 0] - two[..., 0]),
    wants="values",
  ),
  # Each label by itself; a mean, so that a task of many counts as one of few.
  "bce": Objective(
    gold=lambda label, C: label,
    taught=jax.nn.sigmoid,
    loss=bernoulli.cross_entropy,
    distance=bernoulli.symmetric_kl,
    wants="labels",
    many=True,
  ),
  # Half of the two cross-entropies, of where an answer starts and where it ends
  # (Devlin et al. 2019, section 4.2).
  "span": Objective(
    gold=chosen.marks,
    taught=jnp.exp,
    loss=lambda outputs, targets: (
      -jnp.sum(targets[..., :2] * outputs[..., :2], axis=-1) / 2
    ),
    distance=chosen.apart,
    chooses=True,
  ),
  # The cross-entropy of a question's candidates; a label is a candidate's
  # share of all that is relevant (equation 5 of Liu et al. 2019 with one).
  "rank_ce": Objective(
    gold=lambda label, C: jnp.where(jnp.arange(C) == 0, label[..., None], 0.0),
    taught=jnp.exp,
    loss=lambda outputs, targets: -targets[..., 0] * outputs[..., 0],
    distance=lambda one, two: 2 * chosen.apart(one[..., :1], two[..., :1]),
    chooses=True,
  ),
  "kl": of_classes(divergences.kl),
  "js": of_classes(divergences.jensen_shannon),
  "hellinger": of_classes(divergences.hellinger),
  "symkl": of_outputs(divergences.symmetric_kl),
  "nskl": of_outputs(divergences.stable_kl),
  "nssymkl": of_outputs(divergences.stable_symmetric_kl),
  "mse_logits": of_outputs(divergences.squared_logits),
}
# Objective -> an option of it, what it has to be below, and its loss with it.
OPTIONS: Mapping[str, tuple[str, float, Callable[[float], Callable]]] = {
  "ce": ("smoothing", 1.0, classes.smoothed),
  "focal": ("gamma", 100.0, classes.focal),
}


@functools.cache
def named(text: str) -> Objective:
  """Returns the objective that is meant by ce, or by ce:smoothing=0.1.

  Raises:
    ValueError: it has no such option, or not with that number.
  """
  name, colon, said = text.partition(":")
  if not colon:
    return OBJECTIVES[name]
  option, most, make = OPTIONS.get(name, ("", 0.0, None))
  given, _, number = said.partition("=")
  try:
    value = float(number) if given.strip() == option else math.nan
  except ValueError:
    value = math.nan
  if not 0 <= value < most:
    has = f"has {option}=NUMBER, from 0 to below {most:g}" if option else ""
    raise ValueError(f"has no option {said!r}; {name} {has or 'has none'}")
  return dataclasses.replace(OBJECTIVES[name], loss=make(value), proper=False)


@dataclasses.dataclass(frozen=True)
class Owners:
  """Whose columns an example's are.

  Attributes:
    columns: i32[...] that it owns; 0 where there is no example.
    uses: objective -> bool[...], where it is the example's.
  """

  columns: jax.Array
  uses: Mapping[str, jax.Array]

  def own(self, C: int) -> jax.Array:
    """Says which columns are the example's own, `bool[..., C]`."""
    return jnp.arange(C) < self.columns[..., None]

  def pick(self, made: Callable[[Objective], jax.Array]) -> jax.Array:
    """Returns what each example's own objective makes, 0 where none is.

    Args:
      made: an objective -> f32[...] or f32[..., C].
    """
    found = None
    for name, used in self.uses.items():
      mine = made(named(name))
      used = used.reshape(used.shape + (1,) * (mine.ndim - used.ndim))
      found = jnp.where(used, mine, 0.0 if found is None else found)
    return found


def owners(
  heads: Sequence[HeadSpec],
  task: jax.Array,
  *,
  space: str = "example",
  role: str = "loss",
) -> Owners:
  """Returns whose the columns of examples are, and what they are held against.

  Args:
    heads: of the model.
    task: i32[...], the position of each example's task in `heads`; -1 where
      there is no example, which so takes the last entry of each table.
    space: in which the columns are; heads of another one have none here.
    role: which of the heads' objectives, a name of `HeadSpec.objective`.
  """
  mine = [spec.space == space for spec in heads]
  columns = [
    spec.outputs if own else 0 for spec, own in zip(heads, mine, strict=True)
  ]
  names = dict.fromkeys(
    spec.objective(role) for spec in heads if spec.space == space
  )
  return Owners(
    jnp.asarray(np.array([*columns, 0], np.int32))[task],
    {
      name: jnp.asarray(
        [
          own and spec.objective(role) == name
          for spec, own in zip(heads, mine, strict=True)
        ]
        + [False]
      )[task]
      for name in names
    },
  )


def gold_targets(label: jax.Array, owned: Owners, C: int) -> jax.Array:
  """Writes gold labels as targets over the columns.

  Args:
    label: `f32[...]`, the class number, or the value in [0, 1]; `f32[..., C]`
      where some task has several labels at once, of others in column 0.
    owned: whose the columns are.
    C: the number of columns.

  Returns:
    `f32[..., C]`, zeros where there is no example.
  """
  wide = label.ndim > owned.columns.ndim
  first = label[..., 0] if wide else label
  targets = owned.pick(
    lambda objective: objective.gold(label if objective.many else first, C)
  )
  return jnp.where(owned.own(C), targets, 0.0)


def teacher_targets(outputs: jax.Array, owned: Owners) -> jax.Array:
  """Turns a teacher's outputs into targets; a softmax is at temperature 1.

  Args:
    outputs: `f32[..., C]`, logits, or the prediction itself in column 0.
    owned: whose the columns are.

  Returns:
    `f32[..., C]`, zeros in columns that are not the example's own.
  """
  own = owned.own(outputs.shape[-1])
  safe = jnp.where(own, outputs.astype(jnp.float32), _MASKED)
  return jnp.where(own, owned.pick(lambda each: each.taught(safe)), 0.0)


def or_teacher(
  gold: jax.Array, teacher: jax.Array, has_gold: jax.Array
) -> jax.Array:
  """Puts the teacher's target where there is no gold, whatever lambda is.

  Args:
    gold: `f32[..., C]` from `gold_targets`.
    teacher: `f32[..., C]` from `teacher_targets`.
    has_gold: `f32[...]`, 0 where the label is only a placeholder.

  Returns:
    `f32[..., C]`, which `soft_targets` takes for gold.
  """
  return jnp.where((has_gold > 0)[..., None], gold, teacher)


def soft_targets(
  gold: jax.Array,
  teacher: jax.Array,
  has_teacher: jax.Array,
  lam: jax.Array | float,
) -> jax.Array:
  """Mixes gold labels with a teacher's, lambda * gold + (1 - lambda) * teacher.

  Values of regression are mixed as distributions are. The paper's section 3.2
  (teacher annealing) raises lambda from 0 to 1 during training.

  Args:
    gold: `f32[..., C]` from `gold_targets`.
    teacher: `f32[..., C]` from `teacher_targets`.
    has_teacher: `f32[...]`, 1 where there is a teacher; the others use gold.
    lam: the weight of the gold label in [0, 1].

  Returns:
    `f32[..., C]`.
  """
  mixed = lam * gold + (1.0 - lam) * teacher
  return jnp.where((has_teacher > 0)[..., None], mixed, gold)


def example_loss(
  outputs: jax.Array, targets: jax.Array, owned: Owners
) -> jax.Array:
  """Gives every example its loss on its own task, before weights.

  0 with zero gradient where there is no example. NaN in a column that an
  example owns is not hidden.

  Args:
    outputs: `[..., C]` of any float type, of the example's own head.
    targets: `f32[..., C]` from `soft_targets`.
    owned: whose the columns are.

  Returns:
    `f32[...]`.
  """
  own = owned.own(outputs.shape[-1])
  safe = jnp.where(own, outputs.astype(jnp.float32), _MASKED)
  targets = jnp.where(own, targets, 0.0)
  return owned.pick(lambda objective: objective.loss(safe, targets))


def distance(one: jax.Array, two: jax.Array, owned: Owners) -> jax.Array:
  """Says how far two outputs of every example are apart, f32[...].

  0 with zero gradient where there is no example.

  Args:
    one: `[..., C]` of any float type, of the example's own head.
    two: the same of another pass.
    owned: whose the columns are.
  """
  own = owned.own(one.shape[-1])
  safe = [jnp.where(own, x.astype(jnp.float32), _MASKED) for x in (one, two)]
  return owned.pick(lambda objective: objective.distance(*safe))


def divergence(one: jax.Array, two: jax.Array, owned: Owners) -> jax.Array:
  """Says what is lost where `one` is taken for `two`, f32[...].

  The loss of `one` against `two` as a teacher, above the least that there is:
  of classes KL(two, one), of values their squared error; where it has no such
  least, its distance. 0 with zero gradient where there is no example.

  Args:
    one: `[..., C]` of any float type, of the example's own head.
    two: the same of another pass.
    owned: whose the columns are.
  """
  own = owned.own(one.shape[-1])
  safe = [jnp.where(own, x.astype(jnp.float32), _MASKED) for x in (one, two)]

  def apart(each: Objective) -> jax.Array:
    if each.loss is None or not each.proper:
      return each.distance(*safe)
    targets = jnp.where(own, each.taught(safe[1]), 0.0)
    return each.loss(safe[0], targets) - each.loss(safe[1], targets)

  return owned.pick(apart)


def taught_loss(
  outputs: jax.Array, teacher: jax.Array, owned: Owners, temperature: float
) -> jax.Array:
  """Gives every example its loss against its teacher's outputs, f32[...].

  0 with zero gradient where there is no example. Logits of both are divided by
  the temperature and the loss multiplied by its square, so that the gradient
  keeps its size (Hinton et al. 2015, section 2.1).

  Args:
    outputs: `[..., C]` of any float type, of the example's own head.
    teacher: `f32[..., C]`, the teacher's.
    owned: whose the columns are, of role "kd_loss".
    temperature: of logits; values have none.
  """
  own = owned.own(outputs.shape[-1])

  def loss(each: Objective) -> jax.Array:
    heat = temperature if each.wants in ("logits", "labels") else 1.0
    said, taught = (
      jnp.where(own, x.astype(jnp.float32) / heat, _MASKED)
      for x in (outputs, teacher)
    )
    if each.loss is None:
      return heat**2 * each.distance(said, taught)
    targets = jnp.where(own, each.taught(taught), 0.0)
    return heat**2 * each.loss(said, targets)

  return owned.pick(loss)
