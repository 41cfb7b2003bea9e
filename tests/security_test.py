"""What comes from outside runs no code, stays in its folder and is bounded."""

import ast
import json
import os
from pathlib import Path
import shutil
import struct
import subprocess
import sys

import numpy as np
import pyarrow as pa
from pyarrow import parquet
import pytest

from bam_jax.data import logits as logits_lib
from bam_jax.runtime import sealed
from tests import refusals, small

ROOT = Path(__file__).resolve().parent.parent
LOGITS = np.arange(6.0).reshape(3, 2)
EXPECTED = {"rows": 3}


def python(code: str, *args, **environment) -> subprocess.CompletedProcess:
  return subprocess.run(
    [sys.executable, "-c", code, *map(str, args)],
    cwd=ROOT,
    env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    capture_output=True,
    text=True,
    check=False,
  )


AUDIT = """
import sys, traceback
seen = []
def hook(event, args):
  if event.startswith("pickle."):
    files = [frame.filename for frame in traceback.extract_stack()]
    seen.append((args, files[-6:]))
sys.addaudithook(hook)
import pickle
pickle.loads(b"cbuiltins\\nlen\\n.")
assert seen, "the hook sees nothing"
seen.clear()
from pathlib import Path
from absl import flags
from absl.testing import flagsaver
from array_record.python import array_record_data_source
from bam_jax import main
from bam_jax.data import soft_labels
from bam_jax.data.sources import glue as sources
from bam_jax.tasks.table import TASKS
given, (jsonl, table) = sys.argv[3:], map(Path, sys.argv[1:3])
soft_labels.read_soft_labels(jsonl, task=TASKS["stsb"], rows=1, shared={})
sources.read_parquet(TASKS["cola"], "train", path=table)
for stage in ("all", "evaluate"):
  sys.argv = ["bam_jax", *given, f"--config.stage={stage}"]
  flags.FLAGS.unparse_flags()
  try:
    with flagsaver.flagsaver():
      main.main(main.parse_flags(sys.argv))
  except SystemExit as end:
    assert not end.code, end.code
print("PICKLES", seen)
"""


def test_a_whole_run_loads_no_pickle(tmp_path, compiled):
  # Text, shards, encoder, tokenizer, soft labels, teacher logits, parameters.
  glue = small.write_glue(tmp_path / "glue")
  encoder = small.write_encoder(tmp_path / "encoder")
  (tmp_path / "soft.jsonl").write_text('{"index": 0, "value": 2.5}')
  table = pa.table({"sentence": ["a"], "label": [1]})
  parquet.write_table(table, tmp_path / "x.parquet")
  assert glue.is_dir() and encoder.is_dir()
  ran = python(
    AUDIT,
    tmp_path / "soft.jsonl",
    tmp_path / "x.parquet",
    "--config=configs/glue_bam.py:cola",
    *(each.format(root=tmp_path) for each in refusals.BASE),
    "--config.methods=single->multi",
    "--config.max_steps=2",
    "--config.eval_batch_size=64",
    JAX_COMPILATION_CACHE_DIR=str(compiled),
  )
  assert ran.returncode == 0, ran.stderr
  assert ran.stdout.splitlines()[-1] == "PICKLES []"


LOADERS = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# Beam ships pickles of its own to its workers; what these hand on is made and
# read by one job, in a folder of its own, and by no other command.
HANDED_ON = {"workers.py": {"pickle"}}


def test_no_module_has_a_way_to_load_a_pickle_or_run_text():
  for path in sorted((ROOT / "bam_jax").rglob("*.py")):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
      if isinstance(node, ast.Import | ast.ImportFrom):
        names = [getattr(node, "module", "") or ""]
        names += [alias.name for alias in node.names]
        found = {name.split(".")[0] for name in names} & LOADERS
        assert found <= HANDED_ON.get(path.name, set()), path
      if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        assert called not in ("eval", "exec", "__import__"), path
        if called in ("np.load", "numpy.load", "jnp.load"):
          given = {k.arg: ast.unparse(k.value) for k in node.keywords}
          assert given.get("allow_pickle") == "False", path


BOUNDED = """
import resource, sys
from pathlib import Path
from bam_jax.hf import directory as hf, weights
from bam_jax.data import logits as logits_lib
from bam_jax.data.sources import parquet
config = hf.read_config(Path(sys.argv[1]))
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + (1 << 32)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[2:]:
  path = Path(name)
  try:
    if path.is_dir():
      logits_lib.read(path, expected={"rows": 3})
    elif path.suffix == ".parquet":
      parquet.read(path)
    else:
      weights.read(path, config, kept=[0], aliases={})
  except ValueError as error:
    assert not isinstance(error.__cause__, MemoryError), error
  else:
    raise AssertionError(f"{path} was read")
  grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
  assert grown < 200_000, (path, grown)  # kB
print("BOUNDED")
"""


