"""The small study that is stopped in every way, and how two of it compare."""

from collections.abc import Iterator, Mapping, Sequence
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

import jax
import numpy as np

from bam_jax.data import logits as logits_lib
from bam_jax.study import predictions
from bam_jax.training.checkpoint import KEPT, Damaged, load_params

ROOT = Path(__file__).resolve().parent.parent
# Steps of a run; none of the numbers below divides another.
STEPS = 20
BASE = {
  "methods": "single,single->multi",
  "max_steps": STEPS,
  "scratch.layers": 1,
  "scratch.width": 32,
  "scratch.heads": 2,
  "scratch.mlp": 48,
  "scratch.vocab_size": 300,
  # Dropout, so that its keys must come back too.
  "scratch.dropout": 0.1,
  "head_dropout": 0.1,
  "single.batch_size": 8,
  "multi.batch_size": 12,
  "checkpoint_every": 3,
  "log_every": 2,
}
TASKS = {"one": "similarity"}
STUDIES: dict[str, dict[str, Any]] = {
  "plain": {},
  # Learning curves, and the best step's parameters beside the last's.
  "best": {"eval_every": 5, "select.by": "average"},
  # Two trials trained as one.
  "pair": {"trials": 2, "trials_at_once": 2, "methods": "single->multi"},
  # The least that has states, parameters and shards: for the tests.
  "one": {"methods": "single", "eval_every": 5, "select.by": "average"},
}
# What may differ between two runs: times, what covers them, and what is free.
FREE = {"seconds", "joules", "seal", "commit", "command", "checkpoint_every"}


def arguments(name: str, workdir: Path, **changes: Any) -> list[str]:
  """Returns the command line of a study, after `python -m bam_jax.main`."""
  tasks = TASKS.get(name, "paraphrase,similarity")
  values = BASE | STUDIES[name] | changes
  return [
    f"--config=configs/quickstart.py:{tasks}",
    f"--workdir={workdir}",
    *(f"--config.{key}={value}" for key, value in values.items()),
  ]


def start(
  args: Sequence[str],
  *,
  log: Path,
  cache: Path,
  fuse: Sequence[str],
  flags: str,
) -> subprocess.Popen:
  """Starts bam_jax.main in a process of its own.

  Args:
    args: of bam_jax.main.
    log: what it says is added to this file.
    cache: of compiled programs.
    fuse: flags of benchmarks.fuse, to run it under that; () = not.
    flags: of XLA.
  """
  module = ["benchmarks.fuse", *fuse, "--"] if fuse else ["bam_jax.main"]
  environment = os.environ | {
    "JAX_PLATFORMS": "cpu",
    "JAX_COMPILATION_CACHE_DIR": str(cache),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "PYTHONPATH": str(ROOT),
    "XLA_FLAGS": flags,
  }
  with log.open("a") as file:
    return subprocess.Popen(
      [sys.executable, "-m", *module, *args],
      cwd=ROOT,
      env=environment,
      stdout=file,
      stderr=subprocess.STDOUT,
    )


