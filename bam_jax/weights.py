"""The tensors of a BERT by both their names, read from a safetensors file.

One table of names serves both ways, and every tensor on either side has to be
accounted for: found in the table, or named among those that are dropped.
"""

import collections
import json
from pathlib import Path
import re

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import safetensors

from bam_jax import bert

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
# So many tensors that do not fit are named; the others are counted.
_MOST = 10


def names(layers: int) -> dict[str, str]:
  """Returns our path -> Hugging Face's name, for every parameter there is."""
  return {
    f"{ours.format(i=i)}/{our}": f"{theirs.format(i=i)}.{their}"
    for ours, theirs, kind in _MODULES
    for i in (range(layers) if "{i}" in ours else (0,))
    for our, their in _TENSORS[kind]
  }


def shapes(config: bert.BertConfig) -> dict[str, tuple[int, ...]]:
  """Returns our path -> shape, asked of the module, so none is forgotten."""
  module = bert.Bert(config, jnp.float32, False)
  ids = jax.ShapeDtypeStruct((1, 1), jnp.int32)
  variables = jax.eval_shape(
    lambda *inputs: module.init(jax.random.key(0), *inputs, train=False),
    *[ids] * 4,
  )
  pooler = {"kernel": (config.width,) * 2, "bias": (config.width,)}
  tree = {"bert": jax.tree.map(lambda x: x.shape, variables["params"])}
  shapes = traverse_util.flatten_dict(tree | {"pooler": pooler}, sep="/")
  assert shapes.keys() == names(config.layers).keys(), "table is not bert.py's"
  return shapes


def turn(ours: str, tensor: np.ndarray) -> np.ndarray:
  """Returns a tensor with kernels transposed, from theirs to ours and back."""
  # safetensors writes the buffer as it lies, so a view would come out wrong.
  return np.ascontiguousarray(tensor.T if ours.endswith("/kernel") else tensor)


def _canonical(name: str) -> str:
  """The name that BertModel itself uses today for a tensor of the file."""
  name = name.removeprefix("bert.")
  name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
  return re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)


def read(
  path: Path, config: bert.BertConfig, *, layers: int
) -> dict[str, np.ndarray]:
  """Reads the first layers of an encoder: our path -> f32 tensor.

  Args:
    path: the file.
    config: what the whole file holds.
    layers: keep only so many.

  Raises:
    ValueError: it is not a safetensors file, a tensor is missing, unexpected,
      misshapen or there twice, or a number is not finite.
  """
  cut = {f"layer_{i}" for i in range(layers, config.layers)}
  try:
    # The library bounds and checks the header before anything is trusted.
    with safetensors.safe_open(path, framework="np") as file:
      known, problems = _account(file, config)
      problems += [f"twice: {name}" for name in _twice(path)]
      if problems:
        more = f"; and {len(problems) - _MOST} more" * (len(problems) > _MOST)
        raise ValueError(
          f"{path} is not the BERT that its config.json describes; give a "
          "directory whose two files belong together: "
          # A tensor's name may hold anything.
          + "; ".join(" ".join(each.split())[:200] for each in problems[:_MOST])
          + more
        )
      # What is too large for f32 becomes infinite, and is refused below.
      with np.errstate(over="ignore"):
        tensors = {
          ours: turn(ours, file.get_tensor(name).astype(np.float32))
          for ours, name in known.items()
          if cut.isdisjoint(ours.split("/"))
        }
  except (safetensors.SafetensorError, OSError) as error:
    raise ValueError(
      f"{path} is not a whole safetensors file ({error}); download it again"
    ) from error
  for ours, tensor in tensors.items():
    if not np.isfinite(tensor).all():
      raise ValueError(
        f"{path} has NaN or infinity in {known[ours]}; its training has "
        "diverged or the file is damaged, take another"
      )
  return tensors


def _twice(path: Path) -> list[str]:
  """Names that the header gives twice: each reader believes another one."""
  with path.open("rb") as file:
    # The library has opened the file, so the length is true.
    header = file.read(int.from_bytes(file.read(8), "little"))
  pairs = json.loads(header, object_pairs_hook=list)
  counts = collections.Counter(name for name, _ in pairs)
  return sorted(name for name, count in counts.items() if count > 1)


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
  if config.layers > len(found):  # before a table of so many is made
    said = (
      f"config.json says {config.layers}, the file has {len(found)} tensors"
    )
    return {}, [f"layers: {said}"]
  table = names(config.layers)
  if not any(theirs.startswith("pooler.") for theirs in found):
    table = {k: v for k, v in table.items() if not k.startswith("pooler/")}
  known = set(table.values())
  problems += [f"missing: {n}" for n in table.values() if n not in found]
  problems += [f"unexpected: {found[n]}" for n in found if n not in known]
  there = {k: found[v] for k, v in table.items() if v in found}
  wanted = shapes(config)
  for ours, name in there.items():
    piece = file.get_slice(name)
    got, kind = list(piece.get_shape()), piece.get_dtype()
    want = list(wanted[ours])[:: -1 if ours.endswith("/kernel") else 1]
    if got != want:
      problems.append(f"shape: {name} is {got}, config.json says {want}")
    if kind not in ("F64", "F32", "F16", "BF16"):
      problems.append(f"dtype: {name} is {kind}, not a float")
  return there, problems
