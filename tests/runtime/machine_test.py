"""Versions and the machine: what is right, what is wrong, what is told."""

import importlib.metadata
import itertools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from bam_jax.runtime import machine, versions
from bam_jax.runtime.findings import Level
from tests.found import only, said


def test_the_tested_set_is_the_requirements():
  assert versions.requirements().keys() <= versions.TESTED.keys()
  for name, range_ in versions.requirements().items():
    assert versions.TESTED[name] in range_, name


def test_a_checkout_that_is_not_installed_knows_its_ranges(monkeypatch):
  def requires(name):
    raise importlib.metadata.PackageNotFoundError(name)

  monkeypatch.setattr(importlib.metadata, "requires", requires)
  assert "jax" in versions.requirements()


@pytest.mark.parametrize(
  ("here", "level", "text"),
  [
    ("99.1", Level.WARNING, "newer than tested: flax 99.1 (tested: 0.12.8)"),
    ("0.9", Level.PROBLEM, "needed; type: pip install 'flax>=0.12.8'"),
    (None, Level.PROBLEM, "not installed; type: pip install 'flax>=0.12.8'"),
  ],
)
def test_versions_are_held_against_range_and_tested_set(
  monkeypatch, here, level, text
):
  def version(name):
    if name != "flax":
      return versions.TESTED[name]
    if here is None:
      raise importlib.metadata.PackageNotFoundError(name)
    return here

  monkeypatch.setattr(importlib.metadata, "version", version)
  monkeypatch.setattr(versions.platform, "python_version", lambda: "3.11.9")
  found = list(versions.look())
  (line,) = said(found, level)
  assert text in line
  total = len(versions.TESTED)
  assert f"packages: {total - 1} of {total} have" in said(found, Level.OK)[1]


@pytest.mark.parametrize(
  ("here", "level"),
  [("3.10.2", Level.PROBLEM), ("3.11.1", Level.OK), ("3.12.0", Level.WARNING)],
)
def test_python_too(monkeypatch, here, level):
  monkeypatch.setattr(versions.platform, "python_version", lambda: here)
  assert next(versions.look()).level is level


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_a_product_that_is_off_by_more_than_rounding_is_a_problem(
  monkeypatch, kind
):
  assert machine.product_error(kind) < machine.TOLERANCE
  right = machine.product
  for wrong in (lambda a, b: right(a, b).at[3, 5].add(0.01), nothing):
    monkeypatch.setattr(machine, "product", wrong)
    (finding,) = machine.matmul()
    assert finding.level is Level.PROBLEM
    assert "computes wrong" in finding.text


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_the_rate_counts_every_product_that_was_timed(monkeypatch, kind):
  # Whatever is timed takes a second: 4 products, then as many as asked for.
  clock = itertools.count()
  seconds = SimpleNamespace(perf_counter=lambda: next(clock))
  monkeypatch.setattr(machine, "time", seconds)
  assert machine.flops(kind, 8, 3.0) == 2 * 8**3 * 12


def nothing(a, b):
  return jnp.full((len(a), b.shape[1]), jnp.nan)


def test_an_accelerator_that_jax_does_not_see_is_a_warning(
  monkeypatch, tmp_path
):
  (tmp_path / "nvidia0").touch()
  pattern = {f"{tmp_path}/nvidia[0-9]*": "jax[cuda12]"}
  monkeypatch.setattr(machine, "ACCELERATORS", pattern)
  monkeypatch.delenv("JAX_PLATFORMS")
  (line,) = said(machine.devices(), Level.WARNING)
  assert line.endswith("type: pip install -U 'jax[cuda12]'")
  monkeypatch.setenv("JAX_PLATFORMS", "cpu")
  (line,) = said(machine.devices(), Level.WARNING)
  assert line.endswith("type: unset JAX_PLATFORMS")


def test_a_full_disk_and_a_cache_that_cannot_be_written_are_told(
  monkeypatch, tmp_path
):
  monkeypatch.setattr(machine, "LOW_DISK", 1e30)
  found = list(machine.memory(tmp_path / "not" / "yet"))
  assert only(found, "memory").text.startswith("RAM: ")
  assert only(found, "disk").level is Level.WARNING
  assert f"free at {tmp_path};" in only(found, "disk").text
  asked = jax.config.jax_compilation_cache_dir
  jax.config.update("jax_compilation_cache_dir", None)
  try:
    (finding,) = machine.cache(tmp_path / "not" / "yet")
    assert finding.level is Level.OK
    (tmp_path / "file").touch(0o755)
    (finding,) = machine.cache(tmp_path / "file")
    assert finding.level is Level.PROBLEM
    (finding,) = machine.cache(None)
    assert finding.level is Level.SKIPPED
    jax.config.update("jax_compilation_cache_dir", "gs://bucket/cache")
    (finding,) = machine.cache(None)
    assert finding.text.startswith("gs://bucket/cache is on another machine")
  finally:
    jax.config.update("jax_compilation_cache_dir", asked)
  assert not (tmp_path / "not").exists()
