"""Hugging Face directories: what is read, what is refused, and the way back."""

import dataclasses
import json
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from safetensors import numpy as st
import torch
import transformers

from bam_jax.hf import directory as hf
from bam_jax.hf import families, weights

SHAPE = dict(
  vocab_size=61,
  hidden_size=12,
  num_hidden_layers=3,
  num_attention_heads=3,
  intermediate_size=20,
  max_position_embeddings=17,
)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
  """A random BERT as transformers writes it, with a vocabulary."""
  torch.manual_seed(0)
  directory = tmp_path_factory.mktemp("original")
  model = transformers.BertModel(transformers.BertConfig(**SHAPE))
  with torch.no_grad():
    for parameter in model.parameters():
      parameter.add_(torch.randn_like(parameter) * 0.1)
  model.save_pretrained(directory)
  words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *map(chr, range(65, 122))]
  (directory / "vocab.txt").write_text("\n".join(words) + "\n")
  return directory


@pytest.fixture
def copied(original, tmp_path):
  """A copy of it that a test may spoil."""
  return Path(shutil.copytree(original, tmp_path / "copied"))


def rewrite(directory, change):
  """Replaces the weights by what `change` makes of {name: array}."""
  tensors = change(st.load_file(directory / "model.safetensors"))
  st.save_file(tensors, directory / "model.safetensors")


def set_config(directory, **changes):
  """Changes config.json; None takes a key out."""
  path = directory / "config.json"
  config = json.loads(path.read_text()) | changes
  config = {key: value for key, value in config.items() if value is not None}
  path.write_text(json.dumps(config))


def assert_same(a, b):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  jax.tree.map(np.testing.assert_array_equal, a, b)


def run_python(code, *args, **environment):
  """Runs a fresh interpreter that imports what this one does."""
  path = os.pathsep.join(p for p in sys.path if p)
  return subprocess.run(
    [sys.executable, "-c", code, *map(str, args)],
    env=os.environ | {"PYTHONPATH": path} | environment,
    capture_output=True,
    text=True,
  )


def test_no_torch_and_no_transformers_are_imported(original):
  run = run_python(
    "import sys; from bam_jax.hf.directory import load_encoder;"
    "load_encoder(sys.argv[1]);"
    "print([m for m in ('torch', 'transformers') if m in sys.modules])",
    original,
  )
  assert run.stdout == "[]\n", run.stderr


def test_config_is_read_as_transformers_reads_it(copied):
  set_config(copied, layer_norm_eps=1e-5, hidden_dropout_prob=0, pad_token_id=3)
  config, *_ = hf.load_encoder(copied)
  theirs = transformers.BertConfig.from_pretrained(copied)
  for field, key, _ in families.BERT.fields:
    assert getattr(config, field) == getattr(theirs, key)


def test_tree_is_the_modules_own_and_f32_numpy(original):
  config, params, directory = hf.load_encoder(str(original))
  assert directory == original
  assert params.keys() == {"bert", "pooler"}
  assert params["pooler"]["kernel"].shape == (12, 12)
  for leaf in jax.tree.leaves(params):
    assert type(leaf) is np.ndarray
    assert leaf.dtype == np.float32
  # No two tensors trade places, the square ones least of all.
  tensors = st.load_file(original / "model.safetensors")
  for theirs, (ours,) in weights.names(config).items():
    leaf = params
    for key in ours.split("/"):
      leaf = leaf[key]
    want = tensors[theirs]
    np.testing.assert_array_equal(leaf.T if "kernel" in ours else leaf, want)


def test_saved_directory_loads_in_transformers_without_a_word(
  original, tmp_path
):
  config, params, _ = hf.load_encoder(original)
  saved = tmp_path / "runs/hf/trial-0"
  on_device = jax.tree.map(jax.numpy.asarray, params)
  hf.save_encoder(saved, config, on_device, tokenizer=original)
  model, info = transformers.BertModel.from_pretrained(
    saved, output_loading_info=True
  )
  assert not any(info.values()), info
  want = transformers.BertModel.from_pretrained(original).state_dict()
  for name, tensor in model.state_dict().items():
    assert torch.equal(tensor, want[name]), name
  for key, value in SHAPE.items():
    assert getattr(model.config, key) == value
  again, params_again, _ = hf.load_encoder(saved)
  assert again == config
  assert_same(params_again, params)
  assert sorted(file.name for file in saved.iterdir()) == [
    "config.json",
    "model.safetensors",
    "vocab.txt",
  ]
  assert [file.name for file in saved.parent.iterdir()] == ["trial-0"]


