"""Classification models in transformers' layout, written and read."""

from collections.abc import Mapping
import dataclasses
from pathlib import Path
import re
import reprlib
from typing import Any

from flax import traverse_util
import numpy as np

from bam_jax.hf import directory as hf
from bam_jax.hf import tensor_files, weights
from bam_jax.hf.families import FAMILIES
from bam_jax.hf.family import Config
from bam_jax.hf.layouts import LAYOUTS, POOLING, SEQUENCES, Layout
from bam_jax.tasks.description import Description, Head, parse
from bam_jax.tasks.kinds import KINDS
from bam_jax.tasks.learn import USUAL_POOL

# Our own settings in config.json, which transformers keeps and does not read.
OURS = "bam_jax"


@dataclasses.dataclass(frozen=True)
class Classifier:
  """A classification model as its directory says it.

  Attributes:
    config: of the encoder.
    params: {"bert": ..., "pooler": ...}, f32.
    head: {"kernel": f32[D, C], "bias": f32[C]}.
    labels: C label names; () where it gives one number.
    pool: of which tokens it reads, a row of `pooling.POOLS`.
    description: of its one head, if bam_jax has written it.
    raw: all that config.json says.
    directory: where the tokenizer is.
  """

  config: Config
  params: Mapping[str, Any]
  head: Mapping[str, np.ndarray]
  labels: tuple[str, ...]
  pool: str
  description: Description | None
  raw: Mapping[str, Any]
  directory: Path


def layout_of(config: Config, head: Head) -> Layout:
  """Returns the head that transformers has for one of ours.

  Raises:
    ValueError: the family has no head that is ours.
  """
  model = KINDS[head.kind].model
  built, _ = head.learn.built(KINDS[head.kind])
  if built != KINDS[head.kind].head:
    raise ValueError(
      f"transformers has no {model} that computes what the head {built} of "
      f"{head.name} does; bam_jax.load answers it, from the run or from an"
      " export with --task=all; --format=stablehlo is for other programs"
    )
  if config.family not in LAYOUTS[model]:
    raise ValueError(
      f"{config.family} has no {model} in transformers that computes what our "
      f"head of {head.name} does; export all heads with --task=all"
    )
  layout, pool = LAYOUTS[model][config.family], head.learn.pool or USUAL_POOL
  if pool not in layout.pools:
    raise ValueError(
      f"the head of {head.name} reads by the pool {pool}, and transformers' "
      f"{layout.model} reads by {' or '.join(layout.pools)} alone; "
      "bam_jax.load answers it, from the run or from an export with --task=all"
    )
  return layout


def rename(config: Config, layout: Layout) -> dict[str, str]:
  """Returns the encoder file's name -> the classifier file's, for its tensors.

  Those of a pooler that it has not are left out.
  """
  prefix = FAMILIES[config.family].prefix
  pooler = LAYOUTS["SequenceClassification"][config.family].pooler
  found = {}
  for name in weights.names(config):
    module, _, kind = name.rpartition(".")
    if module in pooler and layout.pooler is None:
      continue
    new = (layout.pooler or {}).get(module, prefix + module)
    found[name] = f"{new}.{kind}"
  return found


def describe(
  config: Config, description: Description, about: Mapping[str, Any]
) -> dict[str, Any]:
  """Returns config.json of a classifier.

  Args:
    config: of the encoder.
    description: of its one head.
    about: where it comes from, and `head_dropout`.
  """
  (head,) = description.heads
  layout = layout_of(config, head)
  problem = KINDS[head.kind].problem_type
  names = KINDS[head.kind].columns_of(head) or (head.name,)
  ours = description.record() | dict(about)
  if head.range:
    ours["value"] = head.formula(description.regression_output)
  return {
    **hf.write_config(config),
    **layout.fixed,
    **layout.pooled(head.learn.pool or USUAL_POOL),
    "architectures": [layout.model],
    **({layout.dropout: about["head_dropout"]} if layout.dropout else {}),
    **({"problem_type": problem} if problem else {}),
    "id2label": {str(i): name for i, name in enumerate(names)},
    "label2id": {name: i for i, name in enumerate(names)},
    OURS: ours,
  }


def tensors(
  config: Config, params: Mapping[str, Any], description: Description
) -> dict[str, np.ndarray]:
  """Returns transformers' name -> tensor of the encoder with one head.

  Args:
    config: of the encoder.
    params: {"bert": ..., "pooler": ..., "heads": ...}.
    description: of the one head.
  """
  (meant,) = description.heads
  layout = layout_of(config, meant)
  new, output = rename(config, layout), layout.output
  encoder = {part: params[part] for part in (config.kind, "pooler")}
  named = {
    new[k]: v for k, v in hf.tensors(config, encoder).items() if k in new
  }
  head = params["heads"][meant.parameters]
  kernel = np.asarray(head["kernel"], np.float32)
  return named | {
    f"{output}.weight": np.ascontiguousarray(kernel.T),
    f"{output}.bias": np.asarray(head["bias"], np.float32),
  }


def is_classifier(directory: Path) -> bool:
  """Tells whether a directory says that it holds a classification model."""
  if not (directory / hf.CONFIG).is_file():
    return False
  named = hf.read_raw(directory / hf.CONFIG).get("architectures") or []
  return any(
    named == [layout.model]
    for layouts in LAYOUTS.values()
    for layout in layouts.values()
  )


