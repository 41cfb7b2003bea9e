"""Heads for masked words of every family against transformers', both ways."""

import jax
import numpy as np
import pytest
from safetensors import numpy as st
import torch
import transformers

from bam_jax.hf import directory as hf
from bam_jax.hf import masked
from bam_jax.models.multitask import init_params
from tests import masked as head_of
from tests.hf.families_test import CONFIGS

FAMILIES = sorted(
  name for name, each in CONFIGS.items() if each.model_type in masked.LAYOUTS
)


def ids(config):
  """Returns the tokens of two texts, and where they are."""
  rng = np.random.default_rng(7)
  tokens = rng.integers(4, 61, (2, 9))
  there = np.arange(9) < np.array([[9], [5]])
  return np.where(there, tokens, config.pad_id), there.astype(int)


def theirs_on(model, tokens, there):
  given = {"input_ids": tokens, "attention_mask": there}
  given = {name: torch.tensor(each) for name, each in given.items()}
  with torch.no_grad():
    return model.eval()(**given).logits.numpy()


@pytest.mark.parametrize("name", FAMILIES)
def test_it_says_what_transformers_says(name, tmp_path):
  torch.manual_seed(3)
  theirs = transformers.AutoModelForMaskedLM.from_config(CONFIGS[name])
  for parameter in theirs.parameters():
    # No bias and no scale as it starts.
    torch.nn.init.normal_(parameter, std=0.3)
  theirs.save_pretrained(tmp_path / "theirs")
  config, params, folder = hf.load_encoder(tmp_path / "theirs")
  head = masked.read(folder, config)
  net = head_of.net(config)
  params = {config.kind: params[config.kind], "heads": {"mlm": head}}
  wanted = jax.eval_shape(lambda: init_params(net, jax.random.key(0)))
  assert jax.tree.map(np.shape, head) == jax.tree.map(
    lambda x: x.shape, wanted["heads"]["mlm"]
  )
  tokens, there = ids(config)
  want = theirs_on(theirs, tokens, there)
  batch = head_of.batch(tokens, there)
  got = net.apply({"params": params}, batch, train=False)["vocabulary"]
  own = there > 0
  np.testing.assert_allclose(got[own], want[own], atol=1e-5, rtol=1e-5)
  # And back.
  (tmp_path / "ours").mkdir()
  named = masked.tensors(config, params, "mlm")
  hf.write(tmp_path / "ours", masked.describe(config), named, [])
  again, said = transformers.AutoModelForMaskedLM.from_pretrained(
    tmp_path / "ours", output_loading_info=True
  )
  assert type(again) is type(theirs)
  assert not said["missing_keys"] and not said["unexpected_keys"]
  np.testing.assert_allclose(
    theirs_on(again, tokens, there)[own], want[own], atol=1e-5, rtol=1e-5
  )


def test_a_head_that_is_none_of_ours_is_not_taken(tmp_path, capsys):
  model = transformers.AutoModel.from_config(CONFIGS["bert"])
  model.save_pretrained(tmp_path / "none")
  config = hf.read_config(tmp_path / "none" / hf.CONFIG)
  assert masked.read(tmp_path / "none", config) == {}
  model = transformers.AutoModelForMaskedLM.from_config(CONFIGS["bert"])
  model.save_pretrained(tmp_path / "tied")
  file = tmp_path / "tied" / hf.WEIGHTS
  tensors = st.load_file(file)
  bias = tensors.pop("cls.predictions.bias")
  table = tensors["bert.embeddings.word_embeddings.weight"]
  # As older files have it.
  older = tensors | {
    "cls.predictions.decoder.bias": bias,
    "cls.predictions.decoder.weight": table.copy(),
  }
  st.save_file(older, file)
  assert masked.read(tmp_path / "tied", config)["bias"].shape == bias.shape
  apart = {"cls.predictions.decoder.weight": table + 1}
  st.save_file(older | apart, file)
  assert masked.read(tmp_path / "tied", config) == {}
  assert "it has a table of words of its own" in capsys.readouterr().out