def flat(tree: Any) -> dict[str, np.ndarray]:
  """Returns the arrays of a tree by their paths, keys as the words they are."""

  def words(x):
    typed = jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(x) if typed else x)

  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): words(leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def unequal(want: Mapping, got: Mapping) -> list[str]:
  """Returns the names of arrays that are not equal to the last bit."""
  return sorted(
    name
    for name in want.keys() | got.keys()
    if name not in want
    or name not in got
    or want[name].dtype != got[name].dtype
    or want[name].shape != got[name].shape
    or want[name].tobytes() != got[name].tobytes()
  )


def untimed(value: Any) -> Any:
  """Returns JSON without times and what else may differ."""
  if isinstance(value, Mapping):
    return {k: untimed(v) for k, v in value.items() if k not in FREE}
  return [untimed(v) for v in value] if isinstance(value, list) else value


def checkpoint(path: Path) -> tuple[dict[str, np.ndarray], dict]:
  """Returns the arrays of a checkpoint and its meta without times."""
  tree, meta = load_params(path)
  return flat(tree), untimed(meta)


def compare(want: Path, got: Path) -> list[str]:
  """Says how a checkpoint differs from another; [] = not at all."""
  (arrays, meta), (others, other) = checkpoint(want), checkpoint(got)
  names = unequal(arrays, others)
  said = [f"{got}: {names[0]} and {len(names) - 1} more"] if names else []
  return said + ([f"{got}: its meta"] if meta != other else [])


def states(workdir: Path) -> Iterator[Path]:
  """Yields the states of runs in training that are kept, the newest last.

  An older one may be half deleted.
  """
  for group in sorted(workdir.glob("runs/*/checkpoints/training-*")):
    found = [path for path in group.iterdir() if path.name.isdigit()]
    yield from sorted(found, key=lambda path: int(path.name))[-KEPT:]


def compare_states(kept: Path, workdir: Path) -> tuple[int, list[str]]:
  """Compares the states that a stopped study left with the unkilled one's.

  Args:
    kept: the working directory of a run under `fuse --keep`.
    workdir: of a stopped one.

  Returns:
    How many there were, and how they differ.
  """
  found, said = list(states(workdir)), []
  for path in found:
    group = path.parent
    run = group.relative_to(workdir).parent
    try:
      said += compare(kept / run / f"all-{group.name}" / path.name, path)
    except Damaged as error:
      said.append(str(error))
  return len(found), said


def logits(folder: Path) -> bytes:
  """Returns the bytes of a teacher's index and logits."""
  found = logits_lib.read(folder, expected={})
  return found.index.tobytes() + found.values.tobytes()


def curve(workdir: Path) -> dict[str, bytes]:
  """Returns the bytes of every metrics.jsonl."""
  return {
    str(path.relative_to(workdir)): path.read_bytes()
    for path in sorted(workdir.glob("runs/*/metrics.jsonl"))
  }


def gap(want: Path, got: Path) -> float:
  """Returns the largest difference of two studies' loss curves."""
  here, there = curve(want), curve(got)
  if here.keys() != there.keys():
    return np.inf
  rows = [
    [json.loads(line) for text in each.values() for line in text.splitlines()]
    for each in (here, there)
  ]
  marks = [[(r["step"], r["seed"], "loss" in r) for r in each] for each in rows]
  if marks[0] != marks[1]:
    return np.inf
  return max(
    abs(a["loss"] - b["loss"])
    for a, b in zip(*rows, strict=True)
    if "loss" in a
  )


def differences(want: Path, got: Path) -> list[str]:
  """Says how a finished study differs from another; [] = in no bit.

  Compared are the parameters of every trial, metrics.jsonl and the dev logits
  as bytes, the logits of every teacher, scores.json and results.json but for
  times and commit.

  Raises:
    ValueError: something in one of them is damaged.
  """
  said = []
  for pattern in (
    "runs/*/checkpoints/*",
    "runs/*/*.json*",
    "runs/*/dev_logits/*",
    "data/teachers/*/*/*",
    "results.json",
  ):
    here, there = (
      {
        str(path.relative_to(root))
        for path in root.glob(pattern)
        if not path.name.startswith((".", "all-"))
      }
      for root in (want, got)
    )
    said += [f"{name}: only in one" for name in sorted(here ^ there)]
    for name in sorted(here & there):
      a, b = want / name, got / name
      if "checkpoints" in pattern:
        said += compare(a, b)
      elif "teachers" in pattern:
        if logits(a) != logits(b):
          said.append(f"{b}: its logits")
      elif a.suffix in (".jsonl", ".npz"):
        if a.suffix == ".npz":
          # Not every command has a reason to read it: damage shows here.
          predictions.read(b)
        if a.read_bytes() != b.read_bytes():
          said.append(f"{b}: its bytes")
      elif untimed(json.loads(a.read_text())) != untimed(
        json.loads(b.read_text())
      ):
        said.append(f"{b}: its values")
  return said


def half_written(workdir: Path) -> list[str]:
  """Returns what lies beside its place: written in part and not renamed."""
  return sorted(
    str(path.relative_to(workdir))
    for path in workdir.rglob("*")
    if path.name.endswith((".tmp", ".part", ".orbax-checkpoint-tmp"))
    or path.name.startswith("discarded")
    or (path.name.startswith(".") and "data" in path.parts)
  )
