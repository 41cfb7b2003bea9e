"""Holds the layers of the package: imports go down only.

The source is read, never run, so an import inside a function counts too. A new
module needs a row in the table below; one that wants an import from above
holds a piece that belongs lower.
"""

import ast
from collections.abc import Iterator
import importlib.metadata
from pathlib import Path
import re
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parent.parent

# What is imported only where a config asks for it, and checked before, or
# where it is there.
OPTIONAL = {
  "training.trackers": {"wandb", "mlflow"},
  "runtime.energy": {"pynvml"},
}
WITHOUT_JAX = ("stats.compare", "report.write", "tasks.table")
LINES = 400


def modules() -> dict[str, ast.Module]:
  """Returns every module of bam_jax by its name below the package."""
  package = ROOT / "bam_jax"
  return {
    ".".join(path.relative_to(package).with_suffix("").parts)
    .removesuffix("__init__")
    .removesuffix("."): ast.parse(path.read_text("utf-8"))
    for path in sorted(package.rglob("*.py"))
  }


def imports(tree: ast.Module) -> Iterator[str]:
  """Yields the dotted name of all that a module imports, wherever it does."""
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      assert not node.level, "relative import: ruff's TID252 refuses it"
      yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(tree: ast.Module, known: set[str]) -> set[str]:
  """Returns the modules of ours that a module imports."""
  found = set()
  for name in imports(tree):
    package, _, rest = name.partition(".")
    if package != "bam_jax":
      continue
    while rest and rest not in known:  # a name inside a module
      rest = rest.rpartition(".")[0]
    found.add(rest)
  return found


def plain(distribution: str) -> str:
  """Returns the name of a distribution as every index compares it."""
  return re.sub(r"[-_.]+", "-", distribution).lower()


def test_library_does_not_lean_on_configs_or_tests():
  for name, tree in modules().items():
    roots = {other.split(".")[0] for other in imports(tree)}
    assert not roots & {"configs", "tests"}, name


def test_every_outside_package_is_a_requirement():
  text = (ROOT / "requirements.txt").read_text("utf-8")
  declared = {
    plain(name) for name in re.findall(r"^[\w.-]+", text, re.MULTILINE)
  }
  owners = importlib.metadata.packages_distributions()
  for name, tree in modules().items():
    roots = {other.split(".")[0] for other in imports(tree)}
    roots -= {"bam_jax", *sys.stdlib_module_names, *OPTIONAL.get(name, ())}
    for root in roots:
      owned = {plain(owner) for owner in owners.get(root, ())}
      assert owned & declared, f"{name} imports {root}: see requirements.txt"


@pytest.mark.parametrize("name", WITHOUT_JAX)
def test_runs_on_a_laptop_without_jax(name):
  code = (
    "import sys; sys.modules.update(dict.fromkeys(['jax', 'jaxlib']))\n"
    f"import bam_jax.{name}"
  )
  ran = subprocess.run(
    [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
  )
  assert ran.returncode == 0, ran.stderr


def test_no_file_is_over_400_lines():
  folders = ("bam_jax", "configs", "tests", "launch", "benchmarks", ".ci")
  files = [
    path for folder in folders for path in sorted((ROOT / folder).rglob("*"))
  ] + sorted(ROOT.glob("*.*"))
  long = {
    str(path.relative_to(ROOT)): lines
    for path in files
    if path.suffix in {".py", ".sh", ".md", ".toml", ".txt", ""}
    and path.is_file()
    and (lines := len(path.read_text("utf-8").splitlines())) > LINES
  }
  assert not long, f"split by noun: {long}"
