"""The stochastic answer network against numpy, and what it draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.models import parts
from bam_jax.models.heads import HeadSpec
from bam_jax.models.san import San, averaged
from bam_jax.models.shapes import shapes

B, S, E, D, C, TURNS = 3, 9, 2, 6, 4, 5
RNG = np.random.default_rng(0)
TOKENS = RNG.normal(size=(B, S, D)).astype(np.float32)
# Row by row: two examples, one, and two of which the first is short.
SEGMENTS = np.array(
  [
    [1, 1, 1, 1, 2, 2, 2, 2, 0],
    [1, 1, 1, 1, 1, 1, 0, 0, 0],
    [1, 1, 2, 2, 2, 2, 2, 2, 2],
  ]
)
TYPES = np.array(
  [
    [0, 0, 1, 1, 0, 1, 1, 1, 1],
    [0, 1, 1, 1, 1, 1, 1, 1, 1],
    [0, 1, 0, 0, 0, 0, 0, 0, 1],
  ]
)
CLS = np.array([[0, 4], [0, 0], [0, 2]])
HERE = np.array([[1, 1], [1, 0], [1, 1]], bool)
EXAMPLES = np.stack([np.zeros((B, E)), np.arange(B * E).reshape(B, E)], -1)


def given(*, train=False, tokens=TOKENS) -> parts.Parts:
  batch = {"types": TYPES, "segments": SEGMENTS, "cls": CLS}
  batch = {name: jnp.asarray(each) for name, each in batch.items()}
  examples = jnp.asarray(EXAMPLES, jnp.int32) if train else None
  return parts.told_apart(jnp.asarray(tokens), batch, examples, batch)


def softmax(x):
  powers = np.exp(x - x.max(-1, keepdims=True))
  return powers / powers.sum(-1, keepdims=True)


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def theirs(p, first, second, turns=TURNS):
  """Returns the answer of each turn f64[T, C] on f64[A, D] and f64[B, D]."""

  def dense(x, name):
    at = p
    for part in name.split("/"):
      at = at[part]
    return x @ np.float64(at["kernel"]) + np.float64(at.get("bias", 0))

  def gru(h, x):
    r = sigmoid(dense(x, "memory/ir") + dense(h, "memory/hr"))
    z = sigmoid(dense(x, "memory/iz") + dense(h, "memory/hz"))
    n = np.tanh(dense(x, "memory/in") + r * dense(h, "memory/hn"))
    return (1 - z) * n + z * h

  h = softmax(dense(second, "question")[:, 0]) @ second
  said = []
  for _ in range(turns):
    x = softmax(first @ dense(h, "attention")) @ first
    said.append(dense(np.concatenate([h, x, abs(h - x), h * x]), "answer"))
    h = gru(h, x)
  return np.stack(said)


def made(outputs=C, turns=TURNS, dropout=0.5):
  net = San(outputs, turns, dropout)
  params = net.init(jax.random.key(1), given())["params"]
  # No bias that is 0 hides that it is left out.
  params = jax.tree.map(
    lambda x: x + 0.1 * RNG.normal(size=x.shape).astype(np.float32), params
  )
  return net, params


@pytest.mark.parametrize("outputs", [C, 1])
def test_it_is_the_formula(outputs):
  net, params = made(outputs)
  got = net.apply({"params": params}, given())
  assert got.shape == (B, E, outputs)
  for b, e in np.argwhere(HERE):
    mine = SEGMENTS[b] == e + 1
    first, second = (
      TOKENS[b, mine & (TYPES[b] == t)].astype(np.float64) for t in (0, 1)
    )
    turns = theirs(params, first, second)
    want = turns.mean(0) if outputs == 1 else np.log(softmax(turns).mean(0))
    np.testing.assert_allclose(got[b, e], want, rtol=1e-5, atol=1e-5)


def test_an_answer_reads_its_own_tokens_alone():
  net, params = made()

  def said(tokens):
    return net.apply({"params": params}, given(tokens=tokens))[0, 0].sum()

  slope = np.abs(jax.grad(said)(jnp.asarray(TOKENS))).sum(-1)
  assert (slope[0, :4] > 0).all()
  assert not slope[0, 4:].any() and not slope[1:].any()


def test_at_least_one_turn_is_kept_and_the_others_in_their_share():
  net, params = made(turns=3, dropout=0.6)
  turns = []
  for b, e in np.argwhere(HERE)[:1]:
    mine = SEGMENTS[b] == e + 1
    texts = (TOKENS[b, mine & (TYPES[b] == t)] for t in (0, 1))
    turns = softmax(theirs(params, *texts, turns=3))
  subsets = {
    kept: np.log(turns[list(kept)].mean(0))
    for kept in [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
  }
  found = dict.fromkeys(subsets, 0)
  apply = jax.jit(
    lambda key: net.apply(
      {"params": params}, given(train=True), rngs={"dropout": key}
    )
  )
  trials = 600
  for seed in range(trials):
    got = apply(jax.random.key(seed))[0, 0]
    near = min(subsets, key=lambda kept: np.abs(subsets[kept] - got).max())
    assert np.abs(subsets[near] - got).max() < 1e-4
    found[near] += 1
  # All would be left out in 0.6^3; then one is kept, each as often.
  for kept, count in found.items():
    share = 0.4 ** len(kept) * 0.6 ** (3 - len(kept))
    share += 0.6**3 / 3 if len(kept) == 1 else 0
    assert count / trials == pytest.approx(share, abs=0.05), kept


def test_what_is_drawn_is_the_examples_and_the_steps():
  net, params = made()

  def said(seed):
    rngs = {"dropout": jax.random.key(seed)}
    return net.apply({"params": params}, given(train=True), rngs=rngs)

  np.testing.assert_array_equal(said(3), said(3))
  assert (said(3) != said(4)).any()
  drawn = np.asarray(said(3) - net.apply({"params": params}, given()))
  assert len(np.unique(np.abs(drawn[HERE]).sum(-1).round(6))) > 2


def test_averaged_leaves_out_what_does_not_count():
  said = RNG.normal(size=(TURNS, B, C)).astype(np.float32)
  kept = np.arange(TURNS)[:, None] < np.array([1, 3, 5])
  found = averaged(jnp.asarray(said), jnp.asarray(kept))
  for b, count in enumerate((1, 3, 5)):
    want = np.log(softmax(said[:count, b]).mean(0))
    np.testing.assert_allclose(found[b], want, rtol=1e-5, atol=1e-6)


def test_options_are_of_the_spec():
  spec = HeadSpec("a", C, "logits", "ce", head="san", options=(("turns", 1),))
  found = shapes([spec], D)
  # One turn makes no next question.
  assert not [name for name in found if "memory" in name]
  assert found["a/answer/kernel"] == (4 * D, C)
  assert spec.option("answer_dropout") == 0.1
