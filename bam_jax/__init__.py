"""Trains one encoder for many tasks, with teachers, in JAX."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["load"]


def load(path: Any, *, trial: int | None = None) -> Any:
  """Returns a trained model that answers on text.

  `model = bam_jax.load("W/runs/NAME"); model("rte", ["a"], ["b"])`.

  Args:
    path: a finished run, W/runs/NAME, or a directory made by bam_jax.export.
    trial: the seed of a run's trial; None = the best on dev.

  Returns:
    An `inference.model.Model`.

  Raises:
    ValueError: it is neither, or damaged, or lacks that trial.
  """
  # Slow to import: JAX and all that reads checkpoints.
  from bam_jax.inference import model as inference

  return inference.load(path, trial=trial)
