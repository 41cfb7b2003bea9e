"""What heads read of an example: its first token, the mean, or each of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.models import encoders, flops
from bam_jax.models.heads import HeadSpec
from bam_jax.models.multitask import init_params
from bam_jax.models.pooling import POOLS
from tests import tiny

C = 4
# Two examples and padding in the first row, one in the second.
BATCH = {
  "tokens": np.random.default_rng(0).integers(1, 40, (2, 9)),
  "types": np.zeros((2, 9), np.int32),
  "positions": np.array([[0, 1, 2, 0, 1, 2, 3, 0, 0], [*range(8), 0]]),
  "segments": np.array([[1, 1, 1, 2, 2, 2, 2, 0, 0], [1] * 8 + [0]]),
  "cls": np.array([[0, 3, 0], [0, 0, 0]]),
  "task": np.array([[0, 1, -1], [0, -1, -1]]),
}


def dense(p, x):
  return x @ np.asarray(p["kernel"]) + np.asarray(p["bias"])


def gelu(x):
  return np.asarray(jax.nn.gelu(x, approximate=False))


HEADS = {
  "linear": dense,
  "mlp": lambda p, x: dense(p["out"], gelu(dense(p["hidden"], x))),
}
# head(pooler(tokens [n, D])) by pool.
WANTED = {
  "cls": lambda read, x: read(x[0]),
  "mean": lambda read, x: read(x.mean(0)),
  "late": lambda read, x: read(x).mean(0),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("pool", POOLS)
def test_a_head_reads_what_its_pool_says_beside_one_of_cls(head, pool):
  own = HeadSpec("own", C, "logits", "ce", head=head, pool=pool)
  net = tiny.model(
    heads=(own, HeadSpec("plain", 3, "logits", "ce")), dropout=0.0
  )
  rng = np.random.default_rng(1)
  params = jax.tree.map(
    lambda x: x + rng.normal(size=x.shape, scale=0.2).astype(np.float32),
    init_params(net, jax.random.key(4)),
  )
  found = net.apply({"params": params}, BATCH, train=False)["example"]
  encoder = encoders.of(net.config).module(net.config, jnp.float32, False)
  hidden = encoder.apply(
    {"params": params["bert"]},
    *(BATCH[k] for k in ("tokens", "types", "positions", "segments")),
    train=False,
  )

  def read(name, how):
    mine = params["heads"][name]
    return lambda x: how(mine, np.tanh(dense(params["pooler"], x)))

  for b, e, tokens in ((0, 0, slice(0, 3)), (1, 0, slice(0, 8))):
    x = np.asarray(hidden[b, tokens])
    for name, want in WANTED.items():
      apart = np.abs(found[b, e] - want(read("own", HEADS[head]), x)).max()
      assert apart < 1e-5 if name == pool else apart > 1e-3, name
  plain = read("plain", dense)(np.asarray(hidden[0, 3]))
  np.testing.assert_allclose(found[0, 1, :3], plain, atol=1e-5)


def test_each_token_that_is_read_is_counted():
  lengths = np.array([5, 1])
  one, late = (
    flops.forward(
      tiny.ENCODER,
      lengths,
      head=HeadSpec("a", C, "logits", "ce", pool=pool),
    )
    for pool in ("mean", "late")
  )
  # Four tokens more go through the pooler and the head.
  assert (late - one).tolist() == [2 * 4 * 16 * (16 + C), 0]
