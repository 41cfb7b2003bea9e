"""What the machine has and whether it computes: devices, memory, caches."""

from collections.abc import Iterator
import glob
import os
from pathlib import Path
import shutil
import time
import urllib.parse

from huggingface_hub import constants
import jax
import jax.numpy as jnp
import numpy as np
import psutil

from bam_jax.runtime.console import bar
from bam_jax.runtime.errors import one_line
from bam_jax.runtime.findings import Finding, Level

# Seconds that the products of one type are measured for, all together.
SECONDS = 2.0
# What the system shows of an accelerator, and what lets jax see it.
ACCELERATORS = {
  "/dev/nvidia[0-9]*": "jax[cuda12]",
  "/dev/accel[0-9]*": "jax[tpu]",
}
# BERT-base with Adam, three arrays of 110 million f32, kept twice in training.
LOW_DISK = 3 * 2 * 110e6 * 4
# Rounding of f32 sums of 129 products, the inputs being exact.
TOLERANCE = 1e-5


def devices() -> Iterator[Finding]:
  """Yields the devices that jax sees, or why it sees none."""
  try:
    found = jax.devices()
  except RuntimeError as error:
    yield Finding(
      Level.PROBLEM,
      "devices",
      f"jax finds none ({one_line(error)}); mend its driver, or do without: "
      "JAX_PLATFORMS=cpu",
    )
    return
  platform = found[0].platform
  text = f"{len(found)} x {found[0].device_kind}, platform {platform}"
  yield Finding(Level.OK, "devices", text)
  for pattern, package in ACCELERATORS.items():
    there = glob.glob(pattern)
    if there and platform == "cpu":
      only = os.environ.get("JAX_PLATFORMS")
      cure = "unset JAX_PLATFORMS" if only else f"pip install -U '{package}'"
      yield Finding(
        Level.WARNING,
        "devices",
        f"{there[0]} is there and jax sees only the CPU; type: {cure}",
      )


def memory(place: Path | None) -> Iterator[Finding]:
  """Yields how much memory is free; `place` is where results will go."""
  stats = {d: d.memory_stats() for d in jax.local_devices()}
  parts = [
    f"device {d.id}: {_size(s['bytes_limit'] - s['bytes_in_use'])} free"
    for d, s in stats.items()
    if s and "bytes_limit" in s
  ]
  ram = psutil.virtual_memory()
  parts.append(f"RAM: {_size(ram.available)} free of {_size(ram.total)}")
  yield Finding(Level.OK, "memory", "; ".join(parts))
  place = existing(place or Path())
  free = shutil.disk_usage(place).free
  text = f"{_size(free)} free at {place}"
  if free < LOW_DISK:
    text += (
      f"; BERT-base in training takes {_size(LOW_DISK)}: make room, or take "
      "another --workdir"
    )
  level = Level.WARNING if free < LOW_DISK else Level.OK
  yield Finding(level, "disk", text)


def existing(path: Path) -> Path:
  """Returns the path, or the nearest folder above it that there is."""
  path = path.absolute()
  return next(each for each in (path, *path.parents) if each.exists())


def matmul() -> Iterator[Finding]:
  """Yields whether products are right, and how fast they are."""
  cpu = jax.devices()[0].platform == "cpu"
  kinds = ["float32"] if cpu else ["float32", "bfloat16"]
  # Large enough to fill the device.
  size = 1024 if cpu else 4096
  with bar("matmul", len(kinds)) as advance:
    for kind in kinds:
      error = product_error(kind)
      # Asked this way round, NaN is refused too.
      if not error < TOLERANCE:
        yield Finding(
          Level.PROBLEM,
          f"matmul {kind}",
          f"it differs from numpy's by {error:.1g} of the largest value, "
          f"{TOLERANCE:g} is rounding: this device computes wrong; mend its "
          "driver, or do without: JAX_PLATFORMS=cpu",
        )
      else:
        rate = flops(kind, size, SECONDS / len(kinds))
        yield Finding(
          Level.OK,
          f"matmul {kind}",
          f"{_rate(rate)} at {size} x {size}, default precision; a small one "
          f"is numpy's to {error:.1g} of the largest value",
        )
      advance(1)


def product(a: jax.Array, b: jax.Array) -> jax.Array:
  """Returns the exact product f32[M, N] of f[M, K] and f[K, N]."""
  return jnp.matmul(
    a, b, precision="highest", preferred_element_type=jnp.float32
  )


