"""Adversaries against PyTorch: their papers' formulas on transformers' BERT.

The peer shares the weights and the noise and nothing else. Each example stands
in a row of its own; that packing changes nothing is another test
(tests/models/packed_test.py).
"""

import jax
import numpy as np
import pytest
import torch
from torch.nn import functional as F
import transformers

from bam_jax.data import pipeline
from bam_jax.hf import directory as hf
from bam_jax.models.multitask import init_params
from bam_jax.training import adversaries, perturbation
from bam_jax.training.step import make_losses
from configs import common
from tests import tiny

WEIGHT, SIGMA, ETA, EPSILON, STEPS = 0.7, 0.3, 0.4, 0.5, 2
KEY = jax.random.key(8)
NET = tiny.model(dropout=0.0)
NORMS = ("inf", "2", "1")
ORDERS = {"inf": torch.inf, "2": 2, "1": 1}


@pytest.fixture(scope="module")
def params():
  """Every parameter random, so that each one counts."""
  rng = np.random.default_rng(0)
  return jax.tree.map(
    lambda x: np.float32(x + 0.2 * rng.normal(size=x.shape)),
    init_params(NET, jax.random.key(0)),
  )


class Peer:
  """The same model of transformers, and what it makes of the same batch."""

  def __init__(self, params, batch):
    e = tiny.ENCODER
    config = transformers.BertConfig(
      vocab_size=e.vocab_size,
      hidden_size=e.width,
      num_hidden_layers=e.layers,
      num_attention_heads=e.heads,
      intermediate_size=e.mlp,
      max_position_embeddings=e.positions,
      hidden_dropout_prob=0.0,
      attention_probs_dropout_prob=0.0,
      attn_implementation="eager",
    )
    self.bert = transformers.BertModel(config).train()
    named = hf.tensors(e, {k: params[k] for k in ("bert", "pooler")})
    missing, unknown = self.bert.load_state_dict(
      {name: torch.tensor(x) for name, x in named.items()},
      strict=False,
    )
    assert not unknown and all("position_ids" in name for name in missing)
    self.heads = {
      name: {k: torch.tensor(x, requires_grad=True) for k, x in head.items()}
      for name, head in params["heads"].items()
    }
    ids, types = (
      torch.tensor(np.asarray(batch[name])).long()
      for name in ("tokens", "types")
    )
    self.here = torch.tensor(np.asarray(batch["segments"]) > 0)
    self.inputs = {
      "input_ids": ids,
      "token_type_ids": types,
      "attention_mask": self.here.long(),
    }
    self.tasks = [tiny.HEADS[t] for t in np.asarray(batch["task"])[:, 0]]
    self.labels = np.asarray(batch["label"])[:, 0]

  def __call__(self, shift=None):
    """Returns what the head of each example says, perturbed after `embed`."""
    hook = self.bert.embeddings.register_forward_hook(
      lambda module, given, made: made if shift is None else made + shift
    )
    pooled = self.bert(**self.inputs).pooler_output
    hook.remove()
    said = []
    for row, spec in zip(pooled, self.tasks, strict=True):
      head = self.heads[spec.name]
      made = row @ head["kernel"] + head["bias"]
      said.append(torch.sigmoid(made) if spec.loss == "mse" else made)
    return said

  def loss(self, said):
    """Returns the summed loss against the gold labels."""
    total = 0
    for out, label, spec in zip(said, self.labels, self.tasks, strict=True):
      if spec.loss == "mse":
        total = total + (out[0] - float(label)) ** 2
      else:
        gold = torch.tensor(int(label))
        total = total + F.cross_entropy(out[None], gold[None])
    return total

  def far(self, clean, said, *, both_ways=True):
    """Returns the sum of l_s(P, Q), or of KL(P, Q) and squares alone."""
    total = 0
    for one, two, spec in zip(clean, said, self.tasks, strict=True):
      if spec.loss == "mse":
        total = total + (one[0] - two[0]) ** 2
        continue
      p, q = F.softmax(one, -1), F.softmax(two, -1)
      total = total + (p * (p / q).log()).sum()
      if both_ways:
        total = total + (q * (q / p).log()).sum()
    return total

  def over_examples(self, change, x):
    """Applies a function to the numbers of each example, in place."""
    out = torch.zeros_like(x)
    for n, here in enumerate(self.here):
      out[n, here] = change(x[n, here])
    return out

  def gradient(self, loss):
    """Returns the gradient in the tree and the names of transformers."""
    loss.backward()
    found = {k: p.grad for k, p in self.bert.named_parameters()}
    for name, head in self.heads.items():
      found |= {f"{name}.{k}": x.grad for k, x in head.items()}
    return {k: x.numpy() for k, x in found.items() if x is not None}


