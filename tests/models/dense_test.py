"""The dense layer: flax's in f32, and a true gradient of its bias in bf16."""

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.models.dense import Dense
from bam_jax.models.multitask import init_params
from bam_jax.training.step import make_losses
from tests import tiny

INIT = nn.initializers.normal(0.02)


def traced(layer, tokens):
  """Returns the layer's parameters and a loss over so many tokens."""
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.normal(size=(4, tokens // 4, 24)), jnp.float32)
  # Of one sign mostly, as the sums that small numbers are lost in.
  pull = jnp.asarray(rng.normal(1, 0.3, (4, tokens // 4, 16)), jnp.float32)
  params = layer.init(jax.random.key(0), x)["params"]

  def loss(params):
    return (layer.apply({"params": params}, x).astype(jnp.float32) * pull).sum()

  return params, loss


def test_a_bias_in_bf16_gets_the_gradient_that_f32_gives():
  found = {}
  for dtype in (jnp.float32, jnp.bfloat16):
    params, loss = traced(Dense(16, dtype, INIT), 8192)
    found[dtype] = jax.jit(jax.grad(loss))(params)["bias"]
    assert found[dtype].dtype == jnp.float32
  np.testing.assert_allclose(*found.values(), rtol=2e-4)


def test_in_f32_it_is_flaxs_layer():
  made = []
  for use_bias in (True, False):
    ours = Dense(16, jnp.float32, INIT, use_bias)
    flaxs = nn.Dense(16, use_bias, jnp.float32, kernel_init=INIT)
    for layer in (ours, flaxs):
      params, loss = traced(layer, 12)
      text = jax.jit(jax.value_and_grad(loss)).lower(params).as_text()
      made.append((sorted(params), params["kernel"].tolist(), text))
  assert made[0] == made[1]
  assert made[2] == made[3]
  assert made[0][0] == ["bias", "kernel"]
  assert made[2][0] == ["kernel"]


def equations(jaxpr):
  """Every equation of a program, those of its inner programs too."""
  for equation in jaxpr.eqns:
    yield equation
    for value in jax.tree.leaves(
      list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")
    ):
      inner = getattr(value, "jaxpr", value)
      if hasattr(inner, "eqns"):
        yield from equations(inner)


def test_no_sum_of_a_step_is_made_in_bf16():
  net = tiny.model(dtype=jnp.bfloat16)
  batch = {name: x[0] for name, x in tiny.batches()[0].items()}
  losses = make_losses(net)
  params = jax.eval_shape(lambda k: init_params(net, k), jax.random.key(0))
  step = jax.make_jaxpr(
    jax.grad(lambda p: losses(p, batch, jax.random.key(1), 0.5)[1].sum())
  )(params)
  sums = [
    e
    for e in equations(step.jaxpr)
    if e.primitive.name in ("reduce_sum", "cumsum")
  ]
  assert len(sums) > 20
  assert {str(e.invars[0].aval.dtype) for e in sums} <= {"float32", "int32"}
