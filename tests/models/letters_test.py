"""What is made of a token's letters is what PyTorch's layers make of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from bam_jax.models import bilstm, letters
from tests import tiny

PIECES = ("[PAD]", "an", "##\u00e9s", "unbelievable", "x" * 70)
CONFIG = dataclasses.replace(
  tiny.SPELLED,
  vocab_size=6,
  pieces="\n".join(PIECES),
  filters=40,
  hidden_dropout=0.0,
)
TOKENS = np.array([[1, 3, 2], [4, 0, 3]], np.int32)


def test_filters_are_pytorchs_convolutions_and_its_largest_of_them():
  model = letters.LetterEmbeddings(CONFIG, jnp.float32)
  variables = model.init(
    jax.random.key(0), TOKENS, 0 * TOKENS, None, train=False
  )
  rng = np.random.default_rng(3)
  variables = jax.tree.map(
    lambda x: rng.normal(size=x.shape).astype("f4") * 0.3, variables
  )
  mix = rng.normal(size=(2, 3, 5)).astype(np.float32)

  def ours(variables):
    made = model.apply(variables, TOKENS, 0 * TOKENS, None, train=False)
    return (made * mix).sum(), made

  slopes, found = tiny.quickly(jax.grad(ours, has_aux=True))(variables)
  there = variables["params"]
  spelled = letters.spelling(CONFIG.pieces, 6)[TOKENS].reshape(6, -1)
  # The bytes, the marks around them, and nothing behind.
  ids = [1, *(3 + byte for byte in "##\u00e9s".encode()), 2]
  assert spelled[2].tolist() == ids + [0] * (50 - len(ids))
  # What is too long ends, and no row follows the last token's.
  assert spelled[3].tolist() == [1, *[3 + ord("x")] * 48, 2]

  leaves = {}

  def tensor(*path):
    value = there
    for name in path:
      value = value[name]
    leaves[path] = torch.tensor(np.array(value), requires_grad=True)
    return leaves[path]

  rows = tensor("letter", "embedding")[torch.tensor(spelled)].swapaxes(1, 2)
  parts = []
  for width, count in zip(range(1, 8), (1, 1, 1, 2, 5, 10, 20), strict=True):
    kernel = tensor(f"filters_{width}", "kernel")
    assert kernel.shape == (width, 16, count)
    made = torch.nn.functional.conv1d(
      rows, kernel.permute(2, 1, 0), tensor(f"filters_{width}", "bias")
    )
    # Windows alike have an equal share of the gradient, as here.
    parts.append(made.amax(-1))
  x = torch.relu(torch.cat(parts, -1))
  for number in range(2):
    gates = x @ tensor(f"highway_{number}", "gates", "kernel")
    gates = gates + tensor(f"highway_{number}", "gates", "bias")
    new, share = gates.chunk(2, -1)
    share = torch.sigmoid(share)
    x = share * x + (1 - share) * torch.relu(new)
  want = x @ tensor("project", "kernel") + tensor("project", "bias")
  np.testing.assert_allclose(
    found.reshape(6, 5), want.detach(), rtol=1e-5, atol=1e-5
  )
  (want * torch.tensor(mix).reshape(6, 5)).sum().backward()
  for path, leaf in leaves.items():
    own = slopes["params"]
    for name in path:
      own = own[name]
    np.testing.assert_allclose(own, leaf.grad, rtol=1e-4, atol=1e-5)


def test_of_2048_filters_there_are_as_many_of_each_width_as_in_elmo():
  assert letters.counts(2048) == (32, 32, 64, 128, 256, 512, 1024)


def test_each_number_of_a_filter_counts_once_a_window():
  there = letters.spelling(CONFIG.pieces, 6).shape[1]
  counted = letters.multiplied(CONFIG)
  filters = sum(
    (there - width + 1) * width * 16 * count
    for width, count in zip(range(1, 8), (1, 1, 1, 2, 5, 10, 20), strict=True)
  )
  assert counted == filters + 2 * 40 * 80 + 40 * 5
  assert letters.multiplied(dataclasses.replace(CONFIG, filters=0)) == 0


def test_pieces_are_those_of_the_tokens_and_no_more():
  with pytest.raises(
    ValueError, match=r"pieces are 5 lines, .* vocab_size is 3"
  ):
    letters.spelling(CONFIG.pieces, 3)


def test_a_piece_with_a_line_break_is_one_piece():
  found = bilstm.spelled(CONFIG, ["a", "b\nc", "d"])
  assert found.pieces == "a\nb c\nd"
  plain = dataclasses.replace(CONFIG, filters=0, pieces="")
  assert bilstm.spelled(plain, ["a"]) is plain