def unit(norm):
  return lambda g: g / torch.linalg.vector_norm(g, ORDERS[norm])


def ball(norm):
  """Returns the projection; for p = 1 that of Duchi et al. 2008."""

  def project(x):
    if norm == "inf":
      return x.clamp(-EPSILON, EPSILON)
    if norm == "2":
      return x * min(1.0, EPSILON / float(x.norm()))
    if x.abs().sum() <= EPSILON:
      return x
    down = x.abs().flatten().sort(descending=True).values
    count = torch.arange(1, len(down) + 1)
    over = (down.cumsum(0) - EPSILON) / count
    threshold = over[(down > over).nonzero().max()]
    return x.sign() * (x.abs() - threshold).clamp(min=0)

  return project


def smoothed(peer, shift, climb, found=lambda x: x, *, both_ways=True):
  """Returns the loss with the distance of what `climb` has found."""
  clean = peer()
  still = [x.detach() for x in clean]
  for _ in range(STEPS):
    shift = shift.detach().requires_grad_()
    far = peer.far(still, peer(shift), both_ways=both_ways)
    (slope,) = torch.autograd.grad(far, shift)
    shift = climb(shift.detach(), slope)
  said = peer(found(shift.detach()))
  term = peer.far(clean if both_ways else still, said, both_ways=both_ways)
  return peer.loss(clean) + WEIGHT * term


def smart(peer, noise, norm):
  """Jiang et al. 2020, algorithm 1."""

  def climb(shift, slope):
    along = peer.over_examples(unit(norm), slope)
    return peer.over_examples(ball(norm), shift + ETA * along)

  return smoothed(peer, SIGMA * noise, climb)


def smart_mtdnn(peer, noise, norm):
  """The code of MT-DNN, by tokens."""

  def climb(shift, slope):
    moved = shift + ETA * slope
    if norm == "1":
      return moved.sign()
    size = torch.linalg.vector_norm(moved, ORDERS[norm], -1, keepdim=True)
    return moved / (size + EPSILON)

  return smoothed(peer, SIGMA * noise, climb)


def vat(peer, noise, norm):
  """Miyato et al. 2018, section 3.3."""

  def at(length, x):
    return peer.over_examples(lambda own: length * own / own.norm(), x)

  return smoothed(
    peer,
    at(SIGMA, noise),
    lambda _, slope: at(SIGMA, slope),
    lambda shift: at(EPSILON, shift),
    both_ways=False,
  )


def freelb(peer, noise, norm):
  """Zhu et al. 2020, algorithm 1; the noise is uniform from -1 to 1."""
  power = {"inf": 0, "2": 0.5, "1": 1}[norm]
  shift = peer.over_examples(lambda u: u * EPSILON / u.numel() ** power, noise)
  total = 0
  for _ in range(STEPS):
    shift = shift.detach().requires_grad_()
    loss = peer.loss(peer(shift))
    total = total + loss / STEPS
    (slope,) = torch.autograd.grad(loss, shift, retain_graph=True)
    along = peer.over_examples(unit(norm), slope)
    shift = peer.over_examples(ball(norm), shift.detach() + ETA * along)
  return total


