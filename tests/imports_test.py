"""Holds the rooms of the package: imports go to the left only.

The source is read, never run, so an import inside a function counts too. The
table is of folders; a module that wants an import from a folder to its right
holds a piece that belongs further left.
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

# Every folder and the folders it may import, from the left to the right; each
# may also import the version from the root.
RUNTIME = frozenset({"runtime"})
TASKS = RUNTIME | {"stats", "tasks"}
SOURCES = TASKS | {"data.sources"}
DATA = SOURCES | {"data"}
TRAINING = DATA | {"models", "training"}
HF = TASKS | {"models", "hf"}
REPORT = TASKS | {"report"}
STUDY = TRAINING | HF | REPORT | {"study"}
FOLDERS: dict[str, frozenset[str]] = {
  "runtime": RUNTIME,
  "models": frozenset({"models"}),
  "stats": frozenset({"stats"}),
  "tasks": TASKS,
  "data.sources": SOURCES,
  "data": DATA,
  "hf": HF,
  "training": TRAINING,
  "report": REPORT,
  "study": STUDY,
  "stages": STUDY | {"stages"},
  "inference": STUDY | {"inference"},
}
COMMANDS = frozenset(
  {
    "main",
    "predict",
    "serve",
    "label_next",
    "label_errors",
    "features",
    "from_text",
    "similarity",
    "soup",
    "tune",
    "export",
    "doctor",
    "replay",
    "glue_diagnostic",
    "glue_server",
  }
)
# What is imported only where a config asks for it, and checked before, or
# where it is there.
OPTIONAL = {
  "training.trackers": {"wandb", "mlflow"},
  "runtime.energy": {"pynvml"},
  "data.beam": {"apache_beam"},
  "data.runners": {"apache_beam"},
  "data.workers": {"apache_beam"},
  "training.answers": {"apache_beam"},
  "serve": {"uvicorn"},
  "inference.service": {"starlette", "prometheus_client"},
  "inference.onnx_graph": {"jax2onnx", "onnx", "onnxruntime"},
  "doctor": {"transformers"},
}
WITHOUT_JAX = ("stats.compare", "report.write", "tasks.table")
LINES = 400
PARAMETERS = 7


FOREIGN = """
import flax.linen as nn
from bam_jax.a import b
class D(b.B): pass
class E(nn.Module): pass
class F(Exception): pass
"""


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


def folder_of(name: str) -> str:
  """Returns the folder of a module: "" at the root."""
  return name.rpartition(".")[0]


def leftward(
  trees: Mapping[str, ast.Module], folders: Mapping[str, frozenset[str]]
) -> list[str]:
  """Returns a sentence for every import that does not go to the left."""
  known = set(trees) | {f"{folder}.__init__" for folder in folders}
  wrong = []
  for name, tree in trees.items():
    folder = name if name in folders else folder_of(name)
    if not folder:
      continue
    if folder not in folders:
      wrong.append(f"{name}: give its folder a row in FOLDERS")
      continue
    wrong += [
      f"{name} imports {other}, which is not to its left"
      for other in ours(tree, known)
      if other and folder_of(other) not in folders[folder]
    ]
  return sorted(wrong)


def circles(trees: Mapping[str, ast.Module]) -> list[str]:
  """Returns the modules that wait for each other."""
  known = set(trees)
  waiting = {
    name: ours(tree, known) - {name, "", *FOLDERS}
    for name, tree in trees.items()
  }
  while free := {name for name, others in waiting.items() if not others}:
    waiting = {
      name: others - free
      for name, others in waiting.items()
      if name not in free
    }
  return sorted(waiting)


def heirs(trees: Mapping[str, ast.Module]) -> list[str]:
  """Returns a sentence for every class that inherits from one of ours."""
  classes = {
    (name, node.name): node
    for name, tree in trees.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.ClassDef)
  }
  ours_of = {
    name: {
      alias.asname or alias.name
      for node in ast.walk(tree)
      if isinstance(node, ast.ImportFrom)
      and node.module.partition(".")[0] == "bam_jax"
      for alias in node.names
    }
    | {own for module, own in classes if module == name}
    for name, tree in trees.items()
  }
  return sorted(
    f"{name}.{own} inherits from {ast.unparse(base)}"
    for (name, own), node in classes.items()
    for base in node.bases
    if ast.unparse(base).partition(".")[0] in ours_of[name]
  )


def test_imports_go_to_the_left_only():
  wrong = leftward(modules(), FOLDERS)
  assert not wrong, "\n".join(wrong)


def test_no_module_waits_for_itself():
  assert circles(modules()) == []
  two = {"a.b": "from bam_jax.a import c", "a.c": "import bam_jax.a.b"}
  trees = {name: ast.parse(source) for name, source in two.items()}
  assert circles(trees) == ["a.b", "a.c"]


def test_no_class_inherits_from_one_of_ours():
  assert heirs(modules()) == []
  two = {"a.b": "class B: pass\nclass C(B): pass", "a.c": FOREIGN}
  trees = {name: ast.parse(source) for name, source in two.items()}
  assert heirs(trees) == ["a.b.C inherits from B", "a.c.D inherits from b.B"]


def crowded(trees: Mapping[str, ast.Module]) -> list[str]:
  """Returns a sentence for every function that takes too many parameters."""
  return sorted(
    f"{name}.{node.name} takes {count}: which of them are one thing?"
    for name, tree in trees.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    and (count := len(parameters(node.args))) > PARAMETERS
  )


def parameters(of: ast.arguments) -> list[str]:
  """Returns the names that a function takes, but for the object's own."""
  every = [*of.posonlyargs, *of.args, of.vararg, *of.kwonlyargs, of.kwarg]
  names = [each.arg for each in every if each]
  return names[1:] if names[:1] in (["self"], ["cls"]) else names


def test_no_function_takes_more_than_seven_parameters():
  assert crowded(modules()) == []
  source = "class A:\n  def f(self, a, b, /, c, *d, e, f, **g): pass\n"
  assert crowded({"a": ast.parse(source)}) == []
  source += "async def g(a, b, /, c, *d, e, f, h, **g): pass"
  (said,) = crowded({"a": ast.parse(source)})
  assert said.startswith("a.g takes 8")


def test_at_the_root_are_commands_alone():
  root = {name for name in modules() if name and not folder_of(name)}
  assert root - set(FOLDERS) == COMMANDS


def test_a_folder_says_in_one_sentence_what_it_is():
  for name, tree in modules().items():
    if name in FOLDERS:
      assert len(tree.body) == 1, f"{name}/__init__.py is one sentence"
      assert ast.get_docstring(tree), name


@pytest.mark.parametrize(
  ("importer", "source", "complaint"),
  [
    ("tasks.kinds", "from bam_jax import training", "tasks.kinds imports"),
    ("tasks.kinds", "import bam_jax.data.features", "imports data.features"),
    ("hf.weights", "from bam_jax.data.corpus import Corpus", "hf.weights"),
    ("models.bert", "def f():\n  from bam_jax.data import packing", "models"),
    ("helpers.all", "import os", "helpers.all: give its folder a row"),
    ("stages.recipe", "from bam_jax.study import plan", None),
    ("training.state", "from bam_jax import __version__", None),
  ],
)
def test_every_form_of_import_is_seen(importer, source, complaint):
  trees = modules() | {importer: ast.parse(source)}
  wrong = [each for each in leftward(trees, FOLDERS) if importer in each]
  if complaint is None:
    assert wrong == []
  else:
    assert len(wrong) == 1
    assert complaint in wrong[0]


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
