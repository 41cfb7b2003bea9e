"""Targets mixed by lambda, and the loss of every example against them.

Every example sits in C columns, as many as the largest task has classes, and
owns only the first `classes` of them: 0 for a slot without an example, 1 for
regression, whose value stands in column 0. The other columns hold whatever the
heads of other tasks made of this example, NaN included, so they are replaced
before any arithmetic: multiplying by a mask would keep the NaN, in the value
or in the gradient.
"""

import jax
import jax.numpy as jnp

# exp() of it is 0 in every float type, and sums of it stay finite in float32.
_MASKED = -1e30


def _own(classes: jax.Array, C: int) -> jax.Array:
  """Says which columns belong to the example's own task, `bool[..., C]`."""
  return jnp.arange(C) < classes[..., None]


def gold_targets(label: jax.Array, classes: jax.Array, C: int) -> jax.Array:
  """Writes gold labels as distributions over the columns.

  Args:
    label: `f32[...]`, the class number, or the value in [0, 1] for regression.
    classes: `i32[...]`, columns that the example owns; 1 is regression, 0 none.
    C: the number of columns.

  Returns:
    `f32[..., C]`: one-hot for classes, the value in column 0 for regression,
    zeros where there is no example.
  """
  label, regression = label[..., None], (classes == 1)[..., None]
  columns = jnp.arange(C)
  targets = jnp.where(
    regression, jnp.where(columns == 0, label, 0.0), columns == label
  )
  return jnp.where(_own(classes, C), targets, 0.0).astype(jnp.float32)


def teacher_targets(logits: jax.Array, classes: jax.Array) -> jax.Array:
  """Turns a teacher's outputs into targets: softmax at temperature 1.

  Args:
    logits: `f32[..., C]`, before the softmax; for regression the prediction
      itself in column 0.
    classes: `i32[...]`, columns that the example owns; 1 is regression, 0 none.

  Returns:
    `f32[..., C]`, probabilities over the example's own columns (the prediction
    for regression), zeros in all others.
  """
  own = _own(classes, logits.shape[-1])
  safe = jnp.where(own, logits.astype(jnp.float32), _MASKED)
  regression = (classes == 1)[..., None]
  return jnp.where(
    own, jnp.where(regression, safe, jax.nn.softmax(safe, axis=-1)), 0.0
  )


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
  logits: jax.Array, targets: jax.Array, classes: jax.Array
) -> jax.Array:
  """Gives every example its loss on its own task, before weights.

  Cross-entropy against the mixed distribution for classes, squared error
  against the mixed value for regression (the paper's section 3.1), 0 with zero
  gradient where there is no example. NaN in a column that an example owns is
  not hidden.

  Args:
    logits: `[..., C]` of any float type; for regression the prediction in
      column 0, after the sigmoid if the head has one.
    targets: `f32[..., C]` from `soft_targets`.
    classes: `i32[...]`, columns that the example owns; 1 is regression, 0 none.

  Returns:
    `f32[...]`.
  """
  own = _own(classes, logits.shape[-1])
  safe = jnp.where(own, logits.astype(jnp.float32), _MASKED)
  targets = jnp.where(own, targets, 0.0)
  entropy = -jnp.sum(targets * jax.nn.log_softmax(safe, axis=-1), axis=-1)
  squared = jnp.square(safe[..., 0] - targets[..., 0])
  return jnp.where(classes == 1, squared, entropy)