def test_first_layers_are_the_peers_with_fewer_layers(original, tmp_path):
  config, params, _ = hf.load_encoder(original, layers=2)
  whole, everything, _ = hf.load_encoder(original)
  assert config == dataclasses.replace(whole, layers=2)
  del everything["bert"]["layer_2"]
  assert_same(params, everything)
  hf.save_encoder(tmp_path / "cut", config, params, tokenizer=original)
  cut = transformers.BertModel.from_pretrained(tmp_path / "cut")
  peer = transformers.BertModel.from_pretrained(original, num_hidden_layers=2)
  for name, tensor in peer.state_dict().items():
    assert torch.equal(tensor, cut.state_dict()[name]), name


@pytest.mark.parametrize("layers", [0, 4])
def test_layers_that_are_not_there_are_refused(original, layers):
  with pytest.raises(ValueError, match=f"layers is {layers}.*give 1 to 3"):
    hf.load_encoder(original, layers=layers)


def test_old_names_prefix_and_known_extras_load_the_same(original, copied):
  def age(tensors):
    old = {
      "bert."
      + re.sub("LayerNorm.bias", "LayerNorm.beta", name).replace(
        "LayerNorm.weight", "LayerNorm.gamma"
      ): tensor
      for name, tensor in tensors.items()
    }
    extra = np.zeros(3, np.float32)
    return old | {
      "bert.embeddings.position_ids": np.arange(17)[None],
      "cls.predictions.transform.LayerNorm.gamma": extra,
      "cls.seq_relationship.weight": extra,
      "classifier.bias": extra,
    }

  rewrite(copied, age)
  set_config(copied, model_type=None)
  assert_same(hf.load_encoder(copied)[1], hf.load_encoder(original)[1])


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_other_float_widths_become_f32(original, tmp_path, kind):
  model = transformers.BertModel.from_pretrained(original)
  model.to(getattr(torch, kind)).save_pretrained(tmp_path)
  _, params, _ = hf.load_encoder(tmp_path)
  _, want, _ = hf.load_encoder(original)
  for got, leaf in zip(
    jax.tree.leaves(params), jax.tree.leaves(want), strict=True
  ):
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, leaf, rtol=1e-2, atol=1e-6)


def test_missing_pooler_is_left_to_the_caller_but_half_of_one_is_not(copied):
  rewrite(copied, lambda t: {k: v for k, v in t.items() if k[:3] != "poo"})
  assert hf.load_encoder(copied)[1].keys() == {"bert"}
  rewrite(copied, lambda t: t | {"pooler.dense.bias": np.zeros(12, np.float32)})
  with pytest.raises(ValueError, match=r"missing: pooler\.dense\.weight"):
    hf.load_encoder(copied)


def test_every_mismatch_is_listed_in_one_error(copied):
  def spoil(tensors):
    tensors = dict(tensors)
    del tensors["encoder.layer.1.output.dense.bias"]
    tensors["encoder.layer.9.stray"] = np.zeros(2, np.float32)
    tensors["bert.embeddings.LayerNorm.gamma"] = np.zeros(12, np.float32)
    up = "encoder.layer.0.intermediate.dense.weight"
    tensors[up] = np.ascontiguousarray(tensors[up].T)
    tensors["pooler.dense.bias"] = np.zeros(12, np.int64)
    return tensors

  rewrite(copied, spoil)
  with pytest.raises(
    ValueError, match="is not the bert encoder that its"
  ) as caught:
    hf.load_encoder(copied)
  assert str(caught.value).split(": ", 1)[1].split("; ") == [
    "twice: bert.embeddings.LayerNorm.gamma and embeddings.LayerNorm.weight",
    "missing: encoder.layer.1.output.dense.bias",
    "unexpected: encoder.layer.9.stray",
    "shape: encoder.layer.0.intermediate.dense.weight is [12, 20], "
    "config.json says [20, 12]",
    "dtype: pooler.dense.bias is I64, not a float",
  ]