def product_error(kind: str) -> float:
  """Returns the largest error of a product, as a share of its largest value.

  Args:
    kind: float32 or bfloat16, the type of the inputs.
  """
  rng = np.random.default_rng(0)
  a, b = (
    jnp.asarray(rng.normal(size=shape), kind)
    for shape in [(67, 129), (129, 31)]
  )
  want = np.asarray(a, np.float64) @ np.asarray(b, np.float64)
  found = jax.device_get(jax.jit(product)(a, b))
  return float(np.abs(found - want).max() / np.abs(want).max())


def flops(kind: str, size: int, seconds: float) -> float:
  """Returns FLOP/s of products on the first device, measured.

  Args:
    kind: float32 or bfloat16.
    size: rows and columns of either matrix.
    seconds: about how long to measure.
  """
  rng = np.random.default_rng(0)
  # This scale keeps the size of what is multiplied again and again.
  y = jnp.asarray(rng.normal(size=(size, size)) / np.sqrt(size), kind)

  # One call for all: many would hold as many results.
  @jax.jit
  def repeat(x, times):
    return jax.lax.fori_loop(0, times, lambda _, x: x @ y, x)

  def timed(times: int) -> float:
    start = time.perf_counter()
    jax.block_until_ready(repeat(y, times))
    return time.perf_counter() - start

  timed(1)
  times = max(1, round(seconds * 4 / timed(4)))
  return 2 * size**3 * times / timed(times)


def collective(mesh: jax.sharding.Mesh) -> Iterator[Finding]:
  """Yields whether a sum over a mesh is right on each of its devices."""
  if mesh.size == 1:
    yield Finding(Level.OK, "collective", "one device: nothing to test")
    return
  axes = mesh.axis_names
  spec = jax.sharding.PartitionSpec(axes)
  add = jax.jit(
    jax.shard_map(
      lambda x: jax.lax.psum(x, axes), mesh=mesh, in_specs=spec, out_specs=spec
    )
  )
  # Small whole numbers: f32 adds them exactly, in any order.
  rng = np.random.default_rng(0)
  parts = rng.integers(100, size=(mesh.size, 1 << 20)).astype(np.float32)
  sent = jax.device_put(parts, jax.NamedSharding(mesh, spec))
  with bar(f"psum over {mesh.size} devices", 1) as advance:
    found = jax.device_get(add(sent))
    start = time.perf_counter()
    jax.block_until_ready(add(sent))
    took = time.perf_counter() - start
    advance(1)
  wrong = np.flatnonzero((found != parts.sum(0)).any(1))
  if len(wrong):
    yield Finding(
      Level.PROBLEM,
      "collective",
      f"psum over {mesh.size} devices is wrong on {wrong.tolist()}; training "
      "on several would be too: use one (CUDA_VISIBLE_DEVICES=0), or mend "
      "their driver",
    )
    return
  yield Finding(
    Level.OK,
    "collective",
    f"psum over {mesh.size} devices is exact; {_size(parts[0].nbytes)} from "
    f"each took {1000 * took:.1f} ms",
  )


def cache(workdir: Path | None) -> Iterator[Finding]:
  """Yields whether compiled programs can be kept, without writing one."""
  name, asked = "compile cache", jax.config.jax_compilation_cache_dir
  if not (asked or workdir):
    yield Finding(
      Level.SKIPPED, name, "it is in the workdir; type: --workdir=W"
    )
    return
  if "://" in (asked or ""):
    text = f"{asked} is on another machine: not tried"
    yield Finding(Level.SKIPPED, name, text)
    return
  path = Path(asked) if asked else workdir / "cache"
  place = existing(path)
  if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
    yield Finding(Level.OK, name, f"{path} can be written")
    return
  cure = (
    "JAX_COMPILATION_CACHE_DIR=DIR" if asked else "another --workdir, with room"
  )
  yield Finding(Level.PROBLEM, name, f"{path} cannot be written; give {cure}")


def hub() -> Iterator[Finding]:
  """Yields how the Hugging Face hub would be asked; no secret is shown."""
  # An address may hold a password.
  host = urllib.parse.urlsplit(constants.ENDPOINT).hostname
  token = (
    "HF_TOKEN is set (not shown)"
    if os.environ.get("HF_TOKEN")
    else "HF_TOKEN is not set, which only private and gated models need"
  )
  offline = (
    "; HF_HUB_OFFLINE is set: only what is in the cache can be loaded"
    if constants.HF_HUB_OFFLINE
    else ""
  )
  yield Finding(Level.OK, "hub", f"{host}; {token}{offline}")


def _size(count: float) -> str:
  return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _rate(rate: float) -> str:
  return (
    f"{rate / 1e12:.1f} TFLOP/s"
    if rate >= 1e12
    else f"{rate / 1e9:.1f} GFLOP/s"
  )
