"""Holds the layers of the package: imports go down only.

The source is read, never run, so an import inside a function counts too. A new
module needs a row in the table below; one that wants an import from above
holds a piece that belongs lower.
"""

import ast
from collections.abc import Iterator, Mapping
import importlib.metadata
from pathlib import Path
import re
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Every module and what it may import of ours, from the bottom to the top.
LEAVES = frozenset({"tasks", "bert", "losses", "schedules", "optim", "plan"})
LEAVES |= {"energy", "sharding", "writer", "plots", "distributed", "preemption"}
LEAVES |= {"attention", "dropout"}
LEAVES |= {"bootstrap", "calibration", "predictions", "document"}
LEAVES |= {"allocator", "command", "data.tokenizer", "data.hub"}
LEAVES |= {"data.packing", "data.parquet", "data.sampling", "data.shards"}
DOCTOR = frozenset({"findings", "writer"})
RECORDS = frozenset({"experiment", "results", "report", "records"})
DATA = frozenset({"tasks", "data.features"})
PLAIN = frozenset({"document", "stats", "tables"})
MIDDLE = {
  "attention": frozenset({"dropout"}),
  "bert": frozenset({"attention", "dropout"}),
  "data.features": frozenset({"data.tokenizer"}),
  "tracing": frozenset({"writer"}),
  "multibootstrap": frozenset({"bootstrap"}),
  "effects": frozenset({"bootstrap"}),
  "stats": frozenset({"bootstrap", "effects", "multibootstrap"}),
  "data.grammar": frozenset(),
  "data.synthetic": frozenset({"tasks", "data.grammar"}),
  "data.vocabulary": frozenset({"tasks", "data.synthetic"}),
  "data.examples": frozenset({"tasks"}),
  "data.rows": frozenset({"data.parquet"}),
  "data.soft_files": frozenset({"tasks", "data.parquet", "data.rows"})
  | {"data.shards"},
  "own_tasks": frozenset({"tasks", "data.hub"}),
  "data.own_files": frozenset({"tasks", "data.examples", "data.hub"})
  | {"data.rows", "data.soft_files"},
  "data.sources": frozenset({"tasks", "data.examples", "data.hub"})
  | {"data.own_files", "data.parquet", "data.rows", "data.synthetic"},
  "data.soft_labels": frozenset({"tasks", "data.builders", "data.soft_files"}),
  "data.builders": DATA | {"data.shards", "data.sources"},
  "data.corpus": DATA | {"data.sources", "data.builders", "distributed"},
  "data.pipeline": DATA | {"data.packing", "data.sampling"},
  "checkpoint": frozenset({"distributed"}),
  "workdir": frozenset({"distributed"}),
  "variants": frozenset({"plan", "workdir"}),
  "trackers": frozenset({"workdir", "writer"}),
  "claims": frozenset({"workdir", "writer"}),
  "families": frozenset({"bert"}),
  "flops": frozenset({"bert"}),
  "weights": frozenset({"bert", "families"}),
  "hf": frozenset({"bert", "families", "weights", "data.hub"}),
  "multitask": frozenset({"bert", "dropout"}),
  "heads": frozenset({"tasks"}),
  "classifiers": frozenset({"bert", "families", "heads", "hf", "weights"}),
  "transfer": frozenset({"bert", "classifiers", "heads", "hf", "tasks"}),
}
STAGE = LEAVES | set(MIDDLE) | {"evaluate"}
RECIPE = STAGE | {
  "train",
  "teach",
  "glue_server",
  "submission",
  "experiment",
  "starts",
  "lineage",
  "lessons",
  "reuse",
  "memory",
  "forecast",
  "speed",
  "scoring",
  "results",
  "tuning",
  "checks",
  "report",
  "welcome",
}
LAYERS = {
  # `bam_jax.load`, which imports it when it is called.
  "": frozenset({"inference"}),
  **dict.fromkeys(["data", *LEAVES], frozenset()),
  **MIDDLE,
  "tuning": frozenset({"stats"}),
  "tables": frozenset({"tasks", "stats"}),
  "notes": frozenset({"tasks", "stats", "tables"}),
  "curves": frozenset({"plots"}),
  "figures": PLAIN | {"curves", "plots"},
  "sections": PLAIN | {"figures", "notes", "tuning"},
  **dict.fromkeys(["markdown", "latex"], frozenset({"document"})),
  "page": frozenset({"document", "plots"}),
  "report": PLAIN | {"notes", "sections", "markdown", "latex", "page"},
  "evaluate": LEAVES | {"data.features", "data.pipeline", "multitask"},
  "state": LEAVES | {"multitask"},
  "train": STAGE | {"state"},
  "glue_server": frozenset({"tasks", "data.examples"}),
  **dict.fromkeys(["teach", "submission"], STAGE),
  "experiment": LEAVES | set(MIDDLE),
  "history": frozenset({"schedules", "writer"}),
  "starts": LEAVES | set(MIDDLE) | {"experiment"},
  "lineage": LEAVES | set(MIDDLE) | {"starts"},
  "lessons": LEAVES | set(MIDDLE) | {"data.pipeline", "lineage", "teach"},
  "reuse": LEAVES | set(MIDDLE) | {"lineage", "lessons"},
  "memory": LEAVES | set(MIDDLE) | {"lessons", "train"},
  "aot": LEAVES
  | set(MIDDLE)
  | {"checks", "data.pipeline", "experiment", "memory"},
  "speed": LEAVES | set(MIDDLE) | {"data.pipeline", "lessons", "train"},
  "forecast": STAGE | {"checks", "lessons", "reuse", "speed"},
  "scoring": STAGE | {"lessons", "train"},
  "results": LEAVES
  | {"experiment", "history", "multibootstrap", "stats", "tuning"}
  | {"variants", "workdir"},
  "checks": LEAVES | set(MIDDLE) | {"experiment", "starts"},
  "welcome": LEAVES | set(MIDDLE) | {"evaluate", "starts"},
  "recipe": RECIPE,
  "main": RECIPE | {"recipe"},
  "trained": LEAVES | set(MIDDLE) | {"experiment"},
  "inference": LEAVES | set(MIDDLE) | {"trained"},
  "streams": frozenset({"heads"}),
  "predict": frozenset({"command", "heads", "inference", "streams"}),
  "card": frozenset({"heads"}),
  "layouts": LEAVES | set(MIDDLE) | {"card", "inference", "trained"},
  "export": frozenset({"command", "inference", "layouts", "trained"}),
  "replay": RECIPE | {"state"},
  # Below everything.
  "spelling": frozenset(),
  "findings": frozenset(),
  "versions": frozenset({"findings"}),
  "records": frozenset({"findings", "plan", "tasks", "workdir"}),
  "machine": DOCTOR | {"sharding"},
  "integrity": DOCTOR | STAGE | RECORDS | {"lineage"},
  "doctor": DOCTOR | RECIPE | {"versions", "machine", "integrity"},
}
# What is imported only where a config asks for it, and checked before, or
# where it is there.
OPTIONAL = {"trackers": {"wandb", "mlflow"}, "energy": {"pynvml"}}
WITHOUT_JAX = ("stats", "report", "predictions")
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