PEERS = {f.__name__: f for f in (smart, smart_mtdnn, vat, freelb)}


def asked(kind, norm):
  """Returns the config's `adversary`; keys that are not read stay."""
  c = common.base().adversary
  values = {
    "kind": kind,
    "weight": WEIGHT,
    "noise": SIGMA,
    "step_size": ETA,
    "epsilon": EPSILON,
    "steps": STEPS,
    "norm": norm,
  }
  for key in ("kind", *adversaries.ADVERSARIES[kind].keys):
    c[key] = values.get(key, c[key])
  return c


def same_gradients(gradient, theirs):
  """Holds our gradient against the peer's, name by name."""
  encoder = {name: gradient[name] for name in ("bert", "pooler")}
  ours = hf.tensors(tiny.ENCODER, encoder) | {
    f"{name}.{k}": np.asarray(x)
    for name, head in gradient["heads"].items()
    for k, x in head.items()
  }
  assert ours.keys() == theirs.keys()
  most = max(np.abs(x).max() for x in theirs.values())
  for name, want in theirs.items():
    np.testing.assert_allclose(
      ours[name], want, rtol=1e-5, atol=1e-5 * most, err_msg=name
    )


def test_the_proximal_term_is_that_of_the_formula(params):
  """Jiang et al. 2020, equation 5, of an average that stands elsewhere."""
  batch = pipeline.Batches(tiny.batches(packing=False))[0]
  c = asked("smart", "inf")
  c.proximal = 0.6
  passes = adversaries.Passes(make_losses(NET), NET.heads, 1.0, 16, c)
  step = tiny.quickly(adversaries.ADVERSARIES["smart"](passes))
  average = jax.tree.map(lambda x: np.float32(0.9 * x), params)
  gradient, sums = step(params, batch, KEY, 1.0, average)
  key = jax.random.fold_in(KEY, adversaries.NOISE)
  noise = perturbation.noise(key, batch, 16)
  peer, before = Peer(params, batch), Peer(average, batch)
  still = [x.detach() for x in before()]
  near = peer.far(still, peer())
  loss = smart(peer, torch.tensor(np.asarray(noise)), "inf") + 0.6 * near
  assert float(near.detach()) > 0.05
  total = float(np.sum(sums["loss"]))
  assert total == pytest.approx(float(loss.detach()), rel=1e-5)
  same_gradients(gradient, peer.gradient(loss))


@pytest.mark.parametrize(
  ("kind", "norm"),
  [
    *[(kind, norm) for kind in ("smart", "freelb") for norm in NORMS],
    ("smart_mtdnn", "inf"),
    ("smart_mtdnn", "2"),
    ("vat", "2"),
  ],
)
def test_loss_and_gradient_are_those_of_the_formulas(kind, norm, params):
  batch = pipeline.Batches(tiny.batches(packing=False))[0]
  assert (batch["task"] >= 0).all() and batch["task"].shape[1] == 1
  width = tiny.ENCODER.width
  passes = adversaries.Passes(
    make_losses(NET), NET.heads, 1.0, width, asked(kind, norm)
  )
  step = tiny.quickly(adversaries.ADVERSARIES[kind](passes))
  gradient, sums = step(params, batch, KEY, 1.0)
  draw = perturbation.uniform if kind == "freelb" else jax.random.normal
  key = jax.random.fold_in(KEY, adversaries.NOISE)
  noise = perturbation.noise(key, batch, width, draw)
  peer = Peer(params, batch)
  loss = PEERS[kind](peer, torch.tensor(np.asarray(noise)), norm)
  # What the perturbation adds is no trifle beside the tolerance.
  assert abs(float((loss - peer.loss(peer())).detach())) > 2e-3
  total = float(np.sum(sums["loss"]))
  assert total == pytest.approx(float(loss.detach()), rel=1e-5)
  same_gradients(gradient, peer.gradient(loss))
