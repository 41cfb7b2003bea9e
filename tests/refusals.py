"""Runs the command with a bad input, in this process, and sees it refused.

A table of cases is a list of `Case`; `refused` does the rest. The inputs of
`small` lie in a folder of the case's own: glue/, encoder/, W (not there yet),
hub/ and model/ (what the hub answers for data and for a model).
"""

from collections.abc import Callable, Mapping
import contextlib
import dataclasses
import io
import json
from pathlib import Path
import shutil
import sys
from unittest import mock
import warnings

from absl import flags
from absl.testing import flagsaver

# It defines flags when first imported, which flagsaver would take away again.
from array_record.python import array_record_data_source  # noqa: F401
import huggingface_hub
from safetensors import numpy as st

from bam_jax import main

CONFIG = "configs/glue_bam.py:cola,stsb"
BASE = (
  "--workdir={root}/W",
  "--config.data.glue_dir={root}/glue",
  "--config.encoder={root}/encoder",
  "--config.max_length=32",
  "--config.single.batch_size=8",
  "--config.multi.batch_size=8",
  "--config.data.packing=False",
)
Content = str | bytes | Callable[[Path], object] | None


@dataclasses.dataclass(frozen=True)
class Case:
  """A bad input and what is said of it.

  Attributes:
    id: of the test.
    said: a part of the sentence; {root} stands for the case's folder.
    flags: typed after the usual ones, separated by spaces; {root} as above.
    files: path in the folder -> what to put there: text, bytes, None for
      nothing, or a function that is given the path and changes it.
    config: what --config is.
  """

  id: str
  said: str
  flags: str = ""
  files: Mapping[str, Content] = dataclasses.field(default_factory=dict)
  config: str = CONFIG


def refused(case: Case, inputs: tuple[Path, Path], root: Path, patch) -> str:
  """Runs a case; asserts exit code 2, one sentence, and nothing changed.

  Returns:
    The sentence.
  """
  arguments = arranged(case, inputs, root, patch)
  before = snapshot(root)
  code, out, err = command(arguments, patch)
  assert code == 2, (code, out, err)
  assert err.startswith("error: ") and err.endswith("\n"), err
  assert err.count("\n") == 1 and "Traceback" not in out + err, err
  assert case.said.format(root=root) in err, err
  assert len(err) < 4000, len(err)
  assert snapshot(root) == before, "something was written"
  return err


def arranged(
  case: Case, inputs: tuple[Path, Path], root: Path, patch
) -> list[str]:
  """Puts a case's files in their place; returns what is typed.

  Args:
    case: the case.
    inputs: from `small.write_glue` and `small.write_encoder`.
    root: an empty folder.
    patch: pytest's monkeypatch.
  """
  for folder, name in zip(inputs, ("glue", "encoder"), strict=True):
    shutil.copytree(folder, root / name)
  for name, content in case.files.items():
    put(root / name, content)
  patch.setattr(
    huggingface_hub,
    "hf_hub_download",
    lambda repo, name, **_: str(root / "hub" / name),
  )
  if (root / "model").exists():
    patch.setattr(
      huggingface_hub, "snapshot_download", lambda *_, **__: root / "model"
    )
  given = [f"--config={case.config}", *BASE, *case.flags.split(" ")]
  return [each.format(root=root) for each in given if each]


def command(args: list[str], patch) -> tuple[int, str, str]:
  """Runs the command in this process; returns its code and what it said."""
  argv = ["bam_jax", *args]
  # ml_collections looks for overrides there.
  patch.setattr(sys, "argv", argv)
  # What is the process's, and pytest's here: its signals, logs and hooks.
  patch.setattr(main, "Preemption", lambda: mock.Mock(return_value=False))
  patch.setattr(main, "hush", lambda: None)
  out, err, code = io.StringIO(), io.StringIO(), 0
  flags.FLAGS.unparse_flags()
  try:
    with (
      flagsaver.flagsaver(),
      contextlib.redirect_stdout(out),
      contextlib.redirect_stderr(err),
    ):
      with warnings.catch_warnings():
        # ml_collections loads a config file in a way that is going away.
        warnings.simplefilter("ignore", DeprecationWarning)
        rest = main.parse_flags(argv)
      main.main(rest)
  except SystemExit as stopped:
    code = stopped.code
  return code, out.getvalue(), err.getvalue()


def put(path: Path, content: Content) -> None:
  """Puts the content of a case in its place."""
  path.parent.mkdir(parents=True, exist_ok=True)
  if callable(content):
    content(path)
  elif content is None:
    path.unlink()
  elif isinstance(content, bytes):
    path.write_bytes(content)
  else:
    path.write_text(content, "utf-8")


def snapshot(root: Path) -> dict[str, bytes | str]:
  """Returns every path below a folder with what it holds."""
  return {
    str(path.relative_to(root)): path.read_bytes()
    if path.is_file() and not path.is_symlink()
    else str(path.is_dir())
    for path in root.rglob("*")
  }


# What a case may do to a file.


def directory(path: Path) -> None:
  """Puts a directory in a file's place."""
  path.unlink(missing_ok=True)
  path.mkdir()


def link(target: str) -> Callable[[Path], None]:
  """Puts a symbolic link in a file's place."""

  def change(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)

  return change


def renamed(name: str) -> Callable[[Path], object]:
  """Gives a file another name."""
  return lambda path: path.rename(path.with_name(name))


def replaced(old: str, new: str) -> Callable[[Path], object]:
  """Replaces a part of a text file, where it comes first."""

  def change(path: Path) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")

  return change


def keys(**changes) -> Callable[[Path], object]:
  """Sets keys of a JSON object."""

  def change(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))

  return change


def tensors(change: Callable[[dict], dict]) -> Callable[[Path], None]:
  """Replaces a file's tensors by what `change` makes of them."""

  def rewrite(path: Path) -> None:
    found = st.load_file(path)
    path.unlink()
    st.save_file(change(found), path)

  return rewrite


def octets(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
  """Replaces a file's bytes by what `change` makes of them."""
  return lambda path: path.write_bytes(change(path.read_bytes()))
