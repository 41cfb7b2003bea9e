"""The tensors of an encoder by both their names, read from a safetensors file.

Each family's table of names serves both ways, and every tensor on either side
has to be accounted for: found there, or named among those that are dropped.
"""

import collections
from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import functools
from pathlib import Path
import re
import reprlib
import types
from typing import Any

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from bam_jax.hf import tensor_files
from bam_jax.hf.families import FAMILIES
from bam_jax.hf.family import Config
from bam_jax.models import encoders
from bam_jax.runtime.console import say

# The tensors of one module: ours, theirs. A kernel is theirs transposed.
_TENSORS = {
  "table": (("embedding", "weight"),),
  "norm": (("scale", "weight"), ("bias", "bias")),
  "dense": (("kernel", "weight"), ("bias", "bias")),
}
# The prefix of a family that says nothing of it.
GENERIC = "model."
FLOATS = ("F64", "F32", "F16", "BF16")
# So many tensors that do not fit are named; the others are counted.
_MOST = 10


def names(config: Config) -> dict[str, tuple[str, ...]]:
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


@functools.cache
def shapes(config: Config) -> Mapping[str, tuple[int, ...]]:
  """Returns our path -> shape, asked of the modules, so none is forgotten.

  To ask takes half a second, and several parts of a program do.
  """
  ids = jax.ShapeDtypeStruct((1, 1), jnp.int32)
  first = jax.ShapeDtypeStruct((1, config.width), jnp.float32)

  def init(*ids, first):
    kind = encoders.of(config)
    encoder = kind.module(config, jnp.float32, False)
    pooler = kind.pooler(config, jnp.float32)
    key = jax.random.key(0)
    return {
      config.kind: encoder.init(key, *ids, train=False)["params"],
      "pooler": pooler.init(key, first)["params"],
    }

  tree = jax.eval_shape(init, *[ids] * 4, first=first)
  flat = traverse_util.flatten_dict(tree, sep="/")
  return types.MappingProxyType(
    {path: leaf.shape for path, leaf in flat.items()}
  )


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


def _canonical(name: str, *prefixes: str) -> str:
  """The name that the encoder itself uses today for a tensor of the file."""
  for prefix in prefixes:
    name = name.removeprefix(prefix)
  name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
  return re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)


