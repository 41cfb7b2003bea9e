"""Heads of projected tokens against PyTorch, alone and in packed rows."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from bam_jax.models import encoders, hidden, parts
from bam_jax.models.heads import Heads, HeadSpec
from bam_jax.models.multitask import init_params
from tests import tiny
from tests.models.san_test import (
  CLS,
  HERE,
  SEGMENTS,
  TOKENS,
  TYPES,
  C,
  given,
)

LAYERS = [
  np.random.default_rng(n).normal(size=TOKENS.shape).astype("f4")
  for n in (5, 6, 7)
]


def read() -> parts.Parts:
  """The tokens of `san_test`, second texts as examples of their own."""
  apart = SEGMENTS + np.where((TYPES > 0) & (SEGMENTS > 0), CLS.shape[1], 0)
  return dataclasses.replace(
    given(),
    segments=jnp.asarray(apart),
    layers=tuple(map(jnp.asarray, LAYERS)),
  )


def made(head, layers="last"):
  """Returns a head's parameters, drawn anew, and what it says f32[B, E, C]."""
  options = (("width", 5),) + (("states", 3),) * (head == "attention")
  spec = HeadSpec(
    "a", C, "logits", "ce", head=head, options=options, layers=layers
  )
  net, task = Heads((spec,)), {"example": jnp.asarray(np.where(HERE, 0, -1))}
  params = net.init(jax.random.key(2), {"parts": read()}, task)
  rng = np.random.default_rng(8)
  params = jax.tree.map(
    lambda x: rng.normal(size=x.shape).astype("f4") * 0.5, params
  )
  return params["params"]["a"], net.apply(params, {"parts": read()}, task)


def dense(x, layer):
  return x @ np.float64(layer["kernel"]) + np.float64(layer["bias"])


def answered(p, vector):
  x = torch.tanh(torch.tensor(dense(vector, p["hidden"])))
  norm = torch.nn.functional.layer_norm(
    x,
    x.shape[-1:],
    torch.tensor(np.float64(p["norm"]["scale"])),
    torch.tensor(np.float64(p["norm"]["bias"])),
  )
  return dense(norm.numpy(), p["out"])


def lstm(p, x):
  """Returns what PyTorch's bidirectional LSTM makes of one text, [S, 6]."""
  net = torch.nn.LSTM(x.shape[1], 3, bidirectional=True).double()
  state = {}
  for name, value in (
    ("weight_ih", p["input"]["kernel"].T),
    ("weight_hh", p["recurrent"]["kernel"].T),
    ("bias_ih", p["input"]["bias"]),
    ("bias_hh", np.zeros(24)),
  ):
    halves = torch.tensor(np.float64(value)).split(12)
    state |= {f"{name}_l0": halves[0], f"{name}_l0_reverse": halves[1]}
  net.load_state_dict(state)
  return net(torch.tensor(x))[0].detach().numpy()


@pytest.mark.parametrize("layers", ["last", "mix"])
@pytest.mark.parametrize("head", ["project", "pair", "bilinear", "attention"])
def test_each_example_of_a_row_is_answered_as_alone(head, layers):
  p, said = made(head, layers)
  tokens = np.float64(TOKENS)
  if layers == "mix":
    powers = np.exp(np.float64(p["layers"]["weights"]))
    shares = powers / powers.sum() * p["layers"]["scale"]
    tokens = sum(s * np.float64(h) for s, h in zip(shares, LAYERS, strict=True))
  for b, e in np.argwhere(HERE):
    mine = SEGMENTS[b] == e + 1
    first, second = (tokens[b, mine & (TYPES[b] == t)] for t in (0, 1))
    if head == "attention":
      shares = torch.softmax(torch.tensor(first @ second.T), -1).numpy()
      back = torch.softmax(torch.tensor(second @ first.T), -1).numpy()
      u = lstm(p["reading"], np.concatenate([first, shares @ second], -1))
      v = lstm(p["reading"], np.concatenate([second, back @ first], -1))
    else:
      u, v = (dense(x, p["reading"]["tokens"]) for x in (first, second))
    if head == "project":
      vector = np.concatenate([u, v]).max(0)
    else:
      u, v = u.max(0), v.max(0)
      vector = np.concatenate([u, v, abs(u - v), u * v])
    if head == "bilinear":
      form, bias = (np.float64(p["answer"][x]) for x in ("kernel", "bias"))
      want = np.array([u @ each @ v for each in form]) + bias
    else:
      want = answered(p["answer"], vector)
    np.testing.assert_allclose(said["example"][b, e], want, atol=1e-5)


@pytest.mark.parametrize("encoder", ["bert", "bilstm", "bilstm by letters"])
def test_a_mixture_is_of_what_the_encoder_says_when_it_ends_earlier(encoder):
  known = tiny.ENCODERS | {"bilstm by letters": tiny.SPELLED}
  config = dataclasses.replace(known[encoder], layers=2)
  watch = hidden.Watch(None)
  # What is computed again in the backward pass stays inside of that.
  module = encoders.of(config).module(config, jnp.float32, True, watch)
  rng = np.random.default_rng(0)
  rows = {
    "tokens": rng.integers(1, 40, (1, 7)),
    "types": np.zeros((1, 7), int),
    "positions": np.array([[0, 1, 2, 0, 1, 2, 3]]),
    "segments": np.array([[1, 1, 1, 2, 2, 2, 2]]),
  }
  rows = {name: jnp.asarray(row) for name, row in rows.items()}
  params = module.init(jax.random.key(0), *rows.values(), train=False)

  def layers(params):
    watch.seen.clear()
    last = module.apply(params, *rows.values(), train=False)
    return encoders.layers(config, watch.seen, last, rows)

  found = tiny.quickly(layers)(params)
  jax.eval_shape(jax.grad(lambda p: sum(x.sum() for x in layers(p))), params)
  assert len(found) == encoders.mixed(config)
  for count in (1, 2):
    short = dataclasses.replace(config, layers=count)
    net = encoders.of(short).module(short, jnp.float32, False)
    kept = {
      k: v
      for k, v in params["params"].items()
      if not k.startswith("layer_") or int(k[-1]) < count
    }
    want = net.apply({"params": kept}, *rows.values(), train=False)
    np.testing.assert_allclose(found[count - 3], want, atol=1e-6)


def test_what_is_dropped_of_a_mixture_is_dropped_of_all_its_layers():
  spec = HeadSpec(
    "a", 2, "logits", "ce", head="project", layers="mix", dropout=0.5
  )
  spec = dataclasses.replace(
    spec, options=(("width", 3), ("answer_dropout", 0.0))
  )
  net = tiny.model(heads=(spec,), dropout=0.0)
  params = init_params(net, jax.random.key(0))
  assert params["heads"]["a"]["layers"]["weights"].shape == (2,)
  batch = {name: array[0] for name, array in tiny.batches(trials=1)[0].items()}
  batch["task"] = np.where(batch["task"] == 0, 0, -1)
  seen = []

  def keep(call, args, kwargs, context):
    if type(context.module).__name__ == "Mixture":
      seen.append(args[0])
    return call(*args, **kwargs)

  with nn.intercept_methods(keep):
    net.apply(
      {"params": params},
      batch,
      train=True,
      rngs={"dropout": jax.random.key(1)},
    )
  one, two = (np.asarray(x) == 0 for x in seen[0])
  np.testing.assert_array_equal(one, two)
  assert 0.3 < one[batch["segments"] > 0].mean() < 0.7