def _layout(raw: Mapping[str, Any], config: Config) -> Layout:
  """Returns the head that config.json names, or else a family's usual one."""
  named = raw.get("architectures") or []
  for layouts in LAYOUTS.values():
    if (found := layouts.get(config.family)) and [found.model] == named:
      return found
  return SEQUENCES[config.family]


def read(directory: Path) -> Classifier:
  """Reads a classification model, whoever has written it.

  Args:
    directory: with config.json, model.safetensors and a tokenizer.

  Raises:
    ValueError: a file is missing or is not what config.json says.
  """
  path = directory / hf.CONFIG
  raw, config = hf.read_raw(path), hf.read_config(path)
  layout = _layout(raw, config)
  for key, value in layout.fixed.items():
    if raw.get(key, value) != value:
      raise ValueError(
        f"{path} says {key} {reprlib.repr(raw[key])}; only {value!r} can be "
        "read, or the encoder alone: --config.init_part=encoder"
      )
  pool = _pool(raw, layout, path)
  labels = layout.columns
  if labels is None:
    labels = _labels(raw, path)
  params = read_encoder(directory)
  with tensor_files.opened(directory / hf.WEIGHTS) as file:
    output = weights.wrapper(file, config) + layout.output
    tensors = [f"{output}.weight", f"{output}.bias"]
    if not {*tensors} <= {*file.keys()}:
      raise ValueError(
        f"{directory / hf.WEIGHTS} has no head {output}, which {path} names; "
        "give a model with it, or take the encoder alone: "
        "--config.init_part=encoder"
      )
    weight, bias = (
      file.get_tensor(name).astype(np.float32) for name in tensors
    )
  wanted = (len(labels) or 1, config.width)
  if weight.shape != wanted or bias.shape != wanted[:1]:
    raise ValueError(
      f"{directory / hf.WEIGHTS} has a head {layout.output} of shape "
      f"{weight.shape}, {path} names {wanted[0]} labels for a width of "
      f"{config.width}"
    )
  if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
    raise ValueError(
      f"{directory / hf.WEIGHTS} has NaN or infinity in {layout.output}"
    )
  return Classifier(
    config=config,
    params=params,
    head={"kernel": np.ascontiguousarray(weight.T), "bias": bias},
    labels=labels,
    pool=pool,
    description=parse(raw[OURS], path) if OURS in raw else None,
    raw=raw,
    directory=directory,
  )


def _pool(raw: Mapping[str, Any], layout: Layout, path: Path) -> str:
  """Returns of which tokens a head reads, a row of `pooling.POOLS`."""
  words = {word: pool for pool, word in layout.pools.items()}
  if "" in words:
    return words[""]
  got = raw.get(POOLING, next(iter(words)))
  if got not in tuple(words):
    raise ValueError(
      f"{path} says {POOLING} {reprlib.repr(got)}; only "
      f"{' or '.join(map(repr, words))} can be read, or the encoder alone: "
      "--config.init_part=encoder"
    )
  return words[got]


def read_encoder(directory: Path) -> dict[str, Any]:
  """Returns {"bert": ..., "pooler": ...} of a classification model.

  One that reads the tokens has no pooler.

  Its head is not looked at, nor what its head reads.

  Raises:
    ValueError: a file is missing or is not what config.json says.
  """
  config = hf.read_config(directory / hf.CONFIG)
  layout = _layout(hf.read_raw(directory / hf.CONFIG), config)
  prefix, pooler = FAMILIES[config.family].prefix, layout.pooler or {}
  aliases = {new.removeprefix(prefix): old for old, new in pooler.items()}
  flat = weights.read(
    hf.weights_of(directory, directory),
    config,
    kept=range(config.layers),
    aliases={new: old for new, old in aliases.items() if new != old},
  )
  if layout.pooler and "pooler/kernel" not in flat:
    raise ValueError(
      f"{directory / hf.WEIGHTS} has no {', '.join(pooler.values())}; a "
      "classification model needs it"
    )
  return traverse_util.unflatten_dict(flat, sep="/")


def _labels(raw: Mapping[str, Any], path: Path) -> tuple[str, ...]:
  """Returns the label names by class number; () for one number."""
  named = raw.get("id2label")
  if named is None:  # transformers leaves out what it would name itself
    named = {"0": "LABEL_0", "1": "LABEL_1"}
  try:
    found = {int(number): str(name) for number, name in named.items()}
  except (AttributeError, TypeError, ValueError):
    found = {}
  if sorted(found) != list(range(len(found))) or not found:
    raise ValueError(
      f"{path} says id2label {reprlib.repr(named)}; it has to name classes 0, "
      "1, 2 ..."
    )
  problem = raw.get("problem_type")
  several = KINDS["multilabel"].problem_type
  alone = len(found) == 1 and problem != several
  regression = problem == "regression" or alone
  return () if regression else tuple(found[i] for i in range(len(found)))


def plain(label: str) -> str:
  """Returns a label name without case and without what joins its words."""
  return re.sub(r"[-_\s]+", "_", label.strip()).casefold()


def order(labels: tuple[str, ...], head: Head) -> list[int] | None:
  """Returns where each of a head's columns stands among others; None = not so.

  Names are compared without case; the positions never count.
  """
  theirs = [plain(label) for label in labels]
  mine = [plain(label) for label in KINDS[head.kind].columns_of(head)]
  if sorted(theirs) != sorted(mine) or len(set(mine)) < len(mine):
    return None
  return [theirs.index(label) for label in mine]
