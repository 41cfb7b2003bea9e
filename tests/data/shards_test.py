"""The same rows are the same bytes, whoever writes them."""

from pathlib import Path
import subprocess
import sys

import numpy as np

from bam_jax.data import shards

_NAMES = [f"column{i}" for i in range(9)]


def _write(path):
  columns = dict.fromkeys(_NAMES, shards.vector(np.int32))
  rows = [{name: [i, row] for i, name in enumerate(_NAMES)} for row in range(5)]
  return shards.write_shard(path, columns, rows)


def test_two_processes_write_the_same_bytes(tmp_path):
  # protobuf orders the columns of a row by a hash with a seed of the process.
  assert _write(tmp_path / "here").rows == 5
  code = (
    f"import pathlib, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    f"import shards_test\n"
    f"shards_test._write(pathlib.Path({str(tmp_path / 'there')!r}))"
  )
  subprocess.run([sys.executable, "-c", code], check=True)
  here, there = tmp_path / "here", tmp_path / "there"
  assert here.read_bytes() == there.read_bytes()
