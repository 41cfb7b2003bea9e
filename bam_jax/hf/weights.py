"""The tensors of an encoder by both their names, read from a safetensors file.

Each family's table of names serves both ways, and every tensor on either side
has to be accounted for: found there, or named among those that are dropped.
"""

import collections
from collections.abc import Mapping, Sequence
import json
from pathlib import Path
import re

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import safetensors

from bam_jax.hf.families import FAMILIES
from bam_jax.models import bert

# The tensors of one module: ours, theirs. A kernel is theirs transposed.
_TENSORS = {
  "table": (("embedding", "weight"),),
  "norm": (("scale", "weight"), ("bias", "bias")),
  "dense": (("kernel", "weight"), ("bias", "bias")),
}
# So many tensors that do not fit are named; the others are counted.
_MOST = 10


def names(config: bert.BertConfig) -> dict[str, tuple[str, ...]]:
  """Returns Hugging Face's name -> our paths, for every parameter there is.

  Where there are several paths, their tensors lie in one, in this order.
  """
  there = shapes(config)
  table = {
    f"{theirs.format(i=i)}.{their}": tuple(
      f"{ours.rpartition('/')[0]}/{one}/{our}".lstrip("/").format(i=i)
      for one in ours.rpartition("/")[2].split("+")
    )
    for ours, theirs, kind in FAMILIES[config.family].modules
    for i in (range(config.layers) if "{i}" in ours else (0,))
    for our, their in _TENSORS[kind]
  }
  named = {path for paths in table.values() for path in paths}
  assert there.keys() <= named, f"no name for {sorted(there.keys() - named)}"
  return {name: ours for name, ours in table.items() if ours[0] in there}


def shapes(config: bert.BertConfig) -> dict[str, tuple[int, ...]]:
  """Returns our path -> shape, asked of the modules, so none is forgotten."""
  ids = jax.ShapeDtypeStruct((1, 1), jnp.int32)
  first = jax.ShapeDtypeStruct((1, config.width), jnp.float32)

  def init(*ids, first):
    encoder = bert.Bert(config, jnp.float32, False)
    pooler = bert.Pooler(config, jnp.float32)
    key = jax.random.key(0)
    return {
      "bert": encoder.init(key, *ids, train=False)["params"],
      "pooler": pooler.init(key, first)["params"],
    }

  tree = jax.eval_shape(init, *[ids] * 4, first=first)
  flat = traverse_util.flatten_dict(tree, sep="/")
  return {path: leaf.shape for path, leaf in flat.items()}


def join(tensors: Sequence[np.ndarray], path: str) -> np.ndarray:
  """Returns the one tensor of a file that ours lie in, kernels transposed.

  Args:
    tensors: ours, of equal shape.
    path: of the first of them.
  """
  turned = [x.T if path.endswith("/kernel") else x for x in tensors]
  # safetensors writes the buffer as it lies, so a view would come out wrong.
  return np.ascontiguousarray(np.concatenate(turned))


def split(tensor: np.ndarray, paths: Sequence[str]) -> dict[str, np.ndarray]:
  """Returns our path -> tensor of what lies in one of a file."""
  return {
    path: np.ascontiguousarray(x.T if path.endswith("/kernel") else x)
    for path, x in zip(paths, np.split(tensor, len(paths)), strict=True)
  }


def _canonical(name: str, prefix: str) -> str:
  """The name that the encoder itself uses today for a tensor of the file."""
  name = name.removeprefix(prefix)
  name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
  return re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)


