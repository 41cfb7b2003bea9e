"""Reads and writes Hugging Face's encoder directories without PyTorch.

config.json is read here and not by transformers, whose configuration module
imports torch wherever it is installed; a test holds the two readings together.
Nothing else that a directory says is followed: no code, no other file.
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import json
import os
from pathlib import Path
import re
import reprlib
import shutil
from typing import Any

from flax import traverse_util
import huggingface_hub
import numpy as np
import safetensors
import safetensors.numpy

from bam_jax.hf import families, foreign, weights
from bam_jax.hf.family import Config, Raw, typed
from bam_jax.models import encoders
from bam_jax.runtime import files, hub, signatures
from bam_jax.runtime.console import say

CONFIG, WEIGHTS = foreign.CONFIG, foreign.WEIGHTS
TOKENIZER = (
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
  "special_tokens_map.json",
  "added_tokens.json",
)

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def load_encoder(
  name: str | Path, *, layers: int | None = None, every: int = 1
) -> tuple[Config, dict[str, Any], Path]:
  """Loads an encoder from a directory or from the Hugging Face hub.

  The hub client obeys HF_ENDPOINT, HF_HUB_OFFLINE and HF_HOME. Only
  config.json, model.safetensors and the tokenizer's files are fetched.

  Args:
    name: a directory, or a hub name such as "google-bert/bert-base-uncased".
    layers: keep only the first so many layers; None for all.
    every: of all layers take the first and every so-many-th after it, before
      `layers` counts them.

  Returns:
    The configuration; the parameters {"bert": ..., "pooler": ...} as f32
    numpy, without "pooler" where the file has none (the caller then starts
    one); and the local directory, where the tokenizer is.

  Raises:
    ValueError: the name leads nowhere, a file is missing or broken, the model
      is of no known family, or its tensors are not those that config.json
      describes, in which case those that differ are named.
  """
  directory = locate(name)
  config = read_config(directory / CONFIG)
  if not 1 <= every <= config.layers:
    raise ValueError(
      f"every is {every}, but encoder {name} has {config.layers} layers; give "
      f"1 to {config.layers}"
    )
  there = range(0, config.layers, every)
  if layers is not None and not 1 <= layers <= len(there):
    some = f" when one in {every} is kept" if every > 1 else ""
    raise ValueError(
      f"layers is {layers}, but encoder {name} has {len(there)}{some}; give 1 "
      f"to {len(there)}"
    )
  kept = there[:layers]
  file = weights_of(name, directory)
  flat = weights.read(file, config, kept=kept, aliases={})
  params = traverse_util.unflatten_dict(flat, sep="/")
  if "pooler" not in params:
    say(f"encoder {name} has no pooler: one is drawn anew")
  return config.keep(kept), params, directory


def weights_of(name: str | Path, directory: Path) -> Path:
  """Returns where a model's weights are.

  Args:
    name: as the user has it.
    directory: where it is.

  Raises:
    ValueError: they are not there, and what is there instead.
  """
  if not (directory / WEIGHTS).is_file():
    raise ValueError(foreign.no_weights(name, directory))
  return directory / WEIGHTS


def save_encoder(
  directory: str | Path,
  config: Config,
  params: Mapping[str, Any],
  *,
  tokenizer: str | Path,
) -> None:
  """Writes a directory that transformers' AutoModel.from_pretrained loads.

  It is written beside and renamed, so it is there whole or not at all.

  Args:
    directory: where to, not there yet (or empty).
    config: the encoder's shape.
    params: {"bert": ..., "pooler": ...}, arrays of one trial.
    tokenizer: the directory whose tokenizer files are copied along.

  Raises:
    ValueError: the directory exists, or the other one has no tokenizer.
  """
  directory = Path(directory)
  words = tokenizer_files(Path(tokenizer))
  named = tensors(config, params)
  with beside(directory, overwrite=False) as made:
    write(made, write_config(config), named, words)


def tensors(config: Config, params: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """Returns transformers' name -> f32 tensor, of the encoder and its pooler."""
  shapes = weights.shapes(config)
  flat = traverse_util.flatten_dict(dict(params), sep="/")
  got = {path: tuple(np.shape(value)) for path, value in flat.items()}
  assert got == shapes, (
    f"not an encoder: {sorted(got.items() ^ shapes.items())}"
  )
  return {
    name: weights.join([np.asarray(flat[x], np.float32) for x in ours], ours[0])
    for name, ours in weights.names(config).items()
  }