def hostile_weights(folder: Path) -> None:
  """Writes safetensors files that claim far more than they hold."""

  def write(name: str, head: bytes, size: int | None = None, body=b"1" * 8):
    length = struct.pack("<Q", len(head) if size is None else size)
    (folder / f"{name}.safetensors").write_bytes(length + head + body)

  def tensor(**changes) -> dict:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes

  write("header", b"{}", 1 << 60)
  write("header-largest", b"{}", (1 << 64) - 1)
  write("header-allowed", b"{}", 99_000_000)
  for name, entries in {
    "terabytes": {"a": tensor(shape=[1 << 40], data_offsets=[0, 1 << 42])},
    "shape": {"a": tensor(shape=[1 << 40])},
    "product": {"a": tensor(shape=[1 << 32, 1 << 32, 1 << 32])},
    "outside": {"a": tensor(data_offsets=[8, 16])},
    "backwards": {"a": tensor(data_offsets=[8, 0])},
    "overlap": {"a": tensor(), "b": tensor()},
    "hole": {"a": tensor(data_offsets=[4, 8], shape=[1])},
  }.items():
    write(name, json.dumps(entries).encode())
  one = json.dumps({"a": tensor()}).encode()
  other = json.dumps({"a": tensor(dtype="I32")}).encode()
  write("twice", one[:-1] + b"," + other[1:])


@pytest.fixture
def logits(tmp_path) -> Path:
  folder = tmp_path / "logits"
  logits_lib.write(folder, index=np.arange(3), logits=LOGITS, metadata=EXPECTED)
  return folder


def forge(folder: Path, name: str, content: bytes) -> None:
  """Changes a file of a dataset, and its digest with it."""
  (folder / name).write_bytes(content)
  listed = json.loads((folder / "integrity.json").read_text())
  listed["files"][name] = sealed._digest(folder / name)
  (folder / "integrity.json").write_text(json.dumps(listed))


def test_a_size_field_takes_no_memory(tmp_path, logits):
  encoder = small.write_encoder(tmp_path / "encoder")
  hostile_weights(tmp_path)
  (shard,) = logits.glob("*array_record*")
  whole = shard.read_bytes()
  folders = []
  # Headers of chunks and of the index, which stands in the second block; the
  # first 64 bytes hold nothing that is read.
  for at in (*range(64, 110, 8), *range(110, 300, 30), 65_560, 65_580, 65_600):
    for size in (1 << 60, 1 << 36, (1 << 64) - 1):
      for forged in (False, True):
        folder = tmp_path / f"logits-{at}-{size}-{forged}"
        shutil.copytree(logits, folder)
        spoilt = whole[:at] + size.to_bytes(8, "little") + whole[at + 8 :]
        if forged:
          forge(folder, shard.name, spoilt)
        else:
          (folder / shard.name).write_bytes(spoilt)
        folders.append(folder)
  (tmp_path / "x.parquet").write_bytes(
    b"PAR1" + b"\x15" * 99 + (1 << 31).to_bytes(4, "little") + b"PAR1"
  )
  files = [*tmp_path.glob("*.safetensors"), tmp_path / "x.parquet", *folders]
  assert len(files) > 90
  ran = python(BOUNDED, encoder / "config.json", *files)
  assert ran.stdout.splitlines()[-1:] == ["BOUNDED"], ran.stderr[-2000:]


@pytest.mark.parametrize(
  "name", ["../outside", "/etc/hostname", "..", "", "a/../../outside"]
)
def test_a_dataset_names_no_file_outside_its_folder(logits, name):
  (logits.parent / "outside").write_text("x")
  listed = json.loads((logits / "integrity.json").read_text())
  listed["files"][name] = "1 bytes of sha256 0"
  (logits / "integrity.json").write_text(json.dumps(listed))
  with pytest.raises(sealed.IntegrityError) as error:
    logits_lib.read(logits, expected=EXPECTED)
  assert "no file of its folder" in str(error.value) or name in ("..", "")


def test_a_dataset_reads_no_shard_outside_its_folder(logits):
  (shard,) = logits.glob("*array_record*")
  shutil.copyfile(shard, logits.parent / shard.name)
  info = json.loads((logits / "dataset_info.json").read_text())
  template = info["splits"][0]["filepathTemplate"]
  info["splits"][0]["filepathTemplate"] = f"../{template}"
  forge(logits, "dataset_info.json", json.dumps(info).encode())
  with pytest.raises(sealed.IntegrityError, match="which was not written"):
    logits_lib.read(logits, expected=EXPECTED)


def test_a_shard_that_is_a_link_is_refused(logits):
  (shard,) = logits.glob("*array_record*")
  shard.rename(logits.parent / "elsewhere")
  shard.symlink_to(logits.parent / "elsewhere")
  with pytest.raises(sealed.IntegrityError, match="no file of its folder"):
    logits_lib.read(logits, expected=EXPECTED)


def test_a_dataset_loads_no_class_that_its_files_name(logits, monkeypatch):
  marker = logits.parent / "ran"
  (logits.parent / "evil.py").write_text(f"open({str(marker)!r}, 'w')\n")
  monkeypatch.syspath_prepend(logits.parent)
  text = (logits / "features.json").read_text()
  name = "tensorflow_datasets.core.features.tensor_feature.Tensor"
  assert name in text
  content = text.replace(name, "evil.Tensor").encode()
  forge(logits, "features.json", content)
  with pytest.raises(sealed.IntegrityError, match="its columns are not index"):
    logits_lib.read(logits, expected=EXPECTED)
  assert not marker.exists() and "evil" not in sys.modules
