"""Labels that hold by themselves: PyTorch's loss, and what NaN cannot reach."""

import jax
import jax.numpy as jnp
import numpy as np
import torch

from bam_jax.models.heads import HeadSpec
from bam_jax.training import objectives

# Two tasks of several labels, and one of classes beside them.
HEADS = (
  HeadSpec("flags", 3, output="logits", loss="bce"),
  HeadSpec("nli", 4, output="logits", loss="ce"),
  HeadSpec("tone", 2, output="logits", loss="bce"),
)
TASK = jnp.array([[0, 1, 2], [2, -1, 0]])
COLUMNS, C = {0: 3, 2: 2}, 4
LABEL = np.zeros((2, 3, C), np.float32)
LABEL[0, 0, [0, 2]] = LABEL[0, 2, 1] = LABEL[1, 2, :3] = 1
LABEL[0, 1, 0] = 3  # the class of the second task
OUTPUTS = np.random.default_rng(5).normal(size=LABEL.shape).astype(np.float32)


def ours(outputs, label=LABEL):
  owned = objectives.owners(HEADS, TASK)
  targets = objectives.gold_targets(jnp.asarray(label), owned, C)
  return objectives.example_loss(outputs, targets, owned)


def test_loss_and_gradient_are_pytorchs():
  loss = ours(OUTPUTS)
  grad = jax.grad(lambda x: ours(x).sum())(OUTPUTS)
  for place, task in np.ndenumerate(np.asarray(TASK)):
    x = torch.tensor(OUTPUTS[place], requires_grad=True)
    if task in COLUMNS:
      own = slice(COLUMNS[task])
      theirs = torch.nn.BCEWithLogitsLoss()(
        x[own], torch.tensor(LABEL[place][own])
      )
    elif task == 1:
      theirs = torch.nn.functional.cross_entropy(x, torch.tensor(3))
    else:
      assert loss[place] == 0 and not grad[place].any()
      continue
    theirs.backward()
    np.testing.assert_allclose(loss[place], theirs.item(), atol=1e-6)
    np.testing.assert_allclose(grad[place], x.grad.numpy(), atol=1e-6)


def test_what_other_columns_hold_reaches_nothing():
  spoilt = OUTPUTS.copy()
  spoilt[0, 0, 3] = spoilt[0, 2, 2:] = spoilt[1, 1] = np.nan
  np.testing.assert_array_equal(ours(spoilt), ours(OUTPUTS))
  grad = jax.grad(lambda x: ours(x).sum())(spoilt)
  assert np.isfinite(grad).all()
  # And where it is the example's own it is not hidden.
  spoilt[0, 0, 1] = np.nan
  assert np.isnan(ours(spoilt)[0, 0])


def test_distance_is_half_of_both_divergences():
  owned = objectives.owners(HEADS, TASK, role="adv_loss")
  other = OUTPUTS[::-1].copy()
  far = objectives.distance(OUTPUTS, other, owned)
  p, q = (1 / (1 + np.exp(-np.float64(x[0, 0, :3]))) for x in (OUTPUTS, other))

  def kl(a, b):
    return a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b))

  assert far[0, 0] == np.float32(far[0, 0])
  np.testing.assert_allclose(
    far[0, 0], ((kl(p, q) + kl(q, p)) / 2).mean(), rtol=1e-5
  )
  assert far[1, 1] == 0
  same = objectives.distance(OUTPUTS, OUTPUTS, owned)
  assert not np.asarray(same).any()


def test_a_teachers_chances_are_targets():
  owned = objectives.owners(HEADS, TASK)
  targets = objectives.teacher_targets(jnp.asarray(OUTPUTS), owned)
  wanted = 1 / (1 + np.exp(-OUTPUTS[0, 2, :2]))
  np.testing.assert_allclose(targets[0, 2, :2], wanted, rtol=1e-6)
  assert not np.asarray(targets[0, 2, 2:]).any()
