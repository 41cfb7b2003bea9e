"""The tokenised rows of a working directory's tasks, read when asked for."""

import functools
import hashlib
import zlib
from pathlib import Path

import numpy as np

from bam_jax.data import builders, sources
from bam_jax.data.features import Features, Tokenizer
from bam_jax.tasks import Task


class Corpus:
  """What a task is trained on, scored on and asked to predict."""

  def __init__(
    self,
    path: Path,
    tokenizer: Tokenizer,
    *,
    max_length: int,
    glue_dir: str,
    synthetic_seed: int,
    double_unordered: bool,
    holdout: float,
  ):
    """Reads nothing yet.

    Args:
      path: where the TFDS shards are.
      tokenizer: the encoder's own.
      max_length: tokens per example.
      glue_dir: the GLUE folder, "" = the hub.
      synthetic_seed: of the synthetic suite.
      double_unordered: adds swapped copies to symmetric tasks' training rows.
      holdout: share of the training rows that is scored in place of dev.

    Raises:
      ValueError: `holdout` is not a share.
    """
    if not 0 <= holdout < 1:
      raise ValueError(
        f"data.holdout is {holdout}; it is a share of the training rows, from "
        "0 to below 1: --config.data.holdout=0.1"
      )
    self._path, self._tokenizer, self._length = path, tokenizer, max_length
    self._glue_dir, self._seed = glue_dir, synthetic_seed
    self._double, self._holdout = double_unordered, holdout
    self._features = functools.cache(self._load)

  def _load(self, task: Task, splits: tuple[str, ...]) -> dict[str, Features]:
    return builders.load_features(
      task,
      splits,
      tokenizer=self._tokenizer,
      max_length=self._length,
      data_dir=self._path,
      load=lambda split: sources.load(
        task, split, glue_dir=self._glue_dir, seed=self._seed
      ),
    )

  @functools.cached_property
  def _held(self):
    """Returns held(task, N) -> bool[N], fixed for ever: no seed moves it."""

    def held(task: Task, rows: int) -> np.ndarray:
      order = np.random.Generator(
        np.random.Philox(key=zlib.crc32(task.name.encode()))
      ).permutation(rows)
      mask = np.zeros(rows, bool)
      mask[order[: round(self._holdout * rows)]] = True
      return mask

    return held

  def rows(self, task: Task) -> int:
    """Returns the rows of the train split, copies and held-out ones aside."""
    return len(self._features(task, ("train",))["train"])

  def taught(self, task: Task) -> Features:
    """Returns all training rows, held-out ones too, swapped copies last."""
    swap = task.symmetric and self._double
    splits = ("train", "train_swapped") if swap else ("train",)
    found = self._features(task, ("train",))
    return Features.join([found[split] for split in splits])

  def train(self, task: Task) -> Features:
    """Returns the rows trained on, swapped copies last."""
    features, rows = self.taught(task), self.rows(task)
    # A held-out row's copy would give its label away.
    return features.take(~self._held(task, rows)[features.index % rows])

  def scored(self, task: Task) -> dict[str, Features]:
    """Returns {split: rows} that scores are made of; the first is shown."""
    if self._holdout:
      features = self._features(task, ("train",))["train"]
      return {"holdout": features.take(self._held(task, len(features)))}
    return self._features(task, task.dev)

  def test(self, task: Task) -> dict[str, Features]:
    """Returns {split: rows} to predict."""
    return self._features(task, task.test)


def fingerprint(features: Features) -> str:
  """Returns a hash of rows as the model sees them: ids, labels and numbers."""
  digest = hashlib.sha256()
  for array in (
    features.tokens,
    features.types,
    features.offsets,
    features.index,
    features.labels,
  ):
    digest.update(b"" if array is None else np.ascontiguousarray(array))
  return digest.hexdigest()
