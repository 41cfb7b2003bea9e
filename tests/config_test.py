"""Every key is read, every config loads, and the TRAPs are all set."""

import ast
import importlib
from pathlib import Path

import pytest

from bam_jax import main
from bam_jax.runtime.files import flatten
from bam_jax.stages import checks
from bam_jax.study import experiment
from configs import bam_reference, common, glue_bam

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = sorted(
  path.stem
  for path in (ROOT / "configs").glob("[!_]*.py")
  if path.stem != "common"
)


def leaves(config) -> dict:
  # What variants change are keys of their own.
  return flatten(config.to_dict() | {"variants": {}})


def load(name: str, arg: str):
  parts = {
    "paper": "table1",
    "mtdnn": "table2",
    "strong": "study",
    "best": "study",
    "sesame": "smoke",
    "less_is_more": "smoke",
  }
  if part := parts.get(name):
    arg = f"{part},{arg}" if arg else part
  return importlib.import_module(f"configs.{name}").get_config(arg)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_has_the_keys_of_common_and_can_run(
  name, tmp_path, monkeypatch
):
  known = leaves(common.base())
  config = load(name, "")
  assert leaves(config).keys() == known.keys()
  assert {k: type(v) for k, v in leaves(config).items()} == {
    k: type(v) for k, v in known.items()
  }
  with pytest.raises(AttributeError):
    config.lock().optim.warmpu = 1
  if name == "pretrain":
    # Nothing is known of text but where it is.
    config.data.text = "a.txt"
  checks.settings(experiment.read(config))
  assert load(name, "rte,cola").tasks == "rte,cola"


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_says_how_to_run_it(name):
  text = (ROOT / "configs" / f"{name}.py").read_text("utf-8")
  doc = ast.get_docstring(ast.parse(text))
  assert f"python -m bam_jax.main --config=configs/{name}.py" in doc.replace(
    "\\\n", ""
  )


def read_keys() -> set[str]:
  """Returns all names that the package reads as attributes or strings."""
  found = set()
  for path in (ROOT / "bam_jax").rglob("*.py"):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
      if isinstance(node, ast.Attribute):
        found.add(node.attr)
      elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        found.add(node.value)
  return found


def test_every_key_is_read_somewhere():
  read = read_keys()
  # `mesh` is handed on whole: its keys are make_mesh's arguments.
  unread = [
    key
    for key in leaves(common.base())
    if key.split(".")[-1] not in read and not key.startswith("mesh.")
  ]
  assert not unread, f"nothing in bam_jax reads {unread}"


def files_of_keys() -> list[Path]:
  """Returns the files that keys are written in."""
  groups = [Path(group.__file__) for group in common.GROUPS]
  return [ROOT / "configs" / "common.py", *groups]


def test_every_key_is_written_once_and_told_by_help():
  written = [
    line.split()[0].removeprefix("c.")
    for path in files_of_keys()
    for line in path.read_text("utf-8").splitlines()
    if line.startswith("  c.") and "= ConfigDict()" not in line
  ]
  assert len(written) == len(set(written))
  told = main.config_keys()
  assert [key for key in written if f"  --config.{key} =" not in told] == []
  known = {key.split(".")[0] for key in leaves(common.base())}
  assert {key.split(".")[0] for key in written} <= known


@pytest.mark.parametrize("path", files_of_keys(), ids=lambda path: path.stem)
def test_every_key_has_a_comment_above_it_or_its_group(path):
  text = path.read_text("utf-8").partition("  return c\n")[0]
  commented = False
  bare = []
  for line in map(str.strip, text.splitlines()):
    if line.startswith("#"):
      commented = True
    elif not line:
      commented = False
    elif line.startswith("c.") and not commented:
      bare.append(line)
  assert not bare


def test_the_reference_sets_every_trap():
  paper, theirs = (
    leaves(glue_bam.get_config()),
    leaves(bam_reference.get_config()),
  )
  differ = {k: v for k, v in theirs.items() if v != paper[k]}
  assert differ == {
    "sampling.kind": "copies",
    "sampling.reference_sizes": True,
    "loss.regression_output": "linear",
    "optim.warmup_join": "bert",
  }


def test_the_defaults_are_the_papers():
  c = common.base()
  single, multi = c.single, c.multi
  assert (single.epochs, single.batch_size, single.rate) == (3, 32, 5e-5)
  assert (multi.epochs, multi.batch_size, multi.rate) == (6, 128, 1e-4)
  assert single.layer_decay == multi.layer_decay == 0.9
  assert (c.sampling.kind, c.sampling.exponent) == ("power", 0.75)
  assert (c.optim.warmup, c.max_length, c.head_dropout) == (0.1, 128, 0.1)
  assert (c.teacher.schedule, c.loss.reduction) == ("linear", "sum")
  assert (c.optim.bias_correction, c.optim.clip) == (False, 1.0)
