"""Reads and writes Hugging Face's BERT directories without PyTorch.

config.json is read here and not by transformers, whose configuration module
imports torch wherever it is installed; a test holds the two readings together.
Nothing else that a directory says is followed: no code, no other file.
"""

from collections.abc import Mapping
import dataclasses
import json
import os
from pathlib import Path
import re
import reprlib
import shlex
import shutil
from typing import Any

from flax import traverse_util
import huggingface_hub
import numpy as np
import safetensors
import safetensors.numpy

from bam_jax import bert, weights

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = (
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.txt",
  "special_tokens_map.json",
  "added_tokens.json",
)

# BertConfig's field, config.json's key, what it is where the key is absent.
_FIELDS = (
  ("vocab_size", "vocab_size", 30522),
  ("width", "hidden_size", 768),
  ("layers", "num_hidden_layers", 12),
  ("heads", "num_attention_heads", 12),
  ("mlp", "intermediate_size", 3072),
  ("positions", "max_position_embeddings", 512),
  ("types", "type_vocab_size", 2),
  ("layer_norm_eps", "layer_norm_eps", 1e-12),
  ("hidden_dropout", "hidden_dropout_prob", 0.1),
  ("attention_dropout", "attention_probs_dropout_prob", 0.1),
  ("init_std", "initializer_range", 0.02),
  ("pad_id", "pad_token_id", 0),
)
# What else decides the arithmetic, with the values that bert.py computes.
_FIXED = {
  "model_type": ("bert",),
  "hidden_act": ("gelu", "gelu_python"),
  "position_embedding_type": ("absolute",),
  "is_decoder": (False,),
  "add_cross_attention": (False,),
}
# No size of an encoder is larger, and sizes of sizes still fit 64 bits.
_BOUND = 2**31
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
# What torch.save and pickle.dump are told to write.
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
_CONVERT = (
  "import sys, torch; from safetensors.torch import save_file; "
  "save_file({k: v.clone().contiguous() for k, v in torch.load(sys.argv[1], "
  "weights_only=True).items()}, sys.argv[2])"
)


def load_encoder(
  name: str | Path, *, layers: int | None = None
) -> tuple[bert.BertConfig, dict[str, Any], Path]:
  """Loads a BERT from a directory or from the Hugging Face hub.

  The hub client obeys HF_ENDPOINT, HF_HUB_OFFLINE and HF_HOME. Only
  config.json, model.safetensors and the tokenizer's files are fetched.

  Args:
    name: a directory, or a hub name such as "google-bert/bert-base-uncased".
    layers: keep only the first so many layers; None for all.

  Returns:
    The configuration; the parameters {"bert": ..., "pooler": {"kernel": f32[D,
    D], "bias": f32[D]}} as numpy, without "pooler" where the file has none (the
    caller then starts one); and the local directory, where the tokenizer is.

  Raises:
    ValueError: the name leads nowhere, a file is missing or broken, the model
      is not a BERT, or its tensors are not those that config.json describes,
      in which case the missing, unexpected and misshapen ones are named.
  """
  directory = _locate(name)
  config = _read_config(directory / CONFIG)
  kept = config.layers if layers is None else layers
  if not 1 <= kept <= config.layers:
    raise ValueError(
      f"layers is {layers}, but encoder {name} has {config.layers}; give 1 to "
      f"{config.layers}"
    )
  if not (directory / WEIGHTS).is_file():
    raise ValueError(_no_weights(name, directory))
  flat = weights.read(directory / WEIGHTS, config, layers=kept)
  params = traverse_util.unflatten_dict(flat, sep="/")
  return dataclasses.replace(config, layers=kept), params, directory


def save_encoder(
  directory: str | Path,
  config: bert.BertConfig,
  params: Mapping[str, Any],
  *,
  tokenizer: str | Path,
) -> None:
  """Writes a directory that transformers' BertModel.from_pretrained loads.

  It is written beside and renamed, so it is there whole or not at all.

  Args:
    directory: where to, not there yet (or empty).
    config: the encoder's shape.
    params: {"bert": ..., "pooler": ...}, arrays of one trial.
    tokenizer: the directory whose tokenizer files are copied along.

  Raises:
    ValueError: the directory exists, or the other one has no tokenizer.
  """
  directory, tokenizer = Path(directory), Path(tokenizer)
  if directory.exists() and (
    not directory.is_dir() or any(directory.iterdir())
  ):
    raise ValueError(f"{directory} exists; remove it or give another directory")
  files = [tokenizer / f for f in TOKENIZER if (tokenizer / f).is_file()]
  if not {"tokenizer.json", "vocab.txt"} & {file.name for file in files}:
    raise ValueError(
      f"{tokenizer} has neither tokenizer.json nor vocab.txt; give the "
      "directory that the encoder was loaded from"
    )
  shapes = weights.shapes(config)
  flat = traverse_util.flatten_dict(dict(params), sep="/")
  got = {path: tuple(np.shape(value)) for path, value in flat.items()}
  assert got == shapes, (
    f"not an encoder: {sorted(got.items() ^ shapes.items())}"
  )
  tensors = {
    theirs: weights.turn(ours, np.asarray(flat[ours], np.float32))
    for ours, theirs in weights.names(config.layers).items()
  }
  beside = directory.parent / f".{directory.name}-{os.getpid()}"
  beside.mkdir(parents=True)
  try:
    metadata = {"format": "pt"}
    safetensors.numpy.save_file(tensors, beside / WEIGHTS, metadata=metadata)
    text = json.dumps(_config_json(config), indent=2, sort_keys=True)
    (beside / CONFIG).write_text(text + "\n", encoding="utf-8")
    for file in files:
      shutil.copyfile(file, beside / file.name)
    beside.rename(directory)
  except BaseException:
    shutil.rmtree(beside, ignore_errors=True)
    raise


