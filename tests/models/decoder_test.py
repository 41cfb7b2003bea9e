"""The decoder against PyTorch's LSTM, step by step, each pair as alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import torch

from bam_jax.models import decoder
from bam_jax.models.decoder import Decoded
from tests.models.projected_test import read
from tests.models.san_test import HERE, SEGMENTS, TOKENS, TYPES, D

V, WIDTH, P = 11, 5, 7
RNG = np.random.default_rng(4)
WORDS = RNG.integers(0, V, SEGMENTS.shape)
PLACE = RNG.integers(0, SEGMENTS.shape[1], (len(SEGMENTS), P))


def test_each_target_is_said_from_its_own_source():
  net = decoder.Decoder(V, WIDTH)
  given = Decoded(read(), jnp.asarray(WORDS), jnp.asarray(PLACE))
  params = net.init(jax.random.key(0), given)
  params = jax.tree.map(
    lambda x: (RNG.normal(size=x.shape) * 0.5).astype("f4"), params
  )
  found = np.asarray(net.apply(params, given))
  p = jax.tree.map(lambda x: torch.tensor(np.float64(x)), params["params"])
  seen = np.zeros(PLACE.shape, bool)
  for b, e in np.argwhere(HERE):
    mine = SEGMENTS[b] == e + 1
    source = torch.tensor(np.float64(TOKENS[b, mine & (TYPES[b] == 0)]))
    at = np.flatnonzero(mine & (TYPES[b] == 1))
    cell = torch.nn.LSTMCell(WIDTH + D, D).double()
    bias = p["input"]["bias"].clone()
    # It forgets little at first.
    bias[D : 2 * D] += 1
    weight = torch.cat([p["input"]["kernel"], p["seen"]]).T
    cell.load_state_dict(
      {
        "weight_ih": weight,
        "weight_hh": p["recurrent"].T,
        "bias_ih": bias,
        "bias_hh": 0 * bias,
      }
    )
    h, c = source.max(0).values, torch.zeros(D).double()
    for t in at:
      shares = torch.softmax((h @ p["attention"]["kernel"].T) @ source.T, -1)
      own = p["words"]["embedding"][WORDS[b, t]]
      x = torch.cat([own, shares @ source])
      h, c = (y[0] for y in cell(x[None], (h[None], c[None])))
      said = h @ p["half"]["kernel"] @ p["out"]["kernel"] + p["out"]["bias"]
      for place in np.flatnonzero(PLACE[b] == t):
        seen[b, place] = True
        np.testing.assert_allclose(
          found[b, place], said.detach(), atol=1e-5, rtol=1e-5
        )
  assert seen.sum() > P


def test_what_is_behind_a_token_changes_nothing_of_what_is_said_before_it():
  """And of the source, all changes with it."""
  net = decoder.Decoder(V, WIDTH)
  every = np.tile(np.arange(SEGMENTS.shape[1]), (len(SEGMENTS), 1))
  given = Decoded(read(), jnp.asarray(WORDS), jnp.asarray(every))
  params = net.init(jax.random.key(0), given)
  plain = np.asarray(net.apply(params, given))
  # The second example of the first row: source 4, target 5 to 7.
  other = WORDS.copy()
  other[0, 6] = (other[0, 6] + 1) % V
  changed = np.asarray(
    net.apply(params, dataclasses.replace(given, words=jnp.asarray(other)))
  )
  moved = np.abs(changed - plain).max(-1) > 1e-7
  assert np.argwhere(moved).tolist() == [[0, 6], [0, 7]]
