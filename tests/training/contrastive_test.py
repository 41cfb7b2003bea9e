"""Contrastive losses are PyTorch's, and empty slots change nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from bam_jax.training import contrastive

K, D = 7, 5
THERE = np.array([1, 1, 0, 1, 1, 0, 1], bool)


def pairs():
  rng = np.random.default_rng(0)
  u, v = np.float32(rng.normal(size=(2, K, D)))
  u[~THERE] = np.nan
  v[~THERE] = np.inf
  return u, v, np.float32([1, 0, 1, 1, 0.25, 0, 0])


@pytest.mark.parametrize("distance", list(contrastive.DISTANCES))
@pytest.mark.parametrize("least", [0.5, 3.0])
def test_margin_is_torchs_in_value_and_gradient(distance, least):
  u, v, y = pairs()

  def total(u, v):
    each = contrastive.margin(u, v, y, THERE, least=least, distance=distance)
    return each.sum(), each

  (_, each), grads = jax.value_and_grad(total, (0, 1), has_aux=True)(u, v)
  a, b = (torch.tensor(x[THERE], requires_grad=True) for x in (u, v))
  d = (
    1 - torch.cosine_similarity(a, b)
    if distance == "cosine"
    else torch.pairwise_distance(a, b, eps=0)
  )
  gold = torch.tensor(y[THERE])
  loss = 0.5 * (gold * d**2 + (1 - gold) * torch.clamp(least - d, min=0) ** 2)
  loss.sum().backward()
  np.testing.assert_allclose(each[THERE], loss.detach(), rtol=1e-5, atol=1e-6)
  for mine, theirs in zip(grads, (a, b), strict=True):
    np.testing.assert_allclose(mine[THERE], theirs.grad, rtol=1e-4, atol=1e-6)
    assert not np.asarray(mine)[~THERE].any()


# At 1 what lies in empty slots would count among the others.
@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_info_nce_is_torchs_among_what_is_there(temperature):
  u, v, _ = pairs()

  def total(u, v):
    each = contrastive.info_nce(u, v, THERE, temperature=temperature)
    return each.sum(), each

  (_, each), grads = jax.value_and_grad(total, (0, 1), has_aux=True)(u, v)
  a, b = (torch.tensor(x[THERE], requires_grad=True) for x in (u, v))
  near = torch.cosine_similarity(a[:, None], b[None], dim=-1) / temperature
  loss = torch.nn.functional.cross_entropy(
    near, torch.arange(int(THERE.sum())), reduction="none"
  )
  loss.sum().backward()
  np.testing.assert_allclose(each[THERE], loss.detach(), rtol=1e-5, atol=1e-5)
  for mine, theirs in zip(grads, (a, b), strict=True):
    np.testing.assert_allclose(mine[THERE], theirs.grad, rtol=1e-3, atol=1e-5)
    assert not np.asarray(mine)[~THERE].any()


def test_vectors_that_meet_have_no_slope():
  u = jnp.ones((K, D))
  grads = jax.grad(lambda u: contrastive.euclidean(u, jnp.ones((K, D))).sum())
  assert not np.asarray(grads(u)).any()