def tokenizer_files(directory: Path) -> list[Path]:
  """Returns the files of a directory's tokenizer.

  Raises:
    ValueError: there is none.
  """
  found = [directory / f for f in TOKENIZER if (directory / f).is_file()]
  vocabularies = {"tokenizer.json", "vocab.txt", "vocab.json"}
  if vocabularies.isdisjoint(file.name for file in found):
    raise ValueError(
      f"{directory} has neither tokenizer.json nor vocab.txt; give the "
      "directory that the encoder was loaded from"
    )
  return found


@contextlib.contextmanager
def beside(directory: Path, *, overwrite: bool) -> Iterator[Path]:
  """Yields a directory to fill; then it gets its name, whole or not at all.

  Args:
    directory: where to; made, with those above it.
    overwrite: whether a model that is there may go.

  Raises:
    ValueError: something is there that may not go.
  """
  full = replaces(directory, overwrite=overwrite)
  made = files.hidden(directory)
  made.mkdir()
  try:
    yield made
    if full:
      gone = made.with_name(f"{made.name}-old")
      directory.rename(gone)
    made.rename(directory)
    if full:
      shutil.rmtree(gone, ignore_errors=True)
  except BaseException:
    shutil.rmtree(made, ignore_errors=True)
    raise


def replaces(directory: Path, *, overwrite: bool) -> bool:
  """Tells whether something has to go where a model is to be written.

  Args:
    directory: where to.
    overwrite: whether a model that is there may go.

  Raises:
    ValueError: something is there that may not go.
  """
  full = directory.exists() and (
    not directory.is_dir() or any(directory.iterdir())
  )
  # Who mistypes a name must not lose a directory of other things.
  if full and overwrite and not (directory / CONFIG).is_file():
    raise ValueError(
      f"{directory} holds no model that could be overwritten; give another "
      "directory"
    )
  if full and not overwrite:
    raise ValueError(f"{directory} exists; remove it or give another directory")
  return full


def write(
  directory: Path,
  config: Mapping[str, Any],
  named: Mapping[str, np.ndarray],
  tokenizer: Sequence[Path],
) -> None:
  """Fills a directory as transformers' save_pretrained does.

  Args:
    directory: there already.
    config: for config.json.
    named: name -> tensor; {} = no weights.
    tokenizer: files to copy.
  """
  if named:
    write_tensors(directory / WEIGHTS, named)
  text = json.dumps(config, indent=2, sort_keys=True)
  (directory / CONFIG).write_text(text + "\n", encoding="utf-8")
  for file in tokenizer:
    shutil.copyfile(file, directory / file.name)


def write_tensors(path: Path, named: Mapping[str, np.ndarray]) -> None:
  """Writes a safetensors file that any process may read which umask lets."""
  with files.beside(path) as part:
    safetensors.numpy.save_file(dict(named), part, metadata={"format": "pt"})


def read_raw(path: Path) -> dict[str, Any]:
  """Returns what a config.json holds.

  Raises:
    ValueError: it is not there or not a JSON object.
  """
  with files.reading():
    foreign.refuse(path.parent)
    signatures.refuse_pointer(path)
    text = path.read_bytes()
  try:
    raw = json.loads(text.decode("utf-8"))
  except (ValueError, RecursionError) as error:
    raise ValueError(
      f"{path} is not JSON ({error}); mend it, or take a whole copy of it"
    ) from error
  if not isinstance(raw, dict):
    raise ValueError(
      f"{path} is not a JSON object; mend it, or take a whole copy of it"
    )
  return raw


def read_config(path: Path) -> Config:
  """Reads config.json.

  Raises:
    ValueError: it says what the encoder does not compute.
  """
  raw = read_raw(path)
  try:
    values = _parse(raw)
  except ValueError as error:
    raise ValueError(f"{path} {error}") from error
  try:
    family = families.FAMILIES[values["family"]]
    return encoders.ENCODERS[family.encoder].config(**values)
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from error


