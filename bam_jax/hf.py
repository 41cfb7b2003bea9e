"""Reads and writes Hugging Face's BERT directories without PyTorch.

One table of names serves both ways, and every tensor on either side has to be
accounted for: found in the table, or named among those that are dropped.
config.json is read here and not by transformers, whose configuration module
imports torch wherever it is installed; a test holds the two readings together.
"""

from collections.abc import Mapping
import dataclasses
import json
import os
from pathlib import Path
import re
import shlex
import shutil
from typing import Any

from flax import traverse_util
import huggingface_hub
import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from bam_jax import bert

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = (
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.txt",
  "special_tokens_map.json",
  "added_tokens.json",
)

# Ours, theirs, kind. `{i}` is the layer.
_MODULES = (
  ("bert/embeddings/word", "embeddings.word_embeddings", "table"),
  ("bert/embeddings/position", "embeddings.position_embeddings", "table"),
  ("bert/embeddings/type", "embeddings.token_type_embeddings", "table"),
  ("bert/embeddings/norm", "embeddings.LayerNorm", "norm"),
  ("bert/layer_{i}/query", "encoder.layer.{i}.attention.self.query", "dense"),
  ("bert/layer_{i}/key", "encoder.layer.{i}.attention.self.key", "dense"),
  ("bert/layer_{i}/value", "encoder.layer.{i}.attention.self.value", "dense"),
  ("bert/layer_{i}/out", "encoder.layer.{i}.attention.output.dense", "dense"),
  (
    "bert/layer_{i}/attention_norm",
    "encoder.layer.{i}.attention.output.LayerNorm",
    "norm",
  ),
  ("bert/layer_{i}/up", "encoder.layer.{i}.intermediate.dense", "dense"),
  ("bert/layer_{i}/down", "encoder.layer.{i}.output.dense", "dense"),
  ("bert/layer_{i}/mlp_norm", "encoder.layer.{i}.output.LayerNorm", "norm"),
  ("pooler", "pooler.dense", "dense"),
)
# The tensors of one module: ours, theirs. A kernel is theirs transposed.
_TENSORS = {
  "table": (("embedding", "weight"),),
  "norm": (("scale", "weight"), ("bias", "bias")),
  "dense": (("kernel", "weight"), ("bias", "bias")),
}
# Tensors that a BERT file may hold and that we do not want.
_DROPPED = (
  r"embeddings\.position_ids",  # 0, 1, 2 ..., written by older versions
  r"cls\..*",  # the masked word and next sentence heads of pre-training
  r"(classifier|qa_outputs)\..*",  # the head of a task it was fine-tuned on
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
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
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
      in which case every missing, unexpected and misshapen one is listed.
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
  flat = _read_weights(directory / WEIGHTS, config, layers=kept)
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
  shapes = _shapes(config)
  flat = traverse_util.flatten_dict(dict(params), sep="/")
  got = {path: tuple(np.shape(value)) for path, value in flat.items()}
  assert got == shapes, (
    f"not an encoder: {sorted(got.items() ^ shapes.items())}"
  )
  tensors = {
    theirs: _turn(ours, np.asarray(flat[ours], np.float32))
    for ours, theirs in _names(config.layers).items()
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


def _names(layers: int) -> dict[str, str]:
  """Our path -> Hugging Face's name, for every parameter there is."""
  return {
    f"{ours.format(i=i)}/{our}": f"{theirs.format(i=i)}.{their}"
    for ours, theirs, kind in _MODULES
    for i in (range(layers) if "{i}" in ours else (0,))
    for our, their in _TENSORS[kind]
  }


def _shapes(config: bert.BertConfig) -> dict[str, tuple[int, ...]]:
  """Our path -> shape, asked of the module itself so that none is forgotten."""
  module = bert.Bert(config, jnp.float32, False)
  ids = jax.ShapeDtypeStruct((1, 1), jnp.int32)
  variables = jax.eval_shape(
    lambda *inputs: module.init(jax.random.key(0), *inputs, train=False),
    *[ids] * 4,
  )
  pooler = {"kernel": (config.width,) * 2, "bias": (config.width,)}
  tree = {"bert": jax.tree.map(lambda x: x.shape, variables["params"])}
  shapes = traverse_util.flatten_dict(tree | {"pooler": pooler}, sep="/")
  assert shapes.keys() == _names(config.layers).keys(), "table is not bert.py's"
  return shapes


def _turn(ours: str, tensor: np.ndarray) -> np.ndarray:
  """Transposes kernels, from theirs to ours and back."""
  # safetensors writes the buffer as it lies, so a view would come out wrong.
  return np.ascontiguousarray(tensor.T if ours.endswith("/kernel") else tensor)


def _canonical(name: str) -> str:
  """The name that BertModel itself uses today for a tensor of the file."""
  name = name.removeprefix("bert.")
  name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
  return re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)


def _read_weights(
  path: Path, config: bert.BertConfig, *, layers: int
) -> dict[str, np.ndarray]:
  """Reads our path -> f32 tensor of the first layers, all names checked."""
  cut = {f"layer_{i}" for i in range(layers, config.layers)}
  try:
    # The library bounds and checks the header before anything is trusted.
    with safetensors.safe_open(path, framework="np") as file:
      names, problems = _account(file, config)
      if problems:
        raise ValueError(
          f"{path} is not the BERT that its {CONFIG} describes; give a "
          "directory whose two files belong together:\n  "
          + "\n  ".join(problems)
        )
      return {
        ours: _turn(ours, file.get_tensor(name).astype(np.float32))
        for ours, name in names.items()
        if cut.isdisjoint(ours.split("/"))
      }
  except (safetensors.SafetensorError, OSError) as error:
    raise ValueError(
      f"{path} is not a whole safetensors file ({error}); download it again"
    ) from error


def _account(file, config: bert.BertConfig) -> tuple[dict[str, str], list[str]]:
  """Matches a file's tensors to ours: our path -> its name, and what is off."""
  found, problems = {}, []
  for name in sorted(file.keys()):
    theirs = _canonical(name)
    if any(re.fullmatch(pattern, theirs) for pattern in _DROPPED):
      continue
    if theirs in found:
      problems.append(f"twice: {found[theirs]} and {name}")
    found[theirs] = name
  table = _names(config.layers)
  if not any(theirs.startswith("pooler.") for theirs in found):
    table = {k: v for k, v in table.items() if not k.startswith("pooler/")}
  known = set(table.values())
  problems += [f"missing: {n}" for n in table.values() if n not in found]
  problems += [f"unexpected: {found[n]}" for n in found if n not in known]
  names = {k: found[v] for k, v in table.items() if v in found}
  shapes = _shapes(config)
  for ours, name in names.items():
    piece = file.get_slice(name)
    got, kind = list(piece.get_shape()), piece.get_dtype()
    want = list(shapes[ours])[:: -1 if ours.endswith("/kernel") else 1]
    if got != want:
      problems.append(f"shape: {name} is {got}, {CONFIG} says {want}")
    if kind not in ("F64", "F32", "F16", "BF16"):
      problems.append(f"dtype: {name} is {kind}, not a float")
  return names, problems


def _read_config(path: Path) -> bert.BertConfig:
  """Reads config.json, refusing what bert.py does not compute."""
  if not path.is_file():
    raise ValueError(
      f"{path.parent} has no {CONFIG}; give a directory with {CONFIG}, "
      f"{WEIGHTS} and tokenizer.json or vocab.txt"
    )
  try:
    raw = json.loads(path.read_text(encoding="utf-8"))
  except (OSError, ValueError) as error:
    raise ValueError(f"{path} is not JSON ({error}); mend it") from error
  if not isinstance(raw, dict):
    raise ValueError(f"{path} is not a JSON object; mend it")
  for key, allowed in _FIXED.items():
    # Files older than the key leave it out.
    if (got := raw.get(key, allowed[0])) not in allowed:
      raise ValueError(
        f"{path} says {key} {got!r}; this encoder is a BERT with {key} "
        f"{' or '.join(map(repr, allowed))}, give a directory of one"
      )
  values = {}
  for field, key, default in _FIELDS:
    value = raw.get(key, default)
    value = default if value is None else value
    number = int if isinstance(default, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, number):
      kind = "whole number" if number is int else "number"
      raise ValueError(f"{path} says {key} {value!r}; it has to be a {kind}")
    values[field] = value
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
  directory = Path(name).expanduser()
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
  old = directory / "pytorch_model.bin"
  if old.is_file():
    new = directory / WEIGHTS
    paths = f"{shlex.quote(str(old))} {shlex.quote(str(new))}"
    return (
      f"{directory} has its weights as a pickle, which can run any code when "
      "it is read; convert it once, where torch is installed, by typing: "
      f'python -c "{_CONVERT}" {paths}'
    )
  there = ", ".join(sorted(file.name for file in directory.iterdir()))
  return (
    f"encoder {name} has no {WEIGHTS} in {directory}, only {there}; give one "
    "that has (of a hub model with pytorch_model.bin only, type `hf download "
    "NAME --local-dir DIR`, then give DIR to learn how to convert it)"
  )
