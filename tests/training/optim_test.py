"""The optimiser against Adam written out in numpy, and its layer table."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bam_jax.training import optim

L, R = 2, 3
ADAM = optim.Adam(
  kind="adam",
  b1=0.9,
  b2=0.999,
  eps=1e-6,
  bias_correction=False,
  weight_decay=0.01,
  clip=1.0,
)
# path: (shape, depth, does it decay), the whole truth about a small model.
LEAVES = {
  "bert/embeddings/word/embedding": ((5, 2), 0, True),
  "bert/embeddings/norm/scale": ((2,), 0, False),
  "bert/embeddings/norm/bias": ((2,), 0, False),
  "bert/layer_0/query/kernel": ((2, 3), 1, True),
  "bert/layer_0/query/bias": ((3,), 1, False),
  "bert/layer_1/mlp_norm/scale": ((2,), 2, False),
  "bert/layer_1/down/kernel": ((4, 2), 2, True),
  "pooler/kernel": ((2, 2), 3, True),
  "pooler/bias": ((2,), 3, False),
  "heads/rte/kernel": ((2, 2), 4, True),
  "heads/rte/bias": ((2,), 4, False),
  # A task may bear any name; only the last word says what a parameter is.
  "heads/norm/kernel": ((2, 1), 4, True),
}


def _tree(leaves):
  """Nests {"a/b": leaf} to {"a": {"b": leaf}}."""
  tree = {}
  for path, leaf in leaves.items():
    *folders, name = path.split("/")
    functools.reduce(lambda t, f: t.setdefault(f, {}), folders, tree)[name] = (
      leaf
    )
  return tree


def _flat(tree):
  leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): leaf
    for path, leaf in leaves
  }


def _random(seed, scale=1.0):
  rng = np.random.default_rng(seed)
  return {
    path: (scale * rng.normal(size=shape)).astype(np.float32)
    for path, (shape, _, _) in LEAVES.items()
  }


def _make(params, *, layer_decay=0.9, **changes):
  return optim.make_optimizer(
    params,
    dataclasses.replace(ADAM, **changes),
    layers=L,
    rate=lambda step: 0.1 / (step + 1),
    layer_decay=layer_decay,
  )


def _run(params, gradients, **changes):
  """Takes one step per gradient tree; flat numpy in, flat numpy out."""
  params = _tree(params)
  tx = _make(params, **changes)
  state, update = tx.init(params), jax.jit(tx.update)
  for step, gradient in enumerate(gradients):
    updates, state = update(_tree(gradient), state, params, step=step)
    params = optax.apply_updates(params, updates)
  return _flat(params)


def _numpy_adam(params, gradients, *, bias_correction, clip, layer_decay):
  """The formulas in float64, one parameter at a time."""
  b1, b2, eps, decay = 0.9, 0.999, 1e-6, 0.01
  p = {path: leaf.astype(np.float64) for path, leaf in params.items()}
  m = {path: np.zeros_like(leaf) for path, leaf in p.items()}
  v = {path: np.zeros_like(leaf) for path, leaf in p.items()}
  for step, gradient in enumerate(gradients):
    norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum()
                       for g in gradient.values()))  # fmt: skip
    for path, (_, depth, decays) in LEAVES.items():
      g = gradient[path] * min(1.0, clip / norm)
      m[path] = b1 * m[path] + (1 - b1) * g
      v[path] = b2 * v[path] + (1 - b2) * g**2
      mean, square = m[path], v[path]
      if bias_correction:
        mean = mean / (1 - b1 ** (step + 1))
        square = square / (1 - b2 ** (step + 1))
      update = mean / (np.sqrt(square) + eps)
      if decays:
        update = update + decay * p[path]
      rate = 0.1 / (step + 1) * layer_decay ** (L + 2 - depth)
      p[path] = p[path] - rate * update
  return p


@pytest.mark.parametrize("bias_correction", [False, True])
@pytest.mark.parametrize("clip", [1.0, 1e6])
@pytest.mark.parametrize("layer_decay", [0.9, 1.0])
def test_five_steps_equal_adam_written_in_numpy(
  bias_correction, clip, layer_decay
):
  # One gradient is as small as eps, so that its place is seen. The tolerance
  # is what 1 - b^t loses in float32, for steps of 0.1.
  params = _random(0)
  gradients = [_random(i + 1, s) for i, s in enumerate([1, 3, 1e-5, 0.3, 2])]
  changes = {
    "bias_correction": bias_correction,
    "clip": clip,
    "layer_decay": layer_decay,
  }
  got = _run(params, gradients, **changes)
  expected = _numpy_adam(params, gradients, **changes)
  assert got.keys() == expected.keys()
  for path, leaf in expected.items():
    np.testing.assert_allclose(
      got[path], leaf, rtol=1e-5, atol=3e-6, err_msg=path
    )


@pytest.mark.parametrize("bias_correction", [False, True])
def test_epsilon_stands_outside_the_root(bias_correction):
  # A gradient of eps: with eps under the root the step would be ~ 1e-3 of it.
  adam = dataclasses.replace(ADAM, bias_correction=bias_correction)
  tx = optim.moments(adam)
  gradient = np.float32(1e-6)
  got, _ = tx.update(gradient, tx.init(gradient))
  m, v = (1e-6, 1e-12) if bias_correction else (1e-7, 1e-15)
  np.testing.assert_allclose(got, m / (np.sqrt(v) + 1e-6), rtol=1e-4)


@pytest.mark.parametrize("bias_correction", [False, True])
def test_amsgrad_divides_by_the_largest_second_moment(bias_correction):
  # Reddi et al. (2018), algorithm 2; corrected, m and v are before the maximum.
  adam = dataclasses.replace(
    ADAM, kind="amsgrad", bias_correction=bias_correction
  )
  tx = optim.moments(adam)
  gradients = np.random.default_rng(2).normal(size=(9, 5)).astype(np.float32)
  gradients[3:] *= 0.01
  state = tx.init(gradients[0])
  m = v = largest = np.zeros(5)
  for t, gradient in enumerate(gradients.astype(np.float64), 1):
    got, state = tx.update(np.float32(gradient), state)
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    one, two = (1 - 0.9**t, 1 - 0.999**t) if bias_correction else (1, 1)
    largest = np.maximum(largest, v / two)
    want = m / one / (np.sqrt(largest) + 1e-6)
    np.testing.assert_allclose(got, want, rtol=1e-4)
  # Adam forgets the large ones.
  plain = np.sqrt(v / two)
  assert (plain < np.sqrt(largest) * 0.999).all()


@pytest.mark.parametrize(
  ("layers", "golden"),
  [
    (12, {0: 0.2288, 1: 0.2542, 12: 0.81, 13: 0.9, 14: 1.0}),
    (24, {0: 0.0646, 1: 0.0718, 24: 0.81, 25: 0.9, 26: 1.0}),
  ],
)
def test_layer_table_of_bert(layers, golden):
  paths = {
    "bert/embeddings/position/embedding": 0,
    "bert/layer_0/query/kernel": 1,
    f"bert/layer_{layers - 1}/mlp_norm/scale": layers,
    "bert/norm/scale": layers,
    "pooler/kernel": layers + 1,
    "heads/cola/bias": layers + 2,
  }
  for path, depth in paths.items():
    assert optim.depth_of(path, layers) == depth
    scale = optim.rate_scale(depth, layers=layers, layer_decay=0.9)
    assert round(scale, 4) == golden[depth]


@pytest.mark.parametrize("layer_decay", [1.0, 0.0, -1.0])
def test_layer_decay_of_one_or_less_than_zero_is_off(layer_decay):
  for depth in range(L + 3):
    assert optim.rate_scale(depth, layers=L, layer_decay=layer_decay) == 1.0


def test_every_parameter_moves_at_its_own_rate():
  # Without bias correction the first step is a constant times the rate.
  params, gradient = _random(0), {k: 0 * v + 7 for k, v in _random(1).items()}
  got = _run(params, [gradient], weight_decay=0.0)
  moved = {path: np.mean(params[path] - leaf) for path, leaf in got.items()}
  for path, (_, depth, _) in LEAVES.items():
    np.testing.assert_allclose(
      moved[path] / moved["heads/rte/kernel"],
      0.9 ** (L + 2 - depth),
      rtol=1e-4,
      err_msg=path,
    )


@pytest.mark.parametrize(
  "path",
  [
    "bert/layer_2/query/kernel",
    "bert/layer_x/query/kernel",
    "bert/adapter/kernel",
    "decoder/kernel",
    "bert",
  ],
)
def test_a_parameter_without_depth_is_named(path):
  with pytest.raises(ValueError, match=f"parameter '{path}' has no depth"):
    optim.depth_of(path, L)
  with pytest.raises(ValueError, match=f"parameter '{path}' has no depth"):
    _make(_tree({path: np.zeros(2)}))


def test_decay_leaves_out_biases_and_norms_however_many_axes_they_have():
  expected = {path: decays for path, (_, _, decays) in LEAVES.items()}
  for leading in ((), (R,)):
    shapes = {p: np.zeros(leading + s) for p, (s, _, _) in LEAVES.items()}
    assert _flat(optim.decay_mask(_tree(shapes))) == expected


def test_clip_is_global_not_per_depth():
  # Each depth alone stays below the clip, together they are above it.
  params = _tree(_random(0))
  gradient = {path: 0 * leaf for path, leaf in _random(0).items()}
  gradient["bert/embeddings/norm/bias"][0] = 0.8
  gradient["heads/rte/bias"][0] = 0.8
  tx = _make(params)
  _, state = tx.update(_tree(gradient), tx.init(params), params, step=0)
  norm = np.sqrt(2 * 0.8**2)
  moment = _flat(state[1].mu)["bert/embeddings/norm/bias"][0]
  np.testing.assert_allclose(moment, 0.1 * 0.8 / norm, rtol=1e-6)


def test_moments_exist_once():
  params = _tree(_random(0))
  state = _make(params).init(params)
  held = sum(leaf.size for leaf in jax.tree.leaves(state))
  parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
  # One count, Adam's: the rates follow the run's own.
  assert held == 2 * parameters + 1


def test_zero_clip_and_zero_decay_are_off():
  params, gradient = _random(0), _random(1, scale=100.0)
  tx = _make(_tree(params), clip=0.0, weight_decay=0.0)
  updates, state = tx.update(
    _tree(gradient), tx.init(_tree(params)), _tree(params), step=0
  )
  for path, moment in _flat(state[1].mu).items():
    np.testing.assert_allclose(moment, 0.1 * gradient[path], rtol=1e-5)
  other, _ = tx.update(
    _tree(gradient), tx.init(_tree(params)), _tree(_random(2)), step=0
  )
  jax.tree.map(np.testing.assert_array_equal, updates, other)


@pytest.mark.parametrize("name", ["clip", "weight_decay"])
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_negative_settings_are_refused(name, value):
  with pytest.raises(ValueError, match=f"{name} {value} is not possible"):
    _make(_tree(_random(0)), **{name: value})


def test_stacked_trials_step_as_each_would_alone():
  # One optimiser for all, made from stacked shapes; norms differ by trial.
  params = [_random(trial) for trial in range(R)]
  gradients = [
    [_random(10 * trial + step, scale=trial + 0.01) for step in range(2)]
    for trial in range(R)
  ]

  def stack(*leaves):
    return jnp.stack(leaves)

  stacked = jax.tree.map(stack, *map(_tree, params))
  tx = _make(jax.eval_shape(lambda: stacked))
  state, update = (
    jax.vmap(tx.init)(stacked),
    jax.jit(jax.vmap(lambda g, s, p, step: tx.update(g, s, p, step=step))),
  )
  for step in range(2):
    gradient = jax.tree.map(stack, *(_tree(g[step]) for g in gradients))
    updates, state = update(gradient, state, stacked, jnp.full(R, step))
    stacked = optax.apply_updates(stacked, updates)
  for trial in range(R):
    alone = _run(params[trial], gradients[trial])
    for path, leaf in _flat(stacked).items():
      np.testing.assert_allclose(
        leaf[trial], alone[path], rtol=1e-5, atol=1e-6, err_msg=path
      )
