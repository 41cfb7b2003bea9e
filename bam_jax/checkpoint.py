"""Checkpoints by Orbax: the state of trials in training, finished parameters.

A run in training keeps its latest whole state; when it ends, each trial's
parameters are kept by themselves, so that they do not depend on which trials
were trained together.
"""

from pathlib import Path
import shutil
from typing import Any

import jax
import orbax.checkpoint as ocp


class Checkpoints:
  """The states of one group of trials, from which a stopped run goes on."""

  def __init__(self, path: Path):
    """Opens (or makes) the directory.

    Args:
      path: W/runs/RUN/checkpoints/training-FIRST-LAST.
    """
    self.path = path.absolute()
    options = ocp.CheckpointManagerOptions(
      max_to_keep=2, create=True, cleanup_tmp_directories=True
    )
    self._manager = ocp.CheckpointManager(self.path, options=options)

  def save(self, step: int, state: Any) -> None:
    """Starts saving; training goes on meanwhile."""
    self._manager.save(step, args=ocp.args.StandardSave(state))

  def wait(self) -> None:
    """Returns when what was started is on disk."""
    self._manager.wait_until_finished()

  def restore(self, target: Any, place: Any) -> Any | None:
    """Returns the latest state, or None where there is none.

    Args:
      target: a tree of ShapeDtypeStructs.
      place: the sharding of every leaf.

    Raises:
      ValueError: the checkpoint cannot be read.
    """
    step = self._manager.latest_step()
    if step is None:
      return None
    shapes = jax.tree.map(
      lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
      target,
      place,
    )
    try:
      return self._manager.restore(step, args=ocp.args.StandardRestore(shapes))
    except Exception as error:
      raise ValueError(
        f"cannot read the checkpoint {self.path / str(step)}: "
        f"{str(error).splitlines()[0]}; delete that directory and run the "
        "same command again to go on from the one before"
      ) from error

  def discard(self) -> None:
    """Deletes them all: the run is finished."""
    self.close()
    shutil.rmtree(self.path, ignore_errors=True)

  def close(self) -> None:
    """Waits for saves and releases the directory."""
    self._manager.close()


def save_params(path: Path, params: Any) -> None:
  """Writes one trial's parameters; the directory appears when it is whole."""
  path = path.absolute()
  if path.exists():
    shutil.rmtree(path)
  with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(path, params)


def load_params(path: Path) -> Any:
  """Returns one trial's parameters as numpy arrays.

  Raises:
    ValueError: nothing readable is there.
  """
  path = path.absolute()
  if not path.is_dir():
    raise ValueError(
      f"no parameters in {path}; train that run first: --config.stage=train"
    )
  with ocp.StandardCheckpointer() as checkpointer:
    shapes = checkpointer.metadata(path)
    try:
      tree = getattr(shapes, "item_metadata", shapes)
      tree = getattr(tree, "tree", tree)
      # Numpy, whatever devices they were saved from.
      target = jax.tree.map(
        lambda m: jax.ShapeDtypeStruct(
          m.shape,
          m.dtype,
          sharding=jax.sharding.SingleDeviceSharding(jax.devices()[0]),
        ),
        tree,
      )
      return jax.device_get(checkpointer.restore(path, target))
    except Exception as error:
      raise ValueError(
        f"cannot read the parameters in {path}: "
        f"{str(error).splitlines()[0]}; delete {path.parents[1]} and run the "
        "same command again to train it anew"
      ) from error