def test_pickle_is_refused_with_a_command_that_converts_it(original, copied):
  state = transformers.BertModel.from_pretrained(original).state_dict()
  torch.save(state, copied / "pytorch_model.bin")
  (copied / "model.safetensors").unlink()
  with pytest.raises(ValueError, match="pickle, which can run any") as caught:
    hf.load_encoder(copied)
  command = re.search("python -c .*", str(caught.value))[0]
  command = command.replace("python", sys.executable, 1)
  subprocess.run(command, shell=True, check=True)
  assert_same(hf.load_encoder(copied)[1], hf.load_encoder(original)[1])


def cut_short(directory):
  data = (directory / "model.safetensors").read_bytes()
  (directory / "model.safetensors").write_bytes(data[:-7])


def lie_about_header(directory):
  data = (directory / "model.safetensors").read_bytes()
  huge = (1 << 62).to_bytes(8, "little")
  (directory / "model.safetensors").write_bytes(huge + data[8:])


@pytest.mark.parametrize(
  ("spoil", "sentence"),
  [
    (lambda d: (d / "config.json").unlink(), "has no config.json beside its"),
    (lambda d: (d / "config.json").write_text("{"), "is not JSON"),
    (lambda d: (d / "config.json").write_text("[]"), "not a JSON object"),
    (lambda d: (d / "model.safetensors").unlink(), "has no model.safetensors"),
    (cut_short, "not a whole safetensors file"),
    (lie_about_header, "not a whole safetensors file"),
    (
      lambda d: set_config(d, model_type="albert"),
      "says model_type 'albert'; .* one of bert, roberta",
    ),
    (lambda d: set_config(d, hidden_act="relu"), "'gelu' or 'gelu_python'"),
    (lambda d: set_config(d, hidden_size="12"), "it has to be a whole number"),
    (lambda d: set_config(d, num_attention_heads=5), "json: encoder width 12"),
    (lambda d: set_config(d, vocab_size=60), r"\[61, 12\], .* says \[60, 12\]"),
    (
      lambda d: set_config(d, num_hidden_layers=2),
      "unexpected: encoder.layer.2",
    ),
  ],
)
def test_broken_directories_get_a_sentence(copied, spoil, sentence):
  spoil(copied)
  with pytest.raises(ValueError, match=sentence):
    hf.load_encoder(copied)


@pytest.mark.parametrize(
  ("name", "sentence"),
  [
    (
      "/nowhere/at/all",
      "is not a directory; give a directory with config.json",
    ),
    ("./minilm", "is not a directory"),
    ("a/b/c", "is not a directory"),
    ("", "is not a directory"),
    (__file__, "is a file; give a directory"),
    ("no-such/encoder", "no directory here and could not be fetched"),
    ("two--dashes..", "could not be fetched"),
  ],
)
def test_names_that_lead_nowhere_get_a_sentence(name, sentence):
  with pytest.raises(ValueError, match=sentence):
    hf.load_encoder(name)


def test_save_refuses_what_exists_and_tokenizers_that_do_not(
  original, tmp_path
):
  config, params, _ = hf.load_encoder(original)
  with pytest.raises(ValueError, match="exists; remove it"):
    hf.save_encoder(original, config, params, tokenizer=original)
  with pytest.raises(ValueError, match="has neither tokenizer"):
    hf.save_encoder(tmp_path / "a", config, params, tokenizer=tmp_path)
  assert not any(tmp_path.iterdir())


def test_failed_save_leaves_nothing(original, tmp_path, monkeypatch):
  config, params, _ = hf.load_encoder(original)

  def full(*_):
    raise OSError("No space left on device")

  monkeypatch.setattr(hf.shutil, "copyfile", full)
  with pytest.raises(OSError, match="No space left"):
    hf.save_encoder(tmp_path / "a", config, params, tokenizer=original)
  assert not any(tmp_path.iterdir())


def test_incomplete_parameters_are_our_own_bug(original, tmp_path):
  config, params, _ = hf.load_encoder(original)
  with pytest.raises(AssertionError, match="pooler/kernel"):
    hf.save_encoder(
      tmp_path / "a", config, {"bert": params["bert"]}, tokenizer=original
    )
