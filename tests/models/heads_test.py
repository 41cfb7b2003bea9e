"""Heads by their formulas, shared heads, and what each costs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from bam_jax.models import encoders, heads
from bam_jax.models.heads import HEADS, Heads, HeadSpec
from bam_jax.models.shapes import shapes
from bam_jax.training import optim, sharding
from tests import tiny
from tests.models.san_test import HERE, SEGMENTS, TOKENS, TYPES, B, D, E, given

C = 4
POOLED = np.random.default_rng(1).normal(size=(B, E, D)).astype(np.float32)


def made(*specs, task=None):
  """Returns the module, its parameters and what it says, f32[B, E, C]."""
  net = Heads(specs)
  vectors = {"pooled": jnp.asarray(POOLED), "parts": given()}
  vectors[heads.apart("cls")] = jnp.concatenate([vectors["pooled"]] * 3, -1)
  task = np.where(HERE, 0, -1) if task is None else task
  owner = {"example": jnp.asarray(task)}
  params = net.init(jax.random.key(2), vectors, owner)
  return params["params"], net.apply(params, vectors, owner)["example"]


def spec(name, head, outputs=C, **more):
  return HeadSpec(name, outputs, "logits", "ce", head=head, **more)


def test_the_mlp_is_two_layers_with_the_exact_gelu():
  params, found = made(spec("a", "mlp", options=(("width", 7),)))
  hidden, out = params["a"]["hidden"], params["a"]["out"]
  assert hidden["kernel"].shape == (D, 7) and out["kernel"].shape == (7, C)
  inner = torch.tensor(np.asarray(POOLED @ hidden["kernel"] + hidden["bias"]))
  want = torch.nn.functional.gelu(inner).numpy() @ out["kernel"] + out["bias"]
  np.testing.assert_allclose(found[HERE], want[HERE], rtol=1e-5, atol=1e-6)


def test_the_tower_holds_the_means_of_two_texts_together():
  params, found = made(spec("a", "tower"))
  for b, e in np.argwhere(HERE):
    mine = SEGMENTS[b] == e + 1
    u, v = (TOKENS[b, mine & (TYPES[b] == t)].mean(0) for t in (0, 1))
    features = np.concatenate([u, abs(u - v), u * v])
    want = features @ params["a"]["kernel"] + params["a"]["bias"]
    np.testing.assert_allclose(found[b, e], want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("head", [n for n, h in HEADS.items() if h.chosen])
def test_a_shared_head_is_one_head(head):
  one, two = spec("a", head), spec("b", head, shared="a")
  params, found = made(one, two, task=np.where(HERE, [[0, 1]], -1))
  assert params.keys() == {"a"}
  alone, same = made(one, task=np.where(HERE, 0, -1))
  jax.tree.map(np.testing.assert_array_equal, params, alone)
  np.testing.assert_array_equal(found, same)


def test_a_task_alone_calls_its_parameters_as_the_tasks_that_share_do():
  params, _ = made(spec("b", "linear", shared="a"))
  assert params.keys() == {"a"}


@pytest.mark.parametrize("head", HEADS)
def test_shapes_are_those_that_are_made(head):
  one = spec("a", head)
  words = np.zeros((C, D + 1))
  drawn = encoders.drawn(tiny.ENCODER, np.zeros((1, 1, D)), words)
  found = shapes([one], D, drawn)
  assert all(name.startswith("a/") for name in found)
  for name in found:
    # What is decayed and how fast it learns is known by its name alone.
    assert sharding.spec(f"params/heads/{name}") == sharding.P()
    assert optim.depth_of(f"heads/{name}", 3) == 5
  cost = HEADS[head].multiplied(one, D, np.array([5, 8]))
  assert cost.shape == (2,) and cost.dtype.kind == "i"
  # Where nothing is made nothing is multiplied.
  assert ((cost > 0) == bool(found)).all()
  if HEADS[head].reads == "pooled":
    sizes = [np.prod(s) for n, s in found.items() if n.endswith("kernel")]
    assert cost.tolist() == [sum(sizes)] * 2