def read(
  path: Path,
  config: bert.BertConfig,
  *,
  kept: Sequence[int],
  aliases: Mapping[str, str],
) -> dict[str, np.ndarray]:
  """Reads some layers of an encoder: our path -> f32 tensor.

  Args:
    path: the file.
    config: what the whole file holds.
    kept: the layers to read; they are numbered anew, in this order.
    aliases: other modules' names -> those that they stand for here, in whose
      place they are read.

  Raises:
    ValueError: it is not a safetensors file, a tensor is missing, unexpected,
      misshapen or there twice, or a number is not finite.
  """
  try:
    # The library bounds and checks the header before anything is trusted.
    with safetensors.safe_open(path, framework="np") as file:
      known, problems = _account(file, config, aliases)
      problems += [f"twice: {name}" for name in _twice(path)]
      if problems:
        more = f"; and {len(problems) - _MOST} more" * (len(problems) > _MOST)
        raise ValueError(
          f"{path} is not the {config.family} encoder that its config.json "
          "describes; give a directory whose two files belong together: "
          # A tensor's name may hold anything.
          + "; ".join(" ".join(each.split())[:200] for each in problems[:_MOST])
          + more
        )
      new = {f"layer_{old}": f"layer_{i}" for i, old in enumerate(kept)}
      cut = {f"layer_{i}" for i in range(config.layers)} - new.keys()
      # What is too large for f32 becomes infinite, and is refused below.
      with np.errstate(over="ignore"):
        tensors = {
          name: file.get_tensor(name).astype(np.float32)
          for name, ours in known.items()
          if cut.isdisjoint(ours[0].split("/"))
        }
  except (safetensors.SafetensorError, OSError) as error:
    raise ValueError(
      f"{path} is not a whole safetensors file ({error}); download it again"
    ) from error
  for name, tensor in tensors.items():
    if not np.isfinite(tensor).all():
      raise ValueError(
        f"{path} has NaN or infinity in {name}; its training has "
        "diverged or the file is damaged, take another"
      )
  return {
    "/".join(new.get(part, part) for part in ours.split("/")): ours_alone
    for name, tensor in tensors.items()
    for ours, ours_alone in split(tensor, known[name]).items()
  }


def _twice(path: Path) -> list[str]:
  """Names that the header gives twice: each reader believes another one."""
  with path.open("rb") as file:
    # The library has opened the file, so the length is true.
    header = file.read(int.from_bytes(file.read(8), "little"))
  pairs = json.loads(header, object_pairs_hook=list)
  counts = collections.Counter(name for name, _ in pairs)
  return sorted(name for name, count in counts.items() if count > 1)


def _account(
  file, config: bert.BertConfig, aliases: Mapping[str, str]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
  """Matches a file's tensors to ours: its name -> our paths, what is off."""
  family = FAMILIES[config.family]
  found, problems = {}, []
  for name in sorted(file.keys()):
    theirs = _canonical(name, family.prefix)
    module, _, kind = theirs.rpartition(".")
    if module in aliases.values():
      continue
    if module in aliases:
      theirs = f"{aliases[module]}.{kind}"
    elif any(re.fullmatch(pattern, theirs) for pattern in family.dropped):
      continue
    if theirs in found:
      problems.append(f"twice: {found[theirs]} and {name}")
    found[theirs] = name
  if config.layers > len(found):  # before a table of so many is made
    said = (
      f"config.json says {config.layers}, the file has {len(found)} tensors"
    )
    return {}, [f"layers: {said}"]
  table = names(config)
  head = {k for k, v in table.items() if v[0].startswith("pooler/")}
  if head.isdisjoint(found):
    table = {k: v for k, v in table.items() if k not in head}
  problems += [f"missing: {name}" for name in table if name not in found]
  problems += [f"unexpected: {found[n]}" for n in found if n not in table]
  there = {found[k]: ours for k, ours in table.items() if k in found}
  wanted = shapes(config)
  for name, ours in there.items():
    piece = file.get_slice(name)
    got, kind = list(piece.get_shape()), piece.get_dtype()
    want = list(wanted[ours[0]])[:: -1 if ours[0].endswith("/kernel") else 1]
    want[0] *= len(ours)
    if got != want:
      problems.append(f"shape: {name} is {got}, config.json says {want}")
    if kind not in ("F64", "F32", "F16", "BF16"):
      problems.append(f"dtype: {name} is {kind}, not a float")
  return there, problems