def upward(
  trees: Mapping[str, ast.Module], layers: Mapping[str, frozenset[str]]
) -> list[str]:
  """Returns a sentence for every import that does not go down."""
  known = set(trees) | set(layers)
  wrong = [f"{name}: give it a row in LAYERS" for name in trees.keys() - layers]
  for name, tree in trees.items():
    allowed = layers.get(name, known) | {"", "data", "spelling", name}
    wrong += [
      f"{name} imports {other}, which is not below it"
      for other in ours(tree, known) - allowed
    ]
  return sorted(wrong)


def test_imports_go_down_only():
  wrong = upward(modules(), LAYERS)
  assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
  ("importer", "source", "complaint"),
  [
    ("losses", "from bam_jax import tasks", "losses imports tasks"),
    ("tasks", "import bam_jax.data.features", "tasks imports data.features"),
    ("teach", "from bam_jax.train import fit", "teach imports train"),
    ("bert", "def f():\n  from bam_jax.data import packing", "bert imports"),
    ("helpers", "import os", "helpers: give it a row"),
    ("recipe", "from bam_jax import report, train", None),
    ("checkpoint", "from bam_jax import __version__", None),
  ],
)
def test_every_form_of_import_is_seen(importer, source, complaint):
  wrong = upward({importer: ast.parse(source)}, LAYERS)
  if complaint is None:
    assert wrong == []
  else:
    assert len(wrong) == 1
    assert complaint in wrong[0]


def test_table_has_no_cycle():
  below = {name: set(allowed) for name, allowed in LAYERS.items()}
  while free := {name for name, allowed in below.items() if not allowed}:
    below = {
      name: allowed - free
      for name, allowed in below.items()
      if name not in free
    }
  assert not below, f"these wait for each other: {sorted(below)}"


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