def _read_config(path: Path) -> bert.BertConfig:
  """Reads config.json, refusing what bert.py does not compute."""
  if not path.is_file():
    raise ValueError(
      f"{path.parent} has no {CONFIG}; give a directory with {CONFIG}, "
      f"{WEIGHTS} and tokenizer.json or vocab.txt"
    )
  try:
    raw = json.loads(path.read_text(encoding="utf-8"))
  except (OSError, ValueError, RecursionError) as error:
    raise ValueError(f"{path} is not JSON ({error}); mend it") from error
  if not isinstance(raw, dict):
    raise ValueError(f"{path} is not a JSON object; mend it")
  for key, allowed in _FIXED.items():
    # Files older than the key leave it out.
    if (got := raw.get(key, allowed[0])) not in allowed:
      raise ValueError(
        f"{path} says {key} {reprlib.repr(got)}; this encoder is a BERT with "
        f"{key} {' or '.join(map(repr, allowed))}, give a directory of one"
      )
  values = {}
  for field, key, default in _FIELDS:
    value = raw.get(key, default)
    value = default if value is None else value
    number = int if isinstance(default, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, number):
      kind = "whole number" if number is int else "number"
      raise ValueError(
        f"{path} says {key} {reprlib.repr(value)}; it has to be a {kind}"
      )
    # NaN is refused too.
    if not 0 <= value < _BOUND:
      raise ValueError(
        f"{path} says {key} {reprlib.repr(value)}; it is 0 or more, and below "
        f"{_BOUND}"
      )
    values[field] = value
  if values["pad_id"] >= values["vocab_size"]:
    raise ValueError(
      f"{path} says pad_token_id {values['pad_id']}; its vocab_size is only "
      f"{values['vocab_size']}"
    )
  try:
    return bert.BertConfig(**values)
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from error


def _config_json(config: bert.BertConfig) -> dict[str, Any]:
  """What config.json holds, the way back."""
  fixed = {key: allowed[0] for key, allowed in _FIXED.items()}
  fields = {key: getattr(config, field) for field, key, _ in _FIELDS}
  return {"architectures": ["BertModel"], "dtype": "float32"} | fixed | fields


def _locate(name: str | Path) -> Path:
  """The local directory of an encoder, fetched from the hub if need be."""
  # Path's own expanduser raises where there is no such user.
  directory = Path(os.path.expanduser(name))
  if str(name) and directory.is_dir():
    return directory
  needs = (
    f"give a directory with {CONFIG}, {WEIGHTS} and tokenizer.json or "
    "vocab.txt, or a hub name such as google-bert/bert-base-uncased"
  )
  if directory.is_file():
    raise ValueError(f"encoder {name} is a file; {needs}")
  if not _HUB_NAME.fullmatch(str(name)):
    raise ValueError(f"encoder {str(name)!r} is not a directory; {needs}")
  try:
    return Path(
      huggingface_hub.snapshot_download(
        str(name), allow_patterns=[CONFIG, WEIGHTS, *TOKENIZER]
      )
    )
  # The client raises its own, its HTTP library's and the system's errors; all
  # of them mean that this name could not be had.
  except Exception as error:
    reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
    raise ValueError(
      f"encoder {name} is no directory here and could not be fetched from the "
      f"Hugging Face hub ({reason[0]}); {needs}"
    ) from error


def _no_weights(name: str | Path, directory: Path) -> str:
  """The sentence for a directory without model.safetensors."""
  there = sorted(file.name for file in directory.iterdir() if file.is_file())
  pickles = [each for each in there if each.endswith(_PICKLES)]
  if pickles:
    old, new = directory / pickles[0], directory / WEIGHTS
    paths = f"{shlex.quote(str(old))} {shlex.quote(str(new))}"
    return (
      f"{directory} has its weights as a pickle, which can run any code when "
      "it is read; convert it once, where torch is installed, by typing: "
      f'python -c "{_CONVERT}" {paths}'
    )
  if f"{WEIGHTS}.index.json" in there:
    return (
      f"{directory} has its weights in several files, and a BERT is read from "
      f"one {WEIGHTS}; save it again as one, by transformers' "
      "save_pretrained with max_shard_size='10GB'"
    )
  return (
    f"encoder {name} has no {WEIGHTS} in {directory}, only "
    f"{reprlib.repr(there)}; give one that has (of a hub model with "
    "pytorch_model.bin only, type `hf download NAME --local-dir DIR`, then "
    "give DIR to learn how to convert it)"
  )
