"""Compiles a training step for TPUs that are not here, and says what it costs.

The compiler is the TPUs' own, from the package libtpu; it needs no TPU, and
nothing is run.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import importlib.metadata
import os
import re
import time
from typing import Any

import jax
from jax.experimental import topologies
from packaging.requirements import Requirement

from bam_jax.models.multitask import MultiTask
from bam_jax.runtime.errors import first_line
from bam_jax.training import memory
from bam_jax.training.settings import Settings

EXAMPLE = "v5e:4x4, v5p:2x2x2 or v6e:4x4"
# Products are made whole, whatever has to be gathered for them.
_WHOLE = {"xla_jf_spmd_threshold_for_windowed_einsum_mib": "1000000"}
# Steps of the run; they are numbers in the schedules and cost nothing.
_STEPS = 1000


@dataclasses.dataclass(frozen=True)
class Chip:
  """What Google publishes of a chip.

  Attributes:
    hbm: bytes of memory.
    flops: bf16 operations in a second.
    wire: bytes a second to other chips, one way over all links.
    clock: cycles in a second, as they follow from `flops` and the number of
      128 x 128 matrix units; None = not published.
  """

  hbm: float
  flops: float
  wire: float
  clock: float | None


# By jax's device_kind; https://docs.cloud.google.com/tpu/docs/v5e, v5p and v6e.
_UNIT = 2 * 128 * 128  # FLOPs of a matrix unit in a cycle
CHIPS = {
  "TPU v5 lite": Chip(16e9, 197e12, 200e9, 197e12 / (4 * _UNIT)),
  "TPU v5": Chip(95e9, 459e12, 600e9, 459e12 / (8 * _UNIT)),
  "TPU v6 lite": Chip(32e9, 918e12, 400e9, None),
}


@dataclasses.dataclass(frozen=True)
class Cost:
  """What a compiled step costs; all of it is of one device.

  Attributes:
    topology: as it was asked for.
    kind: of the devices.
    devices: how many.
    mesh: axis -> devices along it.
    rows: of the whole batch, B.
    width: tokens in a row, S.
    dtype: what is computed in.
    bytes: held while the step runs.
    temporary: those of them that only live within the step.
    hbm: the device's memory; None = not known.
    loops: that the compiler made of products and collectives; of each, one
      turn or none is counted in what follows, so that it is the least.
    flops: as the compiler counts them.
    collectives: kind -> `count` and `bytes` that go in or come out of them,
      whichever is more.
    cycles: the compiler's estimate for all but the collectives, one
      instruction after the other.
    seconds: those cycles at the published clock; None = not known.
    wire_seconds: the least that the collectives take at the published rate, a
      sum over all devices going around twice and all else once; None = not
      known.
    optimal_seconds: XLA's own estimate; None where it gives none above 0.
    compile_seconds: what compiling took here.
  """

  topology: str
  kind: str
  devices: int
  mesh: dict[str, int]
  rows: int
  width: int
  dtype: str
  bytes: int
  temporary: int
  hbm: float | None
  loops: int
  flops: float
  collectives: dict[str, dict[str, int]]
  cycles: int
  seconds: float | None
  wire_seconds: float | None
  optimal_seconds: float | None
  compile_seconds: float


def devices(topology: str) -> Sequence[jax.Device]:
  """Returns the devices of a slice, to compile for.

  Args:
    topology: such as "v5e:4x4".

  Raises:
    ValueError: the compiler is not installed, does not fit jax, or knows no
      such slice.
  """
  check_compiler()
  # It takes no TPU, so that several may compile at once; else it would lock
  # the others out, and ask the network which TPU this is.
  os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
  os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
  os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
  os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-1")
  # It takes a host for one of four chips at least, unless it is told.
  one = set(topology.partition(":")[2].split("x")) == {"1"}
  host = {"chips_per_host_bounds": (1, 1, 1)} if one else {}
  try:
    slice_ = topologies.get_topology_desc(topology, platform="tpu", **host)
    return slice_.devices
  except (jax.errors.JaxRuntimeError, NotImplementedError) as error:
    raise ValueError(
      f"topology {topology!r} is none that the TPU compiler knows "
      f"({first_line(error).rstrip('.')}); type one like {EXAMPLE}"
    ) from error


def check_compiler() -> None:
  """Refuses to go on without the libtpu that this jax was made for.

  Raises:
    ValueError: it is not installed, or another version of it.
  """
  found = map(Requirement, importlib.metadata.requires("jax") or ())
  wanted = next(str(each.specifier) for each in found if each.name == "libtpu")
  cure = f"type: pip install 'libtpu{wanted}'"
  try:
    got = importlib.metadata.version("libtpu")
  except importlib.metadata.PackageNotFoundError:
    raise ValueError(f"the TPU compiler is not installed; {cure}") from None
  if not Requirement(f"libtpu{wanted}").specifier.contains(got):
    raise ValueError(
      f"libtpu {got} is not the compiler that jax {jax.__version__} was made "
      f"for; {cure}"
    )


def cost(
  model: MultiTask,
  batch: Mapping[str, Any],
  settings: Settings,
  mesh: jax.sharding.Mesh,
  *,
  topology: str,
  whole: bool,
) -> Cost:
  """Compiles a step for devices that are not here; returns what it costs.

  Args:
    model: the model.
    batch: arrays [R, B, ...], whose shapes and types alone count.
    settings: of the run.
    mesh: of the slice's devices.
    topology: the slice, such as "v5e:4x4".
    whole: keep the compiler from making loops of products that go on while
      their operands are sent around. A run has them, but they are not counted.

  Raises:
    ValueError: the step does not fit the device.
  """
  trials, rows, width = batch["tokens"].shape
  lowered = memory.lower(
    model, _STEPS, batch, trials=trials, settings=settings, mesh=mesh
  )
  start = time.monotonic()
  try:
    compiled = lowered.compile(compiler_options=_WHOLE if whole else None)
  except jax.errors.JaxRuntimeError as error:
    if "RESOURCE_EXHAUSTED" not in str(error):
      raise
    raise ValueError(
      f"the step does not fit {topology}: {first_line(error).rstrip('.')}; try "
      "more --config.mesh.fsdp, --config.remat=True, or fewer --rows"
    ) from error
  taken = time.monotonic() - start
  counted, text = compiled.cost_analysis(), compiled.as_text()
  kind = mesh.devices.flat[0].device_kind
  chip = CHIPS.get(kind)
  moved, spent = collectives(text), cycles(text)
  around = sum(
    each["bytes"] * (2 if what == "all-reduce" else 1)
    for what, each in moved.items()
  )
  optimal = counted.get("optimal_seconds", 0)
  return Cost(
    topology=topology,
    kind=kind,
    devices=mesh.devices.size,
    mesh=dict(mesh.shape),
    rows=rows,
    width=width,
    dtype=settings.config.dtype,
    bytes=memory.held(compiled),
    temporary=compiled.memory_analysis().temp_size_in_bytes,
    hbm=chip.hbm if chip else None,
    loops=loops(text),
    flops=counted["flops"],
    collectives=moved,
    cycles=spent,
    seconds=spent / chip.clock if chip and chip.clock else None,
    wire_seconds=around / chip.wire if chip else None,
    optimal_seconds=optimal if optimal > 0 else None,
    compile_seconds=taken,
  )


# --- what the compiled program says

_KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all")
_KINDS += ("collective-permute",)
# A name, its type, what it is, what it takes. Types hold no " word(".
_INSTRUCTION = re.compile(r"^ *(?:ROOT )?%(\S+) = (.*?) ([a-z][\w-]*)\((.*)$")
_ARRAY = re.compile(r"\b(pred|[a-z]+\d+)\w*\[([\d,]*)\]")


def collectives(text: str) -> dict[str, dict[str, int]]:
  """Returns count and bytes of every kind of collective of one device.

  Args:
    text: the compiled program, as XLA writes it.
  """
  types, found, seen = {}, {}, set()
  for line in text.splitlines():
    match = _INSTRUCTION.match(line)
    if not match:
      continue
    name, shape, what, rest = match.groups()
    types[name] = shape
    kind = what.removesuffix("-start")
    channel = re.search(r"channel_id=(\d+)", rest)
    # One that is spread over other work is written once for each piece.
    if kind not in _KINDS or (channel and channel[1] in seen):
      continue
    seen |= {channel[1]} if channel else set()
    operands = re.findall(r"%([\w.-]+)", rest.partition(")")[0])
    taken = sum(size(types.get(each, "")) for each in operands)
    # What starts one gives back what it took, too.
    given = size(shape) - (taken if what != kind else 0)
    entry = found.setdefault(kind, {"count": 0, "bytes": 0})
    entry["count"] += 1
    entry["bytes"] += max(taken, given)
  return dict(sorted(found.items()))


def loops(text: str) -> int:
  """Returns how many loops a program has; see `collectives`."""
  found = map(_INSTRUCTION.match, text.splitlines())
  return sum(bool(each) and each[3] == "while" for each in found)


def size(shape: str) -> int:
  """Returns the bytes of a type, as in "(f32[3,5]{1,0}, bf16[7])"."""
  total = 0
  for dtype, dimensions in _ARRAY.findall(shape):
    count = 1
    for each in dimensions.split(","):
      count *= int(each or 1)
    bits = 8 if dtype == "pred" else int(re.sub(r"\D", "", dtype))
    total += -(-count * bits // 8)
  return total


def cycles(text: str) -> int:
  """Returns the cycles that the TPU compiler expects of a whole program."""
  main = text.partition("\nENTRY ")[2]
  return sum(map(int, re.findall(r'"estimated_cycles":"(\d+)"', main)))
