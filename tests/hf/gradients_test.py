"""Gradients of packed rows are those that PyTorch has of each example."""

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from bam_jax.hf import directory as hf
from bam_jax.hf import weights
from bam_jax.models import encoders
from tests import tiny
from tests.hf import families_test as families
from tests.models import bert_test as rows_of

quiet, directories = families.quiet, families.directories


@pytest.mark.parametrize(
  "name", ["modernbert", "deberta-far", "eurobert-grouped"]
)
def test_gradients_are_transformers(directories, name):
  config, params, folder = hf.load_encoder(directories(name))
  theirs, examples = families.peer(folder), families.random_examples(config)
  sum(
    torch.sin(
      theirs(input_ids=torch.tensor(tokens[None])).last_hidden_state
    ).sum()
    for tokens, _ in examples
  ).backward()
  rows = rows_of.lay_out([examples[:2], examples[2:]], 21)
  module = encoders.of(config).module(config, jnp.float32, False)

  def loss(params):
    hidden = module.apply({"params": params}, *rows, train=False)
    return jnp.where(rows[3][..., None] > 0, jnp.sin(hidden), 0).sum()

  found = tiny.quickly(jax.grad(loss))(params[config.kind])
  found = traverse_util.flatten_dict({config.kind: found}, sep="/")
  wanted = {k: v.grad.numpy() for k, v in theirs.named_parameters()}
  largest = max(np.abs(each).max() for each in wanted.values())
  seen = 0
  for their, ours in weights.names(config).items():
    if ours[0].startswith("pooler/"):
      continue
    mine = weights.join([np.asarray(found[path]) for path in ours], ours[0])
    seen += 1
    # What cancels is as exact as the terms.
    np.testing.assert_allclose(
      mine, wanted[their], rtol=1e-5, atol=1e-6 * max(10, largest)
    )
  assert seen == len(wanted) and largest > 1
