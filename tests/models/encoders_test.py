"""The rows of the encoders: each answers all that the callers ask of it."""

from flax.traverse_util import flatten_dict
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.hf import families
from bam_jax.models import encoders
from bam_jax.models.multitask import init_params
from bam_jax.training import optim, sharding
from configs import common
from tests import tiny

SCRATCH = common.base().scratch


def model(kind):
  """Returns a model of two layers that starts from random weights."""
  with SCRATCH.unlocked():
    settings = SCRATCH.copy_and_resolve_references()
  settings.update({"layers": 2, "width": 12, "heads": 3, "mlp": 20})
  shape = encoders.ENCODERS[kind].scratch(settings, 40, 1, tiny.WIDTH)
  return tiny.model(dropout=0.0).clone(config=shape)


@pytest.mark.parametrize("kind", encoders.ENCODERS)
def test_a_row_knows_every_parameter_of_its_encoder(kind):
  net = model(kind)
  shapes = jax.eval_shape(lambda: init_params(net, jax.random.key(0)))
  assert shapes.keys() == {kind, "pooler", "heads"}
  depths = {}
  for name, leaf in flatten_dict(shapes, sep="/").items():
    assert len(sharding.spec(name)) <= leaf.ndim
    depths[name] = optim.depth_of(name, net.config.layers)
  assert set(depths.values()) == set(range(2 + 3))
  assert {v for k, v in depths.items() if k.startswith(kind)} == {0, 1, 2}


@pytest.mark.parametrize("kind", encoders.ENCODERS)
def test_what_is_added_between_embedding_and_encoding_is_encoded(kind):
  net = model(kind)
  row = encoders.of(net.config)
  module = row.module(net.config, jnp.float32, False)
  rng = np.random.default_rng(0)
  tokens = rng.integers(0, 40, (3, 5))
  types, segments = np.zeros_like(tokens), np.ones_like(tokens)
  places = np.arange(5)[None].repeat(3, 0)
  ids = tokens, types, places, segments
  params = module.init(jax.random.key(0), *ids, train=False)

  def shifted(shift):
    x = module.apply(params, *ids[:3], train=False, method="embed")
    return module.apply(
      params, x + shift, places, segments, train=False, method="encode"
    )

  whole = module.apply(params, *ids, train=False)
  np.testing.assert_array_equal(shifted(0), whole)
  # One row is shifted, and no other moves.
  shift = np.zeros((3, 5, 12), np.float32)
  shift[1] = rng.normal(size=(5, 12))
  moved = np.abs(shifted(shift) - whole).max((1, 2))
  assert (moved > 1e-3).tolist() == [False, True, False]


def test_every_family_of_files_names_a_row():
  for family in families.FAMILIES.values():
    kind = encoders.ENCODERS[family.encoder]
    assert kind.config.kind == family.encoder
    assert kind.scratch
