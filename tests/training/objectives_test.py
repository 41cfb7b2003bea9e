"""Losses against numpy, and with garbage wherever nobody should look."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.training import objectives as losses

B, E, C = 3, 2, 4
# Every kind of slot: classes of all sizes, regression (1) and no example (0).
CLASSES = np.array([[2, 1], [4, 0], [3, 0]], np.int32)
LABEL = np.array([[1, 0.3], [3, 0], [0, 0]], np.float32)
GARBAGE = (0.0, 1e30, -1e30, np.nan, np.inf, -np.inf)
OWN = losses.Owners(CLASSES, {"ce": CLASSES > 1, "mse": CLASSES == 1})
OTHERS = np.arange(C) >= CLASSES[..., None]  # columns of no one, bool[B, E, C]


def _logits(garbage=0.0):
  rng = np.random.default_rng(0)
  logits = rng.normal(size=(B, E, C)).astype(np.float32)
  return np.where(OTHERS, np.float32(garbage), logits)


def _softmax(x):
  powers = np.exp(x - x.max())
  return powers / powers.sum()


def _expected(logits, label, teacher, has_teacher, lam):
  """The formulas, one example at a time."""
  loss = np.zeros((B, E))
  for b, e in np.ndindex(B, E):
    c = CLASSES[b, e]
    if not c:
      continue
    z = logits[b, e, :c].astype(np.float64)
    t = teacher[b, e, :c].astype(np.float64)
    gold = label[b, e] if c == 1 else np.eye(c)[int(label[b, e])]
    target = gold
    if has_teacher[b, e]:
      target = lam * gold + (1 - lam) * (t if c == 1 else _softmax(t))
    if c == 1:
      loss[b, e] = ((z - target) ** 2).item()
    else:
      loss[b, e] = -(target * np.log(_softmax(z))).sum()
  return loss


def _loss(logits, teacher, has_teacher, lam):
  gold = losses.gold_targets(LABEL, OWN, C)
  teacher = losses.teacher_targets(teacher, OWN)
  targets = losses.soft_targets(gold, teacher, has_teacher, lam)
  return losses.example_loss(logits, targets, OWN)


def test_gold_targets_are_one_hot_or_the_value():
  expected = np.zeros((B, E, C), np.float32)
  expected[0, 0, 1] = expected[1, 0, 3] = expected[2, 0, 0] = 1
  expected[0, 1, 0] = LABEL[0, 1]
  got = losses.gold_targets(LABEL, OWN, C)
  assert got.dtype == np.float32
  np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("label", [1.0, np.nan])
def test_gold_targets_of_no_example_are_zero_whatever_the_label(label):
  got = losses.gold_targets(np.full((B, E), label, np.float32), OWN, C)
  assert not np.any(got[CLASSES == 0])


@pytest.mark.parametrize("garbage", GARBAGE)
def test_teacher_targets_are_probabilities_over_own_classes(garbage):
  logits = _logits(garbage)
  logits[CLASSES == 0] = np.nan
  got = losses.teacher_targets(logits, OWN)
  for b, e in np.ndindex(B, E):
    c = CLASSES[b, e]
    own = logits[b, e, :c]
    expected = np.zeros(C)
    expected[:c] = own if c < 2 else _softmax(own)
    np.testing.assert_allclose(got[b, e], expected, atol=1e-6)


@pytest.mark.parametrize("lam", [0.0, 0.25, 1.0])
def test_loss_of_mixed_targets_is_the_formula(lam):
  teacher = 2 * np.flip(_logits(), axis=0)
  has_teacher = np.array([[1, 1], [0, 0], [1, 1]], np.float32)
  got = _loss(_logits(), teacher, has_teacher, lam)
  expected = _expected(_logits(), LABEL, teacher, has_teacher, lam)
  np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_lambda_one_is_gold_and_zero_is_the_teacher():
  teacher = np.flip(_logits(), axis=0)
  gold, ones = losses.gold_targets(LABEL, OWN, C), np.ones((B, E))
  soft = losses.teacher_targets(teacher, OWN)
  np.testing.assert_array_equal(
    losses.soft_targets(gold, soft, ones, 1.0), gold
  )
  np.testing.assert_array_equal(
    losses.soft_targets(gold, soft, ones, 0.0), soft
  )


def test_missing_teacher_may_be_nan():
  gold = losses.gold_targets(LABEL, OWN, C)
  teacher = np.full((B, E, C), np.nan, np.float32)
  got = losses.soft_targets(gold, teacher, np.zeros((B, E)), 0.5)
  np.testing.assert_array_equal(got, gold)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_columns_of_other_tasks_change_neither_loss_nor_gradient(garbage):
  has_teacher = np.ones((B, E), np.float32)

  def total(logits, teacher):
    loss = _loss(logits, teacher, has_teacher, 0.5)
    return jnp.sum(loss), loss

  run = jax.jit(jax.value_and_grad(total, has_aux=True))
  (_, clean), clean_gradient = run(_logits(), _logits())
  (_, loss), gradient = run(_logits(garbage), _logits(garbage))
  np.testing.assert_array_equal(loss, clean)
  np.testing.assert_array_equal(gradient, clean_gradient)
  assert np.all(np.isfinite(gradient))
  assert not np.any(gradient[OTHERS])
  assert np.all(np.any(gradient != 0, axis=-1) == (CLASSES > 0))


def test_garbage_in_the_targets_of_other_tasks_is_not_seen():
  targets = np.where(OTHERS, np.nan, losses.gold_targets(LABEL, OWN, C))
  got, gradient = jax.value_and_grad(
    lambda logits: jnp.sum(losses.example_loss(logits, targets, OWN))
  )(_logits())
  assert np.isfinite(got)
  assert np.all(np.isfinite(gradient))


def test_nan_in_an_own_column_is_not_hidden():
  gold = losses.gold_targets(LABEL, OWN, C)
  for b, e in zip(*np.nonzero(CLASSES), strict=True):
    logits = _logits()
    logits[b, e, CLASSES[b, e] - 1] = np.nan
    bad = np.isnan(losses.example_loss(logits, gold, OWN))
    assert np.argwhere(bad).tolist() == [[b, e]]


def test_gradient_is_softmax_minus_target_and_twice_the_error():
  gold = losses.gold_targets(LABEL, OWN, C)
  logits = _logits()
  gradient = jax.grad(
    lambda logits: jnp.sum(losses.example_loss(logits, gold, OWN))
  )(logits)
  for b, e in zip(*np.nonzero(CLASSES), strict=True):
    c = CLASSES[b, e]
    z = logits[b, e, :c]
    error = 2 * (z - gold[b, e, :c]) if c == 1 else _softmax(z) - gold[b, e, :c]
    np.testing.assert_allclose(gradient[b, e, :c], error, atol=1e-6)


def test_huge_logits_do_not_overflow():
  logits = np.where(np.arange(C) == 2, 1e30, -1e30) * np.ones((B, E, 1))
  gold = losses.gold_targets(LABEL, OWN, C)
  loss, gradient = jax.value_and_grad(
    lambda logits: losses.example_loss(logits, gold, OWN)[2, 0]
  )(logits.astype(np.float32))
  np.testing.assert_allclose(loss, 2e30, rtol=1e-6)
  assert np.all(np.isfinite(gradient))


def test_loss_is_float32_for_bfloat16_logits():
  logits = jnp.asarray(_logits(), jnp.bfloat16)
  gold = losses.gold_targets(LABEL, OWN, C)
  got = losses.example_loss(logits, gold, OWN)
  assert got.dtype == np.float32
  exact = losses.example_loss(logits.astype(np.float32), gold, OWN)
  np.testing.assert_array_equal(got, exact)


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_without_gold_the_target_is_the_teachers_whatever_lambda(lam):
  teacher = losses.teacher_targets(_logits(), OWN)
  garbage = losses.gold_targets(np.zeros_like(LABEL), OWN, C)
  has_gold = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
  gold = losses.or_teacher(garbage, teacher, has_gold)
  found = losses.soft_targets(gold, teacher, np.ones((B, E)), lam)
  mixed = losses.soft_targets(garbage, teacher, np.ones((B, E)), lam)
  none = has_gold == 0
  np.testing.assert_allclose(found[none], teacher[none], rtol=1e-6)
  np.testing.assert_array_equal(found[~none], mixed[~none])
