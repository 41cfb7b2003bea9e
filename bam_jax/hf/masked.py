"""The head for masked tokens in transformers' layout, written and read.

Its last layer is the table of words of the encoder itself, so that no file of
ours has it twice.
"""

from collections.abc import Collection, Mapping
import dataclasses
from pathlib import Path
from typing import Any

from flax import traverse_util
import numpy as np

from bam_jax.hf import directory as hf
from bam_jax.hf import tensor_files, weights
from bam_jax.hf.families import FAMILIES
from bam_jax.hf.family import Config
from bam_jax.models import encoders
from bam_jax.runtime.console import say

# transformers' name for the task, of which each family has a class.
MODEL = "MaskedLM"


@dataclasses.dataclass(frozen=True)
class Layout:
  """The head of one family.

  Attributes:
    model: the class of transformers.
    dense: module of the dense layer.
    norm: module of the norm.
    bias: tensor of what is added to each word.
    decoder: module of the last layer, whose weight is the table of words.
  """

  model: str
  dense: str
  norm: str
  bias: str
  decoder: str


_BERT = Layout(
  "BertForMaskedLM",
  "cls.predictions.transform.dense",
  "cls.predictions.transform.LayerNorm",
  "cls.predictions.bias",
  "cls.predictions.decoder",
)
_ROBERTA = Layout(
  "RobertaForMaskedLM",
  "lm_head.dense",
  "lm_head.layer_norm",
  "lm_head.bias",
  "lm_head.decoder",
)
LAYOUTS: Mapping[str, Layout] = {
  "bert": _BERT,
  "roberta": _ROBERTA,
  "xlm-roberta": dataclasses.replace(_ROBERTA, model="XLMRobertaForMaskedLM"),
  "camembert": dataclasses.replace(_ROBERTA, model="CamembertForMaskedLM"),
  "electra": Layout(
    "ElectraForMaskedLM",
    "generator_predictions.dense",
    "generator_predictions.LayerNorm",
    "generator_lm_head.bias",
    "generator_lm_head",
  ),
  "distilbert": Layout(
    "DistilBertForMaskedLM",
    "vocab_transform",
    "vocab_layer_norm",
    "vocab_projector.bias",
    "vocab_projector",
  ),
  "modernbert": Layout(
    "ModernBertForMaskedLM",
    "head.dense",
    "head.norm",
    "decoder.bias",
    "decoder",
  ),
  "deberta-v2": dataclasses.replace(_BERT, model="DebertaV2ForMaskedLM"),
}


def _names(config: Config, layout: Layout) -> dict[str, str]:
  """Returns transformers' name -> our path below the head, but for the bias."""
  _, dense_bias, norm_bias = encoders.of(config).masked(config)
  found = {
    f"{layout.dense}.weight": "dense/kernel",
    f"{layout.norm}.weight": "norm/scale",
  }
  if dense_bias:
    found[f"{layout.dense}.bias"] = "dense/bias"
  if norm_bias:
    found[f"{layout.norm}.bias"] = "norm/bias"
  return found | {layout.bias: "bias"}


def layout_of(config: Config) -> Layout:
  """Returns the head that transformers has for a family.

  Raises:
    ValueError: it has none that is ours.
  """
  if config.family not in LAYOUTS:
    raise ValueError(
      f"{config.family} has no {MODEL} in transformers that computes what our "
      "head for masked words does; take an encoder of"
      f" {', '.join(LAYOUTS)}, or export all heads with --task=all"
    )
  return LAYOUTS[config.family]


def describe(config: Config) -> dict[str, Any]:
  """Returns config.json of an encoder with its head for masked tokens."""
  layout = layout_of(config)
  return {
    **hf.write_config(config),
    "architectures": [layout.model],
    "tie_word_embeddings": True,
  }


def tensors(
  config: Config, params: Mapping[str, Any], name: str
) -> dict[str, np.ndarray]:
  """Returns transformers' name -> tensor of the encoder with the head.

  Without a pooler, which nothing has trained.

  Args:
    config: of the encoder.
    params: {"bert": ..., "heads": ...}.
    name: of the head.
  """
  layout = layout_of(config)
  prefix = FAMILIES[config.family].prefix
  flat = traverse_util.flatten_dict({config.kind: params[config.kind]}, sep="/")
  flat = {name: np.asarray(array, np.float32) for name, array in flat.items()}
  named = {
    prefix + name: weights.join([flat[path] for path in ours], ours[0])
    for name, ours in weights.names(config).items()
    if ours[0] in flat
  }
  head = traverse_util.flatten_dict(params["heads"][name], sep="/")
  for name, path in _names(config, layout).items():
    named[name] = weights.join([np.asarray(head[path], np.float32)], path)
  return named


def read(directory: Path, config: Config) -> dict[str, Any]:
  """Returns the head for masked tokens of a directory; {} = it has none.

  Args:
    directory: of an encoder, which has been read.
    config: what its config.json says.
  """
  layout = LAYOUTS.get(config.family)
  if layout is None:
    return {}
  path, found = directory / hf.WEIGHTS, {}
  with tensor_files.opened(path) as file:
    there, outer = {*file.keys()}, weights.wrapper(file, config)
    names = _names(config, layout)
    if f"{outer}{layout.bias}" not in there:
      # The last layer's own, as older files have it.
      names = {
        f"{layout.decoder}.bias" if name == layout.bias else name: ours
        for name, ours in names.items()
      }
    if not {outer + name for name in names} <= there:
      return {}
    for name, ours in names.items():
      tensor = file.get_tensor(outer + name).astype(np.float32)
      found |= weights.split(tensor, [ours])
    decoder = f"{outer}{layout.decoder}.weight"
    apart = decoder in there and not np.array_equal(
      file.get_tensor(decoder), file.get_tensor(_table(there, outer, config))
    )
  wanted = _shapes(config, layout)
  got = {name: array.shape for name, array in found.items()}
  finite = all(np.isfinite(array).all() for array in found.values())
  if apart or got != wanted or not finite:
    why = "it has a table of words of its own" if apart else "it is damaged"
    say(f"{path} has a head for masked words that is not taken: {why}")
    return {}
  return traverse_util.unflatten_dict(found, sep="/")


def _shapes(config: Config, layout: Layout) -> dict[str, tuple[int, ...]]:
  """Returns our path -> shape of the head's parameters."""
  V, E = weights.shapes(config)[f"{config.kind}/embeddings/word/embedding"]
  sides = {
    "dense/kernel": (config.width, E),
    "dense/bias": (E,),
    "norm/scale": (E,),
    "norm/bias": (E,),
    "bias": (V,),
  }
  return {path: sides[path] for path in _names(config, layout).values()}


def _table(there: Collection[str], outer: str, config: Config) -> str:
  """Returns what a file calls the table of words."""
  word = f"{config.kind}/embeddings/word/embedding"
  (name,) = (k for k, ours in weights.names(config).items() if ours[0] == word)
  whole = f"{outer}{FAMILIES[config.family].prefix}{name}"
  return whole if whole in there else outer + name
