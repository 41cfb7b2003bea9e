"""The bidirectional LSTM computes PyTorch's, and packing changes nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from bam_jax.hf import weights
from bam_jax.models import bilstm, encoders
from bam_jax.models.bilstm import Bilstm, BilstmConfig
from tests import tiny

CONFIG = BilstmConfig(
  vocab_size=23,
  width=12,
  layers=2,
  positions=30,
  hidden_dropout=0.0,
  init_std=0.3,
  pad_id=0,
)
LENGTHS = (5, 1, 7, 3)


def net(**changes) -> Bilstm:
  return Bilstm(dataclasses.replace(CONFIG, **changes), jnp.float32, False)


def drawn(net, seed=0):
  """Returns random parameters, the biases too."""
  ids = [jnp.zeros((1, 1), jnp.int32)] * 4
  params = net.init(jax.random.key(seed), *ids, train=False)
  rng = np.random.default_rng(seed)
  return jax.tree.map(
    lambda x: x if x.ndim > 1 else rng.normal(size=x.shape).astype("f4"), params
  )


def texts():
  """Returns the token ids of texts."""
  rng = np.random.default_rng(1)
  return [rng.integers(1, CONFIG.vocab_size, n) for n in LENGTHS]


def packed(rows):
  """Returns tokens, types, positions and segments of texts laid into rows.

  Args:
    rows: of each row its texts, which have padding between and behind them.
  """
  ids = np.zeros((4, len(rows), 19), np.int32)
  for b, row in enumerate(rows):
    at = 0
    for number, text in enumerate(row):
      here = slice(at, at + len(text))
      ids[0, b, here] = text
      ids[2, b, here] = np.arange(len(text))
      ids[3, b, here] = number + 1
      # The last row's texts do not touch.
      at += len(text) + (b > 0)
  return ids


def peer(params):
  """Returns PyTorch's LSTM of the same weights."""
  there = params["params"]
  lstm = torch.nn.LSTM(12, 6, CONFIG.layers, bidirectional=True)
  state = {}
  for i in range(CONFIG.layers):
    own = there[f"layer_{i}"]
    parts = {
      "weight_ih": own["input"]["kernel"].T,
      "weight_hh": own["recurrent"]["kernel"].T,
      "bias_ih": own["input"]["bias"],
      "bias_hh": np.zeros(48, np.float32),
    }
    for name, value in parts.items():
      halves = torch.tensor(np.array(value)).split(24)
      state |= {f"{name}_l{i}": halves[0], f"{name}_l{i}_reverse": halves[1]}
  lstm.load_state_dict(state)
  return lstm


def test_a_text_alone_is_read_as_pytorch_reads_it():
  model = net()
  params = drawn(model)
  (text,) = [each for each in texts() if len(each) == 7]
  ids = np.stack([text, 0 * text, np.arange(7), 0 * text + 1])[:, None]
  mix = np.random.default_rng(2).normal(size=(7, 12)).astype(np.float32)

  def ours(params):
    found = model.apply(params, *ids, train=False)[0]
    return (found * mix).sum(), found

  slopes, found = tiny.quickly(jax.grad(ours, has_aux=True))(params)
  lstm = peer(params)
  table = np.array(params["params"]["embeddings"]["word"]["embedding"])
  table = torch.tensor(table, requires_grad=True)
  out, (state, _) = lstm(table[torch.tensor(text)])
  # The first token has what either direction made of all of the text.
  want = torch.cat([torch.cat([state[-2], state[-1]])[None], out[1:]])
  np.testing.assert_allclose(found, want.detach(), atol=1e-5)
  assert np.abs(found[0, :6] - out[0, :6].detach().numpy()).max() > 1e-2
  (want * torch.tensor(mix)).sum().backward()
  slopes = slopes["params"]
  np.testing.assert_allclose(
    slopes["embeddings"]["word"]["embedding"], table.grad, atol=1e-5
  )
  for i in range(CONFIG.layers):
    for ours_name, theirs in (
      ("input", "weight_ih"),
      ("recurrent", "weight_hh"),
    ):
      kernel = slopes[f"layer_{i}"][ours_name]["kernel"]
      halves = [
        getattr(lstm, f"{theirs}_l{i}{way}").grad for way in ("", "_reverse")
      ]
      np.testing.assert_allclose(kernel.T, torch.cat(halves), atol=1e-5)


def test_directions_apart_are_two_lstms_of_pytorch():
  model = net(apart=True, skip=True, words_width=5, width=17)
  params = drawn(model)
  text = next(each for each in texts() if len(each) == 7)
  ids = np.stack([text, 0 * text, np.arange(7), 0 * text + 1])[:, None]
  found = tiny.quickly(
    lambda params: model.apply(params, *ids, train=False)[0]
  )(params)
  there = params["params"]
  words = np.array(there["embeddings"]["word"]["embedding"])[text]
  said = []
  for way in (0, 1):
    lstm = torch.nn.LSTM(5, 6, CONFIG.layers)
    state = {}
    for i in range(CONFIG.layers):
      own = there[f"layer_{i}"]
      parts = {
        "weight_ih": own["input"]["kernel"].T,
        "weight_hh": own["recurrent"]["kernel"].T,
        "bias_ih": own["input"]["bias"],
        "bias_hh": np.zeros(48, np.float32),
      }
      for name, value in parts.items():
        state[f"{name}_l{i}"] = torch.tensor(np.array(value)).split(24)[way]
    lstm.load_state_dict(state)
    turned = words[:: -1 if way else 1].copy()
    out = lstm(torch.tensor(turned))[0].detach().numpy()
    said.append(out[:: -1 if way else 1])
  said[0][0] = said[0][-1]
  # What the first layer reads stands behind.
  want = np.concatenate([*said, words], -1)
  np.testing.assert_allclose(found, want, atol=1e-5)