def read(
  path: Path,
  config: Config,
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
  with tensor_files.opened(path) as file:
    found = _account(file, path, config, aliases)
    new = {f"layer_{old}": f"layer_{i}" for i, old in enumerate(kept)}
    cut = {f"layer_{i}" for i in range(config.layers)} - new.keys()
    # What is too large for f32 becomes infinite, and is refused below.
    with np.errstate(over="ignore"):
      tensors = {
        name: file.get_tensor(name).astype(np.float32)
        for name, ours in found.known.items()
        if cut.isdisjoint(ours[0].split("/"))
      }
  if found.wrapper:
    say(
      f"{path}: the names of its tensors begin with {found.wrapper!r}, as a "
      "program that wraps a model leaves them; they are read without it"
    )
  if found.others:
    say(
      f"{path} also holds {reprlib.repr(found.others)}, which are not the "
      "encoder's and are left out"
    )
  for name, tensor in tensors.items():
    if not np.isfinite(tensor).all():
      raise ValueError(
        f"{path} has NaN or infinity in {name}; its training has "
        "diverged or the file is damaged, take another"
      )
  return {
    "/".join(new.get(part, part) for part in ours.split("/")): ours_alone
    for name, tensor in tensors.items()
    for ours, ours_alone in split(tensor, found.known[name]).items()
  }


@dataclasses.dataclass(frozen=True)
class _Found:
  """How a file's tensors are ours.

  Attributes:
    known: its name -> our paths.
    wrapper: what its names begin with, before what transformers calls them.
    others: names of tensors that are beside the encoder.
  """

  known: Mapping[str, tuple[str, ...]]
  wrapper: str
  others: Sequence[str]


def wrapper(file: Any, config: Config) -> str:
  """Returns what a program that wraps a model has put before all its names.

  Args:
    file: from `tensor_files.opened`.
    config: what the file holds.
  """
  begin = _beginning(file.keys(), config)
  return begin.removesuffix(FAMILIES[config.family].prefix)


def _beginning(found: Iterable[str], config: Config) -> str:
  """Returns what stands before the encoder's own names in a file.

  Raises:
    ValueError: several encoders are in it.
  """
  table, places = names(config), collections.defaultdict(set)
  for name in found:
    parts = _canonical(name).split(".")
    for i in range(len(parts)):
      if (known := ".".join(parts[i:])) in table:
        places[".".join([*parts[:i], ""])].add(known)
        break
  if not places:
    return ""
  most, *others = sorted(places, key=lambda each: -len(places[each]))
  for other in others:
    # What two have in common is more than a head that is named alike.
    if len(places[other] & places[most]) > len(table) / 2:
      raise ValueError(
        f"holds several encoders, whose tensors begin with {most!r} and "
        f"{other!r}; save the one that is meant by itself"
      )
  return most


def _account(
  file: Any, path: Path, config: Config, aliases: Mapping[str, str]
) -> _Found:
  """Matches a file's tensors to ours.

  Raises:
    ValueError: they are not what config.json describes.
  """
  family, theirs = FAMILIES[config.family], sorted(file.keys())
  if config.layers > len(theirs):  # before a table of so many is made
    raise _unfit(
      path,
      config,
      [
        f"layers: config.json says {config.layers}, the file has {len(theirs)} "
        "tensors"
      ],
    )
  _refuse_kinds(path, theirs)
  try:
    begin = _beginning(theirs, config)
  except ValueError as error:
    raise ValueError(f"{path} {error}") from error
  outer = begin.removesuffix(family.prefix)
  _refuse_family(path, config, outer)
  found, others, problems = {}, [], []
  # Of two of one name the encoder's own is the one that is beneath `begin`.
  for name in sorted(theirs, key=lambda each: not each.startswith(begin)):
    ours = _canonical(name, outer, family.prefix)
    module, _, kind = ours.rpartition(".")
    if module in aliases.values():
      continue
    if module in aliases:
      ours = f"{aliases[module]}.{kind}"
    elif any(re.fullmatch(pattern, ours) for pattern in family.dropped):
      continue
    if ours not in found:
      found[ours] = name
    elif name.startswith(begin):
      problems.append(f"twice: {found[ours]} and {name}")
    else:
      others.append(name)
  table = names(config)
  head = {k for k, v in table.items() if v[0].startswith("pooler/")}
  if head.isdisjoint(found):
    table = {k: v for k, v in table.items() if k not in head}
  problems += [f"missing: {name}" for name in table if name not in found]
  for ours, name in found.items():
    if ours in table:
      continue
    if name.startswith(begin):
      problems.append(f"unexpected: {name}")
    else:
      others.append(name)
  known = {found[k]: ours for k, ours in table.items() if k in found}
  problems += _misshapen(file, known, config)
  problems += [f"twice: {name}" for name in tensor_files.twice(path)]
  rounded = _rounded(file, known)
  if problems:
    raise _unfit(path, config, [*problems, *rounded])
  if rounded:
    raise ValueError(
      f"{path} holds {len(rounded)} tensors of numbers that cannot be trained, "
      f"as quantised weights are: {rounded[0]}; give the model that they were "
      f"made from, its tensors {', '.join(FLOATS)}"
    )
  return _Found(known, outer, others)


def _unfit(path: Path, config: Config, problems: Sequence[str]) -> ValueError:
  """Returns what to say of tensors that are not those of config.json."""
  more = f"; and {len(problems) - _MOST} more" * (len(problems) > _MOST)
  return ValueError(
    f"{path} is not the {config.family} encoder that its config.json "
    "describes; give a directory whose two files belong together: "
    # A tensor's name may hold anything.
    + "; ".join(" ".join(each.split())[:200] for each in problems[:_MOST])
    + more
  )


def _misshapen(
  file: Any, known: Mapping[str, tuple[str, ...]], config: Config
) -> list[str]:
  wanted, problems = shapes(config), []
  for name, ours in known.items():
    got = list(file.get_slice(name).get_shape())
    want = list(wanted[ours[0]])[:: -1 if ours[0].endswith("/kernel") else 1]
    want[0] *= len(ours)
    if got != want:
      problems.append(f"shape: {name} is {got}, config.json says {want}")
  return problems


def _refuse_kinds(path: Path, theirs: Sequence[str]) -> None:
  """Refuses an encoder's weights with something put into them."""
  for part, what, cure in (
    (
      r"\.(lora_\w+|base_layer|modules_to_save)\.",
      "an adapter of peft that is not merged",
      "merge it by merge_and_unload() and save that",
    ),
    (
      r"\.(qweight|qzeros|weight_scale|weight\.(absmax|quant_map)|SCB)$",
      "weights that are rounded to be small",
      "give the model that it was made from",
    ),
  ):
    if found := [name for name in theirs if re.search(part, name)]:
      raise ValueError(
        f"{path} holds {what} ({' '.join(found[0].split())[:200]}); {cure}"
      )


def _refuse_family(path: Path, config: Config, outer: str) -> None:
  """Refuses another family's tensors, which compute otherwise, as BERT's.

  BERT is what a config.json means that names none. Where one is named, a
  program may well have called its encoder "bert", whatever it is.
  """
  if config.family != "bert":
    return
  for family in FAMILIES.values():
    known = family.prefix in (FAMILIES["bert"].prefix, GENERIC)
    if not known and outer.endswith(family.prefix):
      raise ValueError(
        f"{path} holds a {family.name} (its tensors begin with {outer!r}), but "
        "its config.json says that it is a bert; give a directory whose two "
        "files belong together"
      )


def _rounded(file: Any, known: Iterable[str]) -> list[str]:
  """Returns which tensors are of numbers that are no floats."""
  kinds = {name: file.get_slice(name).get_dtype() for name in known}
  return [
    f"dtype: {name} is {kind}, not a float"
    for name, kind in kinds.items()
    if kind not in FLOATS
  ]
