"""Every kernel of attention against one example at a time, packed and not."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from bam_jax.models import attention, bert
from bam_jax.models.multitask import init_params
from bam_jax.stages import checks, materials
from bam_jax.study import experiment
from configs import quickstart
from tests import tiny

# Tokens of the examples of each row; what is left of it is padding, and the
# last row is nothing else.
ROWS = ((5, 3, 9), (1, 18), ())
WIDTH, HEADS, SIZE = 20, 2, 6


@pytest.fixture(autouse=True)
def interpreted(monkeypatch):
  monkeypatch.setattr(attention, "INTERPRET", True)


def inputs(trials: int):
  """Returns query, key, value [R, B, S, H, K], and segments, positions."""
  shape = (4, trials, len(ROWS), WIDTH, HEADS, SIZE)
  arrays = np.random.default_rng(7).normal(size=shape).astype(np.float32)
  segments, positions = np.zeros((2, len(ROWS), WIDTH), np.int32)
  for row, lengths in enumerate(ROWS):
    for start, stop, number in spans(lengths):
      segments[row, start:stop] = number
      positions[row, start:stop] = np.arange(stop - start)
  return (*arrays, segments, positions)


def spans(lengths):
  """Yields where the examples of a row start and stop, and their numbers."""
  start = 0
  for number, length in enumerate(lengths, 1):
    yield start, start + length, number
    start += length


def alone(query, key, value, reach):
  """Attention of one example [N, H, K], in float64 and nothing masked away."""
  query, key, value = (np.asarray(x, np.float64) for x in (query, key, value))
  scores = np.einsum("qhk,shk->hqs", query, key) / np.sqrt(SIZE)
  at = np.arange(len(query))
  far = np.abs(at[:, None] - at) > reach if reach else np.zeros(1, bool)
  weights = np.exp(np.where(far, -np.inf, scores))
  weights /= weights.sum(-1, keepdims=True)
  return np.einsum("hqs,shk->qhk", weights, value)


@pytest.mark.parametrize("reach", [0, 2])
@pytest.mark.parametrize("kernel", attention.KERNELS)
@pytest.mark.parametrize("trials", [1, 2])
def test_packed_examples_attend_as_if_each_were_alone(kernel, reach, trials):
  query, key, value, weight, segments, positions = inputs(trials)

  def attend(query, key, value):
    return attention.KERNELS[kernel](
      query,
      key,
      value,
      segments,
      positions,
      reach=reach,
      dropout=None,
    )

  def loss(arrays):
    # Padding has no say, but must be finite: 0 x NaN is NaN.
    real = (segments > 0)[..., None, None]
    every = jax.vmap(attend) if trials > 1 else lambda *x: attend(*one(x))[None]
    found = every(*arrays)
    return (found * weight * real).sum(), found

  def one(arrays):
    return [x[0] for x in arrays]

  (_, found), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(
    (query, key, value)
  )
  assert np.isfinite(found).all()
  for trial in range(trials):
    for row, lengths in enumerate(ROWS):
      for start, stop, _ in spans(lengths):
        here = trial, row, slice(start, stop)
        mine = query[here], key[here], value[here]
        want = alone(*mine, reach)
        np.testing.assert_allclose(found[here], want, atol=2e-6)
        for i, got in enumerate(gradient):
          assert_gradient(mine, i, weight[here], got[here], reach)
  # Nothing of an example depends on padding, and nothing of padding on it.
  for got in gradient:
    assert not got[:, segments == 0].any()


def assert_gradient(mine, i, weight, got, reach):
  """Compares with the slope of `alone` along a direction of its own."""
  step = np.random.default_rng(i).normal(size=got.shape)
  ends = []
  for sign in (-1, 1):
    moved = list(mine)
    moved[i] = mine[i] + sign * 1e-5 * step
    ends.append((alone(*moved, reach) * weight).sum())
  slope = (ends[1] - ends[0]) / 2e-5
  assert (got * step).sum() == pytest.approx(slope, abs=2e-4)


@pytest.mark.parametrize("kernel", attention.KERNELS)
def test_every_layer_attends_by_the_kernel_that_its_config_names(
  kernel, monkeypatch
):
  calls = []
  true = attention.KERNELS[kernel]

  def spy(*args, **kwargs):
    calls.append(kwargs["dropout"])
    return true(*args, **kwargs)

  monkeypatch.setattr(
    bert, "KERNELS", dict.fromkeys(attention.KERNELS) | {kernel: spy}
  )
  net = tiny.model(dropout=0.0)
  shape = dataclasses.replace(net.config, attention=kernel, layers=3)
  net = net.clone(config=shape)
  jax.eval_shape(lambda: init_params(net, jax.random.key(0)))
  assert calls == [None] * 3


def settings(**changes):
  c = quickstart.get_config("paraphrase,similarity")
  c.update_from_flattened_dict(changes)
  return experiment.read(c)


def with_shape(it, **changes):
  shape = dataclasses.replace(tiny.ENCODER, **changes)
  known = materials.Encoder(shape, {}, None, None)
  return materials.Materials(it, Path("nowhere"), load=lambda *args: known)


@pytest.mark.parametrize(
  ("changes", "complaint"),
  [
    ({"attention": "einsam"}, "did you mean 'einsum'"),
    ({"attention_dropout": 1.0}, "-1 or a share"),
    ({"attention_dropout": -0.5}, "-1 or a share"),
  ],
)
def test_a_wrong_word_or_rate_is_refused(changes, complaint):
  with pytest.raises(ValueError, match=complaint):
    checks.settings(settings(**changes))


def test_splash_is_refused_where_it_would_leave_something_out():
  dropped = with_shape(settings(attention="splash"), attention_dropout=0.2)
  with pytest.raises(ValueError, match=r"is 0.2; set --config.attention_drop"):
    checks.kernel(dropped)
  changes = {"attention": "splash", "attention_dropout": 0.0}
  cpu = with_shape(settings(**changes), attention_dropout=0.2)
  with pytest.raises(ValueError, match=r"1 x cpu; set --config.attention=ein"):
    checks.kernel(cpu)
  checks.kernel(with_shape(settings(), attention_dropout=0.2))


@pytest.mark.parametrize(
  ("asked", "rate"), [(-1.0, 0.2), (0.0, 0.0), (0.3,) * 2]
)
def test_the_rate_is_the_encoders_own_unless_it_is_set(asked, rate):
  it = with_shape(settings(attention_dropout=asked), attention_dropout=0.2)
  made = it.model(it.experiment.runs[-1]).config
  assert made.attention_dropout == rate
  assert made.hidden_dropout == tiny.ENCODER.hidden_dropout