def test_a_side_knows_nothing_of_the_tokens_beyond():
  """What it is to say, a language model may not have read."""
  model = net(apart=True, skip=True, words_width=5, width=17, layers=3)
  params, own = drawn(model), texts()
  ids = packed([own])
  read = tiny.quickly(
    lambda tokens: jnp.stack(
      bilstm.sides(
        model.config, model.apply(params, tokens, *ids[1:], train=False)
      )
    )[:, 0]
  )
  plain = read(ids[0])
  assert plain.shape == (2, 19, 11)
  starts = np.cumsum([0, *LENGTHS])
  for at, text in ((2, 0), (8, 2)):
    other = ids[0].copy()
    other[0, at] = other[0, at] % (CONFIG.vocab_size - 1) + 1
    up, down = np.abs(read(other) - plain).max(-1) > 1e-7
    first, last = starts[text], starts[text + 1]
    # The first token of a text has the state of its last one.
    knows = np.arange(at, last).tolist()
    assert np.flatnonzero(up).tolist() == sorted([first, *knows])
    assert np.flatnonzero(down).tolist() == [*range(first, at + 1)]
  together = dataclasses.replace(CONFIG, layers=2)
  assert bilstm.sides(together, np.zeros((1, 1, 12))) is None
  assert encoders.side(dataclasses.replace(CONFIG, layers=1)) == 6
  assert encoders.side(tiny.ENCODER) == 0


@pytest.mark.parametrize("remat", [False, True])
def test_texts_of_a_row_know_nothing_of_each_other(remat):
  model = net().clone(remat=remat)
  params, own = drawn(model), texts()
  mix = [
    np.random.default_rng(n).normal(size=(len(text), 12)) * 0.5
    for n, text in enumerate(own)
  ]

  def measured(rows, places):
    ids = packed(rows)

    def loss(params):
      found = model.apply(params, *ids, train=False)
      said = [found[b, at : at + n] for b, at, n in places]
      return sum((x * m).sum() for x, m in zip(said, mix, strict=True)), said

    return tiny.quickly(jax.grad(loss, has_aux=True))(params)

  a, b, c, d = own
  together = measured(
    [[a, b, c], [d]], [(0, 0, 5), (0, 5, 1), (0, 6, 7), (1, 0, 3)]
  )
  apart = measured(
    [[a], [b], [c], [d]], [(n, 0, k) for n, k in enumerate(LENGTHS)]
  )
  spaced = measured(
    [[d], [a, b, c]], [(1, 0, 5), (1, 6, 1), (1, 8, 7), (0, 0, 3)]
  )
  for other in (together, spaced):
    jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), other, apart
    )


def test_cells_forget_little_at_first_and_states_keep_their_size():
  model = net()
  ids = [jnp.zeros((1, 1), jnp.int32)] * 4
  params = model.init(jax.random.key(0), *ids, train=False)["params"]
  bias = params["layer_0"]["input"]["bias"].reshape(2, 4, 6)
  assert (bias[:, 1] == 1).all() and not np.delete(bias, 1, axis=1).any()
  kernel = params["layer_1"]["recurrent"]["kernel"].reshape(6, 8, 6)
  for gate in range(8):
    np.testing.assert_allclose(
      kernel[:, gate].T @ kernel[:, gate], np.eye(6), atol=1e-5
    )


@pytest.mark.parametrize(
  "changes", [{}, dict(apart=True, skip=True, words_width=5, width=17)]
)
def test_each_weight_of_a_kernel_counts_once_a_token(changes):
  config = dataclasses.replace(CONFIG, **changes)
  shapes = weights.shapes(config)
  layers = sum(
    np.prod(shape)
    for name, shape in shapes.items()
    if name.startswith("bilstm/layer_") and name.endswith("kernel")
  )
  found = bilstm.multiplied(config, np.array(LENGTHS))
  assert found.tolist() == [n * layers + config.width**2 for n in LENGTHS]


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    (dict(width=13), "width 13 is not even.* try width 14"),
    (dict(layers=0), "layers is 0; give at least 1"),
    (dict(hidden_dropout=1.0), "hidden_dropout is 1.0; give 0 or more"),
    (dict(skip=True), "words_width is 0, and with skip it is a part"),
    (dict(skip=True, words_width=5), "width 7 is not even.* try width 8"),
  ],
)
def test_what_no_bilstm_can_be_is_refused(changes, said):
  with pytest.raises(ValueError, match=said):
    net(**changes)
