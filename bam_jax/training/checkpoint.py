"""Checkpoints by Orbax: the state of trials in training, finished parameters.

A run in training keeps its latest whole states; when it ends, each trial's
parameters are kept by themselves, so that they do not depend on which trials
were trained together. Every checkpoint carries a fingerprint of its arrays:
flipped bytes come back from disk without a complaint.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import functools
import hashlib
import json
import logging
import os
from pathlib import Path
import re
import shutil
import sys
from typing import Any

import jax
import orbax.checkpoint as ocp

from bam_jax.runtime import distributed
from bam_jax.runtime.errors import first_line
from bam_jax.training.fingerprint import fingerprint

# One to go on from, and one before it should that be damaged.
KEPT = 2


class Damaged(ValueError):
  """A checkpoint cannot be read, or is not what was written."""


class Unread(ValueError):
  """A checkpoint may not be read, which says nothing of what it holds."""


def _unreadable(path: Path, error: Exception) -> ValueError:
  """Returns what to say of a checkpoint that Orbax cannot read."""
  for each in (path, *sorted(path.rglob("*"))):
    needed = os.R_OK | (os.X_OK if each.is_dir() else 0)
    if each.exists() and not os.access(each, needed, effective_ids=True):
      return Unread(
        f"{each} cannot be read (Permission denied); let this user read it, "
        "and enter every folder above it"
      )
  return Damaged(f"{path} cannot be read ({first_line(error)})")


class Unwritten(ValueError):
  """A checkpoint cannot be written."""


@functools.cache
def _hush() -> None:
  """Keeps a failure to the one sentence that we make of it.

  Orbax closes its event loop at the first array that fails; each of the others
  then finds it closed, or fails unheard, and a traceback of that is printed.
  """
  logging.getLogger("asyncio").setLevel(logging.CRITICAL)
  usual = sys.unraisablehook

  def hook(seen) -> None:
    if str(seen.exc_value) != "Event loop is closed":
      usual(seen)

  sys.unraisablehook = hook


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
  """Says in a sentence why writing fails."""
  _hush()
  try:
    yield
  # Orbax and what is below it raise a dozen types for a full disk.
  except Exception as error:
    if distributed.lost(error):
      raise
    known = re.search(
      r"No space left on device|Read-only file system|Permission denied"
      r"|File too large|Disk quota exceeded",
      str(error),
    )
    why = known[0] if known else first_line(error)
    raise Unwritten(
      f"{path} cannot be written ({why}); what was saved before is whole: make "
      "room, or take a --workdir elsewhere, and run the same command again"
    ) from error


def _items(tree: Any, meta: Mapping[str, Any]) -> ocp.args.Composite:
  """Returns what Orbax is to write: the arrays, and `meta` with its seals."""
  meta = {"arrays": fingerprint(tree), **meta}
  return ocp.args.Composite(
    state=ocp.args.StandardSave(tree),
    meta=ocp.args.JsonSave(meta | {"seal": _seal(meta)}),
  )


def _seal(meta: Mapping[str, Any]) -> str:
  text = json.dumps({k: v for k, v in meta.items() if k != "seal"})
  return hashlib.sha256(text.encode()).hexdigest()


def _restore(read: Callable, shapes: Any, path: Path) -> tuple[Any, dict]:
  """Reads and checks a checkpoint; returns the tree and its meta.

  Args:
    read: takes Orbax's args, returns its items.
    shapes: a tree of ShapeDtypeStructs with shardings.
    path: named in errors.

  Raises:
    Damaged: it cannot be read, or something in it has changed.
  """
  args = ocp.args.Composite(
    state=ocp.args.StandardRestore(shapes), meta=ocp.args.JsonRestore()
  )
  _hush()
  try:
    found = read(args)
    tree, meta = found["state"], dict(found["meta"])
  # Orbax and what is below it raise a dozen types for a damaged file.
  except Exception as error:
    raise _unreadable(path, error) from error
  if meta.get("seal") != _seal(meta):
    raise Damaged(f"{path}/meta was changed after it was written")
  now, then = fingerprint(tree), meta["arrays"]
  wrong = sorted(
    k for k in now.keys() | then.keys() if now.get(k) != then.get(k)
  )
  if wrong:
    raise Damaged(
      f"{path} was changed after it was written: {wrong[0]}"
      + (f" and {len(wrong) - 1} more arrays" if len(wrong) > 1 else "")
    )
  return tree, meta


class Checkpoints:
  """The states of one group of trials, from which a stopped run goes on."""

  def __init__(self, path: Path):
    """Opens (or makes) the directory.

    Args:
      path: W/runs/RUN/checkpoints/training-FIRST-LAST.
    """
    self.path = path.absolute()
    options = ocp.CheckpointManagerOptions(
      preservation_policy=ocp.checkpoint_managers.LatestN(KEPT),
      create=True,
      cleanup_tmp_directories=True,
    )
    self._manager = ocp.CheckpointManager(self.path, options=options)

  def save(self, step: int, state: Any, meta: Mapping[str, Any]) -> None:
    """Starts saving; training goes on meanwhile.

    Args:
      step: steps done.
      state: a tree of arrays.
      meta: what JSON can hold, exactly.
    """
    with _writing(self.path / str(step)):
      self._manager.save(step, args=_items(state, meta))

  def wait(self) -> None:
    """Returns when what was started is on disk."""
    with _writing(self.path):
      self._manager.wait_until_finished()

  def restore(
    self,
    target: Any,
    place: Any,
    report: Callable[[str], None],
    *,
    before: int | None,
  ) -> tuple[Any, dict[str, Any]]:
    """Returns the latest whole state and its meta; (None, {}) = there is none.

    A damaged one is set aside, and the one before it is taken.

    Args:
      target: a tree of ShapeDtypeStructs.
      place: the sharding of every leaf.
      report: is told of each damaged one in a sentence.
      before: only states of this many steps or fewer; None = any.
    """
    shapes = jax.tree.map(
      lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
      target,
      place,
    )
    for step in sorted(self._manager.all_steps(), reverse=True):
      if before is not None and step > before:
        continue
      path = self.path / str(step)
      try:
        return _restore(
          lambda args, step=step: self._manager.restore(step, args=args),
          shapes,
          path,
        )
      except Damaged as damage:
        aside = self.path / f"damaged-{step}"
        report(f"{damage}; it is set aside as {aside.name}")
        distributed.wait(f"read {path}")
        if distributed.leader():
          shutil.rmtree(aside, ignore_errors=True)
          path.rename(aside)
        distributed.wait(f"set {path} aside")
        self._manager.reload()
    return None, {}

  def discard(self) -> None:
    """Deletes them all: the run is finished."""
    self.close()
    distributed.wait(f"closed {self.path}")
    if distributed.leader():
      # Renamed first: half a directory would look like a damaged one.
      gone = self.path.with_name(f"discarded-{self.path.name}")
      shutil.rmtree(gone, ignore_errors=True)
      self.path.rename(gone)
      shutil.rmtree(gone, ignore_errors=True)
    distributed.wait(f"discarded {self.path}")

  def close(self) -> None:
    """Waits for saves and releases the directory."""
    with _writing(self.path):
      self._manager.close()


def save_params(path: Path, params: Any, meta: Mapping[str, Any]) -> None:
  """Writes one trial's parameters; the directory appears when it is whole.

  Args:
    path: W/runs/RUN/checkpoints/seed-K.
    params: a tree of arrays.
    meta: what JSON can hold, exactly.
  """
  path = path.absolute()
  if distributed.leader() and path.exists():
    shutil.rmtree(path)
  distributed.wait(f"room for {path}")
  with (
    _writing(path),
    ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer,
  ):
    checkpointer.save(path, args=_items(params, meta))


def _read(path: Path, device: jax.Device) -> tuple[Any, dict[str, Any]]:
  """Reads and checks a checkpoint of any shape; see `_restore`."""
  # One device, whatever devices it was saved from.
  device = jax.sharding.SingleDeviceSharding(device)
  _hush()
  try:
    handler = ocp.CompositeCheckpointHandler(
      state=ocp.StandardCheckpointHandler(), meta=ocp.JsonCheckpointHandler()
    )
    with ocp.Checkpointer(handler) as checkpointer:
      saved = checkpointer.metadata(path).item_metadata["state"].tree
      shapes = jax.tree.map(
        lambda m: jax.ShapeDtypeStruct(m.shape, m.dtype, sharding=device), saved
      )
  # Orbax and what is below it raise a dozen types for a damaged file.
  except Exception as error:
    raise _unreadable(path, error) from error
  with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
    return _restore(
      lambda args: checkpointer.restore(path, args=args), shapes, path
    )


def verify(path: Path) -> dict[str, Any]:
  """Reads a checkpoint and holds it against its fingerprint and its seal.

  Nothing need be known of what it holds, and nothing on disk is changed. What
  comes back is its meta.

  Args:
    path: of one state, training-FIRST-LAST/STEP, or of parameters, seed-K.

  Raises:
    Damaged: it cannot be read, or something in it has changed.
  """
  try:
    # A state of many trials may not fit beside a run that is at work.
    device = jax.local_devices(backend="cpu")[0]
  except RuntimeError:  # JAX_PLATFORMS leaves it out
    device = jax.local_devices()[0]
  return _read(path.absolute(), device)[1]


def read_meta(path: Path) -> dict[str, Any]:
  """Returns what was noted of a checkpoint, its arrays unread.

  Args:
    path: as for `verify`.

  Raises:
    Damaged: it cannot be read, or was changed.
  """
  _hush()
  try:
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
      args = ocp.args.Composite(meta=ocp.args.JsonRestore())
      meta = dict(checkpointer.restore(path.absolute(), args)["meta"])
  # Orbax and what is below it raise a dozen types for a damaged file.
  except Exception as error:
    raise _unreadable(path, error) from error
  if meta.get("seal") != _seal(meta):
    raise Damaged(f"{path}/meta was changed after it was written")
  return meta


def trials(folder: Path) -> list[int]:
  """Returns the seeds of the trials whose parameters lie in a folder.

  What Orbax left half has a longer name.

  Args:
    folder: W/runs/RUN/checkpoints; one that is not there has none.

  Raises:
    OSError: it may not be read.
  """
  if not folder.is_dir():
    return []
  found = (re.fullmatch(r"seed-(\d+)", path.name) for path in folder.iterdir())
  return sorted(int(each[1]) for each in found if each)


def load_params(path: Path) -> tuple[Any, dict[str, Any]]:
  """Returns one trial's parameters as numpy arrays, and their meta.

  Raises:
    Damaged: nothing readable is there, or it was changed.
  """
  path = path.absolute()
  if not path.is_dir():
    raise Damaged(
      f"no parameters in {path}; train that run first: --config.stage=train"
    )
  # It may be another study's, which another command has trained.
  cure = f"delete {path} and run the command that trained it again"
  try:
    tree, meta = _read(path, jax.local_devices()[0])
  except Damaged as damage:
    raise Damaged(f"{damage}; {cure}") from damage
  return jax.device_get(tree), meta