def _parse(raw: Raw) -> dict[str, Any]:
  """Returns what config.json says, by the fields of a configuration."""
  # Files older than the key are BERT's.
  name = raw.get("model_type", "bert")
  if quantised := raw.get("quantization_config"):
    kind = isinstance(quantised, dict) and quantised.get("quant_method")
    raise ValueError(
      f"says quantization_config ({reprlib.repr(kind or quantised)}), so its "
      "weights are rounded to be small and cannot be trained; give the "
      "directory of the model that it was made from"
    )
  if name not in tuple(families.FAMILIES):
    raise ValueError(
      f"says model_type {reprlib.repr(name)}; this encoder is one of "
      f"{', '.join(families.FAMILIES)}, give a directory of one"
    )
  family = families.FAMILIES[name]
  for key, allowed in family.fixed.items():
    # Files older than the key leave it out.
    if (got := raw.get(key, allowed[0])) not in allowed:
      raise ValueError(
        f"says {key} {reprlib.repr(got)}; this encoder is a {name} with {key} "
        f"{' or '.join(map(repr, allowed))}, give a directory of one"
      )
  values: dict[str, Any] = {}
  for field, key, default in family.fields:
    value = typed(raw, key, default)
    if values.setdefault(field, value) != value:
      raise ValueError(
        f"says {key} {value}, but {values[field]} for another {field}; this "
        "encoder has one number for both"
      )
  if values["pad_id"] >= values["vocab_size"]:
    raise ValueError(
      f"says pad_token_id {values['pad_id']}; its vocab_size is only "
      f"{values['vocab_size']}"
    )
  if family.padded:
    values["position_offset"] = values["pad_id"] + 1
    values["positions"] -= values["position_offset"]
  layers = family.read_layers(raw, values["layers"])
  return {"family": name, **values, **family.facts, **layers}


def write_config(config: Config) -> dict[str, Any]:
  """Returns what config.json holds, the way back."""
  family = families.FAMILIES[config.family]
  fixed = {key: allowed[0] for key, allowed in family.fixed.items()}
  fields = {key: getattr(config, field) for field, key, _ in family.fields}
  if family.padded:
    fields["max_position_embeddings"] += config.position_offset
  return {
    **({"architectures": [family.model]} if family.model else {}),
    "dtype": "float32",
    "model_type": family.name,
    **fixed,
    **fields,
    **family.write_layers(config),
  }


def locate(
  name: str | Path,
  *,
  key: str = "encoder",
  files_of: Sequence[str] = (CONFIG, WEIGHTS, foreign.ADAPTER, *TOKENIZER),
) -> Path:
  """Returns an encoder's directory, fetched from the hub if need be.

  Args:
    name: a directory or a hub name.
    key: what it is called in the error.
    files_of: what is fetched of it.

  Raises:
    ValueError: the name leads nowhere.
  """
  # Path's own expanduser raises where there is no such user.
  directory = Path(os.path.expanduser(name))
  with files.reading():
    if str(name) and directory.is_dir():
      return directory
  wanted = f"{CONFIG}, {WEIGHTS} and " if WEIGHTS in files_of else ""
  needs = (
    f"give a directory with {wanted}tokenizer.json or vocab.txt, or a hub name "
    "such as google-bert/bert-base-uncased"
  )
  if directory.is_file():
    raise ValueError(f"{key} {name} is a file; {needs}")
  if not _HUB_NAME.fullmatch(str(name)):
    raise ValueError(f"{key} {str(name)!r} is not a directory; {needs}")
  try:
    return Path(
      huggingface_hub.snapshot_download(
        str(name), allow_patterns=list(files_of)
      )
    )
  # The client raises its own, its HTTP library's and the system's errors; all
  # of them mean that this name could not be had.
  except Exception as error:
    why, cure = hub.cause(error, str(name), "main")
    raise ValueError(
      f"{key} {name} is no directory here and could not be fetched from the "
      f"Hugging Face hub ({why}); {f'{cure}; else ' if cure else ''}{needs}"
    ) from error
